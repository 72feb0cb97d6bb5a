"""LangSmith: whose child each run is, and whose tokens count, across threads, tasks and streams."""

from __future__ import annotations

import asyncio
import contextvars
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.langchain import LangChainTracer
from langchain_openai import ChatOpenAI
from langsmith import get_current_run_tree, traceable

import agentguard as ag
from agentguard.testing import FakeProvider
from tests.exporters.langsmith_traced import Traced, metadata, traced
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
MODEL = "gpt-4o-mini"
HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture
def there() -> Iterator[Traced]:
    """A receiver and what sends to it."""
    with traced(project="p") as found:
        yield found


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """It answers everybody."""
    with FakeProvider(answer="fine") as running:
        yield running


def tree(there: Traced) -> Any:
    """Names of runs and what is inside each."""
    runs = there.runs()

    def inside(parent: str | None) -> list[Any]:
        return [
            (run["name"], run["run_type"], *inside(run["id"]))
            for run in runs
            if run.get("parent_run_id") == parent
        ]

    return inside(None)


def tokens(there: Traced) -> list[int]:
    """What LangSmith adds up: the tokens of each run of a model."""
    found: list[int] = []
    for run in there.runs():
        told = metadata(run).get("usage_metadata") if run["run_type"] == "llm" else None
        found += [told["total_tokens"]] if told else []
    return found


def test_a_traced_function_around_is_the_parent(there: Traced) -> None:
    """And one inside an attempt is a child of it, in the same project."""

    @traceable(client=there.client, enabled=True, project_name="theirs")
    def outside(question: str) -> str:
        return ask(question)

    @traceable
    def inside(question: str) -> str:
        return f"no {question}"

    @ag.guard(there.policy)
    def ask(question: str) -> str:
        return inside(question)

    outside("a")
    assert tree(there) == [
        ("outside", "chain", ("ask", "chain", ("ask", "llm", ("inside", "chain"))))
    ]
    assert {run["session_name"] for run in there.runs()} == {"theirs"}


def test_guarded_calls_inside_guarded_calls(there: Traced) -> None:
    """The inner attempt's tokens are counted, the outer one surrounds it."""
    answer = {"model": MODEL, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    choices = [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]

    @ag.guard(there.policy)
    def model(question: str) -> Any:
        return {**answer, "choices": choices}

    @ag.guard(there.policy)
    def agent(question: str) -> Any:
        return model(question)

    agent("a")
    assert tree(there) == [
        ("agent", "chain", ("agent", "chain", ("model", "chain", ("model", "llm"))))
    ]
    assert tokens(there) == [5]


def test_threads_and_tasks_each_have_their_own_parent(there: Traced) -> None:
    """Whoever runs beside: no run lands in another's trace."""

    @ag.guard(there.policy)
    def ask(question: str) -> str:
        return question

    @ag.guard(there.policy)
    async def aask(question: str) -> str:
        await asyncio.sleep(0)
        return question

    @traceable(client=there.client, enabled=True)
    def outside(name: str) -> None:
        copied = contextvars.copy_context()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copied.run, ask, name).result()

    @traceable(client=there.client, enabled=True)
    async def aoutside(name: str) -> None:
        await asyncio.gather(*[aask(name) for _ in range(3)])

    async def all_at_once() -> None:
        await asyncio.gather(*[aoutside(f"task{n}") for n in range(8)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(outside, [f"thread{n}" for n in range(8)]))
    asyncio.run(all_at_once())
    runs = there.runs()
    roots = {run["id"]: run["inputs"]["name"] for run in runs if "parent_run_id" not in run}
    assert len(roots) == 16
    assert len(runs) == 8 * 3 + 8 * 7
    for run in runs:
        if run["id"] not in roots:
            assert run["inputs"]["question"] == roots[run["trace_id"]]


def test_nothing_leaks_to_whoever_reads_a_stream(there: Traced) -> None:
    """Between two items the reader's own run is current; inside the generator the attempt's."""
    seen: list[str] = []

    def current() -> str:
        run = get_current_run_tree()
        return "none" if run is None else f"{run.name} {run.dotted_order.count('.')}"

    @ag.guard(there.policy)
    def sync(question: str) -> Iterator[str]:
        for item in "ab":
            seen.append(current())
            yield item

    @ag.guard(there.policy)
    async def astream(question: str) -> AsyncIterator[str]:
        for item in "ab":
            seen.append(current())
            yield item

    @traceable(client=there.client, enabled=True)
    def reader() -> None:
        for _ in sync("a"):
            seen.append(current())  # noqa: PERF401  between two items

    @traceable(client=there.client, enabled=True)
    async def areader() -> None:
        async for _ in astream("a"):
            seen.append(current())  # noqa: PERF401

    reader()
    asyncio.run(areader())
    assert seen == ["sync 2", "reader 0"] * 2 + ["astream 2", "areader 0"] * 2
    assert current() == "none"
    assert tree(there) == [
        ("reader", "chain", ("sync", "chain", ("sync", "llm"))),
        ("areader", "chain", ("astream", "chain", ("astream", "llm"))),
    ]


def test_a_stream_handed_to_another_thread(there: Traced) -> None:
    """It stays where it was called."""

    @traceable
    def step() -> str:
        return "x"

    def steps() -> Iterator[str]:
        yield step()
        yield step()

    @ag.guard(there.policy)
    def stream() -> Iterator[str]:
        return steps()

    @traceable(client=there.client, enabled=True)
    def outside() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(list, stream()).result()

    outside()
    assert tree(there) == [
        (
            "outside",
            "chain",
            ("stream", "chain", ("stream", "llm", ("step", "chain"), ("step", "chain"))),
        )
    ]


@pytest.mark.parametrize("streams", [False, True])
def test_the_openai_sdk(there: Traced, provider: FakeProvider, streams: bool) -> None:
    """Its attempts are runs of a model, with what the provider told."""
    client = ag.guard(there.policy)(openai.OpenAI(base_url=provider.openai_url, api_key="x"))
    answer: Any = client.chat.completions.create(model=MODEL, messages=HI, stream=streams)
    if streams:
        list(answer)
    call, attempt = there.runs()
    assert call["name"] == "OpenAI.chat.completions"
    assert attempt["inputs"]["messages"] == HI
    assert attempt["outputs"] == {"messages": [{"role": "assistant", "content": "fine"}]}
    assert metadata(attempt)["ls_provider"] == "openai"
    assert metadata(attempt)["ls_model_name"] == MODEL
    assert len(tokens(there)) == 1


@pytest.mark.parametrize("streams", [False, True])
def test_the_anthropic_sdk_in_tasks(there: Traced, provider: FakeProvider, streams: bool) -> None:
    """The async client, several at once."""

    async def run() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="x") as client:
            safe = ag.guard(there.policy)(client)

            async def one() -> None:
                answer: Any = await safe.messages.create(
                    model="claude-sonnet-4-6", max_tokens=9, messages=HI, stream=streams
                )
                if streams:
                    async for _ in answer:
                        pass

            await asyncio.gather(one(), one())

    asyncio.run(run())
    assert [run["run_type"] for run in there.runs()].count("llm") == 2
    attempt = next(run for run in there.runs() if run["run_type"] == "llm")
    assert metadata(attempt)["ls_max_tokens"] == 9
    assert attempt["outputs"] == {"messages": [{"role": "assistant", "content": "fine"}]}


