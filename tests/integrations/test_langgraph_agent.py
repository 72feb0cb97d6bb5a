"""A LangGraph agent with a guarded model, guarded tools and a human who approves."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from agentguard import breaker, context, describe, errors, guard, report, retry, timeout
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, at_once

pytestmark = LEFT_TO_THE_COLLECTOR
QUESTION: Any = {"messages": [("user", "tell Ann the weather in Rome")]}
LOOKS = fault.ok(tools=[("weather", {"city": "Rome"})])
MAILS = fault.ok(tools=[("send_mail", {"to": "Ann"})])
_numbers = itertools.count(1)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="done") as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


class Agent:
    """One agent: what its tools did, and the graph.

    Attributes:
        looked: cities whose weather was looked up, tries included.
        asked: how often a human was asked.
        sent: who got a mail.
        graph: the agent itself, with a checkpointer.
    """

    def __init__(
        self, provider: FakeProvider, *, around_model: Any = None, around_tools: Any = None
    ) -> None:
        self.looked: list[str] = []
        self.asked = 0
        self.sent: list[str] = []
        self.fails = 0
        model = ChatOpenAI(
            model="gpt-4o-mini",
            base_url=provider.openai_url,
            api_key="sk-test",  # type: ignore[arg-type]
            timeout=20 + next(_numbers) / 1e6,
        )
        model = (around_model or guard(at_once(), breaker(fail_max=99), timeout(20)))(model)

        @tool
        def weather(city: str) -> str:
            """Look the weather up."""
            self.looked.append(city)
            if len(self.looked) <= self.fails:
                raise ConnectionError("weather")
            return "sunny"

        @tool
        def send_mail(to: str) -> str:
            """Send it, once a human has approved."""
            self.asked += 1
            if interrupt({"mail to": to}) != "yes":
                return "refused"
            self.sent.append(to)
            return "sent"

        tools = around_tools or guard(at_once(), timeout(20))
        self.graph: Any = create_agent(
            model, [tools(weather), tools(send_mail)], checkpointer=InMemorySaver(), name="mailer"
        )


THREAD: Any = {"configurable": {"thread_id": "1"}}


@pytest.fixture(autouse=True)
def _one_loop() -> Iterator[None]:
    """Give each test one event loop: a client's connections stay with theirs."""
    global loop
    with asyncio.Runner() as loop:
        yield


loop: asyncio.Runner
every_way = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])


def run(graph: Any, how: str, what: Any) -> dict[str, Any]:
    """Run it until it ends or asks, in one of its ways: the last state."""
    if how == "invoke":
        return dict(graph.invoke(what, THREAD))
    if how == "stream":
        states = list(graph.stream(what, THREAD, stream_mode="values"))
    else:

        async def there() -> list[Any]:
            if how == "ainvoke":
                return [await graph.ainvoke(what, THREAD)]
            return [state async for state in graph.astream(what, THREAD, stream_mode="values")]

        states = loop.run(there(), context=contextvars.copy_context())
    return {key: value for state in states for key, value in state.items()}


@every_way
@pytest.mark.parametrize("around", ["the tool", "the agent", "its tool calls"])
def test_an_interrupt_passes_all_guards_and_the_agent_resumes(
    provider: FakeProvider, around: str, how: str
):
    """It is no failure: nothing is repeated, no circuit opens, and the mail goes out once."""
    provider.script(MAILS)
    strict = guard(at_once(), breaker(fail_max=1), timeout(20))
    agent = Agent(provider, around_tools=strict)
    graph = agent.graph
    if around == "the agent":
        graph = strict(graph)
    elif around == "its tool calls":
        graph = guard(retry(on=Exception, wait=lambda _: 0.0))(graph)

    with report() as seen:
        state = run(graph, how, QUESTION)
    assert state["__interrupt__"][0].value == {"mail to": "Ann"}
    assert (agent.asked, agent.sent) == (1, [])
    steered = [call for call in every(seen.calls) if call.kind == "control"]
    assert [call.name for call in steered] == ["send_mail"]
    assert [len(call.attempts) for call in every(seen.calls)] == [1] * len(every(seen.calls))

    state = run(graph, how, Command(resume="yes"))
    assert state["messages"][-1].content == "done"
    assert (agent.asked, agent.sent) == (2, ["Ann"])  # LangGraph runs the tool anew, from its top


