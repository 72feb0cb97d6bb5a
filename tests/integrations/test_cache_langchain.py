"""LangChain's models, embeddings, retrievers and agents under `cache`, over real HTTP."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import OpenAIEmbeddings
from pydantic import BaseModel

from agentguard import cache, guard, report, usage
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import version
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
_numbers = itertools.count(1)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def openai(provider: FakeProvider, **more: Any) -> Any:
    """`ChatOpenAI`; LangChain shares HTTP clients of one address and timeout, so each has its own."""
    from langchain_openai import ChatOpenAI

    patience = 20 + next(_numbers) / 1e6
    known = {"model": "gpt-4o-mini", "timeout": patience, "stream_usage": True, "api_key": "sk-1"}
    return ChatOpenAI(base_url=provider.openai_url + more.pop("at", ""), **known | more)


def anthropic(provider: FakeProvider, **more: Any) -> Any:
    """`ChatAnthropic`."""
    from langchain_anthropic import ChatAnthropic

    known = {"model": "claude-sonnet-4-5", "timeout": 20 + next(_numbers) / 1e6, "api_key": "sk-1"}
    return ChatAnthropic(base_url=provider.anthropic_url + more.pop("at", ""), **known | more)


every_vendor = pytest.mark.parametrize("vendor", [openai, anthropic], ids=["openai", "anthropic"])
every_call = pytest.mark.parametrize(
    "how", ["invoke", "ainvoke", "stream", "astream", "batch", "abatch", "astream_events"]
)


def called(
    runnable: Any, how: str, question: Any = "hi", *, times: int = 1, of: Any = None, **more: Any
) -> Any:
    """Call a runnable some times in one of its ways: each time the answer, of a stream its chunks.

    LangChain leaves the clients of a model (`of`, or the runnable itself) open on the loop.
    """

    async def one() -> Any:
        if how == "astream":
            return [chunk async for chunk in runnable.astream(question, **more)]
        if how == "astream_events":
            events = runnable.astream_events(question, version="v2", **more)
            return [e["data"]["chunk"] async for e in events if e["event"].endswith("_stream")]
        if how == "abatch":
            return (await runnable.abatch([question], **more))[0]
        return await getattr(runnable, how)(question, **more)

    async def there() -> list[Any]:
        try:
            return [await one() for _ in range(times)]
        finally:
            for name in ("root_async_client", "_async_client"):
                if name in vars(of or runnable):
                    await vars(of or runnable)[name].close()

    if how.startswith("a"):
        return asyncio.run(there())
    if how == "stream":
        return [list(runnable.stream(question, **more)) for _ in range(times)]
    if how == "batch":
        return [runnable.batch([question], **more)[0] for _ in range(times)]
    return [runnable.invoke(question, **more) for _ in range(times)]


def plain(answer: Any) -> Any:
    """All that a message or its chunks say, without the id, which is of the run that asked."""
    if isinstance(answer, list):
        return [plain(each) for each in answer]
    return type(answer), answer.model_dump(exclude={"id"})


def ids(answer: Any) -> set[str]:
    """Those of a message or of its chunks."""
    return {each.id for each in (answer if isinstance(answer, list) else [answer])}


@every_call
@every_vendor
def test_asked_three_times_it_is_one_request(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
) -> None:
    """The answers are equal, their figures too; LangChain gives each the id of its own run."""
    model = guard(cache())(vendor(provider))
    with report() as seen, usage() as used:
        answers = called(model, how, times=3)

    assert len(provider.journal) == 1
    assert [len(call.attempts) for call in seen.calls] == [1, 0, 0]
    assert (used.attempts, used.hits) == (1, 2)
    assert plain(answers[0]) == plain(answers[1]) == plain(answers[2])
    assert all(len(ids(answer)) == 1 for answer in answers)
    whole = answers[2]
    if isinstance(whole, list):
        whole = sum(whole[1:], whole[0])
    assert whole.text() if callable(whole.text) else whole.text == WHOLE
    assert whole.usage_metadata["output_tokens"] == 6
    assert used.output_tokens == 6
    assert {call.model for call in seen.calls} == {provider.journal[0].model}


@pytest.mark.parametrize("how", ["stream", "astream"])
def test_chunks_of_a_hit_have_the_id_of_their_own_run(provider: FakeProvider, how: str) -> None:
    """LangGraph replaces a message by one of the same id: what is kept must not bring one along."""
    first, second = called(guard(cache())(openai(provider)), how, times=2)
    assert len(ids(first)) == len(ids(second)) == 1
    assert ids(first) != ids(second)


@every_call
@every_vendor
def test_a_file_serves_another_model(
    provider: FakeProvider, vendor: Callable[..., Any], how: str, tmp_path: Path
) -> None:
    """As after a restart: another guard and model with another key; the file's keys are digests."""
    store, found = f"sqlite:///{tmp_path}/answers.db", []
    for key in ("sk-first", "sk-second"):
        model = guard(cache(store=store, name="n"))(vendor(provider, api_key=key))
        found += called(model, how, "tell me a secret")
    assert plain(found[0]) == plain(found[1])
    assert len(provider.journal) == 1
    with sqlite3.connect(tmp_path / "answers.db") as file:
        tables = [
            name for (name,) in file.execute("select name from sqlite_master where type='table'")
        ]
        written = str([file.execute(f"select * from {name}").fetchall() for name in tables])
    file.close()
    assert not any(word in written for word in ("secret", "sk-first", "sk-second"))


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sun in {city}"


