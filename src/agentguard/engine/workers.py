"""Daemon threads for what must not block its caller for ever.

Made on demand, reused while idle, never joined at exit: a hung SDK call must not keep a process
from ending, which is what `concurrent.futures` threads do.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "along", "start"]

IDLE_SECONDS = 10.0

_idle: list[_Worker] = []

along: Final[list[Callable[[Callable[[], object]], Callable[[], object]]]] = []
"""Called where work is handed to a worker, to take thread-locals of a framework along: each gets the
work and returns work that sets them up around it."""


class Job:
    """One function running in a worker: its result or error, and who hears of it.

    `done` is set at the end. A caller that stops waiting calls `abandon(late)`; the worker then
    passes the late job to `late` instead of leaving its result to nobody.
    """

    __slots__ = ("_fn", "_late", "_lock", "_on_done", "done", "error", "value")

    def __init__(
        self, fn: Callable[[], object], on_done: Callable[[Job], None] | None = None
    ) -> None:
        self.done = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None
        self._fn: Callable[[], object] | None = fn
        self._on_done = on_done
        self._late: Callable[[Job], None] | None = None
        self._lock = threading.Lock()

    def abandon(self, late: Callable[[Job], None]) -> bool:
        """Nobody waits any more; False when the job ended before this could be said."""
        with self._lock:
            if self.done.is_set():
                return False
            self._late = late
            return True

    def run(self) -> None:
        """Run the function and tell whoever waits (called by the worker)."""
        fn, self._fn = self._fn, None
        if fn is None:
            return
        try:
            self.value = fn()
        except BaseException as error:
            self.error = error
        fn = None
        with self._lock:
            self.done.set()
            late = self._late
        if late is not None:
            late(self)
        elif self._on_done is not None:
            self._on_done(self)


class _Worker:
    __slots__ = ("_job", "_wake")

    def __init__(self, job: Job) -> None:
        self._wake = threading.Semaphore(0)
        self._job: Job | None = job
        threading.Thread(target=self._loop, name="agentguard-worker", daemon=True).start()

    def give(self, job: Job) -> None:
        self._job = job
        self._wake.release()

    def _loop(self) -> None:
        while True:
            job, self._job = self._job, None
            if job is not None:
                job.run()
                job = None
            _idle.append(self)
            if not self._wake.acquire(timeout=IDLE_SECONDS):
                try:
                    _idle.remove(self)
                except ValueError:  # given a job at this very moment: it is about to wake us
                    self._wake.acquire()
                else:
                    return


def start(fn: Callable[[], object], on_done: Callable[[Job], None] | None = None) -> Job:
    """Run `fn` in a worker; `on_done(job)` is called there when it ends in time."""
    for take in along:
        fn = take(fn)
    job = Job(fn, on_done)
    try:
        worker = _idle.pop()
    except IndexError:
        _Worker(job)
    else:
        worker.give(job)
    return job


if hasattr(os, "register_at_fork"):
    # A forked child has none of its parent's threads.
    os.register_at_fork(after_in_child=_idle.clear)
