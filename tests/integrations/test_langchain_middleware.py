"""`guard(...).middleware()`: an agent's model calls under one guard, its tools under another."""

from __future__ import annotations

import asyncio
import gc
import itertools
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.tools import ToolRuntime
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.types import Command
from pydantic import BaseModel

from agentguard import (
    Call,
    Next,
    Policy,
    Reply,
    breaker,
    errors,
    fallback,
    guard,
    report,
    timeout,
)
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, at_once

pytestmark = LEFT_TO_THE_COLLECTOR
QUESTION: Any = {"messages": [("user", "weather in Rome?")]}
ASKS = fault.ok(tools=[("weather", {"city": "Rome"})])
_numbers = itertools.count(1)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="sunny") as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def openai(provider: FakeProvider, model: str = "gpt-4o-mini") -> ChatOpenAI:
    """A model that leaves retrying to the guard; its HTTP clients are shared with no other test."""
    return ChatOpenAI(
        model=model,
        base_url=provider.openai_url,
        api_key="sk-test",  # type: ignore[arg-type]
        max_retries=0,
        timeout=20 + next(_numbers) / 1e6,
    )


def anthropic(provider: FakeProvider) -> ChatAnthropic:
    """The same of another vendor."""
    return ChatAnthropic(
        model_name="claude-x",
        base_url=provider.anthropic_url,
        api_key="sk-test",  # type: ignore[arg-type]
        max_retries=0,
        timeout=20 + next(_numbers) / 1e6,
        stop=None,
    )


every_way = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])


def asked(agent: Any, how: str, question: Any = None, *models: Any) -> str:
    """Run an agent to its last message."""
    question = question or QUESTION
    if how == "invoke":
        return str(agent.invoke(question)["messages"][-1].content)
    if how == "stream":
        *_, last = agent.stream(question, stream_mode="values")
        return str(last["messages"][-1].content)

    async def there() -> str:
        if how == "ainvoke":
            last = await agent.ainvoke(question)
        else:
            async for state in agent.astream(question, stream_mode="values"):
                last = state
        for model in models:
            await model.root_async_client.close()
        return str(last["messages"][-1].content)

    return asyncio.run(there())


class Weather:
    """A tool that fails some times; what it was asked is kept."""

    def __init__(self, fails: int = 0) -> None:
        self.asked: list[str] = []

        @tool
        def weather(city: str) -> str:
            """Tell the weather."""
            self.asked.append(city)
            if len(self.asked) <= fails:
                raise ConnectionError("weather")
            return f"sun in {city}"

        self.tool = weather


class Seen(Policy):
    """Counts the calls that come through a guard."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def around(self, call: Call, next: Next) -> Reply:
        self.calls.append(call.target.name)
        return await next(call)


@every_way
def test_model_calls_are_tried_again_and_tools_run_under_their_own_guard(
    provider: FakeProvider, how: str
):
    """Each of the two model calls and the tool call is guarded once; only what failed is repeated."""
    provider.script(fault.status(503), ASKS, fault.status(503), "sunny")
    models, tools, weather = Seen(), Seen(), Weather(fails=1)
    model = openai(provider)
    safe = guard(models, at_once()).middleware(tools=guard(tools, at_once()))
    agent = create_agent(model, [weather.tool], middleware=[safe])

    with report() as seen:
        assert asked(agent, how, None, model) == "sunny"

    assert models.calls == ["model_call"] * 2
    assert tools.calls == ["weather"]
    assert weather.asked == ["Rome", "Rome"]
    assert [each.status for each in provider.journal] == [503, 200, 503, 200]
    assert [call.name for call in seen.calls] == ["model_call", "weather", "model_call"]
    assert seen.calls[0].attempts[-1].model == "gpt-4o-mini"
    assert seen.calls[0].attempts[-1].usage is not None


@every_way
def test_without_a_guard_of_their_own_tools_run_once_and_as_tools(provider: FakeProvider, how: str):
    """The policies for the model are not the tools': what acts is not repeated, by nobody."""
    provider.script(ASKS)
    weather = Weather(fails=1)
    agent = create_agent(
        openai(provider), [weather.tool], middleware=[guard(at_once()).middleware()]
    )
    with report() as seen, pytest.raises(ConnectionError):
        asked(guard(at_once())(agent), how)

    assert weather.asked == ["Rome"]
    (call,) = seen.calls
    assert [child.name for child in call.children] == ["model_call", "weather"]
    assert len(call.attempts) == 1


