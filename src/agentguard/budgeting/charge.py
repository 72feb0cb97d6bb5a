"""What one budget sets aside for one attempt: before it, and while it streams."""

from __future__ import annotations

import operator
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard import events
from agentguard.budgeting.demand import Demand
from agentguard.budgeting.meter import Meter
from agentguard.budgeting.rates import Unpriced
from agentguard.budgeting.standing import exceeded
from agentguard.engine.trouble import trouble
from agentguard.errors import BudgetExceeded
from agentguard.providers.output_limits import with_output
from agentguard.stores.ledger import MOST, StoreUnavailable, Use, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.budgeting.limits import Limit
    from agentguard.engine.call import Attempt, Call
    from agentguard.policies.budget import Budget
    from agentguard.stores.ledger import Ledger, Reserved

__all__ = ["Charge", "Part"]

_GRANTED: Final = operator.attrgetter("granted")


class Part(NamedTuple):
    """What was set aside of one unit, first or on top (`more`)."""

    limit: Limit
    wish: Wish
    more: bool


class Charge:
    """What is set aside for one attempt, until it is settled, once.

    A worker may still be setting aside when the caller is cancelled: what it brings after `close`
    it gives back itself.

    Attributes:
        budget: whose limits are held.
        call: that the attempt belongs to.
        demand: what the attempt may use.
        key: whose share of the budget it is.
        ledger: where it is kept.
        granted: everything was set aside, so that the attempt is made.
        meter: follows its stream, if it is one.
    """

    __slots__ = (
        "_closed",
        "_lock",
        "_parts",
        "_told",
        "budget",
        "call",
        "demand",
        "granted",
        "key",
        "ledger",
        "meter",
    )

    def __init__(self, budget: Budget, call: Call, model: str | None, ledger: Ledger) -> None:
        self.budget = budget
        self.call = call
        self.ledger = ledger
        self.key = budget.key_of(call, model)
        self.demand = Demand(call, model, budget)
        self.granted = False
        self.meter: Meter | None = None
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._closed = self._told = False

    # What it holds

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is set aside now, in the order in which it was."""
        with self._lock:
            return tuple(self._parts)

    def close(self) -> list[Part]:
        """Take everything, to settle it; nothing is added any more."""
        with self._lock:
            self._closed = True
            return self._take()

    def empty(self) -> list[Part]:
        """Take everything, to give it back."""
        with self._lock:
            return self._take()

    def _take(self) -> list[Part]:
        parts, self._parts = self._parts, []
        return parts

    def _add(self, parts: list[Part], now: float) -> None:
        with self._lock:
            if not self._closed:
                self._parts += parts
                return
        self.ledger.settle_all([Use(part.wish.lease, 0, MOST) for part in parts], now)

    # Before the attempt

    async def set_aside(self) -> None:
        """Set everything aside; the exact count and remote stores off the event loop.

        Raises:
            BudgetExceeded: it does not fit, or the store is down.
        """
        blocking, remote = self.call.runtime.blocking, self.ledger.remote
        try:
            fits = await blocking(self._reserve) if remote else self._reserve()
            if not fits:
                await blocking(self.demand.count)
                _ = await blocking(self._reserve) if remote else self._reserve()
        except StoreUnavailable as error:
            self.lost_store(error)
            if self.budget.on_store_failure == "refuse" and not self.budget.shadowed:
                raise BudgetExceeded(
                    f"the budget {self.budget.label!r} cannot reach its store, and "
                    f"on_store_failure is 'refuse': nothing was spent ({error})",
                    budget=self.budget.label,
                    retry_after=1.0,
                ) from error
        else:
            self.budget.store_down = False

    def _reserve(self) -> bool:
        """Set all units aside; False when the input must be counted before that can be decided."""
        budget, key = self.budget, self.key
        now = self.call.runtime.time()
        while True:
            parts: list[Part] = []
            wishes: list[Wish] = []
            for limit in budget.limits:
                lease = budget.account(key, limit.unit, now).lease()
                wish = Wish(lease, self._amount(limit.unit), limit.of(key))
                wishes.append(wish)
                parts.append(Part(limit, wish, False))
            found = self._ask(wishes, now)
            if all(map(_GRANTED, found)):
                self._add(parts, now)
                return True
            if not self.demand.counted:
                return False
            self._shorten(parts, found, now)

    def _ask(self, wishes: list[Wish], now: float) -> Sequence[Reserved]:
        """Reserve them, all or none; in shadow all, whatever the limits say."""
        budget, asked = self.budget, wishes
        if budget.shadowed:
            asked = [wish._replace(limit=MOST) for wish in wishes]
        found = self.ledger.reserve_all(asked, now, now + budget.lease, budget.lost)
        if budget.shadowed:
            self._report(wishes, found)
        return found

    def _report(self, wishes: list[Wish], found: Sequence[Reserved]) -> None:
        """Tell what would have been refused."""
        over = tuple(
            wish.lease.account.unit
            for wish, (_, used, reserved, limit) in zip(wishes, found, strict=True)
            if used + reserved > wish.limit + (limit - MOST)
        )
        if over and not self._told:
            self._told = True
            self.call.emit(events.Rejected, self.budget.name, "request", over, "stop", True)

    def _shorten(self, parts: list[Part], found: Sequence[Reserved], now: float) -> None:
        """Make the answer as short as what is left demands, or refuse the call."""
        budget = self.budget
        refused = next(pair for pair in zip(parts, found, strict=True) if not pair[1].granted)
        part, (_, used, reserved, limit) = refused
        unit, taken = part.limit.unit, used + reserved
        if not self.demand.fit(unit, limit - taken):
            raise exceeded(
                budget.label,
                budget.per_text,
                unit,
                used=taken,
                limit=limit,
                asked=part.wish.amount,
                least=self.demand.least(unit),
                reserved=0 if budget.per_request else reserved,
                renews=budget.renews(now),
            )

    def _amount(self, unit: str) -> int:
        budget, demand = self.budget, self.demand
        try:
            return min(demand.amount(unit), MOST)
        except Unpriced:
            if budget.unpriced == "pass" or budget.shadowed:
                return 0
            raise BudgetExceeded(
                f"no price is known for the model {demand.model!r}, and the budget "
                f"{budget.label!r} counts money. Give it one with agentguard.prices.add("
                f"{demand.model!r}, input=..., output=...), or let it pass uncounted with "
                "unpriced='pass'",
                budget=budget.label,
                unit=unit,
            ) from None

    def bound(self, attempt: Attempt) -> None:
        """Tell the provider where to stop: `max_output=`, or what is left."""
        demand, call = self.demand, self.call
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

    def see(self, attempt: Attempt, item: Any) -> Callable[[], None] | None:
        """Follow the stream, item by item."""
        if attempt.nested:
            return None  # those inside are followed
        if self.meter is None:
            budget, demand = self.budget, self.demand
            self.meter = Meter(
                demand.model,
                demand.output if budget.counts_output else MOST,
                bounded=demand.bounded,
                more=self._more,
                cut=self._cut,
                renew=self._renew,
                every=budget.lease / 2,
                clock=self.call.runtime.monotonic,
            )
        return self.meter(item)

    @property
    def _lengthened(self) -> list[Part]:
        """The parts that a longer answer needs more of."""
        return [part for part in self.parts if not part.more and part.limit.counts_output]

    def _more(self, tokens: int) -> bool:
        """Set more output aside, of every unit or of none."""
        demand, now = self.demand, self.call.runtime.time()
        parts: list[Part] = []
        for part in self._lengthened:
            try:
                amount = demand.longer(part.limit.unit, tokens)
            except Unpriced:
                amount = 0
            wish = Wish(part.wish.lease.account.lease(), amount, part.wish.limit)
            parts.append(Part(part.limit, wish, True))
        budget, wishes = self.budget, [part.wish for part in parts]
        try:
            found = self._ask(wishes, now)
            if not all(map(_GRANTED, found)):
                return False
            demand.output += tokens
            self._add(parts, now)
        except StoreUnavailable as error:
            self.lost_store(error)
            return budget.on_store_failure == "pass" or budget.shadowed
        return True

    def _cut(self, _: int) -> BudgetExceeded:
        now, budget = self.call.runtime.time(), self.budget
        unit, used, most = budget.limits[0].unit, 0, 0
        for part in self._lengthened[:1]:
            try:
                standing = self.ledger.status(part.wish.lease.account, now)
            except StoreUnavailable:
                break
            unit, most = part.limit.unit, part.wish.limit + standing.extra
            used = standing.used + standing.reserved
        try:
            asked = self.demand.amount(unit)
        except Unpriced:
            asked = 0
        return exceeded(
            budget.label,
            budget.per_text,
            unit,
            used=used,
            limit=most,
            asked=asked,
            renews=budget.renews(now),
            cut=True,
        )

    def _renew(self) -> None:
        now = self.call.runtime.time()
        try:
            for part in self.parts:
                self.ledger.renew(part.wish.lease, now, now + self.budget.lease)
        except StoreUnavailable as error:
            self.lost_store(error)

    def lost_store(self, error: Exception) -> None:
        """Tell that the store is down: the listeners each time, the log once."""
        budget = self.budget
        then = (
            "calls are refused" if budget.on_store_failure == "refuse" else "calls pass uncounted"
        )
        self.call.emit(events.StoreFailed, self.ledger.place, type(error).__name__, then)
        if not budget.store_down:
            budget.store_down = True
            trouble(f"the store of the budget {budget.label!r}", error, then)
