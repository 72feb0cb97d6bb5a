"""One guarded call under way, and the spans that it becomes."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.exporters.gen_ai import Asked
from agentguard.exporters.masked import kept
from agentguard.exporters.opentelemetry_end import end_attempt, end_call, end_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from agentguard.engine.call import Attempt, Call, Outcome
    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.exporters.opentelemetry import OpenTelemetry

__all__ = ["AttemptSpan", "CallSpans"]

_MET: Final = 16  # attempts that may be between their hooks and their beginning at once

_contexts: Final[dict[AttemptRecord, Context]] = {}
"""Of attempts under way: for calls made inside them in a thread that has no context of its own."""


class AttemptSpan:
    """The span of an attempt under way.

    Attributes:
        span: that began.
        began: the monotonic second in which it did, after hooks such as a budget's.
        asked: what is known of the request.
        attempt: that is made, None where it was made past `trace`.
        sent: its arguments, where they are captured.
        items: of its answer, where they are captured.
        context: in which it is current.
    """

    __slots__ = ("asked", "attempt", "began", "context", "items", "sent", "span")

    def __init__(self, span: Span, context: Context, began: float, asked: Asked | None) -> None:
        self.span = span
        self.context = context
        self.began = began
        self.asked = asked
        self.attempt: Attempt | None = None
        self.sent: Any = None
        self.items: list[Any] = []


class CallSpans:
    """The span of a call, and those of its attempts and waits inside it.

    Args:
        to: what begins and ends them.
        call: that has just begun.
        record: of the call, which gets the ids.
        name: of its span.

    Attributes:
        span: of the call.
        known: personal data that the application knows of.
        real: whether the span is one, sampled or not: else no provider is set.
    """

    __slots__ = (
        "_attempts",
        "_context",
        "_met",
        "_record",
        "_to",
        "_wait",
        "known",
        "real",
        "span",
    )

    def __init__(self, to: OpenTelemetry, call: Call, record: CallRecord, name: str) -> None:
        from opentelemetry import context, trace

        self._to = to
        self._record = record
        self.known = call.scope.known
        self._met: deque[Attempt] = deque(maxlen=_MET)
        self._attempts: dict[AttemptRecord, AttemptSpan] = {}
        self._wait: tuple[Span, float] | None = None
        around = context.get_current()
        if record.inside is not None and not _valid(trace.get_current_span(around)):
            around = _contexts.get(record.inside, around)
        self.span = to.tracer.start_span(name, around, start_time=self.at(record.started))
        self._context = trace.set_span_in_context(self.span, around)
        ids = self.span.get_span_context()
        self.real = ids.is_valid
        if ids.is_valid:
            record.trace, record.span = f"{ids.trace_id:032x}", f"{ids.span_id:016x}"

    def at(self, monotonic: float) -> int:
        """A moment as OpenTelemetry has it, in nanoseconds since the epoch."""
        return int(self._record.wall(monotonic) * 1e9)

    def attempted(self, attempt: Attempt) -> None:
        """An attempt will be made, unless a hook refuses it: its span begins when it does."""
        self._met.append(attempt)

    def hear(self, event: events.Event) -> None:
        """Begin and end the spans of attempts and waits."""
        if isinstance(event, events.AttemptStarted):
            self._begin(event)
        elif isinstance(event, events.AttemptEnded):
            self._end(event.attempt)
        elif isinstance(event, events.Retried) and event.wait > 0:
            self._delay("retry wait", event.at, event.wait)
        elif isinstance(event, events.Delayed) and event.wait > 0:
            self._delay(f"{event.policy} wait", event.at, event.wait)

    def end(self, record: CallRecord, outcome: Outcome) -> None:
        """The call has ended, and so has its span."""
        ended = record.started + (record.duration or 0.0)
        self._waited(ended)
        if self.span.is_recording():
            self._to.outbox.put(functools.partial(end_call, self, record, self.at(ended)))

    def _begin(self, event: events.AttemptStarted) -> None:
        from opentelemetry import trace

        self._waited(event.at)
        record = event.attempt
        attempt = next((each for each in self._met if each.record is record), None)
        asked = None if attempt is None else Asked(attempt.call, record)
        span = self._to.tracer.start_span(
            record.target if asked is None else asked.name,
            self._context,
            trace.SpanKind.CLIENT
            if asked is not None and asked.remote
            else trace.SpanKind.INTERNAL,
            None if asked is None else asked.attributes,
            start_time=self.at(event.at),
        )
        inner = trace.set_span_in_context(span, self._context)
        known = self._attempts[record] = AttemptSpan(span, inner, event.at, asked)
        if attempt is None:
            return
        self._met.remove(attempt)
        known.attempt = attempt
        if _valid(span):
            _contexts[record] = inner
            attempt.surround(_inside(inner))
        if self._to.capture and span.is_recording():
            known.sent = kept(attempt.call)
            attempt.on_item(lambda _, item: known.items.append(item))

    def _end(self, record: AttemptRecord) -> None:
        known = self._attempts.pop(record, None)
        _contexts.pop(record, None)
        if known is None:
            return
        ended = self.at(record.started + (record.duration or 0.0))
        if known.span.is_recording():
            self._to.outbox.put(functools.partial(end_attempt, known, record, ended))
        if known.asked is not None and known.asked.remote and self._to.instruments.wanted:
            self._to.outbox.put(functools.partial(self._to.instruments.measure, known, record))

    def _delay(self, name: str, began: float, seconds: float) -> None:
        self._waited(began)
        span = self._to.tracer.start_span(name, self._context, start_time=self.at(began))
        self._wait = (span, began + seconds)

    def _waited(self, by: float) -> None:
        """A wait is over, at the latest when something else begins."""
        if self._wait is not None:
            (span, planned), self._wait = self._wait, None
            if span.is_recording():
                self._to.outbox.put(functools.partial(end_wait, span, self.at(min(planned, by))))


def _valid(span: Span) -> bool:
    return span.get_span_context().is_valid


def _inside(inner: Context) -> Callable[[], Callable[[], object]]:
    """What sets `inner` around a target's steps; what one of them leaves open goes on with the next."""
    from opentelemetry import context

    here = [inner]

    def enter() -> Callable[[], object]:
        outer = context.get_current()
        context.attach(here[0])

        def leave() -> None:
            here[0] = context.get_current()
            context.attach(outer)

        return leave

    return enter
