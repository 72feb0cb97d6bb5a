"""OpenTelemetry: attributes and metrics for real SDKs, content, and exporters that misbehave."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanKind, StatusCode

import agentguard as ag
from agentguard.exporters import OpenTelemetry
from agentguard.exporters.opentelemetry_metrics import _SECONDS, _TOKENS
from agentguard.testing import FakeProvider, FakeRuntime, fault
from tests.engine.test_fork import in_child
from tests.exporters.otlp_receiver import Receiver, receiving, value
from tests.exporters.spans import MODEL, Spans, served, told
from tests.scenarios.ways import (
    anthropic_client,
    async_anthropic_client,
    async_openai_client,
    at_once,
    openai_client,
)
from tests.shapes import Harness, every_shape

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "why?"}]}
CLAUDE: dict[str, Any] = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 64,
    "system": "be brief",
    "messages": [{"role": "user", "content": "why?"}],
}
KEY = "sk-" + "Zk3" * 9 + "q8W" * 7
ADDRESS = "kim.minsu@example.com"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="because") as running:
        yield running


@pytest.fixture
def spans() -> Spans:
    """Spans in memory."""
    return Spans()


def port(url: str) -> int:
    """The port of a URL."""
    return urlsplit(url).port or 0


# Real SDKs


def asked(spans: Spans, provider: FakeProvider, way: str, *, streams: bool) -> None:
    """Ask through a guarded client in one of four ways."""
    if way == "openai":
        with openai_client(provider) as client:
            answer = ag.guard(spans.policy)(client).chat.completions.create(
                **CHAT, temperature=0.5, seed=7, stop=["END"], n=1, stream=streams
            )
            assert not streams or list(answer)
    elif way == "anthropic":
        with anthropic_client(provider) as client:
            answer = ag.guard(spans.policy)(client).messages.create(
                **CLAUDE, stop_sequences=["END"], stream=streams
            )
            assert not streams or list(answer)
    else:
        asyncio.run(asked_async(spans, provider, way, streams=streams))


async def asked_async(spans: Spans, provider: FakeProvider, way: str, *, streams: bool) -> None:
    """The same through async clients."""
    if way == "async openai":
        async with async_openai_client(provider) as client:
            answer = await ag.guard(spans.policy)(client).chat.completions.create(
                **CHAT, temperature=0.5, seed=7, stop=["END"], n=1, stream=streams
            )
            assert not streams or [each async for each in answer]
    else:
        async with async_anthropic_client(provider) as client:
            answer = await ag.guard(spans.policy)(client).messages.create(
                **CLAUDE, stop_sequences=["END"], stream=streams
            )
            assert not streams or [each async for each in answer]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("way", ["openai", "async openai"])
def test_a_request_to_openai(way: str, streams: bool, provider: FakeProvider, spans: Spans) -> None:
    """By the conventions: names, kind, required and recommended attributes."""
    asked(spans, provider, way, streams=streams)
    call, attempt = spans.all()
    assert call.kind is SpanKind.INTERNAL
    assert (attempt.name, attempt.kind) == (f"chat {MODEL}", SpanKind.CLIENT)
    found = told(attempt, "gen_ai.") | told(attempt, "server.")
    first = found.pop("gen_ai.response.time_to_first_chunk", None)
    own = found.pop("gen_ai.response.id", None)
    assert (first is not None and first > 0) is streams
    assert (own is not None) is not streams
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        **({"gen_ai.request.stream": True} if streams else {}),
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 1,
        "server.address": "127.0.0.1",
        "server.port": port(provider.openai_url),
    }


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("way", ["anthropic", "async anthropic"])
def test_a_request_to_anthropic(
    way: str, streams: bool, provider: FakeProvider, spans: Spans
) -> None:
    """With the parameters and reasons as Anthropic names them."""
    asked(spans, provider, way, streams=streams)
    _, attempt = spans.all()
    assert (attempt.name, attempt.kind) == ("chat claude-sonnet-4-6", SpanKind.CLIENT)
    found = told(attempt, "gen_ai.")
    assert found["gen_ai.provider.name"] == "anthropic"
    assert found["gen_ai.request.max_tokens"] == 64
    assert found["gen_ai.request.stop_sequences"] == ("END",)
    assert found["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert found["gen_ai.usage.input_tokens"] > 0
    assert found["gen_ai.usage.output_tokens"] > 0


def test_embeddings_have_their_own_operation(provider: FakeProvider, spans: Spans) -> None:
    """Their span is named by the model, and has no finish reason."""
    with openai_client(provider) as client:
        ag.guard(spans.policy)(client).embeddings.create(model="text-embedding-3-small", input="a")
    _, attempt = spans.all()
    assert attempt.name == "embeddings text-embedding-3-small"
    assert attempt.attributes["gen_ai.operation.name"] == "embeddings"
    assert "gen_ai.response.finish_reasons" not in attempt.attributes


def test_cached_and_reasoning_tokens_are_parts(spans: Spans) -> None:
    """Input includes what the provider's cache read, output the reasoning."""
    used = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    spans.policy(lambda **_: served(streams=False, usage=used))(model=MODEL)
    _, attempt = spans.all()
    assert told(attempt, "gen_ai.usage.") == {
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.reasoning.output_tokens": 40,
    }


