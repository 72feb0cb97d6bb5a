"""`log`: one wide line for every call."""

from __future__ import annotations

import contextvars
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

from agentguard import events
from agentguard.engine.arguments import count, label, number, seconds, told
from agentguard.engine.chain import Policy
from agentguard.engine.loop import in_loop
from agentguard.engine.spelling import Bare
from agentguard.engine.trouble import trouble
from agentguard.exporters.captured import masked, prompt_sent
from agentguard.exporters.outbox import Outbox
from agentguard.exporters.structlog import Loglines, write
from agentguard.exporters.wide_event import wide_event
from agentguard.masking.masker import Masker
from agentguard.providers.characters import characters_sent
from agentguard.tokens import prices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.call import Attempt, Call
    from agentguard.engine.chain import Next
    from agentguard.engine.records import CallRecord
    from agentguard.engine.reply import Reply
    from agentguard.engine.target import Target
    from agentguard.errors import Kind
    from agentguard.exporters.structlog import Level, Logger

__all__ = ["EVENT", "Log", "log"]

EVENT: Final = "model_call"

_CAPTURED: Final = 2_000
_REFUSED: Final[frozenset[Kind]] = frozenset(
    {"rejected", "budget_exceeded", "circuit_open", "saturated"}
)
_NO_FAULT: Final[frozenset[Kind]] = frozenset({"control", "cancelled"})


class Log(Policy):
    """Write one wide line for every call: who asked what of which model, and what became of it.

    Protects from guessing. What is otherwise spread over a dozen lines (a retry here, a refusal
    there, a bill next month) stands in the fields of one, so that it can be filtered and summed.

    The line is written when the call has ended, a stream at its end, and tells of all that was made
    inside it: sum `cost_usd` over lines without a `parent`. Guarded calls made inside have lines of
    their own, at level debug where they have no `log` of their own.

    No line holds a prompt, an answer, an error's own words or what `context(known=)` was told, unless
    `capture` is on: then the prompt as it was sent, and the answer as it came, both
    masked once more by all that is built in, whether `mask_pii` stands further in or not.

    Levels: info for what was answered; warning for what was answered by a fallback, and for what a
    guard refused; error for what failed; info for a caller who went away, and for an exception that
    only steers a framework.

    Args:
        name: of what is guarded, as in "support": the field `guard`. `metrics` has it as a label.
        sample: the part of calls whose line is written, as in 0.1. Failures, refusals, fallbacks and
            slow calls are always written. Decided once for a call and all inside it, by its trace
            where there is one, as OpenTelemetry's samplers do.
        slow: seconds from which on a call is slow.
        capture: True, or how many characters of the prompt and of the answer stand in the line.
        logger: structlog's or the standard library's. By default structlog's, where it is
            configured, else `logging.getLogger("agentguard")`, with the fields in `extra`.

    Events:
        None of its own: it hears those of all others.

    Examples:
        >>> import structlog
        >>> import agentguard as ag
        >>> lines = structlog.testing.CapturingLogger()
        >>> @ag.guard(ag.log(logger=lines), ag.retry())
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
        >>> lines.calls[0].kwargs["outcome"], lines.calls[0].kwargs["attempts"]
        ('completed', 1)
    """

    name: ClassVar[str] = "log"
    innermost: ClassVar[bool] = True
    spellings: ClassVar[Mapping[str, str]] = {
        "": 'log("support")',
        "level": "nothing: it follows from how the call ended; set the logger's own level",
        "sampling": "sample=",
        "sample_rate": "sample=",
        "rate": "sample=",
        "log_prompts": "capture=True",
        "include_prompt": "capture=True",
        "capture_content": "capture=True",
        "max_chars": "capture=2000",
        "slow_threshold": "slow=",
    }

    def __init__(
        self,
        name: str | None = None,
        *,
        sample: float = 1.0,
        slow: float = 30.0,
        capture: bool | int = False,
        logger: Logger | None = None,
    ) -> None:
        label("log", "name", name)
        self.label = name
        self.sample = number("log", "sample", sample, "a part of the calls, as in 0.1")
        if not 0 <= sample <= 1:
            raise ValueError(f"log(sample=) is between 0 and 1, as in 0.1, not {sample!r}")
        self.slow = seconds("log", "slow", slow)
        self.capture = _captured(capture)
        self._lines = Loglines(_checked(logger))
        self._given = logger is not None
        self._asked: dict[CallRecord, tuple[Attempt, str | None]] = {}
        self._later: Outbox[Callable[[], None]] = Outbox("log", _do)

    def check(self, target: Target) -> None:
        """Load what prices are looked up in: else the first call would, on its caller's loop."""
        prices.load()

    async def around(self, call: Call, next: Next) -> Reply:
        """Note what each attempt sends."""
        return await next(call.on_attempt(self._look))

    def _look(self, attempt: Attempt) -> None:
        record = attempt.call.record
        if record is None or self.hear not in attempt.call.scope.listeners:
            return  # a log further in writes the line of that call
        prompt = None
        if self.capture:
            try:
                prompt = prompt_sent(attempt.call, _masker(attempt), self.capture)
            except Exception as error:  # the attempt must not fail for it
                trouble("capturing a prompt", error)
        self._asked[record] = (attempt, prompt)

    def hear(self, event: events.Event) -> None:
        """Write the line of a call that ended."""
        kind = type(event)
        if kind is events.CallEnded:
            self._ended(event.call)
        elif kind is events.CallStarted and event.call.trace is None:
            _join_trace(event.call)

    def _ended(self, call: CallRecord) -> None:
        asked = self._asked.pop(call, None)
        level = self._level(call)
        logger = self._lines.to(level)
        if logger is None or not self._wanted(call, level):
            return
        texts = {} if asked is None or asked[0].record is None else self._texts(*asked)
        if in_loop() and _takes_long(call):
            context = contextvars.copy_context()
            self._later.put(lambda: context.run(self._write, logger, level, call, texts))
        else:
            self._write(logger, level, call, texts)

    def _level(self, call: CallRecord) -> Level:
        if self not in call.policies:
            return "debug"
        if call.outcome == "failed" and call.kind not in _NO_FAULT:
            return "warning" if call.kind in _REFUSED else "error"
        fell_back = events.FellBack in map(type, call.events)
        return "warning" if fell_back and call.outcome == "completed" else "info"

    def _wanted(self, call: CallRecord, level: Level) -> bool:
        if self.sample >= 1 or level in {"warning", "error"} or self._slow(call):
            return True
        outermost = call
        while outermost.parent is not None:
            outermost = outermost.parent
        if outermost.trace is not None:  # as OpenTelemetry's TraceIdRatioBased
            return int(outermost.trace[-16:], 16) < self.sample * 2**64
        return int(outermost.id, 16) < self.sample * 2**52

    def _slow(self, call: CallRecord) -> bool:
        return call.duration is not None and call.duration >= self.slow

    def _texts(self, attempt: Attempt, prompt: str | None) -> dict[str, Any]:
        texts: dict[str, Any] = {
            "input_characters": characters_sent(attempt.call),
            "output_characters": sum(map(len, attempt.reading.parts)),
        }
        if prompt is not None:
            texts["prompt"] = prompt
            texts["answer"] = _answer(attempt, self.capture)
        return texts

    def _write(self, logger: Logger, level: Level, call: CallRecord, texts: dict[str, Any]) -> None:
        fields = wide_event(call)
        if self.label is not None:
            fields["guard"] = self.label
        above = call.parent
        if call.children or above is not None:
            fields["call_id"] = call.id
        if above is not None and _has_line(above):
            fields["parent"], fields["parent_id"] = above.name, above.id
        if self._slow(call):
            fields["slow"] = True
        write(logger, level, EVENT, fields | texts)

    def explain(self) -> Sequence[tuple[str, object]]:
        """What is written, and where to."""
        return [
            *([] if self.label is None else [("label", self.label)]),
            ("sample", self.sample),
            ("slow", self.slow),
            ("capture", f"{self.capture} characters" if self.capture else "no prompt or answer"),
            ("logger", "given" if self._given else "structlog's where configured, else logging's"),
        ]


