"""A pydantic-ai agent over a guarded client, with guarded tools: its control flow is its own."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from tenacity import wait_fixed

from agentguard import breaker, cache, guard, report, retry, timeout, usage
from agentguard.testing import FakeProvider
from agentguard.testing.provider import fault

SOON = wait_fixed(0)


@pytest.fixture
def provider():
    """A provider that answers in the words of each script."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def model(provider: FakeProvider):
    """A chat model of pydantic-ai whose client is guarded."""
    client = guard(retry(wait=SOON), breaker(), timeout(5))(
        AsyncOpenAI(base_url=provider.openai_url, api_key="test-key")
    )
    async with client:
        yield OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client))


async def test_a_failure_of_the_model_is_cured_below_the_agent(
    provider: FakeProvider, model: OpenAIChatModel
) -> None:
    """The agent never hears of a rate limit; the tool in between runs once."""
    ran: list[str] = []
    agent = Agent(model)

    @agent.tool_plain
    @guard(timeout(5)).tool
    def weather(city: str) -> str:
        ran.append(city)
        return "sunny"

    provider.script(
        fault.status(429),
        fault.ok(tools=[("weather", {"city": "Seoul"})]),
        fault.status(503),
        fault.ok("It is sunny."),
    )
    with report() as seen:
        result = await agent.run("weather?")
    assert result.output == "It is sunny."
    assert ran == ["Seoul"]
    assert [(call.name, len(call.attempts)) for call in seen.calls] == [
        ("AsyncOpenAI.chat.completions", 2),
        ("weather", 1),
        ("AsyncOpenAI.chat.completions", 2),
    ]


async def test_model_retry_is_no_failure_of_a_tool(
    provider: FakeProvider, model: OpenAIChatModel
) -> None:
    """`ModelRetry` goes back to the model, not to the tool's retry or circuit."""
    asked: list[str] = []
    agent = Agent(model)
    careful = guard(retry(wait=SOON), breaker(fail_max=1)).tool

    @agent.tool_plain
    @careful
    def weather(city: str) -> str:
        asked.append(city)
        if city != "Seoul":
            raise ModelRetry("ask for Seoul")
        return "sunny"

    provider.script(
        fault.ok(tools=[("weather", {"city": "Soul"})]),
        fault.ok(tools=[("weather", {"city": "Seoul"})]),
        fault.ok("It is sunny."),
    )
    assert (await agent.run("weather?")).output == "It is sunny."
    assert asked == ["Soul", "Seoul"]


@pytest.mark.parametrize(("replay", "times"), [(False, 1), (True, 2)])
async def test_the_agent_is_not_run_again_after_its_tool_ran(
    provider: FakeProvider, model: OpenAIChatModel, replay: bool, times: int
) -> None:
    """A retry around the whole run repeats it only with `replay=True`."""
    ran: list[str] = []
    agent = Agent(model)

    @agent.tool_plain
    @guard(timeout(5)).tool
    def pay(amount: int) -> str:
        ran.append("paid")
        return "paid"

    @retry(wait=SOON, attempts=2, nested="multiply", on=ModelHTTPError, replay=replay)
    async def run() -> str:
        return (await agent.run("pay")).output

    provider.schedule(
        lambda number, received: (
            fault.ok(tools=[("pay", {"amount": 1})])
            if received.body["messages"][-1]["role"] == "user"
            else fault.status(400)
        )
    )
    with pytest.raises(ModelHTTPError):
        await run()
    assert len(ran) == times


async def test_a_second_run_comes_from_the_cache(provider: FakeProvider) -> None:
    """Both requests of an agent with a tool; around the whole run, its output is kept."""
    ran: list[str] = []
    client = guard(cache())(AsyncOpenAI(base_url=provider.openai_url, api_key="test-key"))
    async with client:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, name="forecaster")

        @agent.tool_plain
        def weather(city: str) -> str:
            ran.append(city)
            return "sunny"

        @cache(key=lambda question: question)
        async def ask(question: str) -> str:
            return (await agent.run(question)).output

        provider.script(fault.ok(tools=[("weather", {"city": "Seoul"})]), fault.ok("It is sunny."))
        with usage() as used:
            for _ in range(2):
                assert (await agent.run("weather?")).output == "It is sunny."
            assert ran == ["Seoul"] * 2
            assert [await ask("weather?") for _ in range(2)] == ["It is sunny."] * 2
    assert ran == ["Seoul"] * 3
    assert len(provider.journal) == 2
    assert (used.attempts, used.hits) == (2, 5)
