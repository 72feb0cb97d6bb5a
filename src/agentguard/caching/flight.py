"""One call under way for many callers: those who come later wait for what it brings.

Nothing here takes a lock: the collector may end a leader's coroutine anywhere, and then its flight
lands all the same. Adding to a dict or a deque is one step of the interpreter.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.loop import in_loop, loop_or_refuse
from agentguard.stores.forks import survive

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from agentguard.engine.call import Call

__all__ = ["ALONE", "Flight", "Flights"]

ALONE: Final = object()
"""What a flight brings whose leader was cancelled or refused: everybody is on their own again."""


class Flight:
    """One call that others wait for.

    Attributes:
        key: of the request, and the loop it is made in.
        landed: what it brought, None while it is under way.
    """

    __slots__ = ("_runtime", "_thread", "_waiting", "key", "landed")

    def __init__(self, call: Call, key: tuple[str, object]) -> None:
        self.key = key
        self.landed: Any = None
        self._runtime = call.runtime
        self._thread = threading.get_ident()
        self._waiting: deque[Callable[[], object]] = deque()

    def takes(self, call: Call) -> bool:
        """Whether `call`, of the same loop or of another thread, can wait for this one.

        Not one that was made inside it, nor a sync one that would hold up an event loop.
        """
        attempt = call.scope.attempt
        while attempt is not None:
            if attempt.call.runtime is self._runtime:
                return False
            attempt = attempt.call.scope.attempt
        if call.runtime.is_async:
            return True
        if self._runtime.is_async or in_loop():  # one that handed back an awaitable
            return False
        return self.landed is not None or self._thread != threading.get_ident()

    def land(self, what: object) -> None:
        """Tell all who wait, once."""
        if self.landed is None:
            self.landed = what
        while self._waiting:
            try:
                wake = self._waiting.popleft()
            except IndexError:
                return
            with contextlib.suppress(RuntimeError):  # the loop of who waited is closed
                wake()

    async def wait(self, call: Call) -> Any:
        """What it brings; within the deadline of `call`, which is the waiting one."""
        deadline = call.deadline
        left = None if deadline is None else deadline.at - call.runtime.monotonic()
        if self.landed is None:
            woken = await self._asleep(left) if call.runtime.is_async else self._asleep_here(left)
            if not woken and deadline is not None:
                raise deadline.passed("the wait for the same call, which was under way,")
        return self.landed

    async def _asleep(self, left: float | None) -> bool:
        import asyncio

        loop = loop_or_refuse()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        self._waiting.append(lambda: loop.call_soon_threadsafe(wake))
        if self.landed is not None:
            return True
        try:
            async with asyncio.timeout(left):
                await future
        except TimeoutError:
            return self.landed is not None
        return True

    def _asleep_here(self, left: float | None) -> bool:
        latch = threading.Lock()  # not an Event, which takes a lock of its own to be set
        latch.acquire()
        self._waiting.append(latch.release)
        if self.landed is not None:
            return True
        return latch.acquire(timeout=-1 if left is None else max(left, 0.0))


class Flights:
    """What is under way: by key, and apart for each event loop, since one cannot wait in another.

    Attributes:
        retired: how many have ended.
        era: another object since answers were let go of.
    """

    def __init__(self) -> None:
        self.retired = 0
        self.era = object()
        self.lock = threading.Lock()
        self._under_way: dict[tuple[str, object], Flight] = {}
        survive(self)

    def join(self, key: str, call: Call) -> tuple[Flight, bool]:
        """The flight for `key`, and whether `call` leads it."""
        loop = loop_or_refuse() if call.runtime.is_async else None
        found = self._under_way.get((key, loop))
        if found is not None:
            return found, False
        mine = Flight(call, (key, loop))
        found = self._under_way.setdefault(mine.key, mine)
        return found, found is mine

    def retire(self, flight: Flight) -> None:
        """The next to come does not find it any more. Only its leader says so."""
        if self._under_way.get(flight.key) is flight:
            self.retired += 1  # before it is gone: who comes then looks for what it has left
            del self._under_way[flight.key]

    def forget(self) -> None:
        """What is under way was asked before now: nobody else may wait for it, nor is it kept."""
        self.era = object()
        self._under_way.clear()

    def before_fork(self) -> None:
        """Nothing is half done."""

    def in_child(self) -> None:
        """The leaders are threads and tasks of the parent."""
        self._under_way.clear()
