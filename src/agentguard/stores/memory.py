"""Budgets in this process's memory: about a microsecond an operation."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

from agentguard.stores.forks import survive
from agentguard.stores.ledger import GRACE, Ledger, Reserved, Settled, Status, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.stores.ledger import Account, Lease, OnExpiry, Use, Wish

__all__ = ["MemoryLedger"]

_FEW: Final = 1000
_NOTHING: Final[tuple[int, ...]] = ()


class _Held:
    """One lease. An expired one stays, so that its call can still be settled.

    Attributes:
        state: "charge" or "refund", what will happen when it expires; "charged" or "refunded",
            what happened.
    """

    __slots__ = ("amount", "expires", "part", "state")

    def __init__(self, part: int, amount: int, state: str, expires: float) -> None:
        self.part = part
        self.amount = amount
        self.state = state
        self.expires = expires


class _Entry:
    """One account; `used` and `extra` are the sums of its parts that count."""

    __slots__ = (
        "extra",
        "extra_of",
        "keeps",
        "leases",
        "reserved",
        "since",
        "soonest",
        "told",
        "used",
        "used_of",
    )

    def __init__(self, since: int, keeps: float) -> None:
        self.since = since
        self.keeps = keeps
        self.used = self.reserved = self.extra = 0
        self.used_of: dict[int, int] = {}
        self.extra_of: dict[int, int] = {}
        self.leases: dict[str, _Held] = {}
        self.soonest = math.inf  # no lease expires before, so that they need not be looked through
        self.told: dict[int, int] = {}

    def advance(self, since: int) -> None:
        """Parts before `since` have left the window."""
        self.since = since
        for part in [part for part in self.used_of if part < since]:
            self.used -= self.used_of.pop(part)
        for part in [part for part in self.extra_of if part < since]:
            self.extra -= self.extra_of.pop(part)

    def sweep(self, now: float) -> None:
        """Charge or refund what dead holders left."""
        self.soonest = math.inf
        for name, held in list(self.leases.items()):
            if held.state in {"charged", "refunded"}:
                if held.part < self.since:
                    del self.leases[name]
            elif held.expires > now:
                self.soonest = min(self.soonest, held.expires)
            else:
                self.reserved -= held.amount
                if held.state == "charge":
                    self.book(held.part, held.amount)
                held.state = "charged" if held.state == "charge" else "refunded"

    def expect(self, expires: float) -> None:
        """A lease expires then."""
        self.soonest = min(self.soonest, expires)
        self.keeps = max(self.keeps, expires)

    def has_room(self, wish: Wish) -> bool:
        """Whether what is wished for fits, or is held already."""
        (_, name), amount, limit = wish
        check(amount, limit)
        return self.used + self.reserved + amount <= limit + self.extra or name in self.leases

    def hold(self, wish: Wish, expires: float, lost: OnExpiry) -> None:
        """Set aside what is not held already."""
        (account, name), amount, _ = wish
        if name in self.leases:
            return
        self.leases[name] = _Held(max(account[3][2], self.since), amount, lost, expires)
        self.reserved += amount
        self.expect(expires)

    def settle(self, use: Use) -> Settled:
        """Book it, once."""
        (account, name), actual, limit, thresholds = use
        limit += self.extra
        held = self.leases.pop(name, None)
        if held is None:
            return Settled(self.used, limit, 0, _NOTHING)
        state, amount = held.state, held.amount
        if state not in {"charged", "refunded"}:
            self.reserved -= amount
        self.book(held.part, actual - amount if state == "charged" else actual)
        window = account[3]
        crossed = self.tell(limit, window[2] - window[3], thresholds)
        return Settled(self.used, limit, max(actual - amount, 0), crossed)

    def book(self, part: int, change: int) -> None:
        """Count `change` as used, if the part still counts."""
        if change and part >= self.since:
            self.used += change
            self.used_of[part] = self.used_of.get(part, 0) + change

    def tell(self, limit: int, width: int, thresholds: Sequence[int]) -> tuple[int, ...]:
        """The thresholds reached that have not been told in this window."""
        used, since, told = self.used * 100, self.since, self.told
        crossed = _NOTHING
        for each in thresholds:
            if used >= each * limit and used and told.get(each, since - 1) < since:
                told[each] = since + width
                crossed += (each,)
        return crossed


class MemoryLedger(Ledger):
    """Budgets that count this process alone, and end with it.

    A forked child goes on from what its parent had used.

    Examples:
        >>> from agentguard.stores.ledger import Account, Window
        >>> from agentguard.stores.memory import MemoryLedger
        >>> ledger = MemoryLedger()
        >>> account = Account("support", "alice", "tokens", Window("day 2026-11-22", ends=86400))
        >>> lease = account.lease()
        >>> ledger.reserve(lease, 700, limit=1000, now=0, expires=60, lost="charge")
        Reserved(granted=True, used=0, reserved=700, limit=1000)
        >>> ledger.reserve(account.lease(), 700, limit=1000, now=0, expires=60, lost="charge")
        Reserved(granted=False, used=0, reserved=700, limit=1000)
        >>> ledger.settle(lease, 550, limit=1000, now=1, thresholds=(50, 80))
        Settled(used=550, limit=1000, overrun=0, crossed=(50,))
    """

    remote = False
    place = "this process's memory"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._entries: dict[tuple[str, str, str, str], _Entry] = {}
        self._many = _FEW
        survive(self)

    def __repr__(self) -> str:
        return f"<MemoryLedger of {len(self._entries)} accounts>"

    def reserve_all(
        self, wishes: Sequence[Wish], now: float, expires: float, lost: OnExpiry
    ) -> list[Reserved]:
        """See `Ledger`."""
        asked: list[tuple[_Entry, Wish, bool]] = []
        fits = True
        with self.lock:
            for wish in wishes:
                entry = self._entry(wish[0][0], now)
                room = entry.has_room(wish)
                fits = fits and room
                asked.append((entry, wish, room))
            if fits:
                for entry, wish, _ in asked:
                    entry.hold(wish, expires, lost)
            found: list[Reserved] = []
            for entry, wish, room in asked:
                found.append(Reserved(room, entry.used, entry.reserved, wish[2] + entry.extra))
            return found

    def settle_all(self, uses: Sequence[Use], now: float) -> list[Settled]:
        """See `Ledger`."""
        for use in uses:
            check(use[1], use[2])
        with self.lock:
            return [self._entry(use[0][0], now).settle(use) for use in uses]

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """See `Ledger`."""
        with self.lock:
            entry = self._entry(lease.account, now)
            held = entry.leases.get(lease.id)
            if held is None or held.state in {"charged", "refunded"}:
                return False
            held.expires = expires
            entry.expect(expires)
            return True

    def status(self, account: Account, now: float) -> Status:
        """See `Ledger`."""
        with self.lock:
            entry = self._entry(account, now)
            return Status(entry.used, entry.reserved, entry.extra)

    def reset(self, account: Account, now: float) -> None:
        """See `Ledger`."""
        with self.lock:
            entry = self._entry(account, now)
            entry.used = entry.extra = 0
            for forgotten in (entry.used_of, entry.extra_of, entry.told):
                forgotten.clear()
            ended = {"charged", "refunded"}
            entry.leases = {k: v for k, v in entry.leases.items() if v.state not in ended}

    def grant(self, account: Account, amount: int, now: float) -> None:
        """See `Ledger`."""
        check(amount)
        with self.lock:
            entry = self._entry(account, now)
            part = max(account.window.part, entry.since)
            entry.extra += amount
            entry.extra_of[part] = entry.extra_of.get(part, 0) + amount

    def close(self) -> None:
        """See `Ledger`: there is nothing to let go of."""

    def before_fork(self) -> None:
        """The lock is held: nothing is half done."""

    def in_child(self) -> None:
        """The calls under way are the parent's: it settles them."""
        for entry in self._entries.values():
            entry.leases.clear()
            entry.reserved = 0
            entry.soonest = math.inf

    def _entry(self, account: Account, now: float) -> _Entry:
        """The account as it is `now`."""
        budget, key, unit, window = account
        name = (budget, key, unit, window[0])
        entry = self._entries.get(name)
        if entry is None:
            if len(self._entries) >= self._many:
                self._forget(now)
            entry = self._entries[name] = _Entry(window.since, window.ends)
        elif window[3] > entry.since:
            entry.advance(window.since)
            entry.keeps = max(entry.keeps, window.ends)
        if now >= entry.soonest:
            entry.sweep(now)
        return entry

    def _forget(self, now: float) -> None:
        """Drop windows that have ended; looked for each time there are twice as many accounts."""
        entries = self._entries
        for name in [name for name, each in entries.items() if each.keeps + GRACE < now]:
            del entries[name]
        self._many = max(_FEW, 2 * len(entries))
