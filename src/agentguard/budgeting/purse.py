"""The ledger of one request, for `per="request"`: it ends with the request, and so do its leases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agentguard.stores.ledger import Ledger, Reserved, Settled, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.stores.ledger import Account, Lease, OnExpiry, Use, Wish

__all__ = ["Purse"]


class _Sum:
    __slots__ = ("extra", "leases", "told", "used")

    def __init__(self) -> None:
        self.used = self.extra = 0
        self.leases: dict[str, int] = {}
        self.told: set[int] = set()

    @property
    def reserved(self) -> int:
        return sum(self.leases.values())

    def has_room(self, wish: Wish) -> bool:
        taken = self.used + self.reserved + wish.amount
        return taken <= wish.limit + self.extra or wish.lease.id in self.leases

    def settle(self, use: Use) -> Settled:
        lease, actual, limit, thresholds = use
        limit += self.extra
        amount = self.leases.pop(lease.id, None)
        if amount is None:
            return Settled(self.used, limit, 0, ())
        self.used += actual
        crossed = tuple(
            percent
            for percent in thresholds
            if self.used and self.used * 100 >= percent * limit and percent not in self.told
        )
        self.told.update(crossed)
        return Settled(self.used, limit, max(actual - amount, 0), crossed)


class Purse(Ledger):
    """See `Ledger`. An account is known by its unit, and no lease expires."""

    remote = False
    place = "the request"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str], _Sum] = {}

    def _sum(self, account: Account) -> _Sum:
        name = (account.key, account.unit)
        found = self._sums.get(name)
        if found is None:
            found = self._sums[name] = _Sum()
        return found

    def reserve_all(
        self, wishes: Sequence[Wish], now: float, expires: float, lost: OnExpiry
    ) -> list[Reserved]:
        """See `Ledger`."""
        with self._lock:
            asked = [(self._sum(wish.lease.account), wish) for wish in wishes]
            room = [each.has_room(wish) for each, wish in asked]
            if all(room):
                for each, wish in asked:
                    each.leases[wish.lease.id] = wish.amount
            return [
                Reserved(fits, each.used, each.reserved, wish.limit + each.extra)
                for fits, (each, wish) in zip(room, asked, strict=True)
            ]

    def settle_all(self, uses: Sequence[Use], now: float) -> list[Settled]:
        """See `Ledger`."""
        with self._lock:
            return [self._sum(use.lease.account).settle(use) for use in uses]

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """See `Ledger`."""
        return lease.id in self._sum(lease.account).leases

    def status(self, account: Account, now: float) -> Status:
        """See `Ledger`."""
        with self._lock:
            each = self._sum(account)
            return Status(each.used, each.reserved, each.extra)

    def reset(self, account: Account, now: float) -> None:
        """See `Ledger`."""
        with self._lock:
            each = self._sum(account)
            each.used = each.extra = 0
            each.told.clear()

    def grant(self, account: Account, amount: int, now: float) -> None:
        """See `Ledger`."""
        with self._lock:
            self._sum(account).extra += amount

    def close(self) -> None:
        """See `Ledger`: there is nothing to let go of."""