def test_what_is_not_known_is_not_told(provider: FakeProvider, spans: Spans) -> None:
    """An answer cut off has no final figures: tokens are left out, and marked as an estimate."""
    provider.script(fault.truncated(chunks=["be", "cau", "se", " it", " is", " so"]))
    with openai_client(provider) as client, pytest.raises(Exception):
        list(ag.guard(spans.policy)(client).chat.completions.create(**CHAT, stream=True))
    _, attempt = spans.all()
    assert not told(attempt, "gen_ai.usage.")
    assert attempt.attributes["agentguard.usage.estimated"] is True
    assert attempt.attributes["agentguard.outcome"] == "failed"


def test_a_refusal_of_the_provider_and_what_followed(provider: FakeProvider, spans: Spans) -> None:
    """The status, the class of the error and the request's id; never its body."""
    provider.script(fault.status(429, message="you wrote: my secret"))
    with openai_client(provider) as client:
        ag.guard(spans.policy, at_once())(client).chat.completions.create(**CHAT)
    call, failed, answered = spans.all()
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "RateLimitError"
    assert failed.attributes["agentguard.kind"] == "rate_limited"
    assert failed.attributes["http.response.status_code"] == 429
    assert answered.attributes["agentguard.request_id"].startswith("req_")
    assert call.attributes["agentguard.attempts"] == 2
    assert "my secret" not in "".join(each.to_json() for each in spans.all())


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://me.openai.azure.com/openai", "azure.ai.openai"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://notdeepseek.com", "openai"),
        ("http://localhost:11434/v1", "openai"),
    ],
)
def test_who_answers_is_named_by_the_host(url: str, name: str, spans: Spans) -> None:
    """An SDK of one provider asks many: the host tells which."""
    import httpx2
    import openai

    def answer(request: Any) -> Any:
        return httpx2.Response(200, json=served(streams=False))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(base_url=url, api_key="x", http_client=http)
        ag.guard(spans.policy)(client).chat.completions.create(**CHAT)
    assert spans.all()[1].attributes["gen_ai.provider.name"] == name


def test_an_instrumented_http_client_is_a_child_and_sends_the_trace(
    provider: FakeProvider, spans: Spans
) -> None:
    """What instruments the HTTP client finds the attempt's span, and says so in `traceparent`."""
    import httpx2
    import openai
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    def instrument(request: Any) -> None:
        with spans.tracer.start_as_current_span("POST", kind=SpanKind.CLIENT):
            TraceContextTextMapPropagator().inject(request.headers)

    with httpx2.Client(event_hooks={"request": [instrument]}) as http:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="x", http_client=http)
        list(
            ag.guard(spans.policy, ag.timeout(30))(client).chat.completions.create(
                **CHAT, stream=True
            )
        )
    assert [each.strip() for each in spans.tree()][1:] == [f"chat {MODEL}", "POST"]
    assert spans.tree()[2].startswith("    ")
    post = next(each for each in spans.all() if each.name == "POST")
    _, trace_id, span_id, _ = provider.journal[-1].headers["traceparent"].split("-")
    assert trace_id == f"{post.context.trace_id:032x}"
    assert span_id == f"{post.context.span_id:016x}"


