"""What an attempt used and what it cost: kept while somebody listens, worked out when he asks.

Price lists and tokenizers take a fifth of a second to load and some microseconds to use. The end
of an attempt, on its caller's event loop, is not the place for that.
"""

from __future__ import annotations

import threading
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine import clock
from agentguard.engine.trouble import trouble
from agentguard.providers.failures import classify
from agentguard.providers.usage import Usage
from agentguard.tokens.prices import price_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentguard.engine.call import Attempt, Call, Outcome
    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.engine.scope import Scope
    from agentguard.errors import Kind
    from agentguard.events import CacheHit
    from agentguard.providers.shapes import Reading

__all__ = ["Bill", "Figures", "forget_warnings", "request_of"]

_FREE: Final[frozenset[Kind]] = frozenset(
    {
        "rate_limited",
        "overloaded",
        "server",
        "connection",
        "quota_exhausted",
        "auth",
        "invalid_request",
        "context_length",
        "content_filter",
        "circuit_open",
        "saturated",
        "budget_exceeded",
        "rejected",
        "control",
    }
)
"""Failures before any work was done, where nothing of an answer has arrived."""

_NOTHING: Final = Decimal(0)
_REQUESTS: Final = ("messages", "input", "contents", "prompt")

_lock: Final = threading.RLock()  # one for the process: it is taken once an attempt
_warned: Final[set[str]] = set()


class Bill:
    """What one attempt used and what it cost.

    Attributes:
        model: that served, or else the one that was asked for, or else the one that is likely to.
        counted: it asked a model itself; of an attempt that only surrounds other guarded calls, and
            of a tool, False.
        estimated: its figures are an estimate: the answer was cut, or came without figures.
        known: what it used is known, if only as an estimate, or is nothing.
        replaces: an earlier bill of the same attempt, whose answer came late.
    """

    __slots__ = (
        "_at",
        "_base_url",
        "_cost",
        "_priced",
        "_provider",
        "_request",
        "_saved",
        "_tier",
        "_told_to",
        "_unsettled",
        "_usage",
        "counted",
        "estimated",
        "known",
        "model",
        "replaces",
    )

    def __init__(self, attempt: Attempt, outcome: Outcome) -> None:
        call, endpoint = attempt.call, attempt.call.target.endpoint
        asks = not (attempt.nested or call.target.tool)
        told, completed = attempt.usage, outcome.kind == "completed"
        readings = _readings(attempt)
        record = attempt.record
        self.replaces = None if record is None else record.bill
        self.model = outcome.model or attempt.asked or attempt.likely
        self.counted = asks or told is not None
        self.known = told is not None or not asks or _was_free(outcome)
        self.estimated = False
        self._usage: Usage | None = told
        self._unsettled: list[Reading] | None = None
        self._request: Any = None
        if asks and self.model is not None and not _settled(readings, completed=completed):
            self.estimated = self.known = True
            self._unsettled, self._request = readings, request_of(call)
        self._provider, self._base_url = endpoint.provider, endpoint.base_url
        self._tier = readings[-1].tier
        self._at = clock.now().time()
        self._priced = False
        self._cost: Decimal | None = None
        self._saved = _NOTHING
        self._told_to: tuple[Scope, CallRecord | None, AttemptRecord | None] | None = (
            call.scope,
            call.record,
            record,
        )

    @property
    def usage(self) -> Usage | None:
        """Its tokens; None where none were told and none can be estimated."""
        if self._unsettled is not None:
            with _lock:
                self._settle()
        return self._usage

    @property
    def cost(self) -> Decimal | None:
        """US dollars; None where that is not known, which is not zero."""
        if not self._priced:
            with _lock:
                if not self._priced:
                    self._price()
        if self._cost is None and self._usage is not None:
            self._unpriced()
        return self._cost

    def price(self, usage: Usage) -> Decimal | None:
        """US dollars for this usage, for whoever knows better what was used; None likewise.

        Args:
            usage: of the same attempt.
        """
        if self.model is None:
            return None
        if usage is self._usage:
            return self.cost
        cost = self._of(usage)
        if cost is None:
            self._unpriced()
        return cost

    @property
    def saved(self) -> Decimal:
        """US dollars that the provider's cache has saved: reads less what writes cost on top.

        Less than zero where more was written than read; zero where the price is not known.
        """
        _ = self.cost
        return self._saved

    def _settle(self) -> None:
        if self._unsettled is not None and self.model is not None:
            self._usage = _estimate(self._unsettled, self._request, self.model)
            self._unsettled = self._request = None

    def _price(self) -> None:
        usage = self.usage
        if usage is None:
            self._cost = _NOTHING if self.known else None
        else:
            self._cost = self._of(usage)
            if self._cost is not None and (usage.cached_tokens or usage.cache_write_tokens):
                plain = self._of(Usage(usage.input_tokens, usage.output_tokens))
                self._saved = _NOTHING if plain is None else plain - self._cost
        self._priced = True

    def _of(self, usage: Usage) -> Decimal | None:
        if self.model is None:
            return None
        return price_at(self._at, self.model, usage, self._provider, self._base_url, self._tier)

    def _unpriced(self) -> None:
        with _lock:
            told_to, self._told_to = self._told_to, None
        if told_to is not None:
            _tell(*told_to, str(self.model))

    def __repr__(self) -> str:
        return f"<bill of {self.model}>"


