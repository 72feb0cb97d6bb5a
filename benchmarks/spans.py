"""What tracing a call costs, beside a span that one writes by hand."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from agentguard import Policy, events, guard, trace
from agentguard.exporters import OpenTelemetry
from benchmarks.common import (
    Figures,
    Row,
    aask,
    acalls,
    against,
    alone,
    ask,
    calls,
    section,
    yardstick,
)

ABOUT = (
    "Around a function that does nothing, on top of the records that any listener has the engine "
    "keep; the SDK sends batches to an exporter that does nothing. `trace` makes two spans of such a "
    "call, that of the call and that of its attempt: *by hand* are two spans with the same "
    "attributes, set by `start_as_current_span` one inside the other. *no provider* is `trace` where "
    "no SDK is set up. Ending spans is done on another thread, which runs beside and is in these "
    "figures as far as it takes the interpreter's lock."
)


class Nowhere(SpanExporter):
    """Sends nothing."""

    def export(self, spans: Any) -> SpanExportResult:
        """Do nothing."""
        return SpanExportResult.SUCCESS


class Ear(Policy):
    """Hears everything and does nothing: what it costs is the engine's records."""

    def hear(self, event: events.Event) -> None:
        """Do nothing."""


provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(Nowhere()))
tracer = provider.get_tracer("by hand")
CALL = {
    "agentguard.name": "ask",
    "agentguard.outcome": "completed",
    "agentguard.attempts": 1,
    "agentguard.served_by": "ask",
    "agentguard.cost_usd": 0.0,
}
ATTEMPT = {
    "agentguard.attempt": 1,
    "agentguard.outcome": "completed",
    "agentguard.target": "ask",
}


def by_hand(question: str) -> None:
    """Make both spans."""
    with (
        tracer.start_as_current_span("ask") as call,
        tracer.start_as_current_span("ask") as attempt,
    ):
        ask(question)
        attempt.set_attributes(ATTEMPT)
        call.set_attributes(CALL)


async def aby_hand(question: str) -> None:
    """Make both spans around a coroutine function."""
    with (
        tracer.start_as_current_span("ask") as call,
        tracer.start_as_current_span("ask") as attempt,
    ):
        await aask(question)
        attempt.set_attributes(ATTEMPT)
        call.set_attributes(CALL)


def cases(plain: Any, hand: Any) -> dict[str, Any]:
    """Build what is measured around a function that returns nothing."""
    return {
        "bare": plain,
        "heard": guard(Ear())(plain),
        "trace": guard(trace(OpenTelemetry(provider)))(plain),
        "no provider": guard(trace(OpenTelemetry(otel.NoOpTracerProvider())))(plain),
        "by hand": hand,
    }


def rows(kind: str, found: Figures) -> list[Row]:
    """Compare what was found for one of sync and async."""
    ours, theirs = found["trace"] - found["heard"], found["by hand"] - found["bare"]
    none = found["no provider"] - found["heard"]
    return [
        against(f"{kind}: two spans, by hand", ours, theirs),
        alone(f"{kind}: two spans", ours, found["yardstick"]),
        alone(f"{kind}: no provider", none, found["yardstick"]),
    ]


def main() -> None:
    """Measure and print."""

    async def ayardstick(question: str) -> None:
        yardstick(question)

    sync = cases(ask, by_hand) | {"yardstick": yardstick}
    asynchronous = cases(aask, aby_hand) | {"yardstick": ayardstick}
    lines = rows("sync", calls(sync)) + rows("async", acalls(asynchronous))
    print(section(ABOUT, lines, "opentelemetry-sdk"))


if __name__ == "__main__":
    main()