# Metrics


def test_measurements_by_the_conventions(provider: FakeProvider, spans: Spans) -> None:
    """Duration of every attempt, tokens by type, the first chunk of streams; in their buckets."""
    provider.script(fault.status(500))
    with openai_client(provider) as client:
        safe = ag.guard(spans.policy, at_once())(client)
        safe.chat.completions.create(**CHAT)
        list(safe.chat.completions.create(**CHAT, stream=True))
    found = spans.measured()
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "server.address": "127.0.0.1",
        "server.port": port(provider.openai_url),
    }
    durations = {
        point.attributes.get("error.type"): point
        for point in found["gen_ai.client.operation.duration"]
    }
    assert {kind: point.count for kind, point in durations.items()} == {
        "InternalServerError": 1,
        None: 2,
    }
    assert dict(durations[None].attributes) == {**common, "gen_ai.response.model": MODEL}
    assert durations[None].explicit_bounds == _SECONDS
    assert _SECONDS[0] == 0.01
    assert _SECONDS[-1] == pytest.approx(81.92)
    tokens = {
        point.attributes["gen_ai.token.type"]: point for point in found["gen_ai.client.token.usage"]
    }
    assert {kind: (point.count, point.sum) for kind, point in tokens.items()} == {
        "input": (2, 2),
        "output": (2, 2),
    }
    assert tokens["input"].explicit_bounds == _TOKENS
    assert (_TOKENS[0], _TOKENS[-1]) == (1, 67108864)
    (chunks,) = found["gen_ai.client.operation.time_to_first_chunk"]
    assert chunks.count == 1


def test_nothing_is_measured_that_asks_no_provider(spans: Spans) -> None:
    """Functions of the user's own and tools are no operations of a model."""
    spans.policy(lambda: "42")()
    ag.guard(spans.policy).tool(lambda: "42")()
    assert not spans.measured()


# Content


@every_shape
def test_content_is_left_out_unless_it_is_asked_for(harness: Harness, spans: Spans) -> None:
    """No prompt and no answer, nor anything in them, stands in a span or a measurement."""
    question, answer = f"write to {ADDRESS} with {KEY}", f"sent to {ADDRESS}"
    policies = [spans.policy, ag.mask_pii(), ag.retry(attempts=2), ag.cache(ttl=60)]
    subject = harness.guard(policies, ValueError(question), served(harness.streams, answer))
    subject.call(question)
    subject.call(question, model=MODEL)
    found = "".join(each.to_json() for each in spans.all()) + str(spans.measured())
    for secret in (ADDRESS, KEY, "write to", "sent to", "EMAIL_1"):
        assert secret not in found


@every_shape
def test_captured_content_is_what_went_over_the_wire_masked(harness: Harness) -> None:
    """Placeholders stand where `mask_pii` has put them; the caller gets the values all the same."""
    spans = Spans(capture=True)
    subject = harness.guard(
        [spans.policy, ag.mask_pii()], served(harness.streams, "ask <EMAIL_1> again")
    )
    run = subject.call(f"write to {ADDRESS}", model=MODEL)
    assert ADDRESS in str(run.items)
    call, attempt = spans.all()
    assert json.loads(attempt.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "write to <EMAIL_1>"}]}
    ]
    assert json.loads(attempt.attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "ask <EMAIL_1> again"}],
            "finish_reason": "stop",
        }
    ]
    assert not told(call, "gen_ai.")
    assert ADDRESS not in "".join(each.to_json() for each in spans.all())


