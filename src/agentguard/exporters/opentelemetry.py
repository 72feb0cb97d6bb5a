"""OpenTelemetry: spans and metrics by the conventions for generative AI."""

from __future__ import annotations

import copy
import functools
import importlib.util
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from agentguard.engine import workers
from agentguard.engine.flush import waiting
from agentguard.exporters.opentelemetry_call import CallSpans
from agentguard.exporters.opentelemetry_metrics import Instruments
from agentguard.exporters.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from agentguard.engine.call import Call
    from agentguard.engine.records import CallRecord

__all__ = ["SCHEMA", "OpenTelemetry"]

SCHEMA: Final = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"
"""The conventions that spans and metrics follow: those for generative AI have no release yet."""

_CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_MISSING: Final = (
    "spans for OpenTelemetry are made with the package opentelemetry-api, which is not installed: "
    "pip install 'agentguard-decorators[otel]'"
)


class OpenTelemetry:
    """Makes spans and metrics of guarded calls, for whatever the OpenTelemetry SDK sends them to.

    Protects from guessing where time, tokens and errors of a request went. A span for each call, in
    it one for each attempt with the attributes of the conventions for generative AI (`gen_ai.*`),
    and one for each wait of a policy; what else happened is an event of the call's span.

    Spans begin on the caller's thread, which costs what any span costs. They get their attributes
    and end on another one, with the times at which they really ended: an exporter that hangs, fails
    or floods delays no call, whatever span processor is in use. What does not fit into the queue is
    dropped and counted; `agentguard.flush()` ends what waits and has the providers send it.

    No span holds an exception's message, which may quote a prompt: only its class and kind.

    Args:
        tracer_provider: by default the one that is set for the process, now or later. Where none
            is, nothing is made.
        meter_provider: likewise, for the metrics.
        capture: whether spans hold prompts and answers, as they went over the wire and with
            personal data and secrets masked once more. By default what
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, which is no.

    Raises:
        ImportError: opentelemetry-api is not installed.

    Examples:
        >>> import agentguard as ag
        >>> ag.trace(ag.exporters.OpenTelemetry(capture=True))
        trace(<OpenTelemetry>)
    """

    name: ClassVar[str] = "otel"

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        capture: bool | None = None,
    ) -> None:
        self.tracer_provider = tracer_provider
        self.instruments = Instruments(meter_provider)
        self.capture = _asked_for() if capture is None else capture
        self._tracer: Tracer | None = None
        self.outbox: Outbox[Callable[[], None]] = Outbox("otel", _do)
        waiting.add(self)

    def __repr__(self) -> str:
        return f"OpenTelemetry({'capture=True' if self.capture else ''})"

    def capturing(self, capture: bool) -> OpenTelemetry:  # noqa: FBT001  the one thing it is about
        """The same exporter, with or without prompts and answers."""
        other = copy.copy(self)
        other.capture = capture
        waiting.add(other)
        return other

    @staticmethod
    def configured() -> bool:
        """Whether its API is installed: what is done with spans is up to the process's provider."""
        try:
            return importlib.util.find_spec("opentelemetry.trace") is not None
        except ModuleNotFoundError:
            return False

    @property
    def dropped(self) -> int:
        """Spans and measurements that were lost, since the queue was full or ending them failed."""
        return self.outbox.dropped

    def prepare(self) -> None:
        """Import what spans are made with: when a callable is decorated, not in a call."""
        if not self.configured():
            raise ImportError(_MISSING)
        _ = self.tracer

    @property
    def tracer(self) -> Tracer:
        """What begins spans."""
        if self._tracer is None:
            from opentelemetry import trace

            from agentguard import __version__

            provider = self.tracer_provider
            self._tracer = trace.get_tracer("agentguard", __version__, provider, schema_url=SCHEMA)
        return self._tracer

    def begin(self, call: Call, record: CallRecord, name: str) -> CallSpans | None:
        """A call has begun: its span is a child of the one that is current here.

        None where no provider is set, so that there is nothing to do.

        Args:
            call: with its arguments.
            record: of the call.
            name: of the span.
        """
        spans = CallSpans(self, call, record, name)
        return spans if spans.real or self.instruments.wanted else None

    def flush(self, timeout: float) -> bool:
        """End what waits, and have the providers send it, for at most `timeout` seconds."""
        end = time.monotonic() + timeout
        sent = self.outbox.flush(timeout)
        if not self.outbox.used or timeout <= 0:
            return sent
        for flush in (self._flush_spans, self.instruments.flush):
            left = max(0.0, end - time.monotonic())
            job = workers.start(functools.partial(flush, int(left * 1000)))
            # One that was shut down says False at once: there is nothing left to send.
            done = job.done.wait(left) and (job.value is not False or time.monotonic() < end)
            sent = done and job.error is None and sent
        return sent

    def _flush_spans(self, milliseconds: int) -> Any:
        from opentelemetry import trace

        provider = self.tracer_provider or trace.get_tracer_provider()
        force = getattr(provider, "force_flush", None)
        return None if force is None else force(milliseconds)


def _asked_for() -> bool:
    asked = os.environ.get(_CAPTURE, "").strip().lower()
    return asked in {"true", "1", "span_only", "span_and_event"}


def _do(work: Callable[[], None]) -> None:
    work()
