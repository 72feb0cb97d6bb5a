"""A bounded queue between guarded calls and whatever sends telemetry: a call never waits for it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from weakref import WeakSet

from agentguard.engine.flush import waiting
from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    class Told(Hashable, Protocol):
        """Who counts what outboxes drop."""

        def dropped(self, exporter: str, /) -> None:
            """The outbox of this name has dropped an item."""
            ...


__all__ = ["Outbox", "told"]

T = TypeVar("T")

PAUSE: Final = 0.05
"""Seconds between two looks at the queue: a call need not wake a thread, which would cost it more
than all the rest."""

IDLE_SECONDS: Final = 5.0  # without an item, after which the thread ends
EXIT_SECONDS: Final = 1.0  # what waits is given this long when the process ends

_outboxes: Final[WeakSet[Outbox[Any]]] = WeakSet()

told: Final[WeakSet[Told]] = WeakSet()
"""Whoever is told of each item that is dropped."""


class Outbox(Generic[T]):
    """Passes items to `deliver` on a thread of its own, in order, and drops what does not fit.

    `agentguard.flush()` drains it, and so does the end of the process, for a second at most.

    Args:
        name: what it sends to, for metrics and for the message when delivering fails.
        deliver: sends one item. It may block and raise: the first failure is logged.
        size: how many items wait at most.

    Attributes:
        name: as given.
        dropped: items that were never delivered: there was no room, or `deliver` raised.

    Examples:
        >>> from agentguard.exporters.outbox import Outbox
        >>> sent = []
        >>> outbox = Outbox("a list", sent.append)
        >>> outbox.put("an item")
        True
        >>> outbox.flush(5), sent
        (True, ['an item'])
    """

    def __init__(self, name: str, deliver: Callable[[T], object], *, size: int = 2048) -> None:
        self.name = name
        self._deliver = deliver
        self._size = size
        self._told = False
        self.forget()
        _outboxes.add(self)
        waiting.add(self)

    def __repr__(self) -> str:
        return f"<outbox {self.name}: {len(self._items)} waiting, {self.dropped} dropped>"

    @property
    def used(self) -> bool:
        """Whether anything was put into it."""
        return self._taken > 0

    def put(self, item: T) -> bool:
        """Have `item` delivered soon; False when there is no room, and it is dropped."""
        with self._lock:
            full = len(self._items) >= self._size
            if not full:
                self._items.append(item)
                self._taken += 1
                if self._thread is None:
                    self._start()
        if full:
            self._drop()
            return False
        if len(self._items) * 2 > self._size:
            self._hurry.set()
        return True

    def flush(self, timeout: float) -> bool:
        """Deliver what waits by now, for at most `timeout` seconds; whether that was all."""
        end, all_of_it = time.monotonic() + timeout, self._taken
        with self._lock:
            if self._thread is None and self._items:
                self._start()
        while self._done < all_of_it:
            self._hurry.set()
            if time.monotonic() >= end:
                return False
            time.sleep(0.001)
        return True

    def forget(self) -> None:
        """As it was at first: in a forked child, whose parent delivers what waited."""
        # Reentrant: the collector may run inside it, and with it a finalizer that makes a call.
        self._lock = threading.RLock()
        self._hurry = threading.Event()
        self._items: deque[T] = deque()
        self._thread: threading.Thread | None = None
        self._taken = self._done = self.dropped = 0

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"agentguard-{self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # the process is ending: what is put now waits in vain
        self._thread = thread
        # Registered after whatever the items go to was set up, and hence called before it is shut.
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            while self._items:
                self._hurry.clear()
                self._send(self._items.popleft())
                idle_since = time.monotonic()
            if self._hurry.wait(PAUSE):
                self._hurry.clear()
            with self._lock:
                if not self._items and time.monotonic() - idle_since > IDLE_SECONDS:
                    self._thread = None
                    return

    def _send(self, item: T) -> None:
        try:
            self._deliver(item)
        except BaseException as error:
            self._drop()
            if not self._told:
                self._told = True
                trouble(
                    f"sending to {self.name}", error, "the item is lost; further ones are counted"
                )
        self._done += 1

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1
        for each in tuple(told):
            each.dropped(self.name)


def _at_exit() -> None:
    end = time.monotonic() + EXIT_SECONDS
    for outbox in tuple(_outboxes):
        outbox.flush(end - time.monotonic())


def _after_fork() -> None:
    for outbox in tuple(_outboxes):
        outbox.forget()  # a forked child has none of its parent's threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
