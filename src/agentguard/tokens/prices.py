"""What a call cost, in US dollars, from genai-prices' tables and prices of your own.

Nothing is guessed: a model is priced when a table names it, dates and version suffixes aside, and
has the price class that was asked for; else its price is None. The tables come with the installed
release of genai-prices, and nothing is fetched.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.usage import Usage
from agentguard.tokens.names import plain, stem, unhosted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genai_prices.types import ModelInfo, ModelPrice, Provider

__all__ = ["add", "forget", "load", "price", "remove"]

_MILLION: Final = 1_000_000
_NOTHING: Final = Decimal(0)
_MOST: Final = 1024

_ALIASES: Final = {
    "amazon": "aws",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "google-vertex": "google",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}
"""What LiteLLM, LangChain and others call a provider of genai-prices."""

_VENDORS: Final = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "cohere")
"""Who makes models and sells them; their names say whose they are."""

_PASSES_ON: Final = frozenset({"openai", "anthropic", "litellm", "langchain"})
"""SDKs that reach gateways too, so that the model may be another vendor's."""

_USUAL: Final = frozenset({"auto", "default", "on_demand", "standard", "standard_only"})

_Tiers = tuple[Decimal, tuple[tuple[int, Decimal], ...]]
"""A price a million tokens, and what it becomes beyond so many input tokens, dearest first."""


class _Rates:
    """The prices of one model at one time and in one class, ready to multiply."""

    __slots__ = ("cached", "hour", "input", "output", "request", "tiered", "written")

    def __init__(
        self,
        *,
        input: _Tiers | None,  # noqa: A002  the name that every price list uses
        output: _Tiers | None,
        cached: _Tiers | None = None,
        written: _Tiers | None = None,
        hour: _Tiers | None = None,
        request: Decimal = _NOTHING,
    ) -> None:
        # What has no price of its own costs what plain input costs; an hour, what a write does.
        self.input, self.output, self.request = input, output, request
        self.cached = cached or input
        self.written = written or input
        self.hour = hour or self.written
        self.tiered = any(r and r[1] for r in (input, output, cached, written, hour))

    def cost(self, usage: Usage) -> Decimal | None:
        """What the usage costs; None when it has tokens of a kind that has no price."""
        tokens = usage.input_tokens
        read, written = usage.cached_tokens, usage.cache_write_tokens
        hour = min(usage.cache_write_1h_tokens, written)
        fresh = max(0, tokens - read - written)
        total = _NOTHING
        for count, rate in (
            (fresh, self.input),
            (read, self.cached),
            (written - hour, self.written),
            (hour, self.hour),
            (usage.output_tokens, self.output),
        ):
            if count:
                if rate is None:
                    return None
                total += count * (_tier(rate, tokens) if self.tiered else rate[0])
        return total / _MILLION + self.request


_own: dict[str, _Rates] = {}
_known: dict[tuple[str, str | None, str | None, str | None], tuple[int, _Rates | None]] = {}


def price(
    model: str,
    usage: Usage,
    provider: str | None = None,
    *,
    base_url: str | None = None,
    batch: bool = False,
    service_tier: str | None = None,
    at: datetime | None = None,
) -> Decimal | None:
    """What a call cost in US dollars; None when that is not known, which is not zero.

    Reads from and writes to the provider's cache, writes that stay an hour, batches, service tiers
    and prices that rise beyond so many input tokens are counted as the provider bills them.

    Args:
        model: the name that came back with the answer, or the one that was sent: dated, prefixed by a
            gateway (`openai/gpt-4o`), a resource path (`models/gemini-2.5-pro`), a Bedrock or Vertex
            id, a fine-tune (`ft:gpt-4o-mini-2024-07-18:acme::9aB`).
        usage: the tokens; cached ones are included in `input_tokens`.
        provider: who served it: a provider of genai-prices ("openai", "aws", "groq" ...) or what
            LiteLLM and LangChain call it. Found from the model's name when None.
        base_url: where the request went; a host that genai-prices knows decides over `provider`.
        batch: it was a request of a batch.
        service_tier: "flex", "priority" and the like, as it came back.
        at: when the call was made, for prices that change; now by default.

    Examples:
        >>> from agentguard.providers.usage import Usage
        >>> price("gpt-4o-mini-2024-07-18", Usage(1000, 100, cached_tokens=600))
        Decimal('0.000165')
        >>> price("my-model", Usage(1000, 100)) is None
        True
    """
    given: object = usage
    if type(given) is not Usage:
        raise TypeError(
            "prices.price() takes a Usage, since providers mean different things by the same names. Of "
            "an SDK's answer write usage_of(answer.usage), from agentguard.providers.usage"
        )
    rank = "batch" if batch else service_tier
    when = time.time() if at is None else at.timestamp()
    return price_at(when, model, usage, provider, base_url, rank)


