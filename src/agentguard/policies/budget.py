"""`budget`: stop before the limit, whatever the number of threads, processes and hosts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from agentguard import events
from agentguard.budgeting.expected import Expected
from agentguard.budgeting.limits import Limit, figure, units
from agentguard.budgeting.period import Period
from agentguard.budgeting.rates import Rates
from agentguard.budgeting.standing import Standing
from agentguard.budgeting.tab import Tab
from agentguard.engine.alternative import Alternative
from agentguard.engine.arguments import count, one_of, plain, seconds
from agentguard.engine.chain import Policy
from agentguard.engine.drive import AWAITABLE, STREAM
from agentguard.engine.scope import Block
from agentguard.engine.spelling import Spelled
from agentguard.errors import BudgetExceeded, ContextMissing
from agentguard.stores.ledger import MOST, Account, StoreUnavailable
from agentguard.stores.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta, tzinfo
    from decimal import Decimal

    from agentguard.budgeting.limits import Amount
    from agentguard.budgeting.standing import Threshold
    from agentguard.engine.call import Attempt, Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.engine.scope import Scope
    from agentguard.engine.target import Target
    from agentguard.providers.usage import Usage

    HowMuch = Amount | Mapping[str, Amount] | Callable[[str], Amount | None]

__all__ = ["Budget", "budget", "forget_warnings"]

_MOST: Final = 4096
_UNKNOWN: Final = "unknown"
_SHORTEST: Final = 0.02
_LONGEST: Final = 1.0
"""Seconds between two looks at a budget in which only calls under way stand in the way."""

_told: Final[set[str]] = set()


class Budget(Block, Policy):
    """Refuse what would spend more than there is, before it is spent.

    Protects from the bill of a loop, a user or a bug. Before each attempt what it may use is set
    aside, and after it what it did use is booked: retries, fallback targets and the guarded calls
    inside an agent are all counted, each once, at the price of the model asked.

    What is spent stays within the limit for every request whose output is bounded (by the request's
    own limit, by `max_output`, or by what is left) and for every stream, whatever the concurrency.
    An answer in one piece whose length nothing bounds may exceed it, by itself alone: it is booked
    in full and emits `BudgetOverrun`.

    Also a block: `with budget(usd=0.50) as spent:` holds for every guarded call that starts inside,
    as if outermost; `spent.used` and `spent.left` tell how it stands.

    Args:
        usd: US dollars: a number, a mapping by key, or a function of the key, asked at each attempt.
            A key that a mapping does not have gets nothing; None from a function is no limit.
        tokens: input and output together; as `usd`.
        input_tokens: cached ones included; as `usd`.
        output_tokens: reasoning included; as `usd`.
        requests: how often a model is asked; as `usd`.
        per: "request" (one call of what is guarded, with all that it calls), "minute", "hour",
            "day", "week" or "month" on the calendar; a length for a rolling window, as in "24h" or a
            timedelta. Without it the budget never renews.
        by: whose budget it is: "user", "tenant" or another tag of `context(...)`, "model", or a
            function of the call. Without it all share one.
        missing: "raise" `errors.ContextMissing` where `by` finds nothing, or count it as "shared".
        tz: the calendar's time zone, as in "Asia/Seoul".
        name: of the budget, in events and messages, and in the store: required with one.
        store: where it is kept: "sqlite:///budgets.db", "redis://...", a client or a ledger. This
            process's memory by default.
        max_output: tokens an answer may have; sent to the provider as its own parameter.
        expect: tokens an answer is expected to have where nothing bounds it. By default the 99th
            percentile of this model's recent answers, 2,048 at first.
        exceeded: "raise"; "wait" until the budget renews, within the deadline; a callable that
            answers in place of the guarded one, uncounted; or a dict of arguments to call it with
            instead, as in dict(model="gpt-4o-mini").
        thresholds: percents of the limit to tell of, once in a window.
        on_threshold: a function of a `Threshold`. In async calls it runs in a worker thread; what it
            raises is logged.
        unpriced: "refuse" a model without a known price where `usd` counts, or let it "pass", with an
            event and a warning.
        on_store_failure: "refuse" calls while the store cannot be reached, or let them "pass".
        lost: "charge" or "refund" what was set aside for a call that ended without telling what it
            used, though the provider may have worked: its process died, it was cancelled or ran
            out of time.
        lease: seconds after which what a dead process had set aside is lost. Long streams renew it.

    Events:
        `BudgetCharged`, `BudgetThreshold`, `BudgetOverrun`, `Capped`, `Rejected`, `Delayed`,
        `StoreFailed`, `Unpriced`.

    Raises:
        errors.BudgetExceeded: nothing fits any more. `.retry_after` says when the budget renews.
        errors.ContextMissing: `by` names something that nobody has set.

    Examples:
        >>> from agentguard import budget
        >>> @budget(requests=1, per="minute")
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
        >>> ask("?")
        Traceback (most recent call last):
        agentguard.errors.BudgetExceeded: the budget 'budget' has 0 requests of 1 requests a minute ...
    """

    spellings: ClassVar[Mapping[str, str]] = {
        "": "budget(usd=20, per='day')",
        "cost": "usd=",
        "dollars": "usd=",
        "limit": "usd=, tokens= or requests=",
        "max_budget": "usd=",
        "max_cost": "usd=",
        "max_tokens": "tokens=, or max_output= for the length of an answer",
        "max_requests": "requests=",
        "request_limit": "requests=",
        "total_tokens_limit": "tokens=",
        "budget_duration": "per=",
        "window": "per=",
        "period": "per=",
        "key": "by=",
        "timezone": "tz=",
    }
    needs_model = True
    refuses = True

    def __init__(
        self,
        *,
        usd: HowMuch | None = None,
        tokens: HowMuch | None = None,
        input_tokens: HowMuch | None = None,
        output_tokens: HowMuch | None = None,
        requests: HowMuch | None = None,
        per: str | timedelta | None = None,
        by: str | Callable[[Call], object] | None = None,
        missing: Literal["raise", "shared"] = "raise",
        tz: str | tzinfo = "UTC",
        name: str | None = None,
        store: Any = None,
        max_output: int | None = None,
        expect: int | None = None,
        exceeded: Literal["raise", "wait"] | Callable[..., Any] | dict[str, Any] = "raise",
        thresholds: Sequence[int] = (50, 80, 100),
        on_threshold: Callable[[Threshold], object] | None = None,
        unpriced: Literal["refuse", "pass"] = "refuse",
        on_store_failure: Literal["refuse", "pass"] = "refuse",
        lost: Literal["charge", "refund"] = "charge",
        lease: float = 600.0,
    ) -> None:
        given = {
            "usd": usd,
            "tokens": tokens,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "requests": requests,
        }
        self.limits = tuple(Limit(unit, each) for unit, each in given.items() if each is not None)
        if not self.limits:
            raise TypeError("budget() needs a limit, as in budget(usd=20, per='day')")
        if by is None and any(limit.by_key for limit in self.limits):
            raise TypeError(
                "a limit that differs by key needs by=, as in budget(usd={'ann': 5}, by='user')"
            )
        one_of("budget", "missing", missing, "raise", "shared")
        one_of("budget", "unpriced", unpriced, "refuse", "pass")
        one_of("budget", "on_store_failure", on_store_failure, "refuse", "pass")
        one_of("budget", "lost", lost, "charge", "refund")
        plain("budget", "on_threshold", on_threshold, "a function of a Threshold")
        if not isinstance(by, str):
            plain("budget", "by", by, "the name of a tag, or a function of the call")
        self.per_request = per == "request"
        self.period = Period(None if self.per_request else per, tz)
        self.per_text = _per_text(per)
        if store is not None and name is None:
            raise TypeError(
                "budget(store=) needs name=, under which the spend is kept in it: one that outlives "
                "your code, as in name='support'"
            )
        if store is not None and self.per_request:
            raise TypeError("budget(per='request') ends with its request: leave store= out")
        self.label = name or "budget"
        self.ledger = open_store(store)
        self.by = by
        self.missing = missing
        self.max_output = None if max_output is None else count("budget", "max_output", max_output)
        self.expect = None if expect is None else count("budget", "expect", expect)
        self.thresholds = tuple(sorted(count("budget", "thresholds", each) for each in thresholds))
        self.on_threshold = on_threshold
        self.unpriced = unpriced
        self.on_store_failure = on_store_failure
        self.lost: Literal["charge", "refund"] = lost
        self.lease = seconds("budget", "lease", lease)
        self.exceeded: Literal["raise", "wait", "instead"]
        self._alternative: Alternative | None = None
        self._changes: dict[str, Any] = {}
        self._obey(exceeded)
        self.counts_money = usd is not None
        self.warmed: set[str | None] = set()
        self.store_down = False
        self.expected = Expected()
        self.rates = Rates()
        self.counts_input = any(limit.counts_input for limit in self.limits)
        self.counts_output = any(limit.counts_output for limit in self.limits)
        self.needs_model = self.counts_input or self.counts_output
        self.looks = self.needs_model or by == "model"
        self._accounts: dict[tuple[str, str], Account] = {}
        self._models: dict[Any, str] = {}
        if store is None and self.period.long:
            _tell_local(self.label)

    def _obey(self, exceeded: Any) -> None:
        thing: Any = exceeded
        if exceeded in ("raise", "wait"):
            self.exceeded = exceeded
        elif isinstance(exceeded, dict) and exceeded:
            self.exceeded, self._changes = "instead", cast("dict[str, Any]", exceeded)
        elif callable(thing):
            self.exceeded, self._alternative = "instead", Alternative(thing)
        else:
            raise TypeError(
                'budget(exceeded=) is "raise", "wait", a callable that answers instead, or the '
                "arguments to change, as in dict(model='gpt-4o-mini')"
            )

    def surround(self, outer: Scope) -> Scope:
        """Stand outermost around every guarded call inside; see `Block`."""
        if self in outer.policies:
            return outer.within()
        return outer.within(policies=(*outer.policies, self))

    async def around(self, call: Call, next: Next) -> Reply:
        """Have every attempt inside set aside first what it may use."""
        for hook in call.hooks:
            if isinstance(hook, Tab) and hook.budget is self:
                return await next(call)  # its calls are counted further out already
        tab = Tab(self)
        inner = call.on_attempt(tab)
        if self.exceeded == "raise":
            return await next(inner)
        waited = 0
        while True:
            try:
                return await next(inner)
            except BudgetExceeded as error:
                refused, tab.refusal = tab.refusal, None
                if error is not refused:
                    raise
                pause = None
                if self.exceeded == "wait":
                    pause = await self.pause(call, error, waited)
                if pause is None:
                    waits = self.exceeded == "wait"
                    self.refused(call, error, "stop" if waits else "replace")
                    if waits:
                        raise
                del refused
            if pause is None:
                break
            call.emit(events.Delayed, self.name, pause)
            await call.runtime.sleep(pause, call.deadline)
            waited += 1
        if self._alternative is not None:
            return await self._instead(call, self._alternative.instead_of(call.target))
        return await next(inner.replace(kwargs={**call.kwargs, **self._changes}))

    async def _instead(self, call: Call, target: Target) -> Reply:
        """The answer of another callable. That it is async tells what this call's caller awaits."""
        if (target.is_async or target.hands_back) and not call.runtime.is_async:
            await call.runtime.turn(STREAM if target.streams else AWAITABLE)
        return await call.run(target)

    def refused(self, call: Call, error: BudgetExceeded, then: str = "stop") -> None:
        """Tell the listeners of a refusal."""
        call.emit(events.Rejected, self.name, "request", (error.unit or "store",), then, False)

    async def pause(self, call: Call, error: BudgetExceeded, waited: int) -> float | None:
        """Seconds to wait after a refusal; None where waiting would be in vain.

        Args:
            call: that was refused.
            error: the refusal.
            waited: how often it has waited before.
        """
        limit, least = error.limit, error.least
        if limit is None or least is None or least > limit:
            return None
        pause = error.retry_after
        if not self.per_request and await self._may_come_back(call, error.unit, limit - least):
            # Calls under way stand in the way, and may give it back at any time.
            soon = min(_SHORTEST * 2 ** min(waited, 10), _LONGEST) * (1 + call.runtime.random()) / 2
            pause = soon if pause is None else min(soon, pause)
        if pause is None:
            return None
        deadline = call.deadline
        if deadline is not None and deadline.at <= call.runtime.monotonic() + pause:
            return None
        return pause

    async def _may_come_back(self, call: Call, unit: str, room: int | Decimal) -> bool:
        """Whether there would be room, were it not for what is set aside."""
        now, ledger = call.runtime.time(), self.ledger
        account = self.account(self.key_of(call, self.model_of(call)), unit, now)
        try:
            if ledger.remote:
                standing = await call.runtime.blocking(ledger.status, account, now)
            else:
                standing = ledger.status(account, now)
        except StoreUnavailable:
            return True
        return figure(unit, standing.used) <= room

    def check(self, target: Target) -> None:
        """Refuse a target for which nobody could answer instead."""
        if self._alternative is not None:
            self._alternative.check(target)

    # What a tab asks

    def model_of(self, call: Call) -> str | None:
        """The model that will be asked, as far as can be seen; else the one that answered last."""
        model = call.target.given(call.kwargs).get("model") or call.target.endpoint.model
        if isinstance(model, str):
            return model
        return self._models.get(call.target.key) if self._models else None

    def key_of(self, call: Call, model: str | None) -> str:
        """Whose budget the call is counted in."""
        by = self.by
        if by is None:
            return ""
        if by == "model":
            return model or _UNKNOWN
        value = call.scope.tags.get(by) if isinstance(by, str) else by(call)
        if value is not None:
            return str(value)
        if self.missing == "shared":
            return ""
        what = f"{by}=..." if isinstance(by, str) else "..."
        raise ContextMissing(
            f"the budget {self.label!r} is kept by "
            f"{by if isinstance(by, str) else 'a function of the call'}, which is not known here: "
            f"surround the call with `with agentguard.context({what})`, or pass missing='shared'"
        )

    def account(self, key: str, unit: str, now: float) -> Account:
        """Where the spend of this key is counted now."""
        window = self.period.window(now)
        known = self._accounts.get((key, unit))
        if known is None or known.window is not window:
            if len(self._accounts) >= _MOST:
                self._accounts.clear()
            known = self._accounts[key, unit] = Account(self.label, key, unit, window)
        return known

    def renews(self, now: float) -> float | None:
        """Seconds until something comes back."""
        return None if self.per_request else self.period.renews(now)

    def warm(self, model: str | None) -> None:
        """Load the price tables and the model's tokenizer, which takes a moment."""
        from agentguard.tokens.count import count_tokens

        if self.counts_money:
            from agentguard.providers.usage import Usage
            from agentguard.tokens.prices import price

            price(model or _UNKNOWN, Usage())
        count_tokens("a", model or _UNKNOWN)
        if len(self.warmed) >= _MOST:
            self.warmed.clear()
        self.warmed.add(model)

    def learn(self, attempt: Attempt, asked: str | None, usage: Usage) -> None:
        """How long answers are, and which model answers where none is named."""
        served = attempt.model
        self.expected.learn(asked or served, usage.output_tokens)
        if asked is None and served is not None:
            if len(self._models) >= _MOST:
                self._models.clear()
            self._models[attempt.call.target.key] = served

    # For people

    @property
    def used(self) -> int | Decimal:
        """What was booked in this window, of the first of its units; see `status`."""
        return next(iter(self.status().values())).used

    @property
    def left(self) -> int | Decimal | None:
        """What a call may still use; None where there is no limit."""
        return next(iter(self.status().values())).left

    def status(self, key: object = None) -> dict[str, Standing]:
        """How the budget stands, by unit. A remote store is asked, which blocks for a moment.

        Args:
            key: whose, where it is kept `by` something; else the shared one.

        Examples:
            >>> from agentguard import budget
            >>> budget(tokens=4000).status()["tokens"].left
            4000
        """
        now = self._now()
        found: dict[str, Standing] = {}
        whose = self._whose(key)
        for limit in self.limits:
            unit = limit.unit
            account = self.account(whose, unit, now)
            used, reserved, extra = self.ledger.status(account, now)
            most = limit.of(whose) + extra
            whole, left = figure(unit, most), figure(unit, max(most - used - reserved, 0))
            none = most >= MOST
            found[unit] = Standing(
                unit,
                figure(unit, used),
                figure(unit, reserved),
                None if none else whole,
                None if none else left,
                None if self.period.per is None else account.window.ends - now,
            )
        return found

    def reset(self, key: object = None) -> None:
        """Begin the window anew: nothing used, nothing granted. Calls under way still settle.

        Args:
            key: whose, where it is kept `by` something; else the shared one.
        """
        now, whose = self._now(), self._whose(key)
        for limit in self.limits:
            account = self.account(whose, limit.unit, now)
            self.ledger.reset(account, now)

    def grant(self, key: object = None, **amounts: Amount) -> None:
        """Add to the limits of this window.

        Args:
            key: whose, where it is kept `by` something; else the shared one.
            **amounts: by unit, as in `grant("ann", usd=5)`.
        """
        now, whose = self._now(), self._whose(key)
        if not amounts:
            raise TypeError("grant() takes amounts by unit, as in grant('ann', usd=5)")
        known = [limit.unit for limit in self.limits]
        for unit, amount in amounts.items():
            if unit not in known:
                raise TypeError(f"this budget has no {unit}=; it has {', '.join(known)}")
            account = self.account(whose, unit, now)
            self.ledger.grant(account, units(unit, amount), now)

    def _whose(self, key: object) -> str:
        if key is not None:
            return str(key)
        if self.by is not None and self.missing == "raise":
            raise TypeError(
                "this budget is kept by key, and nothing is kept without one: say whose, as in "
                "status('ann'), reset('ann') or grant('ann', usd=5)"
            )
        return ""

    def _now(self) -> float:
        if self.per_request:
            raise TypeError(
                "budget(per='request') counts each request by itself: it has no standing between "
                "them. Its events tell what each has used"
            )
        from agentguard.engine import clock

        return clock.now().time()

    def health(self, told: dict[str, Any]) -> bool:
        """How its units stand; of a budget for each user or request, what it is kept by."""
        if self.per_request or self.by is not None:
            by = self.by if isinstance(self.by, str) else "a function of the call"
            told["budgets"][self.label] = {"by": "request" if self.per_request else by}
            return False
        try:
            standings = self.status().values()
        except StoreUnavailable:
            told["budgets"][self.label] = {"unreachable": self.ledger.place}
            return True
        told["budgets"][self.label] = {each.unit: each.told for each in standings}
        return any(each.left == 0 for each in standings)

    def explain(self) -> Sequence[tuple[str, object]]:
        """The settings, and where the spend is kept."""
        shown: list[tuple[str, object]] = [
            (limit.unit, "by key" if limit.by_key else figure(limit.unit, limit.of("")))
            for limit in self.limits
        ]
        by = self.by if isinstance(self.by, str) else "a function of the call"
        return [
            *shown,
            ("per", self.per_text.strip() or "ever"),
            *([] if self.by is None else [("by", by), ("missing", self.missing)]),
            *([] if self.max_output is None else [("max_output", self.max_output)]),
            ("expect", self.expect or "the model's recent p99"),
            ("exceeded", self.exceeded),
            ("state", "the request" if self.per_request else self.ledger.place),
        ]


budget = Spelled(Budget)


def forget_warnings() -> None:
    """Say anew of every budget that it counts this process only."""
    _told.clear()


def _tell_local(label: str) -> None:
    if label not in _told:
        _told.add(label)
        warnings.warn(
            f"the budget {label!r} lasts an hour or longer and counts this process only: others "
            "spend as much again, and a restart begins anew. Give it a store, as in "
            "store='sqlite:///budgets.db', name='support'",
            stacklevel=6,
        )


def _per_text(per: object) -> str:
    if per is None:
        return ""
    if isinstance(per, str):
        return f" in {per}" if per[:1].isdigit() else f" a {per}"
    return f" in {per}"
