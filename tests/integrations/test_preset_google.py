"""`presets.production()` around Google's whole client, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from google import genai
from google.genai import types
from prometheus_client import CollectorRegistry

import agentguard as ag
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
PLANTED = "kim.minji" + "@example.com"
ASKED: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": f"my address is {PLANTED}"}


def whole(client: genai.Client) -> str:
    """Ask for a whole answer."""
    return client.models.generate_content(**ASKED).text or ""


def stream(client: genai.Client) -> str:
    """Ask for a stream."""
    return "".join(each.text or "" for each in client.models.generate_content_stream(**ASKED))


def awaited(client: genai.Client) -> str:
    """Await a whole answer."""

    async def ask() -> str:
        return (await client.aio.models.generate_content(**ASKED)).text or ""

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [whole, stream, awaited])
def test_a_failure_is_outlasted_and_personal_data_stays_here(
    ask: Callable[[genai.Client], str],
) -> None:
    """The second attempt answers; it is counted as one call with one retry."""
    registry = CollectorRegistry()
    preset = ag.presets.production(
        "google", tokens_per_day=100_000, scope="process", registry=registry
    )
    with FakeProvider(answer="write to <EMAIL_1>") as provider:
        provider.script(fault.status(503, retry_after=0))
        options = types.HttpOptions(base_url=provider.google_url)
        client = preset(genai.Client(api_key="test-key", http_options=options))
        assert ask(client) == f"write to {PLANTED}"
        assert len(provider.journal) == 2
        assert PLANTED not in repr([each.body for each in provider.journal])
    labels = {"name": "google", "outcome": "completed", "kind": ""}
    assert registry.get_sample_value("agentguard_requests_total", labels) == 1
    retried = {"name": "google", "kind": "overloaded"}
    assert registry.get_sample_value("agentguard_retries_total", retried) == 1
