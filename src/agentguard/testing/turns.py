"""Whose turn it is: virtual time moves on when nothing can run before it does."""

from __future__ import annotations

import heapq
import itertools
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine import workers
from agentguard.testing.loops import Loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["BOUND", "SLEEP", "Job", "StandStill", "Timer", "Turns"]

SLEEP: Final = 0  # at one moment sleepers wake before bounds pass: 30 s of work fit into 30 s
BOUND: Final = 1
_FEW: Final = 256
_TICK: Final = 0.06  # real seconds after which a thread of the test's own holds time no longer


class StandStill(BaseException):
    """Virtual time cannot go on, because something waits for real; the message says what."""


class Turns:
    """Who waits until when, who can run, and what comes next.

    Time holds still while a worker of the engine runs, or an event loop that takes part has
    anything to do. Threads of the test's own are not known: time moves on when one of them waits.

    Args:
        settle: see `FakeRuntime`.
        patience: see `FakeRuntime`.

    Attributes:
        now: virtual seconds since the beginning.
        stuck: what was raised because time could not go on.
    """

    def __init__(self, settle: float, patience: float) -> None:
        self.now = 0.0
        self.stuck: StandStill | None = None
        self._settle = settle
        self._patience = patience
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._timers: list[Timer] = []
        self._most = _FEW
        self._results: dict[threading.Event, Timer] = {}  # who waits for a worker to end
        self._awake: set[Job | int] = set()  # jobs, and threads about to wait for one, that can run
        self._running: dict[int, Job] = {}
        self._loops: dict[asyncio.AbstractEventLoop, Loop] = {}
        self._progress = 0
        self._turning = False
        self._left = threading.Event()
        self._watcher: threading.Thread | None = None

    def leave(self) -> None:
        """Time ends here: wake whoever still waits with an error, let loops have their own again."""
        self._left.set()
        self._release(StandStill("the FakeRuntime in which this wait began was left"))
        for loop in self._loops.values():
            loop.leave()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, and wake in order whoever falls due."""
        target = self.now + seconds
        _look(self.now)
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

    def here(self) -> Loop | None:
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

    def set(
        self,
        running: asyncio.AbstractEventLoop,
        seconds: float,
        rank: int,
        ring: Callable[[], None],
    ) -> Timer:
        """`ring` is to be called on an event loop after `seconds`."""
        loop = self._join(running)
        with self._lock:
            timer = Timer(self.now + max(seconds, 0.0), rank, next(self._numbers))
            timer.loop, timer.ring = loop, ring
            self._add(timer)
            self._watch()
        loop.probe()
        return timer

    def timer(self, seconds: float, rank: int, done: threading.Event | None = None) -> Timer:
        """This thread is about to block."""
        here, ident = self.here(), threading.get_ident()
        with self._lock:
            timer = Timer(self.now + max(seconds, 0.0), rank, next(self._numbers))
            timer.passed = threading.Event()
            timer.loop, timer.job = here, self._running.get(ident)
            self._awake.discard(timer.job or ident)
            if here is not None:
                here.blocked += 1
            if done is not None:
                self._results[done] = timer
            self._add(timer)
        return timer

    def _add(self, timer: Timer) -> None:
        heapq.heappush(self._timers, timer)
        self._progress += 1
        if len(self._timers) > self._most:  # bounds that did not pass are let go by the way
            self._timers = [each for each in self._timers if not each.over]
            heapq.heapify(self._timers)
            self._most = max(_FEW, 2 * len(self._timers))

    def block(self, timer: Timer, done: threading.Event | None = None) -> None:
        """Block this thread until its timer passes, or a worker sets `done`."""
        passed = timer.passed
        try:
            if passed is not None and not (done is not None and done.is_set()):
                self._turn()
                # A worker begun before this clock was in use does not tell that it has ended.
                while not passed.wait(0.05) and not (done is not None and done.is_set()):
                    pass
        finally:
            with self._lock:
                if not timer.over:
                    self._wake(timer)
                if done is not None:
                    self._results.pop(done, None)
        if timer.error is not None and not (done is not None and done.is_set()):
            raise timer.error

    def _wake(self, timer: Timer) -> None:
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
        _look(self.now)
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

    def _next(self) -> list[Timer] | None:
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

    def _waiting(self) -> Iterator[Timer]:
        """The waits that somebody cares for: not those of workers that were given up."""
        for timer in self._timers:
            if not timer.over and not (timer.job is not None and timer.job.given_up):
                yield timer

    # Workers of the engine.

    def begun(self, job: Job) -> None:
        """A worker is about to run `job`, and this thread may be about to wait for it."""
        here, ident = self.here(), threading.get_ident()
        with self._lock:
            self._progress += 1
            self._awake.add(job)
            if here is None and ident not in self._running:
                self._awake.add(ident)

    def runs(self, job: Job) -> None:
        """This thread is the worker that runs `job`."""
        self._running[threading.get_ident()] = job

    def ended(self, job: Job) -> None:
        """`job` has ended, and whoever asked for it has been told."""
        with self._lock:
            self._progress += 1
            self._running.pop(threading.get_ident(), None)
            self._awake.discard(job)
            waiter = self._results.pop(job.done, None)
            if waiter is not None and not waiter.over:
                self._wake(waiter)
                waiter.fire()
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
                self.stuck = StandStill(self._reason())
                self._release(self.stuck)
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


class Timer:
    """One wait: when it ends, and how to wake whoever waits.

    Attributes:
        job: the worker's job that waits, if one does.
        loop: the event loop that waits, or that a thread blocks by waiting.
        ring: called on `loop`, for a wait of a task.
        passed: set, for a wait of a thread.
    """

    __slots__ = ("at", "error", "job", "key", "loop", "over", "passed", "ring")

    def __init__(self, at: float, rank: int, number: int) -> None:
        self.at = at
        self.key = (at, rank, number)
        self.job: Job | None = None
        self.loop: Loop | None = None
        self.ring: Callable[[], None] | None = None
        self.passed: threading.Event | None = None
        self.over = False
        self.error: StandStill | None = None

    def __lt__(self, other: Timer) -> bool:
        return self.key < other.key

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.over = True

    def fire(self) -> None:
        """Wake whoever waits."""
        if self.passed is not None:
            self.passed.set()
        elif self.ring is not None and self.loop is not None:
            self.loop.call(self.ring)


class Job(workers.Job):
    """A worker's job that virtual time knows of."""

    __slots__ = ("_turns", "given_up")

    def __init__(self, turns: Turns, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turns = turns
        self.given_up = False
        turns.begun(self)

    def abandon(self, late: Callable[[workers.Job], None]) -> bool:
        """Nobody waits any more: its sleeps move time no longer."""
        self.given_up = super().abandon(late)
        return self.given_up

    def run(self) -> None:
        """Run it, and tell when it works no longer."""
        self._turns.runs(self)
        try:
            super().run()
        finally:
            self._turns.ended(self)


def _place(frame: FrameType) -> str:
    """Where a thread is: the innermost line that is not the standard library's."""
    library = str(Path(os.__file__).parent)
    inner: FrameType | None = frame
    while inner is not None and inner.f_code.co_filename.startswith(library):
        inner = inner.f_back
    at = inner or frame
    return f"{at.f_code.co_qualname} ({at.f_code.co_filename}:{at.f_lineno})"


def _look(now: float) -> None:
    """Before time moves: see which streams nobody reads."""
    streams = cast("Any", sys.modules.get("agentguard.engine.streams"))
    if streams is not None:
        streams.look(now)


def _reap(now: float) -> None:
    """Close the streams that were left alone for longer than their guard allows."""
    streams = cast("Any", sys.modules.get("agentguard.engine.streams"))
    if streams is not None:
        streams.settle_lost()
        streams.reap(now)
