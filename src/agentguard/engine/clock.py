"""Time and chance, as every wait of the library sees them.

There is one clock per process so that a test can replace it under functions that were decorated
at import time; `agentguard.testing.FakeRuntime` does so.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable

__all__ = ["Clock", "monotonic", "now", "use"]


_LONGEST: Final = 1e9
"""Seconds, some thirty years: what the system's own waits can count is little more."""


class _Alarm(Protocol):
    def cancel(self) -> None: ...


class Clock:
    """The system's clocks and random numbers."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch, for dates that a provider names."""
        return time.time()

    def random(self) -> float:
        """A number in [0, 1)."""
        return random.random()

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""
        time.sleep(min(seconds, _LONGEST))

    async def asleep(self, seconds: float) -> None:
        """Suspend this task for `seconds`."""
        import asyncio

        await asyncio.sleep(seconds)

    def alarm(
        self, loop: asyncio.AbstractEventLoop, seconds: float, ring: Callable[[], None]
    ) -> _Alarm:
        """Call `ring` on `loop` after `seconds` unless the returned alarm is cancelled."""
        return loop.call_later(seconds, ring)

    def wait(self, done: threading.Event, seconds: float | None) -> bool:
        """Block until a worker sets `done`, at most `seconds`; True when it was set in time."""
        return done.wait(seconds if seconds is None else min(seconds, _LONGEST))


_current = Clock()

monotonic: Callable[[], float] = time.monotonic
"""Seconds on the clock in use. Read twice in every call, hence not through `now()`, which costs as
much again as the reading. Always said as `clock.monotonic()`: `use` puts another in its place."""


def now() -> Clock:
    """The clock in use."""
    return _current


def use(clock: Clock) -> Clock:
    """Put `clock` in use for the whole process and return the one it replaces."""
    global _current, monotonic  # noqa: PLW0603  a public name, for the reason it gives
    previous, _current = _current, clock
    monotonic = clock.monotonic
    return previous
