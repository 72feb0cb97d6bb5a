"""All telemetry at once around a run with planted values: grep everything that left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prometheus_client import CollectorRegistry, generate_latest

import agentguard as ag
from agentguard import exporters
from agentguard.alerts import webhook
from agentguard.testing import FakeProvider, fault
from tests.alerts.receiver import Receiver as Hook
from tests.exporters.langsmith_traced import Traced, traced
from tests.exporters.otlp_receiver import Receiver as Collector
from tests.exporters.otlp_receiver import receiving as collecting
from tests.hostile.test_planted import KEY, MAIL, NAME, NUMBER, PHONE, TEXT, messages

PLANTED = (MAIL, PHONE, NUMBER, NUMBER.replace("-", ""), NAME, KEY)


class Everything:
    """Where all kinds of telemetry go, over real HTTP where they would, and what came there."""

    def __init__(self, runs: Traced, collector: Collector, hook: Hook) -> None:
        self.runs, self.collector, self.hook = runs, collector, hook
        self.registry = CollectorRegistry()
        self.logger = logging.getLogger("planted")
        self.tracers, self.meters = (
            TracerProvider(),
            MeterProvider(
                [PeriodicExportingMetricReader(OTLPMetricExporter(f"{collector.url}/v1/metrics"))],
                shutdown_on_exit=False,
            ),
        )
        spans = OTLPSpanExporter(f"{collector.url}/v1/traces")
        self.tracers.add_span_processor(SimpleSpanProcessor(spans))

    def guard(self, *policies: ag.Policy, capture: bool = True) -> Any:
        """Policies behind all telemetry, which captures content wherever it can."""
        spans = exporters.OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters)
        return ag.guard(
            ag.metrics("planted", registry=self.registry),
            ag.log("planted", logger=self.logger, capture=capture),
            ag.trace(spans, self.runs.to, capture=capture),
            ag.on_event(ag.events.Event, webhook(self.hook.url, every=0.001)),
            *policies,
        )

    def left(self, *more: object) -> list[str]:
        """All that left the process, by now."""
        assert ag.flush(30)
        assert self.tracers.force_flush()
        assert self.meters.force_flush()
        assert self.runs.receiver.runs
        assert self.collector.spans
        assert self.hook.messages
        return [
            self.runs.receiver.everything().decode(),
            *[raw.decode("utf-8", "replace") for raw in self.collector.raw],
            *[repr(message) for message in self.hook.messages],
            generate_latest(self.registry).decode(),
            *map(str, more),
        ]


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[Everything]:
    """Receivers of its own for one test."""
    caplog.set_level(logging.DEBUG)
    with traced() as runs, collecting() as collector, Hook() as hook:
        found = Everything(runs, collector, hook)
        yield found
        found.tracers.shutdown()
        found.meters.shutdown()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """It answers with placeholders."""
    with FakeProvider(answer="to <EMAIL_1> or <PHONE_1>, dear <NAME_1>") as running:
        yield running


def clean(left: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Nothing planted is in it, also as JSON or as a field of a log record."""
    ours = ("agentguard", "planted", "langsmith", "opentelemetry")
    records = [each for each in caplog.records if each.name.startswith(ours)]
    assert records
    left += [str(vars(each)) + each.getMessage() for each in records]
    for place in left:
        for value in PLANTED:
            assert value not in place
            assert json.dumps(value)[1:-1] not in place


@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_full_run(
    everything: Everything,
    provider: FakeProvider,
    caplog: pytest.LogCaptureFixture,
    streams: bool,
    is_async: bool,
) -> None:
    """Prompts, history, tools, headers, a retry, a fallback: the user gets values, nobody else."""
    provider.script(fault.status(429), fault.status(400, message="cannot read <EMAIL_1>"))
    safe = everything.guard(
        ag.mask_pii(),
        ag.cache(),
        ag.budget(usd=5, per="minute", name=f"{streams}-{is_async}"),
        ag.fallback(model="gpt-4o-mini"),
        ag.retry(attempts=2, wait=lambda _: 0.0),
        ag.breaker(),
        ag.timeout(20),
    )

    async def ask() -> None:
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
        client = safe(kind(base_url=provider.openai_url, api_key=KEY, max_retries=0))
        for number in range(3):
            try:
                found = client.chat.completions.create(
                    model="gpt-4o",
                    messages=messages(TEXT),
                    user=MAIL,
                    stream=streams,
                    extra_headers={"x-customer": f"{MAIL} {KEY}"},
                )
                found = await found if is_async else found
            except openai.BadRequestError:
                assert number == 0
                continue
            if streams:
                said = [c async for c in found] if is_async else [*found]
                text = "".join(c.choices[0].delta.content or "" for c in said if c.choices)
            else:
                text = found.choices[0].message.content
            assert text == f"to {MAIL} or {PHONE}, dear {NAME}"
        closing = client.close()
        if is_async:
            await closing

    with ag.report() as seen, ag.context(user="u-1", known={"name": NAME}):
        asyncio.run(ask())
    clean(everything.left(seen, repr(seen), seen.to_html(), seen._repr_html_()), caplog)


def test_what_fails_and_what_is_refused(
    everything: Everything, caplog: pytest.LogCaptureFixture
) -> None:
    """Exceptions that quote what they were given, tools that get values, findings."""

    @everything.guard(ag.mask_pii())
    def ask(question: str, about: dict[str, Any]) -> str:
        remember({"who": "<EMAIL_1>"})
        raise ValueError(f"{question} {about}")

    @everything.guard(ag.retry()).tool  # a tool gets the values
    def remember(about: dict[str, Any]) -> dict[str, Any]:
        return {"kept": TEXT}

    @everything.guard(ag.mask_pii(strategy="block"))
    async def refused(question: str) -> str:
        return question

    with ag.report() as seen, ag.context(known={"name": NAME}):
        with pytest.raises(ValueError, match="<"):
            ask(TEXT, {MAIL: int(NUMBER.replace("-", ""))})
        with pytest.raises(ag.errors.InputRejected):
            asyncio.run(refused(TEXT))
    clean(everything.left(seen, repr(seen), seen.to_html()), caplog)


def test_without_a_mask_no_content_is_told_but_masked(
    everything: Everything, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """LangSmith alone has content then, masked by itself; a log and spans have it on request only."""
    safe = everything.guard(capture=False)
    with openai.OpenAI(base_url=provider.openai_url, api_key=KEY, max_retries=0) as client:
        provider.script(fault.status(400, message=f"cannot read {MAIL}"))
        guarded = safe(client)
        with ag.report() as seen, ag.context(user="u-1", known={"name": NAME}):
            for _ in range(2):
                with contextlib.suppress(openai.BadRequestError):
                    guarded.chat.completions.create(
                        model="gpt-4o", messages=messages(TEXT), user=MAIL
                    )
    clean(everything.left(seen, repr(seen), seen.to_html()), caplog)
    assert "<EMAIL_1>" in everything.runs.receiver.everything().decode()
