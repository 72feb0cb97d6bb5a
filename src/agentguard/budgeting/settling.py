"""What happens when an attempt has ended: what it used is booked, the rest given back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from agentguard import events
from agentguard.budgeting.charge import Part
from agentguard.budgeting.limits import amount_of, figure
from agentguard.budgeting.standing import Threshold
from agentguard.engine.call import Outcome
from agentguard.engine.trouble import trouble
from agentguard.errors import Timeout
from agentguard.providers.failures import classify
from agentguard.providers.usage import Usage
from agentguard.stores.ledger import MOST, StoreUnavailable, Use, Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentguard.budgeting.charge import Charge
    from agentguard.engine.call import Attempt
    from agentguard.stores.ledger import Settled

__all__ = ["give_back", "settle", "settle_late"]

_REFUSED: Final = frozenset({"circuit_open", "saturated", "budget_exceeded", "rejected", "control"})
"""Failures that did not reach the provider, where nothing has arrived."""

_UNREAD: Final = Usage()
"""Of an answer that needs not be looked at."""

_SHORT: Final = 8000
"""Characters that are counted where they are: it takes no longer than going elsewhere for it."""


def settle(charge: Charge, attempt: Attempt, outcome: Outcome) -> Awaitable[None] | None:
    """Settle the attempt, off the event loop where something may block."""
    budget = charge.budget
    if outcome.kind == "completed":
        if not (budget.looks or attempt.nested):
            parts = charge.close()
            return _done(charge, functools.partial(_settle, charge, outcome, parts, _UNREAD))
        usage = attempt.usage
        if usage is not None:
            parts = charge.close()
            if not attempt.nested:
                budget.learn(attempt, charge.demand.model, usage)
            return _done(charge, functools.partial(_settle, charge, outcome, parts, usage))
    error = outcome.error
    kind = None if error is None else classify(error).kind
    reading = attempt.reading
    left_behind = isinstance(error, Timeout) and not charge.call.runtime.is_async
    expires = charge.granted and not budget.per_request and bool(charge.parts)
    if left_behind and expires and not reading.content:
        return None  # left to its answer, which may come late, or else to its expiry
    parts = charge.close()
    if attempt.nested and attempt.usage is None:
        work = functools.partial(_book, charge, parts, _nothing)
        return _done(charge, work, short=False) if parts else None
    begun = charge.meter is not None  # its first item came, and perhaps was cut
    if begun or reading.content or reading.usage is not None or attempt.recorded:
        size = charge.demand.input + sum(map(len, reading.parts))
        work = functools.partial(_estimate, charge, attempt, parts, outcome)
        return _done(charge, work, short=size <= _SHORT)
    booked: Callable[[Part], int] = _request_alone
    if not charge.granted or kind in _REFUSED:
        booked = _nothing
    elif outcome.kind == "abandoned" or kind in {"timeout", "cancelled"}:
        booked = _everything if budget.lost == "charge" else _request_alone
    return _done(charge, functools.partial(_book, charge, parts, booked))


def settle_late(charge: Charge, attempt: Attempt) -> None:
    """An answer that nobody waited for: what was left for it is settled."""
    parts = charge.close()
    if parts:
        usage = attempt.usage
        if usage is None:
            _tell(charge, _book(charge, parts, _everything))
        else:
            _tell(charge, _settle(charge, Outcome("completed", None, attempt), parts, usage))


async def give_back(charge: Charge) -> None:
    """End what is set aside: it is not needed, or not now."""
    parts = charge.empty()
    if not parts:
        return
    if charge.ledger.remote:
        await charge.call.runtime.blocking(_book, charge, parts, _nothing)
    else:
        _book(charge, parts, _nothing)


def _done(
    charge: Charge, work: Callable[[], list[Threshold]], *, short: bool = True
) -> Awaitable[None] | None:
    """Do the work: at once where it blocks nobody, else what is to be awaited for it."""
    if charge.ledger.remote or not short:
        return _away(charge, work)
    crossed = work()
    return charge.call.runtime.blocking(_tell, charge, crossed) if crossed else None


async def _away(charge: Charge, work: Callable[[], list[Threshold]]) -> None:
    blocking = charge.call.runtime.blocking
    crossed = await blocking(work)
    if crossed:
        await blocking(_tell, charge, crossed)


def _settle(charge: Charge, outcome: Outcome, parts: list[Part], usage: Usage) -> list[Threshold]:
    """Book what was used; what has no part any more is booked all the same."""
    budget, nothing = charge.budget, charge.demand.nothing
    bill = outcome.bill if budget.counts_money else None
    dollars = None if bill is None else bill.price(usage)
    if not parts and not budget.store_down:
        parts = _unreserved(charge)

    def actual(part: Part) -> int:
        unit = part.limit.unit
        if part.more or (nothing and unit == "requests"):
            return 0
        return min(amount_of(unit, usage, dollars), MOST)

    return _book(charge, parts, actual)


def _estimate(
    charge: Charge, attempt: Attempt, parts: list[Part], outcome: Outcome
) -> list[Threshold]:
    """Book an answer that was cut, or came without figures."""
    bill = outcome.bill
    usage = None if bill is None else bill.usage
    seen = 0 if charge.meter is None else charge.meter.count()
    if usage is None:
        if attempt.nested:
            return _book(charge, parts, _nothing)
        usage = Usage(charge.demand.input, max(_counted(charge, attempt), seen))
    elif bill is not None and bill.estimated and seen > usage.output_tokens:
        usage = usage + Usage(0, seen - usage.output_tokens)
    return _settle(charge, outcome, parts, usage)


def _unreserved(charge: Charge) -> list[Part]:
    """Parts for what was not set aside: the store was down, or it was taken over."""
    budget, key, now = charge.budget, charge.key, charge.call.runtime.time()
    leases = [budget.account(key, limit.unit, now).lease() for limit in budget.limits]
    room = [Wish(lease, 0, MOST) for lease in leases]
    try:
        charge.ledger.reserve_all(room, now, now + budget.lease, "refund")
    except StoreUnavailable:
        return []
    return [
        Part(limit, Wish(lease, 0, limit.of(key)), False)
        for limit, lease in zip(budget.limits, leases, strict=True)
    ]


def _book(charge: Charge, parts: list[Part], actual: Callable[[Part], int]) -> list[Threshold]:
    """Settle these parts; what thresholds they reached."""
    if not parts:
        return []  # nothing was set aside: a store that is down is not asked again
    budget, now = charge.budget, charge.call.runtime.time()
    uses: list[Use] = []
    for part in parts:
        thresholds = () if part.more else budget.thresholds
        uses.append(Use(part.wish.lease, actual(part), part.wish.limit, thresholds))
    try:
        settled = charge.ledger.settle_all(uses, now)
    except StoreUnavailable as error:  # what is not settled expires, see `lost`
        charge.lost_store(error)
        return []
    if charge.call.record is not None:
        for part, use, found in zip(parts, uses, settled, strict=True):
            if not part.more:
                _announce(charge, part.limit.unit, use.actual, found)
    return [] if budget.on_threshold is None else _crossed(charge, parts, settled)


def _crossed(charge: Charge, parts: list[Part], settled: list[Settled]) -> list[Threshold]:
    """What `on_threshold` is to be told."""
    label, key = charge.budget.label, charge.key
    return [
        Threshold(label, key, unit, percent, figure(unit, found.used), figure(unit, found.limit))
        for unit, found in zip((part.limit.unit for part in parts), settled, strict=True)
        for percent in found.crossed
    ]


def _announce(charge: Charge, unit: str, actual: int, settled: Settled) -> None:
    """Tell the listeners what was booked."""
    label, emit = charge.budget.label, charge.call.emit
    used, most = figure(unit, settled.used), figure(unit, settled.limit)
    if actual:
        emit(events.BudgetCharged, label, unit, figure(unit, actual), used, most, bool(charge.key))
    if settled.overrun and settled.used > settled.limit:
        over = figure(unit, min(settled.overrun, settled.used - settled.limit))
        emit(events.BudgetOverrun, label, unit, over, used, most)
    for percent in settled.crossed:
        emit(events.BudgetThreshold, label, unit, percent, used, most)


def _tell(charge: Charge, crossed: list[Threshold]) -> None:
    told = charge.budget.on_threshold
    for each in crossed:
        try:
            if told is not None:
                told(each)
        except Exception as error:
            trouble(f"on_threshold of the budget {charge.budget.label!r}", error)


def _nothing(_: Part) -> int:
    return 0


def _everything(part: Part) -> int:
    return part.wish.amount


def _request_alone(part: Part) -> int:
    return part.wish.amount if part.limit.unit == "requests" else 0


def _counted(charge: Charge, attempt: Attempt) -> int:
    """Tokens of a text from a model that nobody knows."""
    from agentguard.tokens.count import count_tokens

    text = attempt.reading.text
    return int(count_tokens(text, charge.demand.model or "unknown")) if text else 0