def test_a_wrapped_client_inside_counts_its_tokens_itself(
    there: Traced, provider: FakeProvider
) -> None:
    """`wrap_openai` makes a run of a model in the attempt, which then is none."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        from langsmith.wrappers import wrap_openai  # which says that a neighbour has moved

    client = wrap_openai(openai.OpenAI(base_url=provider.openai_url, api_key="x"))

    @ag.guard(there.policy)
    def ask(question: str) -> Any:
        return client.chat.completions.create(model=MODEL, messages=HI)

    ask("hi")
    assert tree(there) == [("ask", "chain", ("ask", "chain", ("ChatOpenAI", "llm")))]
    assert len(tokens(there)) == 1


def chat(there: Traced, provider: FakeProvider, **settings: Any) -> ChatOpenAI:
    """LangChain's model, guarded."""
    model = ChatOpenAI(base_url=provider.openai_url, api_key="x", model=MODEL, **settings)
    return ag.guard(there.policy)(model)


def langchain(there: Traced) -> Any:
    """LangChain's own tracer."""
    return {"callbacks": [LangChainTracer(client=there.client, project_name="p")]}


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
def test_a_langchain_model_with_langchains_own_tracer(
    there: Traced, provider: FakeProvider, way: str
) -> None:
    """Its run is the parent of ours, and tells the tokens: they are counted once."""
    model, config = chat(there, provider), langchain(there)

    async def astream() -> None:
        async for _ in model.astream("hi", config):
            pass

    if way == "invoke":
        model.invoke("hi", config)
    elif way == "stream":
        list(model.stream("hi", config))
    elif way == "ainvoke":
        asyncio.run(model.ainvoke("hi", config))
    else:
        asyncio.run(astream())
    [(name, kind, call)] = tree(there)
    assert (name, kind) == ("ChatOpenAI", "llm")
    assert call[1:] == ("chain", (call[2][0], "chain"))
    told = [metadata(run).get("usage_metadata") for run in there.runs()[1:]]
    assert told == [None, None]


def test_a_langchain_model_without_a_tracer_of_its_own(
    there: Traced, provider: FakeProvider
) -> None:
    """The attempt is the run of the model."""
    chat(there, provider).invoke("hi")
    assert [run["run_type"] for run in there.runs()] == ["chain", "llm"]
    assert len(tokens(there)) == 1


def test_a_langchain_model_inside_a_guarded_function(there: Traced, provider: FakeProvider) -> None:
    """Mid-trace LangChain makes runs of its own: they are children of the attempt."""
    model = ChatOpenAI(base_url=provider.openai_url, api_key="x", model=MODEL)

    @ag.guard(there.policy)
    def ask(question: str) -> str:
        return str(model.invoke(question).content)

    ask("hi")
    assert tree(there) == [("ask", "chain", ("ask", "chain", ("ChatOpenAI", "llm")))]


def test_a_chain_around(there: Traced, provider: FakeProvider) -> None:
    """A guarded function in a chain of LangChain's is a child of the chain's step."""

    @ag.guard(there.policy)
    def ask(question: str) -> str:
        return "fine"

    chain = RunnableLambda(lambda text: ask(str(text)))
    chain.invoke("hi", langchain(there))
    assert tree(there) == [("RunnableLambda", "chain", ("ask", "chain", ("ask", "llm")))]
