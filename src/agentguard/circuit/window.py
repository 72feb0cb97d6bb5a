"""Rates over the latest calls, or over the calls of the latest seconds."""

from __future__ import annotations

import re
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.engine.arguments import told

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CountWindow", "Counts", "TimeWindow", "Window", "window_maker"]

SLICES: Final = 20
"""Into how many parts a time window is cut: it forgets a twentieth at a time."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Counts(NamedTuple):
    """What a window has seen."""

    calls: int
    failures: int
    slow: int


class CountWindow:
    """The latest `size` calls."""

    __slots__ = ("_failures", "_seen", "_slow", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self._seen: deque[tuple[bool, bool]] = deque()
        self._failures = self._slow = 0

    def record(self, now: float, *, failed: bool, slow: bool) -> Counts:
        """Add one call; returns what the window holds then."""
        if len(self._seen) == self.size:
            old_failed, old_slow = self._seen.popleft()
            self._failures -= old_failed
            self._slow -= old_slow
        self._seen.append((failed, slow))
        self._failures += failed
        self._slow += slow
        return Counts(len(self._seen), self._failures, self._slow)


class TimeWindow:
    """The calls of the latest `seconds`, counted in slices so that its size never depends on load."""

    __slots__ = ("_slices", "_width", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._width = seconds / SLICES
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self._slices: deque[list[int]] = deque()  # [slice number, calls, failures, slow]

    def record(self, now: float, *, failed: bool, slow: bool) -> Counts:
        """Add one call that ended at `now`; returns what the window holds then."""
        number, slices = int(now // self._width), self._slices
        if not slices or slices[-1][0] < number:
            slices.append([number, 0, 0, 0])
        latest = slices[-1]
        latest[1] += 1
        latest[2] += failed
        latest[3] += slow
        while slices[0][0] <= latest[0] - SLICES:
            slices.popleft()
        return Counts(*(sum(each[place] for each in slices) for place in (1, 2, 3)))


Window = CountWindow | TimeWindow


def window_maker(window: int | str | timedelta) -> Callable[[], Window]:
    """What makes the windows that `breaker(window=...)` asks for.

    Args:
        window: a number of calls (100), or a time ("60s", "5m", timedelta(seconds=60)). A bare
            float is refused: nobody can see whether it means calls or seconds.
    """
    if isinstance(window, int) and not isinstance(window, bool):
        if window < 1:
            raise ValueError(f"breaker(window=) must hold at least one call, not {window}")
        return lambda: CountWindow(window)
    seconds = _seconds(window)
    if seconds is None:
        shown = repr(window) if isinstance(window, str) else told(window)
        raise TypeError(
            "breaker(window=) is a number of calls, as in window=100, or a time, as in "
            f'window="60s" or timedelta(seconds=60), not {shown}'
        )
    if not seconds > 0:
        raise ValueError(f"breaker(window=) must be longer than nothing, not {window!r}")
    return lambda: TimeWindow(seconds)


def _seconds(window: object) -> float | None:
    if isinstance(window, timedelta):
        return window.total_seconds()
    if isinstance(window, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)\s*", window)
        return None if found is None else float(found[1]) * _UNITS[found[2]]
    return None