def test_captured_content_is_masked_where_nothing_else_masks(provider: FakeProvider) -> None:
    """Personal data and secrets are in no span even where the provider was sent them."""
    spans = Spans(capture=True)
    provider.always(fault.ok(f"sent to {ADDRESS}"))
    with anthropic_client(provider) as client, ag.context(known={"name": "Minsu"}):
        ag.guard(spans.policy)(client).messages.create(
            **CLAUDE
            | {
                "system": [{"type": "text", "text": f"the key is {KEY}"}],
                "messages": [
                    {"role": "user", "content": "who is Minsu?"},
                    {"role": "assistant", "content": f"see {ADDRESS}"},
                    {"role": "user", "content": [{"type": "text", "text": "write there"}]},
                ],
            }
        )
    attempt = spans.all()[1]
    system = json.loads(attempt.attributes["gen_ai.system_instructions"])
    asked = json.loads(attempt.attributes["gen_ai.input.messages"])
    assert [each["role"] for each in asked] == ["user", "assistant", "user"]
    assert asked[2]["parts"] == [{"type": "text", "content": "write there"}]
    assert system[0]["content"].startswith("the key is <")
    assert "<EMAIL_1>" in asked[1]["parts"][0]["content"]
    assert "<EMAIL_1>" in attempt.attributes["gen_ai.output.messages"]
    for secret in (ADDRESS, KEY, "Minsu"):
        assert secret not in attempt.to_json()


def test_detectors_of_the_applications_own_mask_captured_content() -> None:
    """What `mask_pii` was told to find is masked in what a model says of it, too."""
    spans = Spans(capture=True)
    badge = ag.detect.Pattern("badge", r"B-[0-9]{4}")
    policies = [spans.policy, ag.mask_pii(detectors=[badge])]
    ag.guard(*policies)(lambda question, model: served(False, "ask B-1234"))("B-5678?", MODEL)
    attempt = spans.all()[1]
    assert "<BADGE_1>" in attempt.attributes["gen_ai.input.messages"]
    assert "<BADGE_" in attempt.attributes["gen_ai.output.messages"]
    assert "B-1234" not in attempt.to_json()


def test_captured_calls_of_tools(provider: FakeProvider) -> None:
    """What the model calls, with its arguments."""
    spans = Spans(capture=True)
    provider.always(fault.ok(tools=[("look", {"query": "x"})]))
    with openai_client(provider) as client:
        safe = ag.guard(spans.policy)(client)
        safe.chat.completions.create(**CHAT)
        list(safe.chat.completions.create(**CHAT, stream=True))
    attempts = [each for each in spans.all() if each.parent is not None]
    for attempt in attempts:
        (message,) = json.loads(attempt.attributes["gen_ai.output.messages"])
        (call,) = [each for each in message["parts"] if each["type"] == "tool_call"]
        assert call["name"] == "look"
        assert json.loads(call["arguments"]) == {"query": "x"}
        assert message["finish_reason"] == "tool_calls"


def test_captured_content_is_bounded(spans: Spans) -> None:
    """A long text loses its middle, a long conversation its beginning."""
    capturing = Spans(capture=True)
    messages = [{"role": "user", "content": f"{number} " + "x" * 20_000} for number in range(80)]
    capturing.policy(lambda **_: served(streams=False))(messages=messages)
    attempt = capturing.all()[1]
    found = json.loads(attempt.attributes["gen_ai.input.messages"])
    assert len(found) == 64
    assert found[0]["parts"][0]["content"].startswith("16 ")
    assert all(len(each["parts"][0]["content"]) < 8300 for each in found)


