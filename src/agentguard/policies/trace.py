"""`trace`: guarded calls, their attempts and their waits as spans, in OpenTelemetry and LangSmith."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from agentguard import events
from agentguard.engine.arguments import label, told
from agentguard.engine.call import Outcome
from agentguard.engine.chain import Policy
from agentguard.engine.reply import observe
from agentguard.engine.spelling import Bare
from agentguard.engine.trouble import trouble
from agentguard.exporters.langsmith import LangSmith
from agentguard.exporters.opentelemetry import OpenTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agentguard.engine.call import Attempt, Call
    from agentguard.engine.chain import Next
    from agentguard.engine.records import CallRecord
    from agentguard.engine.reply import Reply
    from agentguard.engine.target import Target
    from agentguard.exporters.tracing import Traced, Tracer

__all__ = ["Trace", "trace"]

_TRACERS: Final[Mapping[str, type[Tracer]]] = {"otel": OpenTelemetry, "langsmith": LangSmith}
_NOWHERE: Final = (
    "trace() found nothing to send to: pip install 'agentguard-decorators[otel]' for OpenTelemetry, "
    "or set LANGSMITH_TRACING=true for LangSmith"
)
_WHAT: Final = (
    'trace() takes "otel", "langsmith", exporters.OpenTelemetry(...) or exporters.LangSmith(...), '
    "not {}"
)


class Trace(Policy):
    """Trace every call: a span for it, and in it one for each attempt and each wait of a policy.

    Protects from guessing where the time, the money and the errors of a request went.

    A span begins in the context of its caller and ends with the answer, of a stream with its last
    item. What the target does inside, an HTTP request or another guarded call, is a child of its
    attempt; whoever reads a stream sees his own context between two items. Nothing is sent on the
    caller's thread: an exporter that hangs, fails or floods delays no call.

    Calls that are made inside are traced as well, guarded or not by a `trace` of their own.

    Args:
        *to: "otel", "langsmith", `exporters.OpenTelemetry(...)` or `exporters.LangSmith(...)`, one
            or more. Without any, what the environment configures: OpenTelemetry where its API is
            installed, LangSmith where LANGSMITH_TRACING is set.
        name: of the spans of the calls it stands around; the name of the guarded callable by
            default.
        capture: whether spans of OpenTelemetry hold prompts and answers, as they went over the wire
            and with personal data and secrets masked. By default what
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, which is no. LangSmith's always
            do, masked.

    Raises:
        ImportError: the package for a backend is not installed.
        ValueError: for a backend that does not exist.

    Events:
        None of its own: it hears those of all others. The record of a call has `trace` and `span`,
        the ids in OpenTelemetry, from its beginning on.

    Examples:
        >>> import agentguard as ag
        >>> @ag.guard(ag.trace("otel"), ag.retry())
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    name: ClassVar[str] = "trace"
    spellings: ClassVar[Mapping[str, str]] = {
        "exporter": 'it first, as in trace("otel")',
        "to": 'it first, as in trace("otel")',
        "provider": "trace(exporters.OpenTelemetry(tracer_provider=...))",
        "tracer_provider": "trace(exporters.OpenTelemetry(tracer_provider=...))",
        "client": "trace(exporters.LangSmith(client=...))",
        "project": "trace(exporters.LangSmith(project=...))",
        "capture_content": "capture=",
    }

    def __init__(
        self, *to: str | Tracer, name: str | None = None, capture: bool | None = None
    ) -> None:
        label("trace", "name", name)
        if capture is not None and not isinstance(cast("object", capture), bool):
            raise TypeError(f"trace(capture=) is True or False, not {told(capture)}")
        self.label = name
        self.tracers: tuple[Tracer, ...] = tuple(map(_tracer, to)) or (*_configured(),)
        if not self.tracers:
            raise ImportError(_NOWHERE)
        if capture is not None:
            self.tracers = tuple(
                each.capturing(capture) if isinstance(each, OpenTelemetry) else each
                for each in self.tracers
            )
        self.capture = capture
        self._open: dict[CallRecord, _Open] = {}

    def check(self, target: Target) -> None:
        """Refuse to trace with a package that is not there."""
        for tracer in self.tracers:
            tracer.prepare()

    async def around(self, call: Call, next: Next) -> Reply:
        """Begin to trace the call; those made inside have this policy around them, too."""
        record = call.record
        if record is None:
            return await next(call)
        known = self._open.get(record)
        if known is None:
            known = self._begin(call, record)
            if known is None:
                return await next(call)
        scope = call.scope
        if self not in scope.policies:
            call = call.replace(scope=scope.within(policies=(*scope.policies, self)))
        if self._attempted not in call.hooks:
            call = call.on_attempt(self._attempted)
        return await observe(next(call), known.observe)

    def _begin(self, call: Call, record: CallRecord) -> _Open | None:
        further_in = record.policies
        while self in further_in:
            further_in = further_in[further_in.index(self) + 1 :]
        theirs = [
            tracer.name for each in further_in if isinstance(each, Trace) for tracer in each.tracers
        ]
        own = self not in call.scope.policies
        name = self.label if own and self.label is not None else record.name
        begun = [
            traced
            for tracer in self.tracers
            if tracer.name not in theirs
            and (traced := _kept(functools.partial(tracer.begin, call, record, name))) is not None
        ]
        if not begun:
            return None
        known = self._open[record] = _Open(begun)
        return known

    def _attempted(self, attempt: Attempt) -> None:
        record = attempt.call.record
        known = None if record is None else self._open.get(record)
        if known is not None:
            known.tell("attempted", attempt)

    def hear(self, event: events.Event) -> None:
        """Pass it on to whoever traces its call."""
        call = event.call
        known = self._open.get(call)
        if known is None:
            return
        if type(event) is events.CallEnded:
            del self._open[call]
            outcome = known.outcome
            if outcome is None or outcome.kind != call.outcome:  # it was changed further out
                outcome = Outcome(cast("Any", call.outcome), None, None)
            known.tell("end", call, outcome)
        else:
            known.tell("hear", event)

    def explain(self) -> Sequence[tuple[str, object]]:
        """Where to, and whether prompts and answers go along."""
        to = ", ".join(tracer.name for tracer in self.tracers)
        return [("to", to), ("capture", bool(self.capture))]


trace = Bare(Trace)


class _Open:
    """A call under way."""

    __slots__ = ("outcome", "traced")

    def __init__(self, traced: Sequence[Traced]) -> None:
        self.traced = traced
        self.outcome: Outcome | None = None

    def observe(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def tell(self, what: str, *args: Any) -> None:
        for each in self.traced:
            _kept(functools.partial(operator.methodcaller(what, *args), each))


def _kept(fn: Callable[[], Any]) -> Any:
    """What `fn` returns; what it raises is logged and breaks no call."""
    try:
        return fn()
    except Exception as error:
        trouble("tracing a call", error)
        return None


def _tracer(to: str | Tracer) -> Tracer:
    if isinstance(to, str):
        if to not in _TRACERS:
            raise ValueError(_WHAT.format(repr(to)))
        return _TRACERS[to]()
    if not hasattr(cast("object", to), "begin"):
        raise TypeError(_WHAT.format(told(to)))
    return to


def _configured() -> Iterator[Tracer]:
    if OpenTelemetry.configured():
        yield OpenTelemetry()
    if LangSmith.configured():
        yield LangSmith()
