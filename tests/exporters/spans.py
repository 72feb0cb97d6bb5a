"""Spans and measurements as the real OpenTelemetry SDK has them, in memory."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agentguard as ag
from agentguard.exporters import OpenTelemetry

__all__ = ["MODEL", "Spans", "happened", "seconds", "served", "told"]

MODEL = "gpt-4o-mini"


def served(streams: bool, text: str = "hello there", **more: Any) -> Any:
    """An answer of a model, in one piece or as chunks, that tells the model and the usage."""
    used = {"prompt_tokens": 1000, "completion_tokens": 100}
    if not streams:
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        return {"id": "c-1", "model": MODEL, "choices": [choice], "usage": used, **more}
    chunk = {"id": "c-1", "object": "chat.completion.chunk", "model": MODEL}
    half = len(text) // 2
    return [
        *[
            {**chunk, "choices": [{"index": 0, "delta": {"content": each}}]}
            for each in (text[:half], text[half:])
        ],
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**chunk, "choices": [], "usage": used},
    ]


class Spans:
    """What was traced.

    Attributes:
        provider: of tracers; `tracer` is one for spans made by hand.
        to: the exporter.
        policy: a `trace` that sends there.
    """

    def __init__(self, *, exporter: Any = None, capture: bool = False, **settings: Any) -> None:
        self.memory = InMemorySpanExporter() if exporter is None else exporter
        self.provider = TracerProvider(shutdown_on_exit=False, **settings)
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = self.provider.get_tracer("by hand")
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.to = OpenTelemetry(self.provider, self.meters, capture=capture)
        self.policy = ag.trace(self.to)

    def all(self) -> list[ReadableSpan]:
        """All that ended, in the order in which they began."""
        assert ag.flush(30)
        assert self.to.dropped == 0
        return sorted(
            self.memory.get_finished_spans(), key=lambda span: (span.start_time, depth(span))
        )

    def tree(self) -> list[str]:
        """Their names, each indented by how deep it stands."""
        spans = self.all()
        parents = {span.context.span_id: span for span in spans}

        def deep(span: Any) -> int:
            above = span.parent and parents.get(span.parent.span_id)
            return 0 if above is None else 1 + deep(above)

        def under(above: Any) -> list[str]:
            found = []
            for span in spans:
                parent = span.parent and parents.get(span.parent.span_id)
                if parent is above:
                    found += ["  " * deep(span) + span.name, *under(span)]
            return found

        return under(None)

    def measured(self) -> dict[str, list[Any]]:
        """Data points by the name of the metric."""
        assert ag.flush(30)
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def depth(span: Any) -> int:
    """Roots first among those that began at the same moment."""
    return span.parent is not None


def seconds(span: Any) -> float:
    """How long it took."""
    return round((span.end_time - span.start_time) / 1e9, 3)


def told(span: Any, prefix: str = "") -> dict[str, Any]:
    """Its attributes that begin so."""
    return {name: value for name, value in span.attributes.items() if name.startswith(prefix)}


def happened(span: Any) -> list[str]:
    """The names of its events."""
    return [event.name.removeprefix("agentguard.") for event in span.events]