@pytest.mark.parametrize(
    ("says", "captures"),
    [
        ("true", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("EVENT_ONLY", False),
        ("", False),
    ],
)
def test_the_environment_decides_where_nothing_is_said(
    says: str, captures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for other instrumentations; what is said here goes first."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", says)
    assert OpenTelemetry().capture is captures
    assert OpenTelemetry(capture=not captures).capture is not captures
    (to,) = ag.trace("otel", capture=not captures).tracers
    assert to.capture is not captures


def test_what_the_caller_goes_on_with_is_no_part_of_what_was_sent() -> None:
    """A list of messages that grows afterwards is told as it was."""
    capturing = Spans(capture=True)
    gate = threading.Event()
    capturing.to.outbox.put(lambda: gate.wait(30))
    messages = [{"role": "user", "content": "first"}]
    capturing.policy(lambda **_: served(streams=False))(messages=messages)
    messages.append({"role": "user", "content": "later"})
    gate.set()
    assert "later" not in capturing.all()[1].to_json()


# Exporters that misbehave


class Bad(SpanExporter):
    """Hangs until it is let go, or raises; counts what reached it."""

    def __init__(self, *, raises: bool = False) -> None:
        self.raises = raises
        self.gate, self.entered = threading.Event(), threading.Event()
        self.seen = 0

    def export(self, spans: Any) -> SpanExportResult:
        self.seen += len(spans)
        self.entered.set()
        if self.raises:
            raise RuntimeError("my secret")
        self.gate.wait(60)
        return SpanExportResult.SUCCESS


@every_shape
def test_an_exporter_that_hangs_delays_no_call(harness: Harness) -> None:
    """Even with a processor that exports at once: calls go on, spans wait, then are dropped."""
    bad = Bad()
    spans = Spans(exporter=bad)
    spans.to.outbox._size = 20
    subject = harness.guard(spans.policy, *["42"] * 41)
    assert subject.call().text == "42"
    assert bad.entered.wait(30)
    for _ in range(40):
        assert subject.call().text == "42"
    assert bad.seen == 1  # it hangs in the first span, and no call waits for it
    assert spans.to.dropped == 2 * 41 - 20 - 1
    assert not ag.flush(0.05)
    bad.gate.set()
    assert ag.flush(30)
    assert bad.seen == 21


def test_an_exporter_that_raises_breaks_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """Its spans are lost, its words are not logged by the library."""
    spans = Spans(exporter=Bad(raises=True))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert spans.policy(lambda: "42")() == "42"
        ag.flush(30)
    ours = [each for each in caplog.records if each.name == "agentguard"]
    assert "my secret" not in "".join(each.getMessage() for each in ours)


def test_a_processor_that_raises_loses_its_spans_and_they_are_counted() -> None:
    """One that raises out of `on_end` is told once, and every span counts as dropped."""
    spans = Spans()

    class Raising:
        def on_start(self, *_: Any, **__: Any) -> None: ...
        def on_end(self, _: Any) -> None:
            raise RuntimeError("no")

        def shutdown(self) -> None: ...
        def force_flush(self, *_: Any) -> bool:
            return True

    spans.provider.add_span_processor(Raising())
    for _ in range(3):
        assert spans.policy(lambda: "42")() == "42"
    assert ag.flush(30)
    assert spans.to.dropped == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_ends_its_own_spans() -> None:
    """While its parent's exporter hangs: the parent's spans stay the parent's, none is lost."""
    spans = Spans()
    gate = threading.Event()
    spans.to.outbox.put(lambda: gate.wait(30))
    safe = spans.policy(lambda: "42")
    safe()

    def work() -> None:
        assert safe() == "42"
        assert len(spans.all()) == 2

    in_child(work)
    gate.set()
    assert len(spans.all()) == 2


def test_nothing_is_kept_of_calls_that_ended(spans: Spans) -> None:
    """Once their spans have ended, records and answers are let go."""
    import weakref

    class Answer:
        pass

    answers = []

    def ask() -> Any:
        answer = Answer()
        answers.append(weakref.ref(answer))
        return answer

    spans.policy(ask)()
    assert ag.flush(30)
    gc.collect()
    assert answers[0]() is None
    assert not spans.policy._open


# The wire


def over_the_wire(
    receiver: Receiver, processor: Any, **settings: Any
) -> tuple[OpenTelemetry, TracerProvider, MeterProvider]:
    """An exporter on the SDK's own, which sends to the receiver."""
    tracers = TracerProvider(shutdown_on_exit=False)
    sends = OTLPSpanExporter(f"{receiver.url}/v1/traces", timeout=2)
    tracers.add_span_processor(processor(sends))
    meters = MeterProvider(
        [
            PeriodicExportingMetricReader(
                OTLPMetricExporter(f"{receiver.url}/v1/metrics", timeout=2), 3_600_000
            )
        ],
        shutdown_on_exit=False,
    )
    return OpenTelemetry(tracers, meters, **settings), tracers, meters


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_spans_and_measurements_arrive_whole_and_masked(
    processor: Any, provider: FakeProvider
) -> None:
    """Through the SDK's own OTLP exporter: one trace, nested, with no personal data in any byte."""
    provider.script(fault.status(503), f"sent to {ADDRESS}")
    with receiving() as receiver, openai_client(provider) as client:
        to, tracers, meters = over_the_wire(receiver, processor, capture=True)
        safe = ag.guard(ag.trace(to), at_once())(client)

        @ag.guard(ag.trace(to))
        def agent(question: str) -> str:
            answer = safe.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": question}]
            )
            return str(answer.choices[0].message.content)

        with ag.context(user=ADDRESS):
            assert agent(f"write to {ADDRESS} with {KEY}") == f"sent to {ADDRESS}"
        assert ag.flush(30)
        tracers.shutdown()
        meters.shutdown()
    assert to.dropped == 0
    assert len({span.trace_id for span in receiver.spans}) == 1
    ordered = sorted(receiver.spans, key=lambda span: (span.start_time_unix_nano, span.name))
    assert {span.name for span in ordered} == {
        agent.__qualname__.rpartition("<locals>.")[2],
        "OpenAI.chat.completions",
        f"chat {MODEL}",
    }
    names = {span.span_id: span.name for span in ordered}
    assert sorted(names.get(span.parent_span_id, "") for span in ordered) == sorted(
        ["", "agent", "agent", *["OpenAI.chat.completions"] * 2]
    )
    assert {scope for scope, _ in receiver.scopes} == {"agentguard"}
    assert all(url.endswith("gen-ai-dev/1.42.0-dev") for _, url in receiver.scopes)
    last = next(
        found
        for span in ordered
        if (found := value(span.attributes)).get("gen_ai.usage.input_tokens")
    )
    assert "<EMAIL_1>" in last["gen_ai.output.messages"]
    assert {metric.name for metric in receiver.metrics} >= {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
    }
    everything = b"".join(receiver.raw)
    for secret in (ADDRESS, KEY):
        assert secret.encode() not in everything


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("kind", ["slow", "failing", "absent"])
def test_a_receiver_that_is_slow_failing_or_absent_delays_no_call(
    kind: str, processor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred calls end while the receiver has not answered a single request."""
    with receiving() as receiver:
        if kind == "slow":
            receiver.gate.clear()
        elif kind == "failing":
            receiver.status = 400
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                receiver.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        to, tracers, meters = over_the_wire(receiver, processor)
        safe = ag.trace(to)(lambda: "42")
        assert [safe() for _ in range(100)] == ["42"] * 100
        assert not receiver.spans
        if kind == "slow":
            assert not ag.flush(0.05)
        receiver.gate.set()
        ag.flush(0.05)
        tracers.shutdown()
        meters.shutdown()
    assert to.dropped == 0 or kind == "absent"


@pytest.mark.parametrize("capture", [None, True, False])
def test_flush_has_the_providers_send(capture: bool | None) -> None:
    """`agentguard.flush` ends what waits and sends it: nothing is left to a batch's interval."""
    with receiving() as receiver:
        to, tracers, meters = over_the_wire(receiver, BatchSpanProcessor)
        traced = ag.trace(to, capture=capture)
        del to  # with `capture` another one sends in its place
        gc.collect()
        assert traced(lambda: "42")() == "42"
        assert ag.flush(30)
        assert len(receiver.spans) == 2
        tracers.shutdown()
        meters.shutdown()


def test_langsmith_and_opentelemetry_side_by_side() -> None:
    """Both are told of the same calls, each in its own tree."""
    from tests.exporters.langsmith_traced import traced

    spans = Spans()
    with traced() as there:

        @ag.retry
        def inner() -> str:
            assert otel.get_current_span().get_span_context().is_valid
            return "42"

        @ag.trace(spans.to, there.to)
        def outer() -> str:
            return inner()

        assert outer() == "42"
        runs = there.runs()
    assert [each.count("  ") for each in spans.tree()] == [0, 1, 2, 3]
    assert len(runs) == 4
    assert runs[3]["parent_run_id"] == runs[2]["id"]
    assert runs[2]["parent_run_id"] == runs[1]["id"]


def test_virtual_time_is_what_spans_tell(spans: Spans) -> None:
    """Under a fake clock spans have its dates."""
    with FakeRuntime() as time:
        now = time.time()
        spans.policy(lambda: "42")()
    call = spans.all()[0]
    assert call.start_time == int(now * 1e9)
