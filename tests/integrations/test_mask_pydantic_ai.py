"""A pydantic-ai agent under `mask_pii`: at its client, and around its run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from agentguard import guard, mask_pii, retry
from agentguard.testing import FakeProvider, fault

KIM, LEE = "kim@example.com", "lee@example.org"


class Contact(pydantic.BaseModel):
    """A structured output."""

    mail: str


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider of a test's own."""
    with FakeProvider() as running:
        yield running


def clean(provider: FakeProvider) -> None:
    """Nothing planted has reached the provider."""
    sent = json.dumps([each.body for each in provider.journal])
    assert provider.journal
    assert KIM not in sent
    assert LEE not in sent


@pytest.mark.parametrize("whole", [False, True], ids=["client", "run"])
async def test_an_agent(provider: FakeProvider, whole: bool) -> None:
    """Its tool gets values, its provider none, its caller values."""
    asked: list[str] = []
    client: Any = AsyncOpenAI(base_url=provider.openai_url, api_key="test")
    client = client if whole else guard(mask_pii())(client)
    agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client)))

    @agent.tool_plain
    @guard(retry()).tool
    def look_up(mail: str) -> str:
        asked.append(mail)
        return f"{mail} reports to {LEE}"

    provider.script(fault.ok(tools=[("look_up", {"mail": "<EMAIL_1>"})]), fault.ok("ask <EMAIL_2>"))
    run = mask_pii()(agent.run) if whole else agent.run
    async with client:
        result = await run(f"whom does {KIM} report to?")
    assert result.output == f"ask {LEE}"
    assert asked == [KIM]
    clean(provider)


@pytest.mark.parametrize("whole", [False, True], ids=["client", "run"])
async def test_structured_output(provider: FakeProvider, whole: bool) -> None:
    """An object with values."""
    client: Any = AsyncOpenAI(base_url=provider.openai_url, api_key="test")
    client = client if whole else guard(mask_pii())(client)
    model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
    agent = Agent(model, output_type=Contact)
    provider.schedule(lambda *_: fault.ok(tools=[("final_result", {"mail": "<EMAIL_1>"})]))
    run = mask_pii()(agent.run) if whole else agent.run
    async with client:
        result = await run(f"who? {KIM}")
    assert result.output == Contact(mail=KIM)
    clean(provider)
