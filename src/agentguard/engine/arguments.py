"""Bad arguments fail where they are written, with what to write instead."""

from __future__ import annotations

import math

__all__ = ["count", "one_of", "seconds"]


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
