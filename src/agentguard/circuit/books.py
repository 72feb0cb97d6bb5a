"""Where a circuit's state and counters live: pybreaker's storages, and how each is reached.

pybreaker's own `CircuitBreaker.call` holds its lock while the guarded function runs, and takes a
failing listener for a failing state change. So its storage is written here, its state objects are
made here, and its listeners are called by whoever caused the change, outside of every lock. Two
private names of pybreaker are needed for that, `_state_storage` and `_state`; it has no public
access to either.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

from agentguard.circuit.gate import CLOSED, HALF_OPEN, OPEN
from agentguard.engine import workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.circuit.gate import State

__all__ = [
    "CACHED",
    "DOWN",
    "Books",
    "Lease",
    "Redis",
    "Remote",
    "Snapshot",
    "open_books",
    "promise",
]

T = TypeVar("T")
Lease = tuple[str, str]

CACHED: Final = 0.1
"""Seconds for which a storage that others may write to is not read again."""
DOWN: Final = 1.0
"""Seconds after which a storage that failed is asked again."""
WITHIN: Final = 0.2
"""Seconds that a call waits for its storage at most."""

_ANYBODY: Final[Lease] = ("", "")

# An expired lease may be somebody else's by now: only its own token deletes it.
_RELEASE: Final = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
)


class Snapshot(NamedTuple):
    """What a storage says."""

    state: State
    failures: int
    opened_at: float | None


class Books:
    """The storage of a pybreaker breaker in this process's memory.

    Attributes:
        breaker: pybreaker's.
        remote: whether reaching the storage may block.
        place: for `explain`.
    """

    remote = False
    place = "this process's memory"
    opened: Callable[[], Books] | None = None
    """What opens the books, where that may block; these here stand in for them until then."""

    def __init__(self, breaker: Any, storage: Any) -> None:
        self.breaker = breaker
        self.storage = storage

    def bounded(self, work: Callable[[], T]) -> T:
        """Run `work` on the storage, as long as a call may wait for it."""
        return work()

    def read(self) -> Snapshot:
        """What the storage says now."""
        storage = self.storage
        state, opened = storage.state, None
        if state == OPEN and storage.opened_at is not None:
            opened = storage.opened_at.timestamp()
        return Snapshot(state, storage.counter, opened)

    def fail(self) -> int:
        """Count a failure; returns how many there were in a row."""
        self.storage.increment_counter()
        return int(self.storage.counter)

    def reset(self) -> None:
        """A success: no failure in a row any more."""
        self.storage.reset_counter()

    def succeed(self) -> int:
        """Count a successful trial; returns how many there were."""
        self.storage.increment_success_counter()
        return int(self.storage.success_counter)

    def move(self, state: State, opened_at: float) -> tuple[Any, Any]:
        """Write a transition as pybreaker does; returns its state objects before and after."""
        storage = self.storage
        storage.reset_success_counter()
        if state == OPEN:
            self.open_at(self.date(opened_at))
        elif state == CLOSED:
            storage.reset_counter()
        storage.state = state
        return self.notice(state)

    def open_at(self, moment: datetime) -> None:
        """Write from when on `reset_timeout` counts."""
        self.storage.opened_at = moment

    def notice(self, state: State) -> tuple[Any, Any]:
        """Have the breaker object stand in `state` too."""
        import pybreaker

        kinds: dict[State, Any] = {
            CLOSED: pybreaker.CircuitClosedState,
            OPEN: pybreaker.CircuitOpenState,
            HALF_OPEN: pybreaker.CircuitHalfOpenState,
        }
        before = self.breaker._state  # noqa: SLF001
        after = kinds[state](self.breaker, prev_state=before, notify=False)
        self.breaker._state = after  # noqa: SLF001
        return before, after

    def date(self, seconds: float) -> datetime:
        """How `opened_at` is written."""
        return datetime.fromtimestamp(seconds, UTC)

    def lease(self, places: int, seconds: float) -> Lease | None:
        """The right to a trial among all processes; None when all places are taken."""
        return _ANYBODY

    def release(self, lease: Lease) -> None:
        """Give the right to a trial back."""


class Remote(Books):
    """Any other storage: reached off the event loop, and within a bound."""

    remote = True
    _stuck: workers.Job | None = None

    def __init__(self, breaker: Any, storage: Any) -> None:
        super().__init__(breaker, storage)
        self.place = type(storage).__name__

    def bounded(self, work: Callable[[], T]) -> T:
        """In a worker; TimeoutError when it takes too long.

        A client without a socket timeout may hang for ever. The thread that does is left behind,
        and no second one is sent after it.
        """
        if self._stuck is not None and not self._stuck.done.is_set():
            raise TimeoutError("an earlier request still hangs")
        job = workers.start(work)
        # Waited for in real time, whatever clock is in use: a real server does the work.
        if not job.done.wait(WITHIN):
            self._stuck = job
            raise TimeoutError(f"no answer within {WITHIN} s")
        if job.error is not None:
            raise job.error
        return cast("T", job.value)

    def date(self, seconds: float) -> datetime:
        """In whole seconds, rounded up."""
        # pybreaker's Redis storage cuts the fraction off: others would come up to a second early.
        return super().date(math.ceil(seconds))


class Redis(Remote):
    """pybreaker's Redis storage: read in one command, and trials leased among processes."""

    def __init__(self, breaker: Any, storage: Any) -> None:
        super().__init__(breaker, storage)
        self._client = storage._redis  # noqa: SLF001
        self._name = storage._namespace  # noqa: SLF001

    def read(self) -> Snapshot:
        """What Redis says now. Its errors come out: pybreaker would report a closed circuit."""
        names = [self._name(each) for each in ("state", "fail_counter", "opened_at")]
        if getattr(self.storage, "_cluster_mode", False):  # the names lie in different slots
            state, failures, opened = map(self._client.get, names)
        else:
            state, failures, opened = self._client.mget(names)
        if isinstance(state, bytes):
            state = state.decode()
        return Snapshot(
            cast("State", state) if state in {OPEN, HALF_OPEN} else CLOSED,
            int(failures or 0),
            None if not opened else float(opened),
        )

    def open_at(self, moment: datetime) -> None:
        """Write it even if it is earlier than before, which pybreaker's own storage does not."""
        self._client.set(self._name("opened_at"), int(moment.timestamp()))

    def lease(self, places: int, seconds: float) -> Lease | None:
        """SET NX PX on one key for each place."""
        token = os.urandom(16).hex()
        for place in range(places):
            name = self._name(f"trial:{place}")
            if self._client.set(name, token, nx=True, px=max(int(seconds * 1000), 1)):
                return name, token
        return None

    def release(self, lease: Lease) -> None:
        """Delete the key if it is still ours."""
        name, token = lease
        self._client.eval(_RELEASE, 1, name, token)


def promise(breaker: Any, make: Callable[[], Any]) -> Books:
    """Books on a storage that has yet to be made, which may take a connection."""

    def opened() -> Books:
        breaker._state_storage = make()  # noqa: SLF001
        return open_books(breaker)

    books = Remote(breaker, breaker._state_storage)  # noqa: SLF001
    books.place, books.opened = "the storage", opened
    return books


def open_books(breaker: Any) -> Books:
    """The books of a pybreaker breaker, by the kind of its storage."""
    import pybreaker

    storage = breaker._state_storage  # noqa: SLF001
    if isinstance(storage, pybreaker.CircuitMemoryStorage):
        return Books(breaker, storage)
    if isinstance(storage, pybreaker.CircuitRedisStorage):
        return Redis(breaker, storage)
    return Remote(breaker, storage)
