"""A budget of retries: an outage must not be multiplied by everybody's retries."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from agentguard.engine.arguments import count

if TYPE_CHECKING:
    from agentguard.errors import Kind

__all__ = ["RetryBudget", "budget_for", "budgets", "forget_budgets"]

CAPACITY: Final = 500
COST: Final = 5
TIMEOUT_COST: Final = 10
_MOST: Final = 4096


class RetryBudget:
    """A bucket of tokens that retries take from and successes fill again.

    When a provider is down every call fails, and with three attempts each the provider sees three
    times the load just when it can bear it least. With the bucket empty, calls fail after their
    first attempt; once calls succeed again, retries come back.

    The figures are those of the AWS SDKs' standard retry mode (botocore, `retries/standard.py` and
    `retries/quota.py`): 500 tokens; a retry takes 5, after a timeout 10; a success gives back what
    its last retry took, or 1 when it needed none.

    Args:
        capacity: tokens in a full bucket. 0 forbids retries.

    Examples:
        Two functions that call the same provider can share one:

        >>> from agentguard import RetryBudget, retry
        >>> shared = RetryBudget(100)
        >>> ask, search = retry(budget=shared), retry(budget=shared)
    """

    __slots__ = ("_lock", "capacity", "tokens")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = count("RetryBudget", "capacity", capacity, least=0)
        self.tokens = capacity
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RetryBudget({self.tokens} of {self.capacity})"

    def take(self, kind: Kind) -> int:
        """Take the cost of a retry after a failure of `kind`; 0 when too little is left."""
        cost = TIMEOUT_COST if kind == "timeout" else COST
        with self._lock:
            if self.tokens < cost:
                return 0
            self.tokens -= cost
            return cost

    def give(self, tokens: int) -> None:
        """Put tokens back after a success."""
        if self.tokens >= self.capacity:  # nearly always: no lock on the happy path
            return
        with self._lock:
            self.tokens = min(self.capacity, self.tokens + tokens)


budgets: Final[dict[object, RetryBudget]] = {}
"""Those of this process that some retry has taken from, by target."""

_budgets_lock = threading.Lock()


def budget_for(key: object) -> RetryBudget:
    """The process's budget for one target; the same for every `retry` that calls it."""
    found = budgets.get(key)
    if found is None:
        with _budgets_lock:
            if len(budgets) >= _MOST:  # as many targets as this are not targets but a wrong key
                budgets.clear()
            found = budgets.setdefault(key, RetryBudget())
    return found


def forget_budgets() -> None:
    """Give every target a full budget again (tests)."""
    budgets.clear()
