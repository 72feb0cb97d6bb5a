"""Bounds of time: points on the monotonic clock that know their own name."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Final

from agentguard.errors import Overloaded, Timeout

if TYPE_CHECKING:
    from agentguard.engine.workers import Job

__all__ = ["UNKEPT", "Deadline", "Hung", "narrower"]


class Hung:
    """The workers that a sync bound had to leave behind, at most `limit` of them.

    Python cannot stop a thread: a worker whose caller gave up goes on until its call returns.
    Each holds a thread and often a connection, so that their number must be bounded.
    """

    __slots__ = ("__weakref__", "_jobs", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._jobs: set[Job] = set()
        _all.add(self)

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job) -> None:
        """Count a worker that nobody waits for any more."""
        self._jobs.add(job)

    def remove(self, job: Job) -> None:
        """The worker came back after all."""
        self._jobs.discard(job)

    def admit(self) -> None:
        """Refuse a further bounded call while `limit` workers hang."""
        if len(self._jobs) >= self.limit:
            raise Overloaded(
                f"{len(self._jobs)} earlier calls passed their time bound and still run in their "
                f"worker threads (max_abandoned={self.limit}); refusing to start another. Give the "
                "client itself a timeout so that its calls end, or raise "
                "timeout(max_abandoned=...)."
            )

    def forget(self) -> None:
        """No worker of this process hangs: it was forked a moment ago."""
        self._jobs.clear()


_all: Final[weakref.WeakSet[Hung]] = weakref.WeakSet()
UNKEPT: Final = Hung(64)  # of bounds that come from no timeout policy, such as `deadline(...)`


class Deadline:
    """A point in time that some wait must not pass.

    Attributes:
        at: monotonic seconds.
        bound: the name the user knows it by: "seconds", "first_token", "idle", "total", "deadline".
        seconds: how long the bound was when it was set.
        error: what is raised when it passes.
        lull: seconds that a stream begun within it may fall silent later on.
        thread: whether a sync attempt runs in a worker so that the bound can be kept.
        hung: where workers are counted that outlive it.
    """

    __slots__ = ("at", "bound", "error", "hung", "lull", "seconds", "thread")

    def __init__(
        self,
        at: float,
        bound: str,
        seconds: float,
        *,
        error: type[Timeout] = Timeout,
        thread: bool = True,
        hung: Hung = UNKEPT,
        lull: float = 0.0,
    ) -> None:
        self.at = at
        self.bound = bound
        self.seconds = seconds
        self.error = error
        self.thread = thread
        self.hung = hung
        self.lull = lull

    def passed(self, what: str) -> Timeout:
        """The error to raise when `what` ran into this bound."""
        spelled = (
            f"deadline({self.seconds:g})"
            if self.bound == "deadline"
            else f"timeout({'' if self.bound == 'seconds' else self.bound + '='}{self.seconds:g})"
        )
        return self.error(
            f"{what} was cut by {spelled}",
            bound=self.bound,
            seconds=self.seconds,
        )


def narrower(outer: Deadline | None, inner: Deadline | None) -> Deadline | None:
    """Whichever comes first; threads are used as the inner bound says."""
    if outer is None or inner is None:
        return inner or outer
    if inner.at <= outer.at:
        return inner
    if outer.thread == inner.thread:
        return outer
    return Deadline(
        outer.at,
        outer.bound,
        outer.seconds,
        error=outer.error,
        thread=inner.thread,
        hung=inner.hung,
        lull=outer.lull,
    )


def _after_fork() -> None:
    for hung in _all:
        hung.forget()


if hasattr(os, "register_at_fork"):
    # A forked child has none of its parent's threads.
    os.register_at_fork(after_in_child=_after_fork)
