from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentguard import RetryBudget
from agentguard.retrying.budget import CAPACITY, COST, TIMEOUT_COST, budget_for, forget_budgets

KINDS = st.sampled_from(["rate_limited", "overloaded", "server", "connection", "truncated"])


class Bucket(RuleBasedStateMachine):
    """The budget against the plain arithmetic of the AWS SDKs' quota."""

    def __init__(self) -> None:
        super().__init__()
        self.capacity = 40
        self.budget = RetryBudget(self.capacity)
        self.tokens = self.capacity
        self.taken: list[int] = []

    @rule(kind=KINDS)
    def a_retry(self, kind: str) -> None:
        """A retry takes 5 while they last."""
        expected = COST if self.tokens >= COST else 0
        assert self.budget.take(kind) == expected
        self.tokens -= expected
        if expected:
            self.taken.append(expected)

    @rule()
    def a_retry_after_a_timeout(self) -> None:
        """After a timeout it takes 10."""
        expected = TIMEOUT_COST if self.tokens >= TIMEOUT_COST else 0
        assert self.budget.take("timeout") == expected
        self.tokens -= expected
        if expected:
            self.taken.append(expected)

    @precondition(lambda self: self.taken)
    @rule()
    def a_retry_that_succeeds(self) -> None:
        """It gives back what it took."""
        cost = self.taken.pop()
        self.budget.give(cost)
        self.tokens = min(self.capacity, self.tokens + cost)

    @rule()
    def a_plain_success(self) -> None:
        """It gives one token."""
        self.budget.give(1)
        self.tokens = min(self.capacity, self.tokens + 1)

    @invariant()
    def as_in_the_model(self) -> None:
        """Never negative, never above the capacity, equal to the model."""
        assert self.budget.tokens == self.tokens
        assert 0 <= self.budget.tokens <= self.capacity


Bucket.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBucket = Bucket.TestCase


def test_threads_lose_no_token() -> None:
    """Takes and gives of many threads at once add up."""
    budget = RetryBudget(10_000)
    taken = [0] * 8
    start = threading.Barrier(8)

    def work(me: int) -> None:
        start.wait(10)
        for turn in range(2000):
            taken[me] += budget.take("server")
            if turn % 2:
                budget.give(COST)
                taken[me] -= COST

    threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # a gift to a full bucket is lost, so never more than was taken in all
    assert 0 <= budget.tokens <= 10_000
    assert budget.tokens == 10_000 - sum(taken)


def test_threads_never_overdraw() -> None:
    """Exactly as many retries pass as there are tokens for."""
    budget = RetryBudget(500)
    passed: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        passed.extend(1 for _ in range(100) if budget.take("server"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(passed) == 500 // COST
    assert budget.tokens == 0


def test_capacity_zero_forbids_retries() -> None:
    """An empty bucket stays empty."""
    budget = RetryBudget(0)
    budget.give(5)
    assert budget.take("server") == 0
    assert budget.tokens == 0


@pytest.mark.parametrize("capacity", [-1, 1.5, "many", True, None])
def test_a_wrong_capacity_is_refused_at_once(capacity: object) -> None:
    """The message names the argument."""
    with pytest.raises((TypeError, ValueError), match="capacity"):
        RetryBudget(capacity)  # type: ignore[arg-type]


def test_the_process_has_one_budget_per_key() -> None:
    """The same key finds the same bucket until budgets are forgotten."""
    forget_budgets()
    first = budget_for(("openai", None, "m"))
    assert budget_for(("openai", None, "m")) is first
    assert budget_for(("openai", None, "other")) is not first
    assert first.capacity == first.tokens == CAPACITY
    forget_budgets()
    assert budget_for(("openai", None, "m")) is not first


def test_threads_that_ask_at_once_get_the_same_budget() -> None:
    """A race for a new key makes one bucket."""
    for attempt in range(50):
        found: list[RetryBudget] = []
        start = threading.Barrier(8)

        def ask(key: object = attempt, found: list = found, start=start) -> None:
            start.wait(10)
            found.append(budget_for(("race", key)))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len({id(each) for each in found}) == 1


def test_a_wrong_key_cannot_grow_without_bound() -> None:
    """Thousands of keys start again from empty instead of leaking."""
    from agentguard.retrying import budget as module

    forget_budgets()
    for number in range(5000):
        budget_for(number)
    assert len(module.budgets) <= module._MOST
    forget_budgets()


def test_its_repr_says_how_full_it_is() -> None:
    """For logs and debuggers."""
    budget = RetryBudget(20)
    budget.take("server")
    assert repr(budget) == "RetryBudget(15 of 20)"