def price_at(
    when: float,
    model: str,
    usage: Usage,
    provider: str | None,
    base_url: str | None,
    rank: str | None,
) -> Decimal | None:
    """What `price` says, for whoever asks after every call.

    Args:
        when: seconds since the epoch.
        model: as for `price`.
        usage: the tokens.
        provider: who served it.
        base_url: where the request went.
        rank: "batch", or the tier of service.
    """
    if _own:
        own = _own.get(plain(model)) or _own.get(plain(model).rpartition("/")[2])
        if own is not None:
            return own.cost(usage)
    minute = int(when // 60)  # prices change on a day or an hour of the day
    key = (model, provider, base_url, rank)
    known = _known.get(key)
    if known is None or known[0] != minute:
        if len(_known) >= _MOST:
            _known.clear()
        known = _known[key] = (minute, _find(model, provider, base_url, rank, minute))
    rates = known[1]
    return None if rates is None else rates.cost(usage)


def add(
    model: str,
    *,
    input: Decimal | float | str,  # noqa: A002  the name that every price list uses
    output: Decimal | float | str,
    cached: Decimal | float | str | None = None,
    cache_write: Decimal | float | str | None = None,
    cache_write_1h: Decimal | float | str | None = None,
) -> None:
    """Set the price of a model, in US dollars for a million tokens, for the whole process.

    It stands over every table, whatever the provider and the class of the request. A model of your
    own that costs nothing is `add("my-model", input=0, output=0)`.

    Args:
        model: its name, upper or lower case, with or without a gateway's prefix.
        input: a million input tokens.
        output: a million output tokens, reasoning included.
        cached: a million input tokens read from the provider's cache; as `input` by default.
        cache_write: a million input tokens written to it; as `input` by default.
        cache_write_1h: a million that stay for an hour; as `cache_write` by default.

    Raises:
        ValueError: a price is not a finite number of dollars, zero or more.

    Examples:
        >>> from agentguard.providers.usage import Usage
        >>> add("my-model", input="0.20", output="0.80")
        >>> price("my-model", Usage(1000, 100))
        Decimal('0.00028')
        >>> remove("my-model")
    """
    _own[plain(model)] = _Rates(
        input=_dollars("input", input),
        output=_dollars("output", output),
        cached=None if cached is None else _dollars("cached", cached),
        written=None if cache_write is None else _dollars("cache_write", cache_write),
        hour=None if cache_write_1h is None else _dollars("cache_write_1h", cache_write_1h),
    )


def remove(model: str) -> None:
    """Take back what `add` set; nothing happens when there is none.

    Args:
        model: the name as it was added.
    """
    _own.pop(plain(model), None)


def load() -> None:
    """Load the tables now, which takes a sixth of a second: else the first price does.

    Examples:
        >>> load()
    """
    from genai_prices.data_snapshot import get_snapshot

    get_snapshot()


def forget() -> None:
    """Take back every `add`. The pytest plugin does so after each test."""
    _own.clear()


def _dollars(name: str, amount: Decimal | float | str) -> _Tiers:
    try:
        value = Decimal(str(amount))
    except ArithmeticError:
        value = Decimal("nan")
    if not value.is_finite() or value < 0:
        raise ValueError(
            f"{name}={amount!r} is no price: give US dollars for a million tokens, such as "
            f"{name}=0.15"
        )
    return value, ()


def _tier(rate: _Tiers, tokens: int) -> Decimal:
    """The price that holds for all tokens of a request with so much input."""
    return next((dollars for start, dollars in rate[1] if tokens > start), rate[0])


def _find(
    model: str, provider: str | None, base_url: str | None, rank: str | None, minute: int
) -> _Rates | None:
    from genai_prices.data_snapshot import get_snapshot

    providers = {p.id: p for p in get_snapshot().providers}
    host = next((p for p in providers.values() if _serves(p, base_url)), None)
    named = provider and _ALIASES.get(provider.lower(), provider.lower())
    for seller, name in _places(model, host.id if host else named):
        found = _named(name, seller, providers)
        if found is not None:
            return _rates(found, rank, datetime.fromtimestamp(minute * 60, UTC))
    return None


def _serves(provider: Provider, base_url: str | None) -> bool:
    return base_url is not None and re.match(provider.api_pattern, base_url) is not None


def _places(model: str, provider: str | None) -> Iterator[tuple[str, str]]:
    """Where a price may stand, as provider and name, the surest first."""
    name = plain(model)
    head, _, rest = name.partition("/")
    head = _ALIASES.get(head, head)
    if provider is not None:
        yield provider, name
        if rest:
            yield provider, rest
        if provider not in _PASSES_ON:
            return  # a host has prices of its own: another's would be a guess
    if rest:
        yield head, rest
        if head not in {*_VENDORS, *_PASSES_ON}:
            return
        name = rest
    if unhosted(name) != name:
        yield "aws", name
        return
    for vendor in _VENDORS:
        yield vendor, name


def _named(name: str, provider: str, providers: dict[str, Provider]) -> ModelInfo | None:
    """The model that the table gives this very name, not merely one whose pattern fits."""
    if provider not in providers:
        return None
    seller = providers[provider]
    if name.startswith("ft:"):
        name = ":".join(name.split(":")[:2])
    dashed = re.sub(r"-(20\d\d)(\d\d)(\d\d)$", r"-\1-\2-\3", name)  # as LiteLLM writes dates
    sellers = [seller, *(providers[p] for p in seller.fallback_model_providers or ())]
    for known in dict.fromkeys((name, dashed)):
        for place in sellers:
            for model in place.models:
                if _is(model.match, known, model.id):
                    return model
    return None


def _is(match: Any, name: str, model: str) -> bool:
    """Whether a table's pattern means this name, and nothing longer than a version is left over.

    The patterns are prefixes and parts of names: `claude-opus-4-1` fits `claude-opus-4-10` too.
    """
    if hasattr(match, "or_"):
        return any(_is(part, name, model) for part in match.or_)
    if hasattr(match, "and_"):
        parts = [part for part in match.and_ if not hasattr(part, "regex")]
        return match.is_match(name) and any(_is(part, name, model) for part in parts)
    if not match.is_match(name):
        return False
    (pattern,) = cast("dict[str, str]", vars(match)).values()
    return (
        hasattr(match, "equals")
        or hasattr(match, "regex")
        or stem(name) in (stem(pattern), stem(model))
    )


def _rates(model: ModelInfo, rank: str | None, at: datetime) -> _Rates | None:
    """The prices of a class, None where the model has none for it."""
    context: dict[str, str] = {}
    if rank == "batch":
        context = {"processing": "batch"}
    elif rank is not None:
        context = {"service_tier": rank}
    if context and not any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    ):
        # An unknown class would silently get the standard price.
        if rank not in _USUAL:
            return None
        context = {}
    prices = model.get_prices(at, context or None)
    if prices.input_mtok is None and prices.output_mtok is None:
        return None  # priced by the hour, the picture or the page
    return _Rates(
        input=_tiers(prices, "input_mtok"),
        output=_tiers(prices, "output_mtok"),
        cached=_tiers(prices, "cache_read_mtok"),
        written=_tiers(prices, "cache_write_mtok"),
        hour=_tiers(prices, "cache_write_1h_mtok"),
        request=(_tiers(prices, "requests_kcount") or (_NOTHING,))[0] / 1000,
    )


def _tiers(prices: ModelPrice, name: str) -> _Tiers | None:
    value = getattr(prices, name)
    if value is None or isinstance(value, Decimal):
        return None if value is None else (value, ())
    return value.base, tuple((tier.start, tier.price) for tier in reversed(value.tiers))
