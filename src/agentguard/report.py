"""`report`: what happened inside a block, call by call and attempt by attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.engine.scope import Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from agentguard.engine.bill import Figures
    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.engine.scope import Scope

__all__ = ["report"]

_WIDTH: Final = 30


class report(Block):  # noqa: N801  a block reads like a verb, as contextlib.suppress does
    """See what happened in the guarded calls inside, without changing what they return.

    Streams that are read after the block was left still complete their entry.

    Attributes:
        calls: one entry for each guarded call that began inside, in order; guarded calls made
            within others are in their `children`. Each has `name`, `outcome` ("completed",
            "failed", "abandoned"), `kind`, `served_by`, `model`, `duration`, `first_token` (in
            seconds), `usage` and `cost` (those of its children included) and `attempts`, each with
            `target`, `kind`, `wait`, `duration`, `usage`, `cost`.

    Examples:
        >>> from agentguard import report, retry
        >>> @retry
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> with report() as r:
        ...     ask("?")
        '42'
        >>> r.calls[0].outcome, len(r.calls[0].attempts)
        ('completed', 1)
    """

    def __init__(self) -> None:
        self.calls: list[CallRecord] = []

    def surround(self, outer: Scope) -> Scope:
        """Listen to the calls inside, once, however often it is entered."""
        if self._hear in outer.listeners:
            return outer.within()
        return outer.within(listeners=(*outer.listeners, self._hear))

    def _hear(self, event: events.Event) -> None:
        if not isinstance(event, events.CallStarted):
            return
        above = event.call.parent
        while above is not None and above not in self.calls:
            above = above.parent
        if above is None:  # else it is somewhere among the children of one of ours
            self.calls.append(event.call)

    def __repr__(self) -> str:
        return f"<report of {len(self.calls)} calls>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  IPython's protocol
        printer.text(str(self))

    def __str__(self) -> str:
        return "\n".join(_lines(self.calls)) or "no guarded call was made"


def _lines(calls: list[CallRecord], indent: str = "") -> Iterator[str]:
    for call in calls:
        first = _ms(call.first_token) if call.first_token is not None else ""
        first = f", first content {first}" if first not in {"", _ms(call.duration)} else ""
        served = f", served by {call.served_by}" if call.served_by not in {None, call.name} else ""
        model = f" ({call.model})" if call.model else ""
        if served.endswith(model):
            model = ""
        ending = call.outcome if call.kind is None else f"{call.outcome}: {call.kind}"
        spent = _spent(call.figures)
        yield f"{indent}{call.name}  {ending}, {_ms(call.duration)}{first}{served}{model}{spent}"
        span = call.duration or max((_end(a, call) for a in call.attempts), default=0.0) or 1e-9
        for attempt in call.attempts:
            yield f"{indent}  {_bar(attempt, call, span)} {_told(attempt)}"
        for event in call.events:
            told = _policy(event)
            if told:
                yield f"{indent}  - {told}"
        yield from _lines(call.children, indent + "    ")


def _spent(figures: Figures) -> str:
    if not figures.total_tokens:
        return ""
    about = "about " if figures.estimated else ""
    cost = "cost unknown" if figures.cost is None else _dollars(figures.cost)
    missing = f" and {figures.unpriced} attempts of unknown cost" if figures.unpriced else ""
    tokens = f"{figures.input_tokens:,} + {figures.output_tokens:,} tokens"
    saved = f", saved {_dollars(figures.saved)}" if figures.saved else ""
    return f", {about}{tokens}, {cost}{missing if figures.cost is not None else ''}{saved}"


def _dollars(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):f}"


def _bar(attempt: AttemptRecord, call: CallRecord, span: float) -> str:
    """Waiting as dots, working as blocks, on the time line of the call."""
    began = attempt.started - call.started
    start = _place(began, span)
    wait = _place(began - attempt.wait, span)
    stop = max(_place(_end(attempt, call), span), start + 1)
    bar = " " * wait + "." * (start - wait) + "#" * (stop - start)
    return f"|{bar[:_WIDTH]:<{_WIDTH}}|"


def _place(seconds: float, span: float) -> int:
    return min(_WIDTH - 1, max(0, round(seconds / span * _WIDTH)))


def _end(attempt: AttemptRecord, call: CallRecord) -> float:
    return attempt.started + (attempt.duration or 0.0) - call.started


def _told(attempt: AttemptRecord) -> str:
    ending = attempt.outcome if attempt.kind is None else attempt.kind
    waited = f" after a wait of {_ms(attempt.wait)}" if attempt.wait else ""
    return f"{attempt.target} #{attempt.number}: {ending}, {_ms(attempt.duration)}{waited}"


def _policy(event: events.Event) -> str:  # noqa: C901, PLR0912  a case for each event
    match event:
        case events.FellBack(kind=kind, target=target):
            return f"fell back to {target} ({kind})"
        case events.GaveUp(reason=reason):
            return f"gave up: {reason}"
        case events.CircuitOpened(reason=reason, seconds=seconds):
            return f"circuit opened for {seconds:g} s: {reason}"
        case events.CircuitHalfOpened():
            return "circuit half-open: trial call"
        case events.CircuitClosed():
            return "circuit closed"
        case events.CircuitRejected():
            return "refused by an open circuit"
        case events.TimedOut(bound=bound, seconds=seconds):
            return f"timed out: {bound}={seconds:g} s"
        case events.Blind(policies=policies):
            return f"no model call was seen by {', '.join(policies)}"
        case events.Rejected(policy=policy, what=what, rules=rules, then=then, shadow=shadow):
            did = "would have refused" if shadow else "refused"
            follows = "" if shadow or then == "stop" else f", then {then}"
            return f"{policy} {did} the {what}: {', '.join(rules)}{follows}"
        case events.PrefixChanged(where=where, position=position, cause=cause):
            at = "" if position is None else f" from character {position:,}"
            return f"the prompt keeps changing in {where}{at}{f': {cause}' if cause else ''}"
        case events.CacheHit(how=how, age=age):
            return f"answered by the cache: {how}, {_ms(age)} old"
        case events.CacheSkipped(reason=reason):
            return f"not kept by the cache: {reason}"
        case events.Masked(counts=counts):
            return f"masked {', '.join(f'{n} {kind}' for kind, n in counts.items())}"
        case events.Unmasked(kind=kind, where=where):
            return f"not masked: {kind} at {where}"
        case events.DetectorFailed(detector=detector, error=error, then=then):
            return f"{detector} failed with {error}: {then}"
        case events.StoreFailed(store=store, then=then):
            return f"{store} could not be reached: {then}"
        case _:
            return ""


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "running"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
