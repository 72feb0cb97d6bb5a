"""One call under one budget: sets aside before each attempt, settles after it.

The attempts of guarded calls made inside are seen too. An attempt in which others are made turns
out to surround them only: what was set aside for it is given back when the first of them begins.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.budgeting.charge import Charge, Part
from agentguard.budgeting.demand import Demand
from agentguard.budgeting.limits import amount_of, figure
from agentguard.budgeting.meter import Meter
from agentguard.budgeting.purse import Purse
from agentguard.budgeting.rates import Unpriced
from agentguard.budgeting.standing import Threshold, exceeded
from agentguard.engine.bill import Bill
from agentguard.engine.records import AttemptRecord
from agentguard.engine.trouble import trouble
from agentguard.errors import BudgetExceeded, Timeout
from agentguard.providers.failures import classify
from agentguard.providers.output_limits import with_output
from agentguard.providers.usage import Usage
from agentguard.stores.ledger import MOST, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentguard.budgeting.limits import Limit
    from agentguard.engine.call import Attempt, Call, ItemHook, Outcome
    from agentguard.policies.budget import Budget
    from agentguard.stores.ledger import Ledger

__all__ = ["POLL", "Tab"]

_REFUSED: Final = frozenset({"circuit_open", "saturated", "budget_exceeded", "rejected", "control"})
"""Failures that did not reach the provider, where nothing has arrived."""

_SHORT: Final = 8000
"""Characters that are counted where they are: it takes no longer than going elsewhere for it."""

POLL: Final = 0.25
"""Seconds between two looks at a budget in which only calls under way stand in the way."""


class Tab:
    """What one call has set aside and used. It is the hook that sees the call's attempts."""

    __slots__ = ("_charges", "budget", "made", "purse", "refusal")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.purse = Purse() if budget.per_request else None
        self.made = False
        self.refusal: BudgetExceeded | None = None
        self._charges: dict[Attempt, Charge] = {}

    def __call__(self, attempt: Attempt) -> Awaitable[None]:
        """Set aside what the attempt may use, or refuse it."""
        return self._set_aside(attempt)

    # Before an attempt

    async def _set_aside(self, attempt: Attempt) -> None:
        budget, call = self.budget, attempt.call
        runtime = call.runtime
        if call.scope.attempt is not None and not call.target.tool:
            await self._take_over(attempt)
        model = budget.model_of(call)
        key = budget.key_of(call, model)
        demand = Demand(
            attempt,
            model,
            budget.units,
            budget.rates,
            budget.expected,
            budget.expect,
            budget.max_output,
        )
        charge = Charge(demand, key, self.purse or budget.ledger)
        self._charges[attempt] = charge
        attempt.on_end(functools.partial(self._ended, attempt, charge))
        if budget.needs_model and model not in budget.warmed:
            await runtime.blocking(budget.warm, model)
        while True:
            try:
                await self._reserve(call, charge)
                break
            except BudgetExceeded as error:
                if not self.made:
                    if budget.exceeded != "raise":
                        self.refusal = error
                    raise
                if budget.exceeded != "wait":
                    raise
                pause = budget.pause(call, error)
                if pause is None:
                    raise
            await self._give_back(call, charge, charge.empty())
            await runtime.sleep(pause, call.deadline)
        self.made = charge.granted = True
        self._bound(attempt, charge)
        attempt.on_late(functools.partial(self._late, charge))
        attempt.on_item(self._meter(attempt.call, charge))

    async def _take_over(self, attempt: Attempt) -> None:
        above = attempt.call.scope.attempt
        while above is not None:
            above.nested = True
            charge = self._charges.get(above)
            if charge is not None:
                parts = charge.empty()
                if parts:
                    await self._give_back(attempt.call, charge, parts)
            above = above.call.scope.attempt

    async def _give_back(self, call: Call, charge: Charge, parts: list[Part]) -> None:
        work = functools.partial(self._book, call, charge, parts, _nothing)
        if charge.ledger.remote:
            await call.runtime.blocking(work)
        else:
            work()

    async def _reserve(self, call: Call, charge: Charge) -> None:
        """Set everything aside; the exact count and remote stores off the event loop."""
        runtime, remote = call.runtime, charge.ledger.remote
        work = functools.partial(self._reserve_all, call, charge)
        try:
            fits = await runtime.blocking(work) if remote else work()
            if not fits:
                await runtime.blocking(charge.demand.count)
                fits = await runtime.blocking(work) if remote else work()
        except StoreUnavailable as error:
            self._lost_store(call, charge.ledger, error)
            if self.budget.on_store_failure == "refuse":
                raise BudgetExceeded(
                    f"the budget {self.budget.label!r} cannot reach its store, and "
                    "on_store_failure is 'refuse': nothing was spent",
                    budget=self.budget.label,
                    retry_after=1.0,
                ) from error
        else:
            self.budget.store_down = False

    def _reserve_all(self, call: Call, charge: Charge) -> bool:
        """Whether it could be decided; False when the input must be counted first."""
        return all(
            self._reserve_one(call, charge, limit)
            for limit in self.budget.limits
            if not charge.holds(limit.unit)
        )

    def _reserve_one(self, call: Call, charge: Charge, limit: Limit) -> bool:
        budget, demand, ledger = self.budget, charge.demand, charge.ledger
        now = call.runtime.time()
        most = limit.of(charge.key)
        account = budget.account(charge.key, limit.unit, now)
        while True:
            try:
                amount = demand.amount(limit.unit)
            except Unpriced:
                if budget.unpriced == "refuse":
                    raise BudgetExceeded(
                        f"no price is known for the model {demand.model!r}, and the budget "
                        f"{budget.label!r} counts money. Give it one with agentguard.prices.add("
                        f"{demand.model!r}, input=..., output=...), or let it pass uncounted with "
                        "unpriced='pass'",
                        budget=budget.label,
                        unit=limit.unit,
                    ) from None
                amount = 0
            if amount <= MOST:
                lease = account.lease()
                answer = ledger.reserve(lease, amount, most, now, now + budget.lease, budget.lost)
                if answer.granted:
                    if not charge.add(Part(limit, lease, amount, most, False)):
                        ledger.release(lease, now)  # the caller was cancelled meanwhile
                    return True
                taken, whole = answer.used + answer.reserved, answer.limit
            else:
                taken, whole = 0, most
            if not demand.counted:
                return False
            if not demand.fit(limit.unit, whole - taken):
                raise exceeded(
                    budget.label,
                    budget.per_text,
                    limit.unit,
                    used=taken,
                    limit=whole,
                    asked=amount,
                    renews=budget.renews(now),
                )

    def _bound(self, attempt: Attempt, charge: Charge) -> None:
        """Tell the provider where to stop: `max_output=`, or what is left."""
        demand, call = charge.demand, attempt.call
        if demand.nothing or not (demand.capped or self.budget.max_output):
            return
        kwargs = with_output(call.target, call.kwargs, demand.output)
        demand.bounded = kwargs is not None
        if kwargs is None:
            return
        attempt.call = call.replace(kwargs=kwargs)
        if demand.capped:
            call.emit(events.Capped, self.budget.label, demand.output)

    # While it streams

    def _meter(self, call: Call, charge: Charge) -> ItemHook:
        """Made with the first item: an answer in one piece has none."""
        meter: Meter | None = None
        budget, demand = self.budget, charge.demand

        def see(attempt: Attempt, item: Any) -> Callable[[], None] | None:
            nonlocal meter
            if attempt.nested:
                return None  # those inside are followed
            if meter is None:
                counted = any(
                    limit.unit not in {"requests", "input_tokens"} for limit in budget.limits
                )
                meter = Meter(
                    demand.model,
                    demand.output if counted else MOST,
                    bounded=demand.bounded,
                    more=functools.partial(self._more, call, charge),
                    cut=functools.partial(self._cut, call, charge),
                    renew=functools.partial(self._renew, call, charge),
                    every=budget.lease / 2,
                    clock=call.runtime.monotonic,
                )
                charge.seen = meter.count
            return meter(item)

        return see

    def _more(self, call: Call, charge: Charge, tokens: int) -> bool:
        """Set more output aside, of every unit or of none."""
        budget, ledger, now = self.budget, charge.ledger, call.runtime.time()
        taken: list[Part] = []
        demand = charge.demand
        try:
            for part in charge.parts:
                limit = part.limit
                if part.more or limit.unit in {"requests", "input_tokens"}:
                    continue
                try:
                    amount = demand.longer(limit.unit, tokens)
                except Unpriced:
                    amount = 0
                lease = part.lease.account.lease()
                if not ledger.reserve(
                    lease, amount, part.most, now, now + budget.lease, budget.lost
                ).granted:
                    for each in taken:
                        ledger.release(each.lease, now)
                    return False
                taken.append(Part(limit, lease, amount, part.most, True))
        except StoreUnavailable as error:
            self._lost_store(call, ledger, error)
            return budget.on_store_failure == "pass"
        demand.output += tokens
        for each in taken:
            if not charge.add(each):
                ledger.release(each.lease, now)
        return True

    def _cut(self, call: Call, charge: Charge, tokens: int) -> BudgetExceeded:
        now, demand = call.runtime.time(), charge.demand
        unit, used, most = self.budget.limits[0].unit, 0, 0
        for part in charge.parts:
            if part.more or part.limit.unit in {"requests", "input_tokens"}:
                continue
            try:
                standing = charge.ledger.status(part.lease.account, now)
            except StoreUnavailable:
                break
            unit, most = part.limit.unit, part.most + standing.extra
            used = standing.used + standing.reserved
            break
        try:
            asked = demand.amount(unit)
        except Unpriced:
            asked = 0
        return exceeded(
            self.budget.label,
            self.budget.per_text,
            unit,
            used=used,
            limit=most,
            asked=asked,
            renews=self.budget.renews(now),
            cut=True,
        )

    def _renew(self, call: Call, charge: Charge) -> None:
        now = call.runtime.time()
        try:
            for part in charge.parts:
                charge.ledger.renew(part.lease, now, now + self.budget.lease)
        except StoreUnavailable as error:
            self._lost_store(call, charge.ledger, error)

    # After it

    def _ended(self, attempt: Attempt, charge: Charge, outcome: Outcome) -> Awaitable[None] | None:
        """Settle the attempt, off the event loop where something may block."""
        del self._charges[attempt]
        call = attempt.call
        if outcome.kind == "completed" and (usage := attempt.usage) is not None:
            parts = charge.close()
            if not attempt.nested:
                self.budget.learn(call, attempt, usage)
            work = functools.partial(self._settle, attempt, charge, parts, usage)
            if not charge.ledger.remote:
                crossed = work()
                return self._announce(call, crossed) if crossed else None
            return self._settled(call, work)
        error = outcome.error
        kind = None if error is None else classify(error).kind
        left_behind = isinstance(error, Timeout) and not call.runtime.is_async
        made = charge.granted and self.purse is None
        if left_behind and made and not attempt.reading.content and charge.parts:
            return None  # left to its answer, which may come late, or else to its expiry
        parts = charge.close()
        if attempt.nested and attempt.usage is None:
            work = functools.partial(self._book, call, charge, parts, _nothing)
            return self._settled(call, work) if parts else None
        reading = attempt.reading
        told = reading.content or reading.usage is not None or attempt.recorded
        if not told:
            booked: Callable[[Part], int] = _request_alone
            if not charge.granted or kind in _REFUSED:
                booked = _nothing
            elif outcome.kind == "abandoned" or kind in {"timeout", "cancelled"}:
                booked = _everything if self.budget.lost == "charge" else _request_alone
            work = functools.partial(self._book, call, charge, parts, booked)
            if not charge.ledger.remote:
                crossed = work()
                return self._announce(call, crossed) if crossed else None
            return self._settled(call, work)
        work = functools.partial(self._estimate, attempt, charge, parts, outcome, kind)
        size = charge.demand.input + sum(map(len, reading.parts))
        if not charge.ledger.remote and size <= _SHORT:
            crossed = work()
            return self._announce(call, crossed) if crossed else None
        return self._settled(call, work)

    async def _settled(self, call: Call, work: Any) -> None:
        crossed = await call.runtime.blocking(work)
        if crossed:
            await self._announce(call, crossed)

    def _settle(
        self, attempt: Attempt, charge: Charge, parts: list[Part], usage: Usage
    ) -> list[Threshold]:
        """Book what was used; what has no part any more is booked all the same."""
        budget = self.budget
        dollars = budget.cost(attempt, usage) if budget.counts_money else None
        missing = [
            each
            for each in budget.limits
            if not any(part.limit is each and not part.more for part in parts)
        ]
        if missing and not budget.store_down:
            parts = [*parts, *self._unreserved(charge, missing, attempt.call.runtime.time())]

        def actual(part: Part) -> int:
            unit = part.limit.unit
            if part.more or (unit == "requests" and charge.demand.nothing):
                return 0
            return min(amount_of(unit, usage, dollars), MOST)

        return self._book(attempt.call, charge, parts, actual)

    def _estimate(
        self, attempt: Attempt, charge: Charge, parts: list[Part], outcome: Outcome, kind: Any
    ) -> list[Threshold]:
        """Book an answer that was cut, or came without figures."""
        record = AttemptRecord(attempt.call.target.name, attempt.call.number, 0.0, attempt.started)
        record.model, record.kind = outcome.model or charge.demand.model, kind
        bill = Bill(attempt, record, completed=outcome.kind == "completed")
        usage = bill.usage
        seen = 0 if charge.seen is None else charge.seen()
        if usage is None:
            if attempt.nested:
                return self._book(attempt.call, charge, parts, _nothing)
            usage = Usage(charge.demand.input, _counted(attempt, charge))
        if bill.estimated and seen > usage.output_tokens:
            usage = usage + Usage(0, seen - usage.output_tokens)
        return self._settle(attempt, charge, parts, usage)

    def _late(self, charge: Charge, attempt: Attempt) -> None:
        """An answer that nobody waited for: what was left for it is settled."""
        parts = charge.close()
        usage = attempt.usage
        if not parts:
            return
        work = (
            functools.partial(self._book, attempt.call, charge, parts, _everything)
            if usage is None
            else functools.partial(self._settle, attempt, charge, parts, usage)
        )
        self._tell(work())

    def _book(
        self, call: Call, charge: Charge, parts: list[Part], actual: Callable[[Part], int]
    ) -> list[Threshold]:
        """Settle these parts, what was set aside first before what came on top."""
        now = call.runtime.time()
        found: list[Threshold] = []
        try:
            for part in sorted(parts, key=_on_top):
                found += self._settle_part(call, charge, part, actual(part), now)
        except StoreUnavailable as error:  # what is not settled expires, see `lost`
            self._lost_store(call, charge.ledger, error)
        return found

    def _unreserved(self, charge: Charge, limits: list[Limit], now: float) -> list[Part]:
        """Parts for what was not set aside: of the units in a store that was down, or taken over."""
        parts: list[Part] = []
        budget = self.budget
        for limit in limits:
            lease = budget.account(charge.key, limit.unit, now).lease()
            try:
                charge.ledger.reserve(lease, 0, MOST, now, now + budget.lease, "refund")
            except StoreUnavailable:
                break
            parts.append(Part(limit, lease, 0, limit.of(charge.key), False))
        return parts

    def _settle_part(
        self, call: Call, charge: Charge, part: Part, actual: int, now: float
    ) -> list[Threshold]:
        budget, ledger, unit = self.budget, charge.ledger, part.limit.unit
        thresholds = () if part.more else budget.thresholds
        settled = ledger.settle(part.lease, actual, part.most, now, thresholds)
        if part.more:
            return []
        used, most = figure(unit, settled.used), figure(unit, settled.limit)
        if call.record is not None:
            if actual:
                call.emit(
                    events.BudgetCharged, budget.label, unit, figure(unit, actual), used, most
                )
            if settled.overrun and settled.used > settled.limit:
                over = figure(unit, min(settled.overrun, settled.used - settled.limit))
                call.emit(events.BudgetOverrun, budget.label, unit, over, used, most)
            for percent in settled.crossed:
                call.emit(events.BudgetThreshold, budget.label, unit, percent, used, most)
        if budget.on_threshold is None:
            return []
        return [
            Threshold(budget.label, charge.key, unit, percent, used, most)
            for percent in settled.crossed
        ]

    async def _announce(self, call: Call, crossed: list[Threshold]) -> None:
        await call.runtime.blocking(self._tell, crossed)

    def _tell(self, crossed: list[Threshold]) -> None:
        told = self.budget.on_threshold
        for each in crossed:
            try:
                if told is not None:
                    told(each)
            except Exception as error:
                trouble(f"on_threshold of the budget {self.budget.label!r}", error)

    def _lost_store(self, call: Call, ledger: Ledger, error: Exception) -> None:
        budget = self.budget
        then = (
            "calls are refused" if budget.on_store_failure == "refuse" else "calls pass uncounted"
        )
        call.emit(events.StoreFailed, ledger.place, type(error).__name__, then)
        if not budget.store_down:
            budget.store_down = True
            trouble(f"the store of the budget {budget.label!r}", error, then)


def _on_top(part: Part) -> bool:
    return part.more


def _nothing(_: Part) -> int:
    return 0


def _everything(part: Part) -> int:
    return part.amount


def _request_alone(part: Part) -> int:
    return part.amount if part.limit.unit == "requests" else 0


def _counted(attempt: Attempt, charge: Charge) -> int:
    """Tokens of a text from a model that nobody knows."""
    from agentguard.tokens.count import count_tokens

    text = attempt.reading.text
    return int(count_tokens(text, charge.demand.model or "unknown")) if text else 0
