"""Bad arguments fail where they are written, with what to write instead."""

from __future__ import annotations

import inspect
import math

__all__ = ["count", "one_of", "plain", "seconds"]


def seconds(owner: str, name: str, value: object, *, zero: bool = False) -> float:
    """A number of seconds: finite and positive, or 0 where `zero` allows it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{owner}({name}=) is a number of seconds, as in 30, not {value!r}")
    if math.isnan(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{owner}({name}=) must be positive, not {value!r}")
    return value


def count(owner: str, name: str, value: object, least: int = 1) -> int:
    """A whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{owner}({name}=) is a whole number, as in 3, not {value!r}")
    if value < least:
        raise ValueError(f"{owner}({name}=) must be at least {least}, not {value!r}")
    return value


def one_of(owner: str, name: str, value: object, *words: str) -> None:
    """One of some words, or None."""
    if value is not None and value not in words:
        told = " or ".join(f'"{word}"' for word in words)
        raise ValueError(f"{owner}({name}=) is {told}, or left out, not {value!r}")


def plain(owner: str, name: str, value: object, what: str) -> None:
    """A plain function, or None: the coroutine of an async one would always count as True."""
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"{owner}({name}=) takes {what}, not {type(value).__name__}")
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__):
        raise TypeError(f"{owner}({name}=) takes {what} that is not async: it must not wait")
