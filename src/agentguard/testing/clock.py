"""Virtual time: waits take none, end in order, and do so in every run alike."""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine import clock, workers
from agentguard.testing.loops import Loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import FrameType, TracebackType
    from typing import Self

__all__ = ["FakeRuntime", "StandStill", "pause", "pause_async"]

_SLEEP: Final = 0  # at one moment sleepers wake before bounds pass: 30 s of work fit into 30 s
_BOUND: Final = 1
_TICK: Final = 0.02  # real seconds after which a thread of the test's own holds time no longer


class StandStill(BaseException):
    """Virtual time cannot go on, because something waits for real; the message says what."""


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

    Example:
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
        self.now = 0.0
        self.slept: list[float] = []
        self._start = start if isinstance(start, (int, float)) else start.timestamp()
        self._settle = settle
        self._patience = patience
        self._chance = random.Random(seed)
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._timers: list[_Timer] = []
        self._results: dict[threading.Event, _Timer] = {}  # who waits for a worker to end
        self._awake: set[_Job | int] = (
            set()
        )  # jobs, and threads about to wait for one, that can run
        self._running: dict[int, _Job] = {}
        self._loops: dict[asyncio.AbstractEventLoop, Loop] = {}
        self._progress = 0
        self._turning = False
        self._stuck: StandStill | None = None
        self._left = threading.Event()
        self._watcher: threading.Thread | None = None
        self._before: tuple[clock.Clock, Any] | None = None

    def __repr__(self) -> str:
        return f"<FakeRuntime at {self.now:g} s>"

    def __enter__(self) -> Self:
        if self._before is not None or self._left.is_set():
            raise RuntimeError("a FakeRuntime is used once: make another one")
        self._before = clock.use(self), workers.Job
        workers.Job = functools.partial(_Job, self)  # type: ignore[misc,assignment]
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
        self._left.set()
        self._release(StandStill("the FakeRuntime in which this wait began was left"))
        for loop in self._loops.values():
            loop.leave()
        if self._stuck is not None and error is None:
            raise self._stuck

    def monotonic(self) -> float:
        """Virtual seconds since the beginning."""
        self._here()
        return self.now

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
        self._block(self._timer(seconds, _SLEEP))

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

        timer = self._set(loop, seconds, _SLEEP, ring)
        try:
            await over
        finally:
            timer.cancel()

    def alarm(
        self, loop: asyncio.AbstractEventLoop, seconds: float, ring: Callable[[], None]
    ) -> _Timer:
        """Call `ring` on `loop` after `seconds` of virtual time."""
        return self._set(loop, seconds, _BOUND, ring)

    def wait(self, done: threading.Event, seconds: float | None) -> bool:
        """Block until a worker sets `done`, at most `seconds` of virtual time."""
        self._block(self._timer(math.inf if seconds is None else seconds, _BOUND, done), done)
        return done.is_set()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, from outside: whatever falls due is woken in order.

        Streams that nobody has read for longer than their guard's `abandon_after` are closed.
        """
        target = self.now + seconds
        while True:
            with self._lock:
                due = [timer for timer in self._timers if timer.at <= target and not timer.over]
                if not due:
                    break
                first = min(due)
                self.now = max(self.now, first.at)
                self._wake(first)
            first.fire()
        self.now = max(self.now, target)
        _reap(self.now)
        for loop in tuple(self._loops.values()):
            loop.probe()

    # How a wait begins.

    def _here(self) -> Loop | None:
        """The event loop that runs on this thread, which is awake then."""
        asyncio = sys.modules.get("asyncio")
        running = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001  documented
        return None if running is None else self._join(running)

    def _join(self, running: asyncio.AbstractEventLoop) -> Loop:
        loop = self._loops.get(running)
        if loop is None:
            with self._lock:
                self._loops = {k: v for k, v in self._loops.items() if not k.is_closed()}
                loop = Loop(running, lambda: self.now, self._settle, self._turn)
                self._loops[running] = loop
        loop.idle = False
        return loop

    def _set(
        self,
        running: asyncio.AbstractEventLoop,
        seconds: float,
        rank: int,
        ring: Callable[[], None],
    ) -> _Timer:
        loop = self._join(running)
        with self._lock:
            timer = _Timer(self.now + max(seconds, 0.0), rank, next(self._numbers))
            timer.loop, timer.ring = loop, ring
            heapq.heappush(self._timers, timer)
            self._progress += 1
            self._watch()
        loop.probe()
        return timer

    def _timer(self, seconds: float, rank: int, done: threading.Event | None = None) -> _Timer:
        """This thread is about to block."""
        here, ident = self._here(), threading.get_ident()
        with self._lock:
            timer = _Timer(self.now + max(seconds, 0.0), rank, next(self._numbers))
            timer.loop, timer.job = here, self._running.get(ident)
            self._awake.discard(timer.job or ident)
            if here is not None:
                here.blocked += 1
            if done is not None:
                self._results[done] = timer
            heapq.heappush(self._timers, timer)
            self._progress += 1
        return timer

    def _block(self, timer: _Timer, done: threading.Event | None = None) -> None:
        try:
            if done is None or not done.is_set():
                self._turn()
                # A worker begun before this clock was in use does not tell that it has ended.
                while not timer.passed.wait(0.05) and not (done is not None and done.is_set()):
                    pass
        finally:
            with self._lock:
                if not timer.over:
                    self._wake(timer)
                if done is not None:
                    self._results.pop(done, None)
        if timer.error is not None and not (done is not None and done.is_set()):
            raise timer.error

    def _wake(self, timer: _Timer) -> None:
        """Whoever waits can run from now on (the lock is held)."""
        timer.over = True
        self._progress += 1
        if timer.job is not None:
            self._awake.add(timer.job)
        if timer.loop is not None:
            timer.loop.idle = False
            if timer.ring is None:
                timer.loop.blocked -= 1

    # How time goes on.

    def _turn(self) -> None:
        """Go on to whatever comes next, if nothing can run before it."""
        with self._lock:
            if self._left.is_set():
                return
            woken = None if self._turning else self._next()
            if woken is None:
                self._watch()  # whoever holds time ends and turns it, or the watch does
                return
            self._turning = True
        try:
            _reap(self.now)
        finally:
            self._turning = False
        for timer in woken:
            timer.fire()

    def _next(self) -> list[_Timer] | None:
        """Move to the next moment; the timers to fire then, or None if time cannot move."""
        loops = tuple(self._loops.values())
        held = bool(self._awake)
        for loop in loops:
            if loop.waiting:
                held = True
                loop.probe()
        if held:
            return None
        while self._timers and self._timers[0].over:
            heapq.heappop(self._timers)
        due = min((at for at in map(Loop.due, loops) if at is not None), default=None)
        if due is not None and (not self._timers or due <= self._timers[0].at):
            self.now = max(self.now, due)
            self._progress += 1
            for loop in loops:
                loop.probe()
            return []
        if not any(self._waiting()) or self._timers[0].at == math.inf:
            return None
        first = heapq.heappop(self._timers)
        self.now = max(self.now, first.at)
        woken = [first]
        # Tasks of one moment go on together; threads one by one, or their order would be chance.
        while first.ring is not None and self._timers and self._timers[0].key[:2] == first.key[:2]:
            if self._timers[0].ring is None:
                break
            timer = heapq.heappop(self._timers)
            if not timer.over:
                woken.append(timer)
        for timer in woken:
            self._wake(timer)
        return woken

    def _waiting(self) -> Iterator[_Timer]:
        """The waits that somebody cares for: not those of workers that were given up."""
        for timer in self._timers:
            if not timer.over and not (timer.job is not None and timer.job.given_up):
                yield timer

    # Workers of the engine.

    def begun(self, job: _Job) -> None:
        """A worker is about to run `job`, and this thread may be about to wait for it."""
        here, ident = self._here(), threading.get_ident()
        with self._lock:
            self._progress += 1
            self._awake.add(job)
            if here is None and ident not in self._running:
                self._awake.add(ident)

    def runs(self, job: _Job) -> None:
        """This thread is the worker that runs `job`."""
        self._running[threading.get_ident()] = job

    def ended(self, job: _Job) -> None:
        """`job` has ended, and whoever asked for it has been told."""
        with self._lock:
            self._progress += 1
            self._running.pop(threading.get_ident(), None)
            self._awake.discard(job)
            waiter = self._results.pop(job.done, None)
            if waiter is not None and not waiter.over:
                self._wake(waiter)
                waiter.passed.set()
                return  # it runs on, and time goes on when it waits again
        for loop in tuple(self._loops.values()):
            loop.probe()
        self._turn()

    # When time cannot go on.

    def _watch(self) -> None:
        if self._watcher is None and any(self._waiting()):
            self._watcher = threading.Thread(
                target=self._watching, name="agentguard-fake-time", daemon=True
            )
            self._watcher.start()

    def _watching(self) -> None:
        seen, since = -1, time.monotonic()
        while not self._left.wait(_TICK):
            with self._lock:
                moved = self._progress != seen or not any(self._waiting())
                seen = self._progress
            if moved:
                since = time.monotonic()
            elif time.monotonic() - since > self._patience:
                self._stuck = StandStill(self._reason())
                self._release(self._stuck)
            else:
                self._turn()

    def _reason(self) -> str:
        frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        busy = [
            f"a worker in {_place(frames[ident])}"
            for ident, job in tuple(self._running.items())
            if job in self._awake and ident in frames
        ]
        if any(loop.waiting for loop in self._loops.values()):
            busy.append("an event loop that never comes to rest")
        return (
            f"virtual time stood still at {self.now:g} s for {self._patience:g} real seconds, because "
            f"something waits for real: {', '.join(busy) or 'a thread of the test'}. Fakes wait "
            "virtually with Stall(seconds) in a script, or with clock.now().sleep(seconds)"
        )

    def _release(self, error: StandStill) -> None:
        with self._lock:
            timers = [timer for timer in self._timers if not timer.over]
            for timer in timers:
                timer.error = error
                self._wake(timer)
        for timer in timers:
            timer.fire()


class _Timer:
    """One wait: when it ends, and how to wake whoever waits.

    Attributes:
        job: the worker's job that waits, if one does.
        loop: the event loop that waits, or that a thread blocks by waiting.
        ring: called on `loop`; None when a thread waits.
    """

    __slots__ = ("at", "error", "job", "key", "loop", "over", "passed", "ring")

    def __init__(self, at: float, rank: int, number: int) -> None:
        self.at = at
        self.key = (at, rank, number)
        self.job: _Job | None = None
        self.loop: Loop | None = None
        self.ring: Callable[[], None] | None = None
        self.passed = threading.Event()
        self.over = False
        self.error: StandStill | None = None

    def __lt__(self, other: _Timer) -> bool:
        return self.key < other.key

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.over = True

    def fire(self) -> None:
        """Wake whoever waits."""
        if self.ring is None:
            self.passed.set()
        elif self.loop is not None:
            self.loop.call(self.ring)


class _Job(workers.Job):
    """A worker's job that virtual time knows of."""

    __slots__ = ("_runtime", "given_up")

    def __init__(self, runtime: FakeRuntime, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runtime = runtime
        self.given_up = False
        runtime.begun(self)

    def abandon(self, late: Callable[[workers.Job], None]) -> bool:
        self.given_up = super().abandon(late)
        return self.given_up

    def run(self) -> None:
        self._runtime.runs(self)
        try:
            super().run()
        finally:
            self._runtime.ended(self)


def _place(frame: FrameType) -> str:
    """Where a thread is: the innermost line that is not the standard library's."""
    library = str(Path(os.__file__).parent)
    inner: FrameType | None = frame
    while inner is not None and inner.f_code.co_filename.startswith(library):
        inner = inner.f_back
    at = inner or frame
    return f"{at.f_code.co_qualname} ({at.f_code.co_filename}:{at.f_lineno})"


def pause(seconds: float) -> None:
    """Wait on the clock in use, as a scripted model does; `FakeRuntime.slept` does not show it."""
    now = clock.now()
    (now.pause if isinstance(now, FakeRuntime) else now.sleep)(seconds)


async def pause_async(seconds: float) -> None:
    """The same for a task."""
    now = clock.now()
    await (now.pause_async if isinstance(now, FakeRuntime) else now.asleep)(seconds)


def _reap(now: float) -> None:
    """Close the streams that were left alone for longer than their guard allows."""
    streams = cast("Any", sys.modules.get("agentguard.engine.streams"))
    if streams is not None:
        streams.settle_lost()
        streams.reap(now)
