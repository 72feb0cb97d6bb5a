"""`report`: what happened inside a block, call by call and attempt by attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.engine.arrivals import note_arrivals
from agentguard.engine.scope import Block
from agentguard.telling import dollars, in_words, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.engine.bill import Figures
    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.engine.scope import Scope

__all__ = ["report"]

_WIDTH: Final = 30

_DRAWN: Final = (
    events.CallStarted,
    events.CallEnded,
    events.AttemptStarted,
    events.AttemptEnded,
    events.Retried,
    events.LateResult,
    events.Unpriced,
    events.BudgetCharged,
    events.CacheMissed,
    events.CacheStored,
)
"""What the lines of calls and attempts show by themselves, or what is no news."""


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
        hooks = outer.hooks if note_arrivals in outer.hooks else (*outer.hooks, note_arrivals)
        return outer.within(listeners=(*outer.listeners, self._hear), hooks=hooks)

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
        first = lasted(call.first_token) if call.first_token is not None else ""
        first = f", first content {first}" if first not in {"", lasted(call.duration)} else ""
        served = f", served by {call.served_by}" if call.served_by not in {None, call.name} else ""
        model = f" ({call.model})" if call.model else ""
        if served.endswith(model):
            model = ""
        ending = call.outcome if call.kind is None else f"{call.outcome}: {call.kind}"
        spent = _spent(call.figures)
        yield f"{indent}{call.name}  {ending}, {lasted(call.duration)}{first}{served}{model}{spent}"
        span = call.duration or max((_end(a, call) for a in call.attempts), default=0.0) or 1e-9
        for attempt in call.attempts:
            yield f"{indent}  {_bar(attempt, call, span)} {_told(attempt)}"
        for event in call.events:
            if not isinstance(event, _DRAWN):
                yield f"{indent}  - {in_words(event)}"
        yield from _lines(call.children, indent + "    ")


def _spent(figures: Figures) -> str:
    if not figures.total_tokens:
        return ""
    about = "about " if figures.estimated else ""
    cost = "cost unknown" if figures.cost is None else dollars(figures.cost)
    missing = f" and {figures.unpriced} attempts of unknown cost" if figures.unpriced else ""
    tokens = f"{figures.input_tokens:,} + {figures.output_tokens:,} tokens"
    saved = f", saved {dollars(figures.saved)}" if figures.saved else ""
    return f", {about}{tokens}, {cost}{missing if figures.cost is not None else ''}{saved}"


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
    waited = f" after a wait of {lasted(attempt.wait)}" if attempt.wait else ""
    return f"{attempt.target} #{attempt.number}: {ending}, {lasted(attempt.duration)}{waited}"