@every_way
def test_another_model_takes_over(provider: FakeProvider, how: str):
    """A fallback target is a middleware of its own: it gets the request and the handler."""
    backup_model = anthropic(provider)

    def backup(request: Any, handler: Any) -> Any:
        return handler(request.override(model=backup_model))

    async def abackup(request: Any, handler: Any) -> Any:
        return await handler(request.override(model=backup_model))

    target = abackup if how.startswith("a") else backup
    provider.script(fault.status(503))
    agent = create_agent(openai(provider), [], middleware=[guard(fallback(target)).middleware()])
    with report() as seen:
        assert asked(agent, how) == "sunny"

    assert [each.protocol for each in provider.journal] == ["openai.chat", "anthropic"]
    assert seen.calls[0].model == "claude-x"
    assert seen.calls[0].served_by == target.__name__


@every_way
def test_a_silent_model_is_given_up_in_time(provider: FakeProvider, how: str):
    """The bound of the guard comes out of the agent."""
    provider.always(fault.stall())
    agent = create_agent(openai(provider), [], middleware=[guard(timeout(0.2)).middleware()])
    with pytest.raises(errors.Timeout):
        asked(agent, how)


@every_way
def test_circuits_are_kept_for_each_model(provider: FakeProvider, how: str):
    """One that is open for a model lets another one through, and another agent's calls neither."""
    provider.schedule(
        lambda _, received: fault.status(503) if received.model == "gpt-4o-mini" else None
    )
    safe = guard(breaker(fail_max=1)).middleware()
    with pytest.raises(Exception, match="503"):
        asked(create_agent(openai(provider), [], middleware=[safe]), "invoke")

    with pytest.raises(errors.CircuitOpen):
        asked(create_agent(openai(provider), [], middleware=[safe]), how)
    other = create_agent(openai(provider, "gpt-4o"), [], middleware=[safe])
    assert asked(other, how) == "sunny"
    assert len(provider.journal) == 2


def test_one_middleware_serves_sync_and_async_agents_at_once(provider: FakeProvider):
    """Its circuits are those of the model, however it was asked; many threads share it."""
    from concurrent.futures import ThreadPoolExecutor

    provider.script(*[fault.status(503)] * 3)
    safe = guard(at_once(attempts=9)).middleware()
    agents = [create_agent(openai(provider), [], middleware=[safe]) for _ in range(8)]
    ways = ["invoke", "ainvoke"] * 4
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(asked, agents, ways)) == {"sunny"}
    assert len(provider.journal) == 8 + 3


def test_two_guards_are_two_middlewares(provider: FakeProvider):
    """LangChain tells them apart by their policies; a guard alone could not be used twice."""
    inner, outer = Seen(), Seen()
    agent = create_agent(
        openai(provider),
        [],
        middleware=[guard(outer, timeout(20)).middleware(), guard(inner).middleware()],
    )
    assert asked(agent, "invoke") == "sunny"
    assert (outer.calls, inner.calls) == (["model_call"], ["model_call"])