class Figures:
    """What some attempts used and cost together.

    Input includes cached tokens, output includes reasoning.
    """

    def __init__(self) -> None:
        self._usage = Usage()
        self._requests = self._attempts = self._estimated = self._unpriced = self._known = 0
        self._dollars = Decimal(0)
        self._saved = Decimal(0)
        self._hits = 0

    def _sum(self) -> Figures:
        return self

    @property
    def usage(self) -> Usage:
        """The tokens, all kinds of them."""
        return self._sum()._usage  # noqa: SLF001  of its own class, as below

    @property
    def input_tokens(self) -> int:
        """Tokens of the prompts, cached ones included."""
        return self.usage.input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens of the answers, reasoning included."""
        return self.usage.output_tokens

    @property
    def cached_tokens(self) -> int:
        """The part of the input that was read from the provider's cache."""
        return self.usage.cached_tokens

    @property
    def cache_write_tokens(self) -> int:
        """The part of the input that was written to the provider's cache."""
        return self.usage.cache_write_tokens

    @property
    def reasoning_tokens(self) -> int:
        """The part of the output that was reasoning."""
        return self.usage.reasoning_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.usage.total_tokens

    @property
    def requests(self) -> int:
        """Guarded calls that asked a model and have ended."""
        return self._sum()._requests  # noqa: SLF001

    @property
    def attempts(self) -> int:
        """How often a model was asked: retries and fallbacks are attempts of one request."""
        return self._sum()._attempts  # noqa: SLF001

    @property
    def estimated(self) -> int:
        """How many attempts' figures are estimates."""
        return self._sum()._estimated  # noqa: SLF001

    @property
    def unpriced(self) -> int:
        """How many attempts' cost is not known, and is missing in `cost`."""
        return self._sum()._unpriced  # noqa: SLF001

    @property
    def cost(self) -> Decimal | None:
        """US dollars for all that has a price; None where nothing has."""
        summed = self._sum()
        return summed._dollars if summed._known or not summed._unpriced else None  # noqa: SLF001

    @property
    def saved(self) -> Decimal:
        """US dollars that caches have saved, the surcharge of the provider's writes taken off."""
        return self._sum()._saved  # noqa: SLF001

    @property
    def hits(self) -> int:
        """How often `cache` answered, so that no model was asked."""
        return self._sum()._hits  # noqa: SLF001

    def _hit(self, hit: CacheHit) -> None:
        self._hits += 1
        self._saved += hit.saved or 0

    def _add(self, bill: Bill, times: int = 1) -> None:
        """Add an attempt; with `times=-1` take it back."""
        cost, usage = bill.cost, bill.usage
        self._attempts += times
        self._estimated += times * bill.estimated
        if usage is not None:
            self._usage = self._usage + usage if times == 1 else self._usage - usage
        if cost is None:
            self._unpriced += times
        else:
            self._known += times
            self._dollars += times * cost
            self._saved += times * bill.saved

    @classmethod
    def of(cls, calls: Iterable[CallRecord]) -> Figures:
        """The figures of these calls and of the guarded calls made inside them."""
        from agentguard.events import CacheHit

        figures = cls()
        for call in calls:
            bills = [each.bill for each in call.attempts if each.bill is not None]
            counted = [bill for bill in bills if bill.counted]
            for bill in counted:
                figures._add(bill)
            for event in call.events:
                if isinstance(event, CacheHit):
                    figures._hit(event)
            figures._requests += bool(counted) and call.outcome != "running"
            figures._merge(cls.of(call.children))
        return figures

    def _merge(self, other: Figures) -> None:
        self._usage += other._usage
        self._requests += other._requests
        self._attempts += other._attempts
        self._estimated += other._estimated
        self._unpriced += other._unpriced
        self._known += other._known
        self._dollars += other._dollars
        self._saved += other._saved
        self._hits += other._hits

    def __repr__(self) -> str:
        return (
            f"<{self.requests} requests, {self.attempts} attempts, "
            f"{self.total_tokens} tokens, {_dollars(self.cost)}>"
        )