def every(calls: list[Any]) -> list[Any]:
    """These calls and all within them."""
    return [found for call in calls for found in (call, *every(call.children))]


@every_way
def test_a_failing_tool_is_tried_again_by_its_own_guard(provider: FakeProvider, how: str):
    """The agent does not notice."""
    provider.script(LOOKS)
    agent = Agent(provider)
    agent.fails = 1
    state = run(agent.graph, how, QUESTION)
    assert state["messages"][-1].content == "done"
    assert agent.looked == ["Rome", "Rome"]
    assert len(provider.journal) == 2


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_an_agent_that_fails_after_a_tool_ran_is_not_run_again(provider: FakeProvider, how: str):
    """A retry around the whole agent would do what the tool did twice."""
    provider.script(LOOKS)
    provider.schedule(lambda number, _: fault.status(503) if number > 1 else None)
    agent = Agent(provider, around_model=guard(timeout(20)))
    with pytest.raises(Exception, match="503"):
        run(guard(at_once())(agent.graph), how, QUESTION)
    assert agent.looked == ["Rome"]


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_an_agent_that_may_be_replayed_is_run_again(provider: FakeProvider, how: str):
    """With `replay=True`, for tools whose effects may happen twice."""
    provider.script(LOOKS, fault.status(503), LOOKS)
    agent = Agent(provider, around_model=guard(timeout(20)))
    state = run(guard(at_once(replay=True))(agent.graph), how, QUESTION)
    assert state["messages"][-1].content == "done"
    assert agent.looked == ["Rome", "Rome"]


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_an_agent_that_fails_before_any_tool_is_run_again(provider: FakeProvider, how: str):
    """Nothing has happened yet that could happen twice."""
    provider.script(fault.status(503), LOOKS)
    agent = Agent(provider, around_model=guard(timeout(20)))
    state = run(guard(at_once())(agent.graph), how, QUESTION)
    assert state["messages"][-1].content == "done"
    assert agent.looked == ["Rome"]


@pytest.mark.parametrize("how", ["stream", "astream"])
def test_a_stream_of_states_is_committed_by_its_first_one(provider: FakeProvider, how: str):
    """LangGraph hands out the question before any model is asked: no retry after that."""
    provider.script(fault.status(503))
    agent = Agent(provider, around_model=guard(timeout(20)))
    with pytest.raises(Exception, match="503"):
        run(guard(at_once())(agent.graph), how, QUESTION)
    assert len(provider.journal) == 1


def test_each_tool_has_a_circuit_of_its_own(provider: FakeProvider):
    """Tools of one class under one guard: the one that is down does not close the other."""
    provider.script(LOOKS, MAILS)
    agent = Agent(provider, around_tools=guard(breaker(fail_max=1)))
    agent.fails = 1
    with pytest.raises(ConnectionError):
        run(agent.graph, "invoke", QUESTION)
    with pytest.raises(errors.CircuitOpen, match="weather"):
        run(agent.graph, "invoke", None)
    other = {"configurable": {"thread_id": "2"}}
    assert "__interrupt__" in agent.graph.invoke(QUESTION, other)


@every_way
def test_the_report_shows_the_agent_with_its_calls_each_counted_once(
    provider: FakeProvider, how: str
):
    """The agent is the parent; what its models used stands with them, and nowhere else."""
    provider.script(LOOKS, fault.status(503))
    agent = Agent(provider)
    with report() as seen, context(user="u1"):
        run(guard(timeout(60))(agent.graph), how, QUESTION)

    (call,) = seen.calls
    assert call.name == f"mailer.{how}"
    model = "ChatOpenAI.generate" if how in {"invoke", "stream"} else "ChatOpenAI.agenerate"
    assert [child.name for child in call.children] == [model, "weather", model]
    assert [len(child.attempts) for child in call.children] == [1, 1, 2]
    used = [attempt for found in every(seen.calls) for attempt in found.attempts if attempt.usage]
    assert len(used) == 2
    assert {found.tags["user"] for found in every(seen.calls)} == {"u1"}


