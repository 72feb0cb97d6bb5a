"""Lines of `log` and spans of OpenTelemetry are found by each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

import agentguard as ag
from agentguard import exporters
from tests.policies.lines import Lines
from tests.shapes import Harness, every_shape


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """Keep the spans of one test."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """Give a provider of its own, which is not the process's."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


def ids(span: Any) -> tuple[str, str]:
    """Return the ids of a span as lines have them."""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


@every_shape
def test_a_line_names_the_span_of_its_call(
    harness: Harness, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    """That of `trace` in the same guard, in whatever order they stand."""
    lines = Lines()
    traced = ag.trace(exporters.OpenTelemetry(tracer_provider=provider))
    for guards in ([ag.log(logger=lines), traced], [traced, ag.log(logger=lines)]):
        spans.clear()
        lines.clear()
        assert harness.run(guards, "42").text == "42"
        assert ag.flush(30)
        outermost = next(each for each in spans.get_finished_spans() if each.parent is None)
        assert (lines.only["trace_id"], lines.only["span_id"]) == ids(outermost)


def test_a_line_names_the_span_around_its_call(provider: TracerProvider) -> None:
    """Without `trace`, that of the application; of calls inside, the same trace."""
    lines = Lines()

    @ag.retry
    def ask() -> str:
        return "42"

    @ag.log(logger=lines)
    def answer() -> str:
        return ask()

    with provider.get_tracer("app").start_as_current_span("request") as span:
        answer()
    assert {(each["trace_id"], each["span_id"]) for each in lines} == {ids(span)}
    assert len(lines) == 2


def test_no_span_is_no_field() -> None:
    """OpenTelemetry is imported, and nobody traces."""
    lines = Lines()
    ag.log(logger=lines)(lambda: "42")()
    assert not {"trace_id", "span_id"} & set(lines.only.fields)


def test_the_trace_decides_as_opentelemetry_does() -> None:
    """What is sampled there is logged here, calls inside included."""
    lines = Lines()
    sampler = TraceIdRatioBased(0.3)

    @ag.log(sample=0.3, logger=lines)
    def ask() -> str:
        return "42"

    @ag.log(sample=0.3, logger=lines)
    def answer() -> str:
        return ask()

    for number in range(200):
        trace_id = (0x9E3779B97F4A7C15 * (number + 1)) % 2**128
        span = trace.NonRecordingSpan(trace.SpanContext(trace_id, 17, is_remote=False))
        before = len(lines)
        with trace.use_span(span):
            answer()
        wanted = sampler.should_sample(None, trace_id, "ask").decision.is_sampled()
        assert len(lines) - before == (2 if wanted else 0)
    assert 0 < len(lines) < 400
