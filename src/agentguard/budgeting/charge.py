"""What one budget has set aside for one attempt."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.budgeting.demand import Demand
    from agentguard.budgeting.limits import Limit
    from agentguard.stores.ledger import Lease, Ledger

__all__ = ["Charge", "Part"]


class Part(NamedTuple):
    """What was set aside of one unit, first or on top."""

    limit: Limit
    lease: Lease
    amount: int
    most: int
    more: bool


class Charge:
    """What was set aside for one attempt, until it is settled, once.

    A worker may still be setting aside when the caller is cancelled: what it brings after `close`
    it has to give back itself.

    Attributes:
        demand: what the attempt may use.
        key: whose budget it is.
        ledger: where it is kept.
        granted: everything was set aside, so that the attempt is made.
        seen: counts the tokens of a stream that have come, where it is one.
    """

    __slots__ = ("_closed", "_lock", "_parts", "demand", "granted", "key", "ledger", "seen")

    def __init__(self, demand: Demand, key: str, ledger: Ledger) -> None:
        self.demand = demand
        self.key = key
        self.ledger = ledger
        self.granted = False
        self.seen: Callable[[], int] | None = None
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._closed = False

    def add(self, part: Part) -> bool:
        """Keep a part; False when the attempt is over and it must be given back."""
        with self._lock:
            if not self._closed:
                self._parts.append(part)
            return not self._closed

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is set aside now."""
        with self._lock:
            return tuple(self._parts)

    def close(self) -> list[Part]:
        """Take everything, to settle it; nothing is added any more."""
        with self._lock:
            self._closed = True
            return self._take()

    def empty(self) -> list[Part]:
        """Take everything, to give it back and try again."""
        with self._lock:
            return self._take()

    def holds(self, unit: str) -> bool:
        """Whether something of this unit is set aside already."""
        with self._lock:
            return any(part.limit.unit == unit and not part.more for part in self._parts)

    def _take(self) -> list[Part]:
        parts, self._parts = self._parts, []
        return parts