def forget_warnings() -> None:
    """Warn anew of every model without a price."""
    _warned.clear()


def _dollars(cost: Decimal | None) -> str:
    return "cost unknown" if cost is None else f"${cost:f}"


def _readings(attempt: Attempt) -> list[Reading]:
    """What tells the figures: the answer, or the responses recorded where it tells none."""
    if attempt.recorded and attempt.reading.usage is None:
        return attempt.recorded
    return [attempt.reading]


def _settled(readings: list[Reading], *, completed: bool) -> bool:
    """Whether what was told is final, or nothing has arrived that could have cost anything."""
    return all(
        completed or each.finished
        if each.usage is not None
        else not (each.content or (each.model is not None and each.error is None))
        for each in readings
    )


def _was_free(outcome: Outcome) -> bool:
    """Whether an attempt failed before any work was done."""
    error = outcome.error
    return error is not None and classify(error).kind in _FREE


def request_of(call: Call) -> Any:
    """What of the arguments is the prompt, as far as it can be seen."""
    kwargs = call.target.given(call.kwargs)
    if any(name in kwargs for name in _REQUESTS):
        return kwargs
    named = (value for name, value in kwargs.items() if name != "model")
    for value in (*call.args, *named):
        if isinstance(value, (str, list, tuple)):
            return cast("Any", value)
    return None


def _estimate(readings: list[Reading], request: Any, model: str) -> Usage:
    """The figures that were told, and a count of what was sent and has arrived for the others."""
    total = Usage()
    for each in readings:
        told = each.usage or Usage()
        total += Usage(
            told.input_tokens or _count(request, model),
            max(told.output_tokens, _count(each.text + "".join(each.beside), model)),
            told.cached_tokens,
            told.cache_write_tokens,
            told.reasoning_tokens,
            told.cache_write_1h_tokens,
        )
    return total


def _count(thing: Any, model: str) -> int:
    from agentguard.tokens.count import count_tokens

    if not thing:
        return 0
    try:
        return count_tokens(thing, model)
    except Exception as error:  # arguments of the user's own function may be anything
        trouble("estimating the tokens of an attempt", error)
        return 0


def _tell(scope: Scope, call: CallRecord | None, attempt: AttemptRecord | None, model: str) -> None:
    from agentguard import events
    from agentguard.engine.call import announce

    if call is not None and attempt is not None:
        announce(scope, call, events.Unpriced(call, attempt, model))
    if model not in _warned:
        _warned.add(model)
        warnings.warn(
            f"no price is known for the model {model!r}: its cost is None and missing in sums. Give "
            f"it one with agentguard.prices.add({model!r}, input=..., output=...)",
            stacklevel=2,
        )
