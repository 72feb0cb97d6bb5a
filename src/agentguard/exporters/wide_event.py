"""One guarded call as one flat record: what `log` writes, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.exporters.figures import figure
from agentguard.telling import circuit_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal

    from agentguard.engine.bill import Bill
    from agentguard.engine.records import CallRecord

__all__ = ["FIELDS", "wide_event"]

FIELDS: Final[Mapping[str, str]] = {
    "call": "name of the guarded callable",
    "guard": "name given to `log(...)`",
    "call_id": "of this call, by chance; where guarded calls were made inside it",
    "parent": "name of the guarded call it was made inside, where that has a line, too",
    "parent_id": "its `call_id`",
    "user": "of `context(...)`",
    "tenant": "of `context(...)`",
    "tags": "the other tags of `context(...)`",
    "outcome": "`completed`, `failed` or `abandoned`",
    "kind": "of the failure that came out of the call, see the table of kinds",
    "error": "its class",
    "status": "HTTP status that it failed with last",
    "request_id": "the provider's id of the last request",
    "provider": "`openai`, `anthropic` ...",
    "model_asked": "the model that was asked for first",
    "model": "the model that served",
    "served_by": "name of the target whose answer was returned, where it is another",
    "streamed": "the answer was a stream",
    "attempts": "how often a model was asked",
    "inner_calls": "guarded calls made inside it",
    "retries": "attempts that `retry` scheduled",
    "fallbacks": "turns to another target",
    "gave_up": "why `retry` stopped",
    "timed_out": "the bound of time that passed last",
    "wait_s": "seconds spent waiting before attempts",
    "duration_s": "seconds, to the end of a stream",
    "first_token_s": "seconds to the first content of a stream",
    "slow": "it took longer than `slow=`",
    "input_characters": "of the prompt of its last attempt",
    "output_characters": "of the answer of its last attempt",
    "input_tokens": "cached ones included",
    "output_tokens": "reasoning included",
    "cached_tokens": "part of the input, read from the provider's cache",
    "cache_write_tokens": "part of the input, written to it",
    "reasoning_tokens": "part of the output",
    "estimated": "attempts whose tokens are an estimate",
    "cost_usd": "US dollars",
    "unpriced": "attempts of unknown cost, missing in `cost_usd`",
    "saved_usd": "US dollars that caches have saved",
    "cache": "`fresh`, `stale`, `joined`, `alike`, `items` or `miss`",
    "masked": "values taken out of the request, by type",
    "unmasked": "attachments that went out as they were",
    "refused_by": "the policy that refused the request or the answer last",
    "refused_rules": "what it found",
    "would_refuse": "policies in shadow that would have refused",
    "circuit": "name of the circuit that changed or refused last; of `breaker(key=)`, `one of several`",
    "circuit_state": "`open`, `half_open`, `closed`, or `refused` the call",
    "budget_percent": "the highest threshold of a budget that the call has reached",
    "stores_failed": "stores that could not be reached",
    "checks_failed": "checks and detectors that raised",
    "trace_id": "of `trace`, or else of OpenTelemetry's current span",
    "span_id": "likewise",
    "prompt": "with `capture=` alone: what the last attempt sent",
    "answer": "with `capture=` alone: what it was answered",
}
"""Every field that a line can have, in its order. One that has nothing to say is left out."""


def wide_event(call: CallRecord) -> dict[str, Any]:
    """What is known of a call that has ended, and of all that was made inside it.

    Args:
        call: whose line it is. What it is part of, and its texts, the caller adds.
    """
    told: dict[str, Any] = {"call": call.name}
    if call.tags:
        _tell_who(told, call.tags)
    told["outcome"] = call.outcome
    if call.kind is not None:
        told["kind"], told["error"] = call.kind, call.error
    if call.attempts:
        _tell_attempts(told, call)
    if call.model is not None:
        told["model"] = call.model
    if call.served_by is not None and call.served_by != call.name:
        told["served_by"] = call.served_by
    if call.streamed:
        told["streamed"] = True
    if call.duration is not None:
        told["duration_s"] = round(call.duration, 6)
    if call.first_token is not None and call.streamed:
        told["first_token_s"] = round(call.first_token, 6)
    inside = _tell_events(told, call) - 1
    if inside:
        told["inner_calls"] = inside
    _tell_bills(told, [*_bills(call)])
    if call.trace is not None:
        told["trace_id"], told["span_id"] = call.trace, call.span
    return told


def _tell_who(told: dict[str, Any], tags: Mapping[str, object]) -> None:
    others: dict[str, Any] = {}
    for name, value in tags.items():
        (told if name in {"user", "tenant"} else others)[name] = _plain(value)
    if others:
        told["tags"] = others


def _plain(value: object) -> object:
    """A tag as every renderer can print it; a long one cut."""
    if isinstance(value, (bool, int, float)):
        return value
    try:
        return str(value)[:_LONGEST]
    except Exception:  # a class of the user's whose words fail
        return type(value).__name__


def _tell_attempts(told: dict[str, Any], call: CallRecord) -> None:
    first, last = call.attempts[0], call.attempts[-1]
    if call.outcome != "completed":
        told_status = [each.status for each in call.attempts if each.status is not None]
        if told_status:
            told["status"] = told_status[-1]
    if last.request_id is not None:
        told["request_id"] = last.request_id
    if last.provider is not None:
        told["provider"] = last.provider
    if first.asked is not None:
        told["model_asked"] = first.asked
    if last.model is not None:
        told["model"] = last.model


def _tell_events(told: dict[str, Any], call: CallRecord) -> int:
    """What happened in a call and those inside it; how many these are. Its own have the last word."""
    calls = 1
    for each in call.children:
        calls += _tell_events(told, each)
    for attempt in call.attempts:
        if attempt.wait:
            _wait(told, attempt.wait)
    for event in call.events:
        tell = _TELL.get(type(event))
        if tell is not None:
            tell(told, event)
    return calls


def _bills(call: CallRecord) -> Iterator[Bill]:
    """Of every attempt that asked a model, each once."""
    for attempt in call.attempts:
        if attempt.bill is not None and attempt.bill.counted:
            yield attempt.bill
    for each in call.children:
        yield from _bills(each)


def _tell_bills(told: dict[str, Any], bills: list[Bill]) -> None:
    told["attempts"] = len(bills)
    known = [usage for bill in bills if (usage := bill.usage) is not None]
    if not known:
        return
    usage = sum(known[1:], known[0])
    told["input_tokens"], told["output_tokens"] = usage.input_tokens, usage.output_tokens
    if usage.cached_tokens:
        told["cached_tokens"] = usage.cached_tokens
    if usage.cache_write_tokens:
        told["cache_write_tokens"] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        told["reasoning_tokens"] = usage.reasoning_tokens
    estimated = sum(bill.estimated for bill in bills)
    if estimated:
        told["estimated"] = estimated
    costs = figure(lambda: [bill.cost for bill in bills])
    priced = [cost for cost in costs if cost is not None]
    if priced:
        told["cost_usd"] = float(sum(priced))
    if len(priced) < len(costs):
        told["unpriced"] = len(costs) - len(priced)
    for bill in bills:
        _saved(told, bill.saved)


def _wait(told: dict[str, Any], seconds: float) -> None:
    told["wait_s"] = round(told.get("wait_s", 0.0) + seconds, 6)


def _saved(told: dict[str, Any], dollars: Decimal | None) -> None:
    if dollars:
        told["saved_usd"] = told.get("saved_usd", 0.0) + float(dollars)


def _add(name: str) -> Callable[[dict[str, Any], Any], None]:
    def add(told: dict[str, Any], _: object) -> None:
        told[name] = told.get(name, 0) + 1

    return add


def _take(name: str, of: str) -> Callable[[dict[str, Any], Any], None]:
    def take(told: dict[str, Any], event: object) -> None:
        told[name] = getattr(event, of)

    return take


def _circuit(state: str) -> Callable[[dict[str, Any], Any], None]:
    def turned(told: dict[str, Any], event: Any) -> None:
        told["circuit"], told["circuit_state"] = circuit_named(event), state

    return turned


def _circuit_rejected(told: dict[str, Any], event: events.CircuitRejected) -> None:
    if event.shadow:
        _would_refuse(told, "breaker")
    else:
        told["circuit"], told["circuit_state"] = circuit_named(event), "refused"


def _rejected(told: dict[str, Any], event: events.Rejected) -> None:
    if event.shadow:
        _would_refuse(told, event.policy)
    else:
        told["refused_by"], told["refused_rules"] = event.policy, list(event.rules)


def _would_refuse(told: dict[str, Any], policy: str) -> None:
    known: list[str] = told.setdefault("would_refuse", [])
    if policy not in known:
        known.append(policy)


def _masked(told: dict[str, Any], event: events.Masked) -> None:
    known: dict[str, int] = told.setdefault("masked", {})
    for kind, count in event.counts.items():
        known[kind] = known.get(kind, 0) + count


def _hit(told: dict[str, Any], event: events.CacheHit) -> None:
    told["cache"] = event.how
    _saved(told, event.saved)


def _missed(told: dict[str, Any], _: events.CacheMissed) -> None:
    told["cache"] = "miss"


def _delayed(told: dict[str, Any], event: events.Delayed) -> None:
    _wait(told, event.wait)


def _reached(told: dict[str, Any], event: events.BudgetThreshold) -> None:
    told["budget_percent"] = max(event.percent, told.get("budget_percent", 0))


_LONGEST: Final = 200

_TELL: Final[Mapping[type[events.Event], Callable[[dict[str, Any], Any], None]]] = {
    events.Retried: _add("retries"),
    events.FellBack: _add("fallbacks"),
    events.GaveUp: _take("gave_up", "reason"),
    events.TimedOut: _take("timed_out", "bound"),
    events.Delayed: _delayed,
    events.CacheHit: _hit,
    events.CacheMissed: _missed,
    events.Masked: _masked,
    events.Unmasked: _add("unmasked"),
    events.Rejected: _rejected,
    events.CircuitOpened: _circuit("open"),
    events.CircuitHalfOpened: _circuit("half_open"),
    events.CircuitClosed: _circuit("closed"),
    events.CircuitRejected: _circuit_rejected,
    events.BudgetThreshold: _reached,
    events.StoreFailed: _add("stores_failed"),
    events.CheckFailed: _add("checks_failed"),
    events.DetectorFailed: _add("checks_failed"),
}
