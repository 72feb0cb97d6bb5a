"""metrics() around real clients, over real HTTP: what providers tell is what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from prometheus_client import generate_latest

import agentguard as ag
from agentguard.testing import FakeProvider, fault
from tests.exporters.counted import Counted
from tests.policies.test_metrics import MODEL, idle

KEY = "sk-" + "a1" * 24
SAID: Any = [{"role": "user", "content": "I am ann@example.com"}]
CLAUDE = "claude-opus-5"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider for one test."""
    with FakeProvider(answer="one two three four five six") as running:
        yield running


async def test_an_async_client(provider: FakeProvider) -> None:
    """Failures that it tells, retries, streams that are read and left: counted by model and kind."""
    counted = Counted()
    provider.script(fault.status(503), fault.status(429))
    async with openai.AsyncOpenAI(
        base_url=provider.openai_url, api_key=KEY, max_retries=0
    ) as plain:
        stack = ag.guard(
            counted.metrics(), ag.mask_pii(), ag.retry(attempts=3, wait=lambda _: 0.0, budget=None)
        )
        create = stack(plain).chat.completions.create
        with ag.usage() as u:
            await create(model=MODEL, messages=SAID)
            read = await create(model=MODEL, messages=SAID, stream=True)
            assert len([chunk async for chunk in read]) > 2
            left = await create(model=MODEL, messages=SAID, stream=True)
            await anext(left)
            assert counted_flights(counted) == 1
            await left.close()
        assert await asyncio.to_thread(ag.flush, 30)
    assert counted("requests_total") == 3
    assert counted("requests_total", outcome="abandoned") == 1
    assert counted("attempts_total", model=MODEL) == counted("attempts_total") == u.attempts == 5
    assert counted("attempts_total", kind="overloaded") == 1
    assert counted("retries_total", kind="rate_limited") == 1
    assert counted("tokens_total", model=MODEL) == u.total_tokens > 0
    assert counted("cost_usd_total") == pytest.approx(float(u.cost or 0))
    assert counted("time_to_first_token_seconds_count", model=MODEL) == 2
    assert counted("time_per_output_token_seconds_count", model=MODEL) == 1
    assert counted("masked_total", type="email") >= 3
    assert idle(counted)
    text = generate_latest(counted.registry).decode()
    assert "ann@" not in text
    assert KEY not in text


def counted_flights(counted: Counted) -> float:
    """What is in flight, asked on an event loop, where nothing is waited for."""
    found = counted.registry.get_sample_value("agentguard_requests_in_flight", {"name": "t"})
    return found or 0


def test_what_a_provider_has_cached(provider: FakeProvider) -> None:
    """The first request writes the prompt, which costs on top; the next ones read it."""
    counted = Counted()
    manual = "All that the model must know. " * 500
    with anthropic.Anthropic(
        base_url=provider.anthropic_url, api_key="test-key", max_retries=0
    ) as plain:
        client = ag.guard(counted.metrics(), ag.prompt_cache())(plain)
        messages: list[Any] = []
        with ag.usage() as u:
            for question in ("why?", "how?", "since when?"):
                messages.append({"role": "user", "content": question})
                answer = client.messages.create(
                    model=CLAUDE, max_tokens=100, system=manual, messages=messages
                )
                messages.append({"role": "assistant", "content": answer.content})
    by_type = {each["type"]: value for each, value in counted.series("tokens_total")}
    assert by_type["cache_read"] == u.cached_tokens > 0
    assert by_type["cache_write"] == u.cache_write_tokens > 0
    assert sum(by_type.values()) == u.total_tokens
    assert counted("surcharge_usd_total") > 0
    net = counted("saved_usd_total", by="prompt_cache") - counted("surcharge_usd_total")
    assert net == pytest.approx(float(u.saved))
    assert counted("cost_usd_total", model=CLAUDE) == pytest.approx(float(u.cost or 0))
