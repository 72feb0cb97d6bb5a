"""Forget what the process knows, so that one test does not decide the next."""

from __future__ import annotations

import math
import sys
from typing import Any, cast

__all__ = ["reset"]


def reset() -> None:
    """Put the library's process-wide state back to its beginning.

    Retry budgets are full again; streams that were left open are closed and settled; prices that
    were added are gone; what was switched is as it was written; what was warned of once is warned of again. The pytest plugin does this
    after each test. What belongs to a policy object, such as a breaker's circuits, stays with it:
    make the policy in the test, or in a fixture.

    Examples:
        >>> from agentguard.testing import reset
        >>> reset()
    """
    budget = _loaded("agentguard.retrying.budget")
    if budget is not None:
        budget.forget_budgets()
    prices = _loaded("agentguard.tokens.prices")
    if prices is not None:
        prices.forget()
    switches = _loaded("agentguard.engine.switches")
    if switches is not None:
        switches.forget_switches()
    bill = _loaded("agentguard.engine.bill")
    if bill is not None:
        bill.forget_warnings()
    budgets = _loaded("agentguard.policies.budget")
    if budgets is not None:
        budgets.forget_warnings()
    options = _loaded("agentguard.providers.stream_options")
    if options is not None:
        options.forget()
    streams = _loaded("agentguard.engine.streams")
    if streams is not None:
        streams.settle_lost()
        streams.look(0.0)
        streams.reap(math.inf)


def _loaded(name: str) -> Any:
    """A module, if anybody has used it."""
    return cast("Any", sys.modules.get(name))
