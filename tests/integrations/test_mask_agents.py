"""LangChain's agents under `mask_pii`: guarded at their model, by middleware, or as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool

from agentguard import guard, mask_pii, retry
from agentguard.testing import FakeProvider, fault
from tests.integrations.test_mask_langchain import (
    KIM,
    LEE,
    _collect,  # noqa: F401  a fixture
    clean,
    model_of,
)
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider() as running:
        yield running


@tool
def look_up(mail: str) -> str:
    """Look somebody up."""
    asked.append(mail)
    return f"{mail} reports to {LEE}"


asked: list[str] = []


def agent_of(provider: FakeProvider, place: str) -> Any:
    """An agent that is masked at one of three places."""
    model = model_of("openai", provider)
    if place == "model":
        return create_agent(guard(mask_pii())(model), tools=[look_up])
    if place == "middleware":
        return create_agent(model, tools=[look_up], middleware=[guard(mask_pii()).middleware()])
    return guard(mask_pii())(create_agent(model, tools=[guard(retry())(look_up)]))


@pytest.mark.parametrize("place", ["model", "middleware", "agent"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_agents(provider: FakeProvider, place: str, is_async: bool) -> None:
    """The tool gets values, the provider none, the user values."""
    asked.clear()
    provider.script(
        fault.ok(tools=[("look_up", {"mail": "<EMAIL_1>"})]), fault.ok("ask <EMAIL_2>, <EMAIL_1>")
    )
    agent = agent_of(provider, place)
    given: Any = {"messages": [("user", f"whom does {KIM} report to?")]}
    found = asyncio.run(agent.ainvoke(given)) if is_async else agent.invoke(given)
    assert asked == [KIM]
    assert found["messages"][-1].content == f"ask {LEE}, {KIM}"
    clean(provider)


def test_a_streaming_agent(provider: FakeProvider) -> None:
    """Tokens of a masked agent, as LangGraph streams them: message and metadata in a tuple."""
    asked.clear()
    provider.script(
        fault.ok(tools=[("look_up", {"mail": "<EMAIL_1>"})]),
        fault.ok(chunks=["ask <EMA", "IL_2", "> or <", "email_1>."]),
    )
    agent = agent_of(provider, "agent")
    given: Any = {"messages": [("user", f"whom does {KIM} report to?")]}
    said = "".join(
        str(message.content)
        for message, _ in agent.stream(given, stream_mode="messages")
        if message.type == "AIMessageChunk"
    )
    assert said == f"ask {LEE} or {KIM}."
    assert asked == [KIM]
    clean(provider)