@tool
def clock(city: str) -> str:
    """Tell the time."""
    return f"noon in {city}"


class Sky(BaseModel):
    """How it looks."""

    look: str


class Sea(BaseModel):
    """How it looks."""

    look: str


CHANGES: dict[str, Callable[[Callable[..., Any], FakeProvider, Any], Any]] = {
    "temperature": lambda vendor, p, safe: safe(vendor(p, temperature=0.5)).invoke("hi"),
    "model": lambda vendor, p, safe: safe(vendor(p, model="other")).invoke("hi"),
    "system": lambda vendor, p, safe: safe(vendor(p)).invoke(
        [SystemMessage("Be kind."), HumanMessage("hi")]
    ),
    "question": lambda vendor, p, safe: safe(vendor(p)).invoke("hello"),
    "tool": lambda vendor, p, safe: safe(vendor(p)).bind_tools([weather]).invoke("hi"),
    "another tool": lambda vendor, p, safe: safe(vendor(p)).bind_tools([clock]).invoke("hi"),
    "stop": lambda vendor, p, safe: safe(vendor(p)).bind(stop=["six"]).invoke("hi"),
    "schema": lambda vendor, p, safe: (
        safe(vendor(p)).with_structured_output(Sky, include_raw=True).invoke("hi")
    ),
    "another schema": lambda vendor, p, safe: (
        safe(vendor(p)).with_structured_output(Sea, include_raw=True).invoke("hi")
    ),
    "top_p": lambda vendor, p, safe: safe(vendor(p, top_p=0.3)).invoke("hi"),
    "place": lambda vendor, p, safe: safe(vendor(p, at="/proxy")).invoke("hi"),
}


@every_vendor
def test_whatever_changes_the_answer_is_part_of_the_key(
    provider: FakeProvider, vendor: Callable[..., Any]
) -> None:
    """Each of them makes another request, and asked again none."""
    provider.always('{"look": "blue"}')
    safe = guard(cache())
    safe(vendor(provider)).invoke("hi")
    for number, change in enumerate(CHANGES.values(), 2):
        for _ in range(2):
            change(vendor, provider, safe)
            assert len(provider.journal) == number


