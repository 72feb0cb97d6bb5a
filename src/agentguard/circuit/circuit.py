"""One circuit: a gate, a window and the books, kept consistent between threads and processes."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.circuit.books import CACHED, DOWN
from agentguard.circuit.gate import CLOSED, HALF_OPEN, OPEN, Gate
from agentguard.circuit.listeners import Change, Watch, hears, tell, tell_before
from agentguard.engine import clock, workers

if TYPE_CHECKING:
    from agentguard.circuit.books import Books, Snapshot
    from agentguard.circuit.gate import Permit, State
    from agentguard.circuit.rules import Rules
    from agentguard.circuit.votes import Vote
    from agentguard.circuit.window import Window
    from agentguard.engine.call import Call

__all__ = ["Circuit"]


class Entry(NamedTuple):
    """A permit that came back, and what it has to say to the storage."""

    permit: Permit
    vote: Vote | None
    broken: str | None


class Circuit:
    """The state of one key.

    The lock is held for a few lines and never while the guarded call, a listener, a predicate or a
    remote storage is waited for. A storage that others can write to is read again after 0.1 s.

    Attributes:
        label: the name in events and messages.
        breaker: pybreaker's breaker, which holds the settings, the storage and the listeners.
        gate: who passes.
        quiet: a success changes nothing and nobody wants to hear of it.
        heard: anybody but ourselves listens.
        asks: a listener wants to hear of calls before they are made.
        door: the permit for a call that needs not ask for one; None where there is more to do.
        barred: the policy is not left to its circuits now.
        foreign: others may write to the storage, so that it is read from time to time.
        down: why the storage could not be reached, or None.
        reason: why it opened last.
        untold: a move by hand, of which no call has told yet.
    """

    def __init__(
        self,
        label: str,
        books: Books,
        rules: Rules,
        gate: Gate,
        window: Window | None,
        *,
        foreign: bool,
        barred: bool = False,
    ) -> None:
        self.label = label
        self.books = books
        self.breaker = books.breaker
        self.rules = rules
        self.gate = gate
        self.foreign = foreign
        self.barred = barred
        self.down: Exception | None = None
        self.reason = ""
        self.untold: Change | None = None
        self.watch = Watch(self.follow)
        self._window = window
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._fresh = 0.0 if foreign else float("inf")
        self._known = False
        self._reading = False
        self._writing = 0  # threads that are writing a transition to the storage
        self._version = 0  # of the storage, as far as this process has written to it
        self._rest()
        _living.add(self)

    # The two ways into the lock that every call may take.

    def admit(self, now: float, holder: object = None) -> tuple[Permit | None, Change | None]:
        """A permit or a refusal; the first permit after the open time opens the gate halfway."""
        with self._lock:
            before, gate = self.gate.state, self.gate
            permit = gate.admit(now)
            if permit is not None and permit.trial:
                permit.holder = holder
            if gate.state == before:
                return permit, None
            self._rest()
            if self.books.remote:  # `take` writes and tells it, once the other processes agree
                return permit, None
            return permit, Change(HALF_OPEN, "", 0.0, self.books.move(HALF_OPEN, 0.0))

    def refused(self, now: float) -> tuple[State, float, str]:
        """Of a call that got no permit: the state, the seconds until a trial passes, and why."""
        with self._lock:
            return self.gate.state, self.gate.retry_after(now), self.reason

    def harbours(self, call: Call) -> bool:
        """Whether `call` was made inside a trial of this very circuit, and so belongs to it.

        Refused, a function that calls itself would fail each of its trials, and never come back.
        """
        around: set[object] = set()
        attempt = call.scope.attempt
        while attempt is not None:
            around.add(attempt.call.runtime)
            attempt = attempt.call.scope.attempt
        with self._lock:
            return any(permit.holder in around for permit in self.gate.trials)

    def settle(self, permit: Permit, vote: Vote | None, now: float, wall: float) -> Change | None:
        """Take a permit back and count its vote; for storages in this process's memory."""
        with self._lock:
            if not self.gate.settle(permit) or vote is None:
                return None
            state, reason = self._count(permit, vote, self._rate(vote, now))
            if state is None:
                return None
            seconds = self._shift(state, reason, vote.retry_after, now)
            return self._written(state, seconds, wall)

    def enter(self, permit: Permit, vote: Vote | None, now: float) -> Entry | None:
        """The first half of `settle` where the storage may block; None when there is no other."""
        with self._lock:
            counts = self.gate.settle(permit)
            if not counts or vote is None:
                return None if permit.lease is None else Entry(permit, None, None)
            broken = self._rate(vote, now)
            if vote.error is None and not permit.trial and broken is None and not self._failures:
                return None
            return Entry(permit, vote, broken)

    def settle_remotely(self, entry: Entry, now: float, wall: float) -> Change | None:
        """The second half: called in a worker, the lock not held while the storage is."""
        permit = entry.permit
        try:
            if entry.vote is None:
                return None
            return self._settle_remotely(permit, entry.vote, entry.broken, now, wall)
        finally:
            if permit.lease is not None:
                self.books.release(permit.lease)

    def _settle_remotely(
        self, permit: Permit, vote: Vote, broken: str | None, now: float, wall: float
    ) -> Change | None:
        version, seen = self._version, self.books.read()
        if seen.state != (HALF_OPEN if permit.trial else CLOSED):
            return self.sync(seen, version, now, wall)  # others were first: the vote is stale
        state, reason = self._count(permit, vote, broken)
        if state is None:
            return None
        with self._lock:
            if permit.epoch != self.gate.epoch:
                return None
            seconds = self._shift(state, reason, vote.retry_after, now)
            self._writing += 1
        return self._write(state, seconds, wall)

    # Deciding.

    def _rate(self, vote: Vote, now: float) -> str | None:
        """Enter a vote into the window; why that breaks a rule, or None."""
        if self._window is None or self.gate.state != CLOSED:
            return None
        counts = self._window.record(now, failed=vote.error is not None, slow=vote.slow)
        return self.rules.broken(counts)

    def _count(self, permit: Permit, vote: Vote, broken: str | None) -> tuple[State | None, str]:
        """Enter a vote into the books; the state that it leads to, and why."""
        breaker, books = self.breaker, self.books
        if vote.error is not None:
            self._failures = books.fail()
            self.quiet = False
            if permit.trial:
                return OPEN, f"a trial call failed ({vote.kind})"
            if self._failures >= breaker.fail_max:
                return OPEN, f"{self._failures} failures in a row, the last {vote.kind}"
            return (None if broken is None else OPEN), broken or ""
        if self._failures:
            books.reset()
            self._failures = 0
            self._rest()
        if not permit.trial:
            return (None if broken is None else OPEN), broken or ""
        if vote.slow and self.rules.slow_call_rate is not None:
            return OPEN, f"a trial call took {self.rules.slow_call:g} s or longer to begin"
        if books.succeed() >= breaker.success_threshold:
            return CLOSED, ""
        return None, ""

    def _shift(self, state: State, reason: str, retry_after: float | None, now: float) -> float:
        """Move the gate; returns for how long it opens."""
        seconds = 0.0
        if state == OPEN:
            base, openings = self.breaker.reset_timeout, self.gate.openings
            seconds = self.rules.open_seconds(base, openings, retry_after)
        self._turn(state, now + seconds, reason)
        return seconds

    def _turn(self, state: State, until: float, reason: str) -> None:
        self.gate.move(state, until)
        if reason:
            self.reason = reason
        if state == CLOSED:
            self._failures = 0
        if self._window is not None:
            self._window.clear()
        self._rest()

    def _rest(self) -> None:
        listeners = self.breaker.listeners
        self.quiet = (
            self.gate.state == CLOSED
            and self._window is None
            and not self._failures
            and not any(hears(each, "success") for each in listeners)
        )
        self.heard = any(each is not self.watch for each in listeners)
        self.asks = any(hears(each, "before_call") for each in listeners)
        barred = self.foreign or self.asks or self.barred or self.untold is not None
        self.door = None if barred else self.gate.free

    # Writing and reading the storage.

    def _written(self, state: State, seconds: float, wall: float) -> Change:
        # pybreaker reads the open time as reset_timeout from opened_at on: dated so that it, and
        # other processes, let nobody in before the open time that was decided here is over.
        opened_at = wall + seconds - self.breaker.reset_timeout
        objects = self.books.move(state, opened_at)
        if state == OPEN:
            self._opened_at = self.books.date(opened_at).timestamp()
        return Change(state, self.reason, seconds, objects)

    def _write(self, state: State, seconds: float, wall: float) -> Change:
        try:
            return self._written(state, seconds, wall)
        finally:
            with self._lock:
                self._writing -= 1
                self._version += 1

    def take(self, permit: Permit, now: float, wall: float) -> tuple[bool, Change | None]:
        """Agree with the other processes on a trial: whether it may begin. Called in a worker."""
        books = self.books
        permit.lease = books.lease(self.gate.permits, self.gate.lease)
        if permit.lease is None:
            self.drop(permit)
            return False, None
        version, seen = self._version, books.read()
        # Another's trial may have ended since this process looked last.
        stale = seen.state == CLOSED or (seen.state == OPEN and seen.opened_at != self._opened_at)
        if permit.dropped or stale:
            books.release(permit.lease)
            self.drop(permit)
            return False, self.sync(seen, version, now, wall)
        move = functools.partial(books.move, opened_at=0.0) if seen.state == OPEN else books.notice
        before, after = move(HALF_OPEN)
        if before.name == HALF_OPEN:
            return True, None
        return True, Change(HALF_OPEN, "", 0.0, (before, after))

    def drop(self, permit: Permit) -> None:
        """A permit comes back unused."""
        permit.dropped = True
        with self._lock:
            self.gate.settle(permit)

    def forsake(self, permit: Permit) -> None:
        """As `drop`, for a caller that cannot wait for the storage to hear of it."""
        self.drop(permit)
        if permit.lease is not None:
            workers.start(functools.partial(self.books.release, permit.lease))

    def read(self) -> Snapshot:
        """What the storage says; the first time it may have to be made. Called in a worker."""
        if self.books.opened is not None:
            self.books = self.books.opened()
        return self.books.read()

    def due(self, now: float) -> int | None:
        """Whether this caller must read the storage: then the version to hand to `sync`."""
        if now < self._fresh:
            return None
        with self._lock:
            if (self._reading and self._known) or self._writing:
                return None
            self._reading = True
            return self._version

    def reached(self, now: float, error: Exception | None) -> bool:
        """The storage was reached, or not; True when an outage begins."""
        with self._lock:
            begins = error is not None and self.down is None
            self.down = error
            self._reading = False
            self._fresh = now + (CACHED if error is None else DOWN)
            return begins

    def released(self) -> None:
        """The reader of the storage was cancelled: let another one read."""
        with self._lock:
            self._reading = False

    def sync(self, seen: Snapshot, version: int, now: float, wall: float) -> Change | None:
        """Follow the storage, unless this process has written to it meanwhile."""
        with self._lock:
            self._known = True
            if version != self._version or self._writing:
                return None
            self._failures = seen.failures
            here, opened = self.gate.state, seen.state == OPEN and seen.opened_at is not None
            same = opened and seen.opened_at == self._opened_at
            if seen.state == here and (not opened or same):
                self._rest()
                return None
            if same and here == HALF_OPEN:
                return None  # this process is about to write its half-open state
            until = now
            if opened and seen.opened_at is not None:
                self._opened_at = seen.opened_at
                until = now + seen.opened_at + self.breaker.reset_timeout - wall
            self._turn(seen.state, until, "another process or breaker opened it")
            change = Change(
                seen.state, self.reason, max(until - now, 0.0), self.books.notice(seen.state)
            )
            return None if seen.state == here else change

    def follow(self, state: State) -> None:
        """Somebody moved the pybreaker breaker itself: the gate follows."""
        with self._lock:
            if self.gate.state != state:
                now = clock.now().monotonic()
                self._turn(state, now + self.breaker.reset_timeout, "it was opened by hand")

    def force(self, state: State, reason: str, seconds: float | None) -> Change | None:
        """Move by hand; for a remote storage within its bound, on the caller's own thread."""
        now, wall = clock.now().monotonic(), clock.now().time()
        change: Change | None = None
        with self._lock:
            self._version += 1
            before = self.gate.state
            retry_after = None if state != OPEN else seconds
            seconds = self._shift(state, reason, retry_after, now)
        try:
            change = self._written(state, seconds, wall)
            return change
        finally:
            with self._lock:
                self._version += 1
                self.untold = None if state == before else change
                self._rest()

    def told(self) -> Change | None:
        """A move by hand, for the first call after it to tell of: events belong to calls."""
        with self._lock:
            change, self.untold = self.untold, None
            self._rest()
            return change

    def tell(self, vote: Vote | None, change: Change | None) -> None:
        """Call pybreaker's listeners, outside of the lock."""
        tell(self.breaker, self.watch, vote, change)

    def tell_before(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the listeners' `before_call`."""
        tell_before(self.breaker, fn, args, kwargs)

    def bar(self, *, barred: bool) -> None:
        """Have every call ask, or no longer."""
        with self._lock:
            self.barred = barred
            self._rest()

    def renew_lock(self) -> None:
        """In a forked child: the lock may have been held by a thread that is not there."""
        self._lock = threading.Lock()
        self._reading = False
        self._writing = 0


def _after_fork() -> None:
    for circuit in _living:
        circuit.renew_lock()


_living: Final[weakref.WeakSet[Circuit]] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