log = Bare(Log)


def _masker(attempt: Attempt) -> Masker:
    """Masks what is captured once more: a tool gets values, and there may be no `mask_pii`."""
    return Masker(known=attempt.call.scope.known)


def _answer(attempt: Attempt, most: int) -> str | None:
    try:
        return masked(attempt.reading.text, _masker(attempt), most)
    except Exception as error:  # the line is written without it
        trouble("capturing an answer", error)
        return None


def _do(work: Callable[[], None]) -> None:
    work()


def _captured(given: object) -> int:
    if isinstance(given, bool):
        return _CAPTURED if given else 0
    return count("log", "capture", given)


def _checked(logger: Any) -> Any:
    if logger is not None and not all(callable(getattr(logger, each, None)) for each in _LEVELS):
        raise TypeError(
            "log(logger=) is a logger of structlog or of the standard library, as in "
            f"structlog.get_logger(), not {told(logger)}"
        )
    return logger


_LEVELS: Final = ("debug", "info", "warning", "error")


def _has_line(call: CallRecord) -> bool:
    """Whether a log stands around a call, or further out."""
    above: CallRecord | None = call
    while above is not None:
        if any(isinstance(each, Log) for each in above.policies):
            return True
        above = above.parent
    return False


def _takes_long(call: CallRecord) -> bool:
    """Whether a tokenizer has to count what it used, which is nothing for an event loop."""
    for attempt in call.attempts:
        if attempt.bill is not None and attempt.bill.estimated:
            return True
    return any(map(_takes_long, call.children))


def _join_trace(call: CallRecord) -> None:
    """Note the span that OpenTelemetry has open, for a line that is found by it."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        call.trace, call.span = f"{span.trace_id:032x}", f"{span.span_id:016x}"
