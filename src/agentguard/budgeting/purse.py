"""The ledger of one request, for `per="request"`: it ends with the request, and so do its leases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agentguard.stores.ledger import Ledger, Reserved, Settled, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.stores.ledger import Account, Lease, OnExpiry

__all__ = ["Purse"]


class _Sum:
    __slots__ = ("extra", "leases", "told", "used")

    def __init__(self) -> None:
        self.used = self.extra = 0
        self.leases: dict[str, int] = {}
        self.told: set[int] = set()


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

    def reserve(
        self, lease: Lease, amount: int, limit: int, now: float, expires: float, lost: OnExpiry
    ) -> Reserved:
        """See `Ledger`."""
        with self._lock:
            each = self._sum(lease.account)
            limit += each.extra
            reserved = sum(each.leases.values())
            if lease.id in each.leases:
                return Reserved(True, each.used, reserved, limit)
            if each.used + reserved + amount > limit:
                return Reserved(False, each.used, reserved, limit)
            each.leases[lease.id] = amount
            return Reserved(True, each.used, reserved + amount, limit)

    def settle(
        self, lease: Lease, actual: int, limit: int, now: float, thresholds: Sequence[int] = ()
    ) -> Settled:
        """See `Ledger`."""
        with self._lock:
            each = self._sum(lease.account)
            limit += each.extra
            amount = each.leases.pop(lease.id, None)
            if amount is None:
                return Settled(each.used, limit, 0, ())
            each.used += actual
            crossed = tuple(
                percent
                for percent in thresholds
                if each.used and each.used * 100 >= percent * limit and percent not in each.told
            )
            each.told.update(crossed)
            return Settled(each.used, limit, max(actual - amount, 0), crossed)

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """See `Ledger`."""
        return lease.id in self._sum(lease.account).leases

    def status(self, account: Account, now: float) -> Status:
        """See `Ledger`."""
        with self._lock:
            each = self._sum(account)
            return Status(each.used, sum(each.leases.values()), each.extra)

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