class Heard(BaseCallbackHandler):
    """Hears how models end."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_llm_end(self, response: Any, **_: Any) -> None:
        """Keep the text."""
        self.texts.append(response.generations[0][0].text)


@every_call
@every_vendor
def test_what_belongs_to_the_caller_is_not(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
) -> None:
    """Callbacks, tags, metadata, names and keys; and callbacks hear of hits too."""
    safe, heard = guard(cache()), Heard()
    for number in range(3):
        config = {
            "callbacks": [heard],
            "tags": [f"tag {number}"],
            "metadata": {"request": number},
            "run_name": f"run {number}",
            "configurable": {"thread_id": str(number)},
        }
        model = safe(vendor(provider, api_key=f"sk-{number}", max_retries=number))
        called(model, how, config=config)
    assert len(provider.journal) == 1
    assert heard.texts == [WHOLE] * 3


@every_vendor
def test_tool_calls_come_back(provider: FakeProvider, vendor: Callable[..., Any]) -> None:
    """With their ids and parsed arguments, whole and streamed."""
    provider.always(fault.ok(tools=[("weather", {"city": "Rome"})]))
    model = guard(cache())(vendor(provider)).bind_tools([weather])
    for how in ("invoke", "stream"):
        first, second, third = called(model, how, times=3)
        assert plain(first) == plain(second) == plain(third)
        whole = third if how == "invoke" else sum(third[1:], third[0])
        (asked,) = whole.tool_calls
        assert (asked["name"], asked["args"]) == ("weather", {"city": "Rome"})
        assert asked["id"]
        assert weather.invoke(asked).content == "sun in Rome"
    assert len(provider.journal) == 2


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
def test_structured_output_is_an_object_again(
    provider: FakeProvider, method: str, how: str
) -> None:
    """Of the class that was asked for, though LangChain has put it into the message."""
    provider.always(
        fault.ok(tools=[("Sky", {"look": "blue"})])
        if method == "function_calling"
        else '{"look": "blue"}'
    )
    model = guard(cache())(openai(provider))
    structured = model.with_structured_output(Sky, method=method)
    for answer in called(structured, how, times=3, of=model):
        assert (answer[-1] if isinstance(answer, list) else answer) == Sky(look="blue")
    assert len(provider.journal) == 1


def test_a_hit_goes_on_in_a_chain(provider: FakeProvider) -> None:
    """Through parsers and functions, streamed as well; the prompt's variables count."""
    model = guard(cache())(openai(provider))
    prompt = ChatPromptTemplate.from_messages([("system", "Be {how}."), ("user", "{question}")])
    chain = prompt | model | StrOutputParser() | RunnableLambda(lambda text: text.upper())
    kind = {"how": "kind", "question": "hi"}
    for _ in range(3):
        assert chain.invoke(kind) == WHOLE.upper()
    for _ in range(2):
        assert "".join(chain.stream(kind)) == WHOLE.upper()
    assert len(provider.journal) == 2
    assert chain.invoke({**kind, "how": "rude"}) == WHOLE.upper()
    assert len(provider.journal) == 3


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "batch"])
def test_a_whole_chain_is_kept(provider: FakeProvider, how: str) -> None:
    """Guarded as one, its answer is what its last step gives."""
    prompt = ChatPromptTemplate.from_messages([("user", "{question}")])
    model = openai(provider)
    chain = guard(cache())(prompt | model | StrOutputParser())
    answers = called(chain, how, {"question": "hi"}, times=3, of=model)
    assert answers[0] == answers[1] == answers[2]
    assert "".join(answers[2]) == WHOLE
    assert len(provider.journal) == 1


def test_a_chain_that_ends_in_a_class_needs_types(provider: FakeProvider) -> None:
    """Nothing about the chain says which class; the message does."""
    provider.always('{"look": "blue"}')
    chain = openai(provider).with_structured_output(Sky)
    with pytest.raises(TypeError, match=r"types=\[Sky\]"):
        guard(cache())(chain | RunnableLambda(lambda sky: sky)).invoke("hi")
    safe = guard(cache(types=[Sky]))(chain | RunnableLambda(lambda sky: sky))
    assert [safe.invoke("hi") for _ in range(2)] == [Sky(look="blue")] * 2
    assert len(provider.journal) == 2


