"""What only memory needs: it forgets by itself."""

from __future__ import annotations

from agentguard.stores.ledger import GRACE, Window
from agentguard.stores.memory import MemoryLedger
from tests.stores.kit import LIMIT, account, take


def test_windows_that_ended_are_forgotten():
    """A budget by user and minute does not grow for ever; a lease keeps its account."""
    ledger = MemoryLedger()
    held = take(ledger, account("held", Window("minute held", 60.0)), 10, expires=1e9)
    for minute in range(20):
        now = 60.0 * minute + 10 * GRACE
        for user in range(400):
            mine = account(f"user {user}", Window(f"minute {minute}", now + 60))
            ledger.settle(take(ledger, mine, 1, now=now, expires=now + 10), 1, LIMIT, now)
    assert len(ledger._entries) <= 2 * 1001
    assert ledger.settle(held, 10, LIMIT, 1e6).used == 10


def test_every_operation_is_done_under_the_lock():
    """Each takes it once; a race that would show its absence is too rare to wait for."""
    ledger, taken = MemoryLedger(), []

    class Lock:
        def __enter__(self) -> None:
            taken.append(True)

        def __exit__(self, *_: object) -> None:
            pass

    ledger.lock = Lock()
    lease = take(ledger, account(), 10)
    ledger.renew(lease, 1, 90)
    ledger.settle(lease, 10, LIMIT, 1)
    ledger.status(account(), 1)
    ledger.grant(account(), 10, 1)
    ledger.reset(account(), 1)
    assert len(taken) == 6