class Sky(BaseModel):
    """How it looks."""

    look: str


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy], ids=["tool", "provider"])
def test_structured_answers_come_through(provider: FakeProvider, strategy: Any):
    """The parsed object is that of the guarded model response."""
    good = (
        fault.ok(tools=[("Sky", {"look": "blue"})])
        if strategy is ToolStrategy
        else fault.ok('{"look": "blue"}')
    )
    provider.script(fault.status(503), good)
    agent = create_agent(
        openai(provider),
        [],
        response_format=strategy(Sky),
        middleware=[guard(at_once()).middleware()],
    )
    assert agent.invoke(QUESTION)["structured_response"] == Sky(look="blue")
    assert len(provider.journal) == 2


def test_a_tool_may_answer_with_a_command(provider: FakeProvider):
    """What steers the graph passes through the tools' guard unchanged."""

    @tool
    def weather(city: str, runtime: ToolRuntime) -> Command[Any]:
        """Tell the weather."""
        said = ToolMessage(f"sun in {city}", tool_call_id=runtime.tool_call_id)
        return Command(update={"messages": [said]})

    provider.script(ASKS)
    safe = guard(at_once()).middleware(tools=guard(at_once(), timeout(20)))
    agent = create_agent(openai(provider), [weather], middleware=[safe])
    found = agent.invoke(QUESTION)["messages"]
    assert [message.content for message in found[-2:]] == ["sun in Rome", "sunny"]


@every_way
def test_a_tool_that_the_model_made_up_is_no_tool(provider: FakeProvider, how: str):
    """Nothing acted: no guard is asked or kept for the name."""
    counted = Seen()
    safe = guard(at_once()).middleware(tools=guard(counted))
    provider.script(fault.ok(tools=[("made_up", {"city": "Rome"})]))

    @tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return city

    assert asked(create_agent(openai(provider), [weather], middleware=[safe]), how) == "sunny"
    assert counted.calls == []
    assert not [key for key in safe._guarded if "made_up" in key]  # type: ignore[operator]


def test_other_middleware_stands_inside_and_outside(provider: FakeProvider):
    """The guard repeats what is inside it, and nothing of what is outside."""
    heard: list[str] = []

    class Spy(AgentMiddleware[Any, Any, Any]):
        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

        @property
        def name(self) -> str:
            return self.word

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            heard.append(self.word)
            return handler(request)

    provider.script(fault.status(503))
    between = guard(at_once()).middleware()
    agent = create_agent(openai(provider), [], middleware=[Spy("out"), between, Spy("in")])
    assert asked(agent, "invoke") == "sunny"
    assert heard == ["out", "in", "in"]


def test_a_guarded_model_inside_the_middleware_is_counted_where_it_was_called(
    provider: FakeProvider,
):
    """Two guards around one request: the report shows the inner as the child, with what it used."""
    model = guard(timeout(20))(openai(provider))
    agent = create_agent(model, [], middleware=[guard(at_once()).middleware()])
    with report() as seen:
        asked(agent, "invoke")

    (outer,) = seen.calls
    (inner,) = outer.children
    assert (outer.name, inner.name) == ("model_call", "ChatOpenAI.generate")
    assert outer.attempts[0].usage is None
    assert inner.attempts[0].usage is not None


def test_an_answer_is_read_and_changed_by_policies_of_the_users_own(provider: FakeProvider):
    """A step of a policy changes the text of an agent's model response."""

    class Loud(Policy):
        async def around(self, call: Call, next: Next) -> Reply:
            reply = await next(call)
            reply.transform(Upper)
            return reply

    class Upper:
        def feed(self, text: str) -> str:
            return text.upper()

        def flush(self) -> str:
            return ""

    agent = create_agent(openai(provider), [], middleware=[guard(Loud()).middleware()])
    assert asked(agent, "invoke") == "SUNNY"


def test_a_missing_langchain_is_named():
    """With the line that installs it."""
    program = """
        import sys
        sys.modules["langchain"] = None
        from agentguard import guard, retry
        try:
            guard(retry()).middleware()
        except ImportError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert "pip install 'agentguard-decorators[langchain]'" in done.stdout
