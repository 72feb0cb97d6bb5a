"""One call under one budget: sets aside before each attempt, settles after it.

The attempts of guarded calls made inside are seen too. An attempt in which others are made turns
out to surround them only: what was set aside for it is given back when the first of them begins.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from agentguard import events
from agentguard.budgeting.charge import Charge
from agentguard.budgeting.purse import Purse
from agentguard.budgeting.settling import give_back, settle, settle_late
from agentguard.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agentguard.engine.call import Attempt, Outcome
    from agentguard.policies.budget import Budget

__all__ = ["Tab"]


class Tab:
    """What one call has set aside and used. It is the hook that sees the call's attempts."""

    __slots__ = ("_charges", "budget", "made", "purse", "refusal")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.purse = Purse() if budget.per_request else None
        self.made = False
        self.refusal: BudgetExceeded | None = None
        self._charges: dict[Attempt, Charge] = {}

    async def __call__(self, attempt: Attempt) -> None:
        """Set aside what the attempt may use, or refuse it."""
        budget, call = self.budget, attempt.call
        if call.scope.attempt is not None and not call.target.tool:
            await self._take_over(attempt)
        model = budget.model_of(call)
        attempt.likely = model or attempt.likely
        charge = Charge(budget, call, model, self.purse or budget.ledger)
        self._charges[attempt] = charge
        attempt.on_end(functools.partial(self._ended, charge))
        if budget.needs_model and model not in budget.warmed:
            await call.runtime.blocking(budget.warm, model)
        waited = 0
        while True:
            try:
                await charge.set_aside()
                break
            except BudgetExceeded as error:
                if not self.made and budget.exceeded != "raise":
                    self.refusal = error  # `around` knows what follows
                    raise
                pause = None
                if budget.exceeded == "wait":
                    pause = await budget.pause(call, error, waited)
                if pause is None:
                    budget.refused(call, error)
                    raise
            call.emit(events.Delayed, budget.name, pause)
            await call.runtime.sleep(pause, call.deadline)
            waited += 1
        self.made = charge.granted = True
        charge.bound(attempt)
        attempt.on_late(functools.partial(settle_late, charge))
        attempt.on_item(charge.see)

    async def _take_over(self, attempt: Attempt) -> None:
        above = attempt.call.scope.attempt
        while above is not None:
            above.nested = True
            charge = self._charges.get(above)
            if charge is not None:
                await give_back(charge)
            above = above.call.scope.attempt

    def _ended(self, charge: Charge, outcome: Outcome) -> Awaitable[None] | None:
        attempt = outcome.attempt
        if attempt is None:  # an attempt's own end always has it
            return None
        del self._charges[attempt]
        return settle(charge, attempt, outcome)