def test_tokens_are_streamed_through_a_guarded_model_and_agent(provider: FakeProvider):
    """`stream_mode="messages"` gets them as they come, and a failure before them is not seen."""
    provider.script(fault.status(503), fault.ok("one two three"))
    agent = Agent(provider)
    graph = guard(timeout(60))(agent.graph)
    chunks = [chunk for chunk, _ in graph.stream(QUESTION, THREAD, stream_mode="messages")]
    assert [chunk.content for chunk in chunks if chunk.content] == ["one", " two", " three"]


def test_a_stream_that_its_reader_leaves_stops_the_agent(provider: FakeProvider):
    """No request stays open behind it."""
    provider.script(fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    with report() as seen:
        graph = guard(timeout(60))(Agent(provider).graph)
        stream = graph.stream(QUESTION, THREAD, stream_mode="messages")
        next(stream)
        stream.close()
        assert provider.settle()
    assert seen.calls[0].outcome == "abandoned"


def test_a_silent_model_is_given_up_by_the_bound_of_the_agent(provider: FakeProvider):
    """The outer bound narrows all inside."""
    provider.always(fault.stall())
    agent = Agent(provider, around_model=guard(at_once()))
    with pytest.raises(errors.Timeout):
        run(guard(timeout(0.3))(agent.graph), "ainvoke", QUESTION)


def test_a_guarded_agent_is_still_a_graph(provider: FakeProvider):
    """With its state, its drawing, its settings, and as a part of another graph."""
    agent = Agent(provider)
    safe = guard(at_once())(agent.graph)
    assert isinstance(safe, type(agent.graph))
    assert set(safe.get_graph().nodes) == set(agent.graph.get_graph().nodes)
    provider.script(MAILS)
    run(safe.with_config(tags=["a"]), "invoke", QUESTION)
    assert safe.get_state(THREAD).next == ("tools",)
    assert safe.with_config(tags=["a"]).get_name() == "mailer"
    assert describe(safe.with_config(tags=["a"]))["policies"][0]["name"] == "retry"


class State(TypedDict):
    """What a graph of the user's own hands from node to node."""

    text: str


@every_way
def test_a_guarded_agent_is_a_node_of_another_graph(provider: FakeProvider, how: str):
    """A part that fails is tried again by itself; the steps around it run once."""
    steps: list[str] = []
    left = [1]

    def flaky(state: State) -> State:
        steps.append("inner")
        if left[0]:
            left[0] -= 1
            raise ConnectionError("once")
        return {"text": state["text"] + "!"}

    inner = StateGraph(State)
    inner.add_node("flaky", flaky)
    inner.add_edge(START, "flaky")
    inner.add_edge("flaky", END)

    def first(state: State) -> State:
        steps.append("outer")
        return state

    graph = StateGraph(State)
    graph.add_node("first", first)
    graph.add_node("inner", guard(at_once())(inner.compile()))
    graph.add_edge(START, "first")
    graph.add_edge("first", "inner")
    graph.add_edge("inner", END)
    assert run(graph.compile(), how, {"text": "a"}) == {"text": "a!"}
    assert steps == ["outer", "inner", "inner"]


@every_way
def test_a_plain_node_with_an_interrupt_passes_a_guarded_function(provider: FakeProvider, how: str):
    """A node is a function like any other: the guard stands around it, and lets it pause."""
    asked: list[str] = []

    @guard(at_once(), breaker(fail_max=1))
    def approve(state: State) -> State:
        asked.append("?")
        return {"text": str(interrupt("sure?"))}

    graph = StateGraph(State)
    graph.add_node("approve", approve)
    graph.add_edge(START, "approve")
    compiled = graph.compile(checkpointer=InMemorySaver())
    assert run(compiled, how, {"text": "a"})["__interrupt__"][0].value == "sure?"
    assert len(asked) == 1
    assert run(compiled, how, Command(resume="yes"))["text"] == "yes"
