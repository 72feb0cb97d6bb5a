"""Random histories: each store must do exactly what the simplest ledger does."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from agentguard.stores.ledger import Lease, Window
from agentguard.stores.windows import rolling
from tests.stores.kit import Handles, account
from tests.stores.reference import Reference

CALENDAR = Window("day", ends=1e6)
AMOUNTS = st.integers(0, 120)
LIMITS = st.sampled_from([0, 100, 150, 200])
histories = itertools.count()


class History(RuleBasedStateMachine):
    """One account seen through two handles, in a calendar window or in a rolling one."""

    leases: Any = Bundle("leases")
    handles: Handles

    def __init__(self) -> None:
        super().__init__()
        self.both = [self.handles(), self.handles()]
        self.user = f"user {next(histories)}"
        self.now = 0.0
        self.reference = Reference()
        self.granted = 0

    @initialize(rolls=st.booleans())
    def choose(self, rolls: bool) -> None:
        self.rolls = rolls
        self.reference.see(self.window())

    def window(self) -> Window:
        return rolling(60, self.now, parts=4) if self.rolls else CALENDAR

    def account(self):
        return account(self.user, self.window())

    def ledger(self):
        self.both.reverse()
        return self.both[0]

    @rule(
        target=leases,
        amount=AMOUNTS,
        limit=LIMITS,
        lasts=st.sampled_from([5, 30, 300]),
        lost=st.sampled_from(["charge", "refund"]),
    )
    def reserve(self, amount: int, limit: int, lasts: int, lost: str) -> Any:
        lease = self.account().lease()
        asked = (amount, limit, self.now, self.now + lasts, lost)
        answer = self.ledger().reserve(lease, *asked)
        assert answer == self.reference.reserve(lease.account.window, lease.id, *asked)
        if not answer.granted:
            return multiple()
        assert answer.used + answer.reserved <= answer.limit
        assert self.ledger().reserve(lease, *asked) == answer
        return lease

    @rule(lease=leases, actual=AMOUNTS, limit=LIMITS)
    def settle(self, lease: Lease, actual: int, limit: int) -> None:
        taken = self.reference.leases.get(lease.id)
        asked = (actual, limit, self.now, (50, 80, 100))
        answer = self.ledger().settle(lease, *asked)
        expected = self.reference.settle(lease.account.window, lease.id, *asked)
        if taken is None or taken.part >= self.reference.since or answer.crossed:
            assert answer == expected
        else:  # its part has left the window: the store may have forgotten it
            assert answer[:2] == expected[:2]
            assert answer.overrun in {0, expected.overrun}
            for each in expected.crossed:
                del self.reference.told[each]

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        self.ledger().release(lease, self.now)
        self.reference.settle(lease.account.window, lease.id, 0, 1, self.now, ())

    @rule(lease=leases, lasts=st.sampled_from([5, 300]))
    def renew(self, lease: Lease, lasts: int) -> None:
        until = self.now + lasts
        assert self.ledger().renew(lease, self.now, until) == self.reference.renew(
            lease.id, self.now, until
        )

    @rule(amount=st.sampled_from([0, 50]))
    def grant(self, amount: int) -> None:
        self.ledger().grant(self.account(), amount, self.now)
        self.reference.see(self.window())
        self.reference.grants.append((max(self.window().part, self.reference.since), amount))

    @rule()
    def reset(self) -> None:
        self.ledger().reset(self.account(), self.now)
        self.reference.reset(self.window(), self.now)

    @rule(seconds=st.sampled_from([0.5, 5.0, 14.0, 31.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def it_stands_as_the_reference_does(self) -> None:
        status = self.ledger().status(self.account(), self.now)
        self.reference.see(self.window())
        assert status == self.reference.status(self.now)
        assert min(status) >= 0

    def teardown(self) -> None:
        for each in self.both:
            each.close()


def run(handles: Handles, examples: int) -> None:
    """Run that many histories on one store."""
    machine = type("History", (History,), {"handles": staticmethod(handles)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=examples < 100,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_histories(handles: Handles):
    """Any history of operations leaves a store as it leaves the simplest ledger."""
    run(handles, 40)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_histories(handles: Handles):
    """The same, longer and at random."""
    run(handles, 300)
