"""What the tests of stores share: handles on one store, accounts, and leases that are taken."""

from __future__ import annotations

from collections.abc import Callable

from agentguard.stores.ledger import Account, Lease, Ledger, Window

DAY = Window("day 2026-11-22", ends=86_400.0)
LIMIT = 1000
SECRET = "hunter2"
"""The password of a server of a test's own."""

Handles = Callable[[], Ledger]
"""Makes a ledger on one and the same store, as another process would."""


def account(key: str = "alice", window: Window = DAY, unit: str = "tokens") -> Account:
    """An account of the budget "support"."""
    return Account("support", key, unit, window)


def take(
    ledger: Ledger,
    of: Account,
    amount: int,
    *,
    limit: int = LIMIT,
    now: float = 0.0,
    expires: float = 60.0,
    lost: str = "charge",
) -> Lease | None:
    """A lease of `amount`, or None when it is refused."""
    lease = of.lease()
    answer = ledger.reserve(lease, amount, limit, now, expires, lost)
    return lease if answer.granted else None
