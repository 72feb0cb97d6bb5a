"""How long a provider asks to be left alone."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["header", "retry_after"]

_MOST_HEADERS: Final = 200


def retry_after(
    headers: Iterable[object], details: Iterable[object] = (), now: float | None = None
) -> float | None:
    """Return the seconds that a provider asks to wait, or None where it asks for nothing.

    Looks at `retry-after-ms`, then `Retry-After` in seconds (fractions too) or as an HTTP-date,
    then Google's `RetryInfo`. A moment that has passed is 0; what cannot be read is None.

    Args:
        headers: header mappings, the most trustworthy first.
        details: the `details` of a Google error.
        now: wall-clock seconds since the epoch, for an HTTP-date; `time.time()` by default.

    Examples:
        >>> retry_after([{"retry-after": "1.5"}])
        1.5
    """
    for mapping in headers:
        milliseconds = _number(header(mapping, "retry-after-ms"))
        if milliseconds is not None:
            return max(0.0, milliseconds / 1000)
        text = header(mapping, "retry-after")
        if text is not None:
            seconds = _number(text)
            return _until(text, now) if seconds is None else max(0.0, seconds)
    for detail in details:
        seconds = _retry_info(detail)
        if seconds is not None:
            return max(0.0, seconds)
    return None


def header(headers: object, name: str) -> str | None:
    """Return a header's value whatever mapping holds it; `name` in lower case.

    Examples:
        >>> header({"Retry-After": "2"}, "retry-after")
        '2'
    """
    get = cast("Callable[[str], Any] | None", getattr(headers, "get", None))
    if get is None:
        return None
    try:
        value = get(name)
    except Exception:  # an object that only looks like a mapping; see failures.classify
        return None
    if value is None and type(headers) is dict:
        plain = cast("dict[object, object]", headers)
        if len(plain) <= _MOST_HEADERS:
            value = next((v for k, v in plain.items() if str(k).lower() == name), None)
    return value if type(value) is str else None


def _number(text: object) -> float | None:
    if type(text) is not str:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(text: str, now: float | None) -> float | None:
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # "-0000": the moment is in UTC, its place is unknown
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - (time.time() if now is None else now))
    except (ValueError, TypeError, OverflowError):
        return None


def _retry_info(detail: object) -> float | None:
    """Read `google.rpc.RetryInfo`, as JSON ("2s") or as a protobuf message."""
    if type(detail) is dict:
        delay: object = cast("dict[str, object]", detail).get("retryDelay")
        if type(delay) is str and delay.endswith("s"):
            return _number(delay[:-1])
    else:
        delay = getattr(detail, "retry_delay", None)
        seconds, nanos = getattr(delay, "seconds", None), getattr(delay, "nanos", 0)
        if type(seconds) is int and type(nanos) is int:
            return seconds + nanos / 1e9
    return None