def test_models_without_http() -> None:
    """One that plays messages, which an iterator holds, and a classic one."""
    chat = guard(cache())(GenericFakeChatModel(messages=iter([AIMessage("a b"), AIMessage("c")])))
    assert [chat.invoke("hi").content for _ in range(3)] == ["a b"] * 3
    classic = guard(cache())(FakeListLLM(responses=["same"]))
    with usage() as used:
        assert [classic.invoke("hi") for _ in range(2)] == ["same"] * 2
    assert used.hits == 1


def test_a_stream_whose_end_nothing_tells_is_not_kept() -> None:
    """LangChain says it of each stream, also of one that was cut; a finish reason says it."""
    model = GenericFakeChatModel(messages=iter([AIMessage("a b"), AIMessage("c d")]))
    safe = guard(cache())(model)
    assert ["".join(each.content for each in safe.stream("hi")) for _ in range(2)] == ["a b", "c d"]


def vectors(provider: FakeProvider, **more: Any) -> Any:
    """A model for embeddings."""
    return OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=provider.openai_url,
        api_key="sk-test",  # type: ignore[arg-type]
        check_embedding_ctx_length=False,
        timeout=20 + next(_numbers) / 1e6,
        **more,
    )


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("kept", ["memory", "file"])
def test_embeddings_are_kept_one_by_one(
    provider: FakeProvider, tmp_path: Path, kept: str, *, is_async: bool
) -> None:
    """Only the missing texts are sent, in their order; a query is kept as a whole."""
    place = {} if kept == "memory" else {"store": f"sqlite:///{tmp_path}/v.db", "name": "v"}
    model = guard(cache(**place))(vectors(provider))

    async def use() -> None:
        async def embed(*texts: str) -> Any:
            if is_async:
                return await model.aembed_documents([*texts])
            return model.embed_documents([*texts])

        one, two = await embed("a", "b")
        three, again = await embed("c", "a")
        assert again == one
        assert await embed("b", "c", "a", "b") == [two, three, one, two]
        asked = [await model.aembed_query("q") if is_async else model.embed_query("q")] * 2
        assert asked[0] == asked[1]
        if is_async:
            await model.async_client._client.close()

    asyncio.run(use())
    assert [each.body["input"] for each in provider.journal] == [["a", "b"], ["c"], ["q"]]


def test_a_file_serves_another_model_for_embeddings(provider: FakeProvider, tmp_path: Path) -> None:
    """And vectors of another size are others."""
    for _ in range(2):
        place = f"sqlite:///{tmp_path}/v.db"
        model = guard(cache(store=place, name="v"))(vectors(provider))
        assert [len(each) for each in model.embed_documents(["a", "b"])] == [8, 8]
        smaller = guard(cache(store=place, name="v"))(vectors(provider, dimensions=4))
        assert [len(each) for each in smaller.embed_documents(["a"])] == [4]
    assert [each.body["input"] for each in provider.journal] == [["a", "b"], ["a"]]


