"""Virtual time: waits take none, end in order, and do so in every run alike."""

from __future__ import annotations

import functools
import math
import random
from typing import TYPE_CHECKING, Any

from agentguard.engine import clock, workers
from agentguard.testing.turns import BOUND, SLEEP, Job, StandStill, Turns

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from agentguard.testing.turns import Timer

__all__ = ["FakeRuntime", "StandStill", "pause", "pause_async"]


class FakeRuntime(clock.Clock):
    """The library's time and chance while a test runs: waits take no real time.

    Protects from tests that sleep, and from tests that fail now and then. While it is in use every
    wait of the library (a retry's pause, a bound of time, a breaker's reset, `abandon_after`) is
    virtual: when nothing else can run, time jumps to whatever comes next, so that tasks and workers
    go on in the same order in every run. Random waits come from `seed`.

    Time moves only by waits. A worker that sleeps virtually for 60 s under a bound of 30 s passes
    it at 30; one that sleeps for 10 s does not. The timers of an asyncio loop that makes guarded
    calls are virtual as well: `asyncio.sleep`, `asyncio.timeout`, `asyncio.wait_for`. Whatever
    waits for real (`time.sleep`, a socket, a lock) holds time while it lasts.

    Args:
        seed: of the random numbers.
        start: the wall clock's beginning: seconds since the epoch, or an aware datetime. By default
            the first of January 2026.
        settle: real seconds without I/O after which an event loop with open sockets or an executor
            counts as idle. Raise it for servers that take longer to answer.
        patience: real seconds after which time that cannot go on raises `StandStill`.

    Attributes:
        now: virtual seconds since the beginning; the monotonic clock, too, starts at 0.
        slept: the waits that were asked for, in order, in seconds: pauses, not bounds.

    Raises:
        StandStill: where somebody waits virtually while something else waits for real and does not
            end. No guard can hide it, and leaving the block raises it too.

    Examples:
        >>> from agentguard.engine import clock
        >>> from agentguard.testing import FakeRuntime
        >>> with FakeRuntime() as time:
        ...     clock.now().sleep(3600)
        >>> time.now, time.slept
        (3600.0, [3600])
    """

    def __init__(
        self,
        seed: int = 0,
        start: float | datetime = 1_767_225_600.0,
        *,
        settle: float = 0.1,
        patience: float = 5.0,
    ) -> None:
        self.slept: list[float] = []
        self._start = start if isinstance(start, (int, float)) else start.timestamp()
        self._chance = random.Random(seed)
        self._turns = Turns(settle, patience)
        self._before: tuple[clock.Clock, Any] | None = None

    def __repr__(self) -> str:
        return f"<FakeRuntime at {self.now:g} s>"

    def __enter__(self) -> Self:
        if self._before is not None:
            raise RuntimeError("a FakeRuntime is used once: make another one")
        self._before = clock.use(self), workers.Job
        workers.Job = functools.partial(Job, self._turns)  # type: ignore[misc,assignment]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before is not None:
            previous, workers.Job = self._before  # type: ignore[misc]
            clock.use(previous)
        self._turns.leave()
        stuck = self._turns.stuck
        if stuck is not None and stuck is not error:
            raise stuck from error  # a bound that was let pass because of it explains nothing

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self._turns.now

    def monotonic(self) -> float:
        """Virtual seconds since the beginning."""
        self._turns.here()
        return self._turns.now

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return self._start + self.now

    def random(self) -> float:
        """The next number of the seed's sequence."""
        return self._chance.random()

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, and whatever happens meanwhile happen."""
        self.slept.append(seconds)
        self.pause(seconds)

    async def asleep(self, seconds: float) -> None:
        """The same for a task."""
        self.slept.append(seconds)
        await self.pause_async(seconds)

    def pause(self, seconds: float) -> None:
        """As `sleep`, but not noted in `slept`: for what the test itself does."""
        self._turns.block(self._turns.timer(seconds, SLEEP))

    async def pause_async(self, seconds: float) -> None:
        """As `asleep`, but not noted in `slept`."""
        import asyncio

        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def ring() -> None:
            if over.done():
                return
            if timer.error is None:
                over.set_result(None)
            else:
                over.set_exception(timer.error)

        timer = self._turns.set(loop, seconds, SLEEP, ring)
        try:
            await over
        finally:
            timer.cancel()

    def alarm(
        self, loop: asyncio.AbstractEventLoop, seconds: float, ring: Callable[[], None]
    ) -> Timer:
        """Call `ring` on `loop` after `seconds` of virtual time."""
        return self._turns.set(loop, seconds, BOUND, ring)

    def wait(self, done: threading.Event, seconds: float | None) -> bool:
        """Block until a worker sets `done`, at most `seconds` of virtual time."""
        until = math.inf if seconds is None else seconds
        self._turns.block(self._turns.timer(until, BOUND, done), done)
        return done.is_set()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, from outside: whatever falls due is woken in order.

        Streams that nobody has read for longer than their guard's `abandon_after` are closed.
        """
        self._turns.advance(seconds)


def pause(seconds: float) -> None:
    """Wait on the clock in use, as a scripted model does; `FakeRuntime.slept` does not show it."""
    now = clock.now()
    (now.pause if isinstance(now, FakeRuntime) else now.sleep)(seconds)


async def pause_async(seconds: float) -> None:
    """The same for a task."""
    now = clock.now()
    await (now.pause_async if isinstance(now, FakeRuntime) else now.asleep)(seconds)
