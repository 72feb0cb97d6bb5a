"""Bad arguments fail where they are written, with what to write instead."""

from __future__ import annotations

import inspect
import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "closest",
    "count",
    "label",
    "length",
    "number",
    "one_of",
    "plain",
    "seconds",
    "told",
]

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def told(value: object) -> str:
    """A wrong value for a message: numbers as they are, all else by type.

    Somebody's object may show a key in its repr, and a misplaced string may be one.
    """
    return repr(value) if isinstance(value, (int, float)) else type(value).__name__


def seconds(owner: str, name: str, value: object, *, zero: bool = False) -> float:
    """A positive number of seconds, without end too, or 0 where `zero` allows it."""
    checked = number(owner, name, value, "a number of seconds, as in 30")
    if math.isnan(checked) or checked < 0 or (checked == 0 and not zero):
        raise ValueError(f"{owner}({name}=) must be positive, not {value!r}")
    return checked


def length(value: object) -> float | None:
    """Seconds of a length of time as in "30m", "24h", "7d" or a timedelta; None for what is none."""
    if isinstance(value, timedelta):
        found = value.total_seconds()
    else:
        read = (
            re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", value) if isinstance(value, str) else None
        )
        found = float(read[1]) * _SECONDS[read[2]] if read else 0.0
    return found if found > 0 else None


def number(owner: str, name: str, value: object, what: str = "a number") -> float:
    """A number, which True is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{owner}({name}=) is {what}, not {told(value)}")
    return value


def count(owner: str, name: str, value: object, least: int = 1) -> int:
    """A whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{owner}({name}=) is a whole number, as in 3, not {told(value)}")
    if value < least:
        raise ValueError(f"{owner}({name}=) must be at least {least}, not {value!r}")
    return value


def one_of(owner: str, name: str, value: object, *words: str) -> None:
    """One of some words, or None."""
    if value is not None and value not in words:
        known = " or ".join(f'"{word}"' for word in words)
        shown = repr(value) if isinstance(value, str) else told(value)
        raise ValueError(f"{owner}({name}=) is {known}, or left out, not {shown}")


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Of the words that are known the one that was meant, if it is not far from what was written."""
    import difflib

    return next(iter(difflib.get_close_matches(name, [*known], 1, cutoff)), None)


def label(owner: str, name: str, value: object) -> None:
    """A name of the user's own, or None."""
    if value is not None and not (isinstance(value, str) and value):
        raise TypeError(f'{owner}({name}=) is a name, as in "support", not {told(value)}')


def plain(owner: str, name: str, value: object, what: str) -> None:
    """A plain function, or None: the coroutine of an async one would always count as True."""
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"{owner}({name}=) takes {what}, not {type(value).__name__}")
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__):
        raise TypeError(f"{owner}({name}=) takes {what} that is not async: it must not wait")