class Vectors(Embeddings):
    """An application's own."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.asked: list[str] = []

    def __cache_key__(self) -> str:
        """What answers depend on."""
        return self.model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector each."""
        self.asked += texts
        return [[float(len(text)), 1.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """One vector."""
        return self.embed_documents([text])[0]


def test_embeddings_of_an_application_are_kept() -> None:
    """Without a provider, item by item; another object that holds the same is the same."""
    safe, first = guard(cache()), Vectors("m")
    assert safe(first).embed_documents(["a", "bb"]) == [[1.0, 1.0], [2.0, 1.0]]
    assert safe(first).embed_documents(["bb", "c"]) == [[2.0, 1.0], [1.0, 1.0]]
    assert first.asked == ["a", "bb", "c"]
    other = Vectors("n")
    safe(other).embed_documents(["a"])
    assert other.asked == ["a"]


class Library(BaseRetriever):
    """Documents by the question."""

    shelf: str
    asked: list[str]

    def __cache_key__(self) -> str:
        """What answers depend on."""
        return self.shelf

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        self.asked.append(query)
        return [Document(f"{query} on {self.shelf}", metadata={"page": 1}, id="d1")]


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch"])
def test_a_retriever_is_asked_once(how: str) -> None:
    """Documents come back with metadata and ids; another shelf is another request."""
    safe = guard(cache())
    library = Library(shelf="history", asked=[])
    found = called(safe(library), how, "Rome", times=3)
    expected = [Document("Rome on history", metadata={"page": 1}, id="d1")]
    assert found == [expected] * 3
    assert library.asked == ["Rome"]
    other = Library(shelf="fiction", asked=[])
    assert called(safe(other), how, "Rome")[0][0].page_content == "Rome on fiction"


def agent(provider: FakeProvider, around: str, guards: Any) -> Any:
    """A tool-calling agent with its model under the guard, or with its middleware."""
    from langchain.agents import create_agent

    model, more = openai(provider), {}
    if around == "model":
        model = guards(model)
    else:
        more = {"middleware": [guards.middleware()]}
    return create_agent(model, [weather], **more), model


@pytest.mark.skipif(version("langchain") < 1, reason="needs create_agent of LangChain 1")
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("around", ["model", "middleware"])
def test_an_agents_second_run_comes_from_the_cache(
    provider: FakeProvider, tmp_path: Path, around: str, how: str
) -> None:
    """Both of its requests; another process gets them from the file. Its tool runs each time."""
    guards = [guard(cache(store=f"sqlite:///{tmp_path}/a.db", name="agent")) for _ in range(2)]
    provider.script(fault.ok(tools=[("weather", {"city": "Rome"})]), "sunny")
    question = {"messages": [("user", "weather in Rome?")]}
    found, spent = [], []
    for each in (guards[0], guards[0], guards[1]):
        graph, model = agent(provider, around, each)
        more = {"stream_mode": "values"} if "stream" in how else {}
        with usage() as used:
            (state,) = called(graph, how, question, of=model, **more)
        last = state[-1] if isinstance(state, list) else state
        found.append(
            [(type(m), m.text() if callable(m.text) else m.text) for m in last["messages"]]
        )
        spent.append((used.attempts, used.hits, used.output_tokens > 0))
    assert len(provider.journal) == 2
    assert spent == [(2, 0, True), (0, 2, False), (0, 2, False)]
    assert found[0] == found[1] == found[2]
    assert [text for _, text in found[0]][1:] == ["", "sun in Rome", "sunny"]


@pytest.mark.skipif(version("langchain") < 1, reason="needs create_agent of LangChain 1")
def test_what_an_agent_asks_is_the_key_of_its_middleware(provider: FakeProvider) -> None:
    """System prompt, tools as the model is told of them, schema, model and context."""
    from langchain.agents import create_agent
    from langchain.agents.structured_output import ProviderStrategy

    provider.always('{"look": "blue"}')
    middleware = guard(cache()).middleware()

    def ask(context: Any = None, **more: Any) -> Any:
        known = {"model": openai(provider), "tools": [], "context_schema": dict} | more
        made: Any = create_agent(middleware=[middleware], **known)
        return made.invoke({"messages": [("user", "hi")]}, context=context)

    changes: list[dict[str, Any]] = [
        {},
        {"system_prompt": "Be kind."},
        {"tools": [weather]},
        {"tools": [clock]},
        {"model": openai(provider, temperature=0.3)},
        {"context": {"tenant": "a"}},
        {"context": {"tenant": "b"}},
        {"response_format": ProviderStrategy(Sky)},
        {"response_format": ProviderStrategy(Sea)},
    ]
    for number, change in enumerate(changes, 1):
        first, second = ask(**change), ask(**change)
        assert len(provider.journal) == number
        assert first.get("structured_response") == second.get("structured_response")
    assert second["structured_response"] == Sea(look="blue")
