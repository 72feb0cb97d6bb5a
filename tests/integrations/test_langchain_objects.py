"""LangChain's models, tools, embeddings, retrievers and runnables, guarded as they are held."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import itertools
import json
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    BaseCallbackHandler,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import LLM, BaseChatModel, GenericFakeChatModel
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    ConfigurableField,
    RunnableBinding,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, ToolException, tool

from agentguard import (
    Call,
    Next,
    Policy,
    Reply,
    breaker,
    context,
    describe,
    errors,
    explain,
    fallback,
    guard,
    report,
    retry,
    timeout,
)
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import version
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, arrived, at_once, kinds

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
QUESTION = [HumanMessage("hi")]
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
    """`ChatOpenAI` as users make it: with retries of its own."""
    from langchain_openai import ChatOpenAI

    patience = 20 + next(_numbers) / 1e6  # LangChain shares HTTP clients of one address and timeout
    known = {"model": "gpt-4o-mini", "timeout": patience, "stream_usage": True} | more
    return ChatOpenAI(base_url=provider.openai_url, api_key="sk-test", **known)


def anthropic(provider: FakeProvider, **more: Any) -> Any:
    """`ChatAnthropic` as users make it: with retries of its own."""
    from langchain_anthropic import ChatAnthropic

    known = {"model": "claude-x", "timeout": 20 + next(_numbers) / 1e6} | more
    return ChatAnthropic(base_url=provider.anthropic_url, api_key="sk-test", **known)


every_vendor = pytest.mark.parametrize("vendor", [openai, anthropic], ids=["openai", "anthropic"])
every_call = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
MAKERS: dict[str, Callable[..., Any]] = {"openai": openai, "anthropic": anthropic}


async def aclose(model: Any) -> None:
    """Close what LangChain leaves open on the loop."""
    for name in ("root_async_client", "_async_client"):
        if name in vars(model):
            await vars(model)[name].close()


def called(runnable: Any, how: str, question: Any = "hi", **options: Any) -> Any:
    """Call a runnable in one of its ways: the answer, or the list of its chunks."""
    if how in {"invoke", "batch"}:
        return getattr(runnable, how)(question, **options)
    if how == "stream":
        return list(runnable.stream(question, **options))

    async def there() -> Any:
        try:
            if how == "astream":
                return [chunk async for chunk in runnable.astream(question, **options)]
            return await getattr(runnable, how)(question, **options)
        finally:
            await aclose(runnable)

    return asyncio.run(there())


def said(answer: Any) -> str:
    """The text of a message, or of chunks."""
    if isinstance(answer, list):
        return "".join(map(said, answer))
    content = answer.content
    if isinstance(content, str):
        return content
    return "".join(block if isinstance(block, str) else block.get("text", "") for block in content)


def statuses(provider: FakeProvider) -> list[int | None]:
    """What the provider answered, request by request."""
    return [each.status for each in provider.journal]


class Seen(Policy):
    """Counts the calls that come through a guard."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def around(self, call: Call, next: Next) -> Reply:
        self.calls.append(call.target.name)
        return await next(call)


# -- chat models, policy by policy -------------------------------------------------------------


@every_call
@every_vendor
def test_a_failed_request_is_tried_again_and_only_by_the_guard(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """The model's own two retries are off: what three attempts get is three requests."""
    provider.script(fault.status(503), fault.status(503))
    model = guard(at_once())(vendor(provider))

    with report() as seen:
        assert said(called(model, how)) == WHOLE

    assert statuses(provider) == [503, 503, 200]
    assert kinds(seen) == ["overloaded", "overloaded", None]
    assert {each.headers["x-stainless-retry-count"] for each in provider.journal} == {"0"}


@every_call
@every_vendor
def test_a_call_is_given_up_when_its_attempts_are_used_up(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """The SDK's own exception comes out, after as many requests as attempts."""
    provider.always(fault.status(503))
    with pytest.raises(Exception) as caught:
        called(guard(at_once(attempts=2))(vendor(provider)), how)

    assert caught.value.status_code == 503  # type: ignore[attr-defined]
    assert statuses(provider) == [503, 503]


@every_call
@every_vendor
def test_another_model_answers(provider: FakeProvider, vendor: Callable[..., Any], how: str):
    """`fallback(model=...)` changes the model of the request."""
    provider.script(fault.status(503))
    with report() as seen:
        assert said(called(guard(fallback(model="other-model"))(vendor(provider)), how)) == WHOLE

    first, second = (each.body["model"] for each in provider.journal)
    assert (first, second) in {("gpt-4o-mini", "other-model"), ("claude-x", "other-model")}
    assert seen.calls[0].model == "other-model"


@every_call
@every_vendor
def test_another_vendors_model_answers(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """`fallback(other)` makes the same call of the other model, guarded or not."""
    provider.script(fault.status(503), fault.status(503))
    other = guard(at_once())((anthropic if vendor is openai else openai)(provider))

    async def there() -> Any:
        model = guard(fallback(other), timeout(20))(vendor(provider))
        try:
            if how == "astream":
                return [chunk async for chunk in model.astream("hi")]
            return await model.ainvoke("hi")
        finally:
            await aclose(model)
            await aclose(other)

    with report() as seen:
        if how.startswith("a"):
            assert said(asyncio.run(there())) == WHOLE
        else:
            assert said(called(guard(fallback(other), timeout(20))(vendor(provider)), how)) == WHOLE

    assert len({each.protocol for each in provider.journal}) == 2
    assert statuses(provider) == [503, 503, 200]
    assert seen.calls[0].model != provider.journal[0].model


def canned() -> dict[str, Callable[..., Any]]:
    """What may stand in for a chat model, called with its messages."""

    def text(messages: list[BaseMessage], **_: Any) -> str:
        return f"sorry, {messages[0].content}"

    def pieces(messages: list[BaseMessage], **_: Any) -> Iterator[str]:
        yield from ("sorry, ", str(messages[0].content))

    return {
        "text": text,
        "message": lambda messages, **_: AIMessage(text(messages)),
        "result": lambda messages, **_: ChatResult(
            generations=[ChatGeneration(message=AIMessage(text(messages)))]
        ),
        "pieces": pieces,
    }


@every_call
@pytest.mark.parametrize("answer", canned())
@every_vendor
def test_a_function_answers_in_place_of_a_model(
    provider: FakeProvider, vendor: Callable[..., Any], answer: str, how: str
):
    """With text, a message or a result; as LangChain wants it, in callbacks and chains too."""
    if answer == "pieces" and how.endswith("invoke"):
        return  # a generator stands in for a stream
    provider.always(fault.status(503))
    model = guard(fallback(canned()[answer]))(vendor(provider))
    assert said(called(model, how)) == "sorry, hi"
    if not how.startswith("a"):
        assert "".join(called(model | StrOutputParser(), how)) == "sorry, hi"


@every_call
@every_vendor
def test_an_open_circuit_lets_no_request_through(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """Two failures open it for the model, however it is called."""
    provider.always(fault.status(503))
    model = guard(breaker(fail_max=2))(vendor(provider))
    for _ in range(2):
        with pytest.raises(Exception, match=r"503|[Oo]verloaded"):
            called(model, "invoke")

    with pytest.raises(errors.CircuitOpen):
        called(model, how)
    assert statuses(provider) == [503, 503]


@every_call
@every_vendor
def test_a_silent_provider_is_given_up_in_time(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """The bound ends the call, and its connection is closed behind it."""
    provider.always(fault.stall())
    with pytest.raises(errors.Timeout):
        called(guard(timeout(0.2))(vendor(provider)), how)

    assert provider.settle()
    assert provider.journal[0].client_disconnected


@pytest.mark.parametrize("how", ["stream", "astream"])
@every_vendor
def test_a_stream_is_not_begun_again_after_its_first_content(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """What was handed out stays handed out: the failure comes through, with the text so far."""
    provider.script(fault.drop(after=2))
    with pytest.raises(Exception) as caught:
        called(guard(at_once())(vendor(provider)), how)

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert len(provider.journal) == 1


@pytest.mark.parametrize("how", ["stream", "astream"])
@every_vendor
def test_a_stream_is_begun_again_before_its_first_content(
    provider: FakeProvider, vendor: Callable[..., Any], how: str
):
    """An error inside a 200 comes before anything was handed out, and is tried again."""
    provider.script(fault.error("overloaded", after="opening"))
    assert said(called(guard(at_once())(vendor(provider)), how)) == WHOLE
    assert len(provider.journal) == 2


@pytest.mark.parametrize("how", ["stream", "astream"])
@every_vendor
def test_a_cut_stream_is_known(provider: FakeProvider, vendor: Callable[..., Any], how: str):
    """A provider that has shown its terminal signal once must show it again."""
    provider.script(WHOLE, fault.cut(after=2))
    model = guard(at_once())(vendor(provider))

    async def both() -> None:
        if how == "stream":
            list(model.stream("hi"))
            with pytest.raises(errors.StreamTruncated):
                list(model.stream("hi"))
        else:
            _ = [chunk async for chunk in model.astream("hi")]
            with pytest.raises(errors.StreamTruncated):
                _ = [chunk async for chunk in model.astream("hi")]
            await aclose(model)

    asyncio.run(both())


@every_call
@every_vendor
def test_what_a_call_used_is_seen(provider: FakeProvider, vendor: Callable[..., Any], how: str):
    """Model, tokens and text are read from ChatResults and from the chunks of a stream."""
    provider.always(fault.ok(WHOLE, usage={"input": 7, "output": 6}))
    with report() as seen:
        called(guard(at_once())(vendor(provider)), how)

    (attempt,) = seen.calls[0].attempts
    assert attempt.model in {"gpt-4o-mini", "claude-x"}
    assert attempt.usage is not None
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (7, 6)


@every_vendor
def test_a_reader_that_leaves_closes_the_stream(provider: FakeProvider, vendor: Callable[..., Any]):
    """The connection does not stay open, and the call ends as abandoned."""
    provider.script(fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    with report() as seen:
        stream = guard(at_once())(vendor(provider)).stream("hi")
        while not next(stream).content:
            pass
        stream.close()
        assert provider.settle()

    assert seen.calls[0].outcome == "abandoned"


async def test_cancelling_reaches_the_provider(provider: FakeProvider):
    """A task that is cancelled in the middle of `ainvoke` leaves no request behind."""
    provider.always(fault.stall())
    model = guard(at_once(), timeout(20))(openai(provider))
    task = asyncio.create_task(model.ainvoke("hi"))
    await asyncio.to_thread(arrived, provider)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await asyncio.to_thread(provider.settle)
    assert provider.journal[0].client_disconnected
    await aclose(model)


# -- every place a chat model goes to ----------------------------------------------------------


class Answer:
    """What structured output is asked for."""


def places() -> dict[str, Callable[[Any], Any]]:
    """From a guarded model to what is called with a question, for each thing people build of it."""
    schema = {"title": "Answer", "type": "object", "properties": {"text": {"type": "string"}}}

    @tool
    def look(where: str) -> str:
        """Look somewhere."""
        return where

    prompt = ChatPromptTemplate.from_messages([("user", "{q}")])
    return {
        "itself": lambda model: model,
        "chain": lambda model: RunnableLambda(lambda q: {"q": q}) | prompt | model,
        "parallel": lambda model: RunnableParallel(a=model) | RunnableLambda(lambda got: got["a"]),
        "bind": lambda model: model.bind(stop=["x"]),
        "bind_tools": lambda model: model.bind_tools([look]),
        "structured": lambda model: model.with_structured_output(schema, include_raw=True),
        "with_retry": lambda model: model.with_retry(stop_after_attempt=1),
        "with_fallbacks": lambda model: model.with_fallbacks([RunnableLambda(lambda _: "no")]),
        "with_config": lambda model: model.with_config(tags=["a"]),
        "configurable": lambda model: model.configurable_fields(
            temperature=ConfigurableField("heat")
        ).with_config(configurable={"heat": 0.5}),
        "alternatives": lambda model: model.configurable_alternatives(
            ConfigurableField("which"), other=RunnableLambda(lambda _: "no")
        ),
        "model_copy": lambda model: model.model_copy(),
        "copy": copy.copy,
    }


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "batch", "abatch"])
@pytest.mark.parametrize("place", places())
@every_vendor
def test_each_model_call_is_guarded_once_wherever_it_is_made(
    provider: FakeProvider, vendor: Callable[..., Any], place: str, how: str
):
    """As many guarded calls as requests: none passes by the guard, none comes through it twice."""
    counted = Seen()
    model = guard(counted)(vendor(provider))
    questions: Any = ["a", "b", "c"] if "batch" in how else "a"

    assert called(places()[place](model), how, questions)

    assert len(provider.journal) == (3 if "batch" in how else 1)
    assert len(counted.calls) == len(provider.journal)


@pytest.mark.parametrize("place", ["bind", "with_config", "configurable"])
@every_vendor
def test_a_model_that_was_bound_before_is_guarded_in_its_binding(
    provider: FakeProvider, vendor: Callable[..., Any], place: str
):
    """A binding hands the methods of its model out: what they return is guarded as well."""
    counted = Seen()
    plain = places()[place](vendor(provider))
    safe = guard(counted)(plain)
    assert type(safe).__name__ == type(plain).__name__

    called(safe, "invoke")
    called(safe, "stream")
    called(safe.bind_tools([]) if place != "configurable" else safe, "invoke")
    again = guard(timeout(20))(safe)
    called(again, "invoke")

    assert len(counted.calls) == len(provider.journal) == 4
    assert [each["name"] for each in describe(again)["policies"]] == ["timeout", "seen"]
    assert describe(safe)["requests"] == 1
    plain.invoke("hi")
    assert len(counted.calls) == 4


if version("langchain") >= 0:

    def test_a_model_that_is_chosen_at_each_call_is_refused():
        """A guard around it would be lost by `bind_tools`: the message says what to guard instead."""
        from langchain.chat_models import init_chat_model

        with pytest.raises(TypeError, match="guard the models that it chooses from"):
            guard(timeout(20))(init_chat_model(configurable_fields="any"))


@every_call
def test_a_model_that_streams_inside_invoke_is_guarded_once(provider: FakeProvider, how: str):
    """`streaming=True` makes `invoke` read `_stream`, which is where the guard stands then."""
    counted = Seen()
    provider.script(fault.status(503))
    model = guard(counted, at_once())(openai(provider, streaming=True))
    assert said(called(model, how)) == WHOLE
    assert len(counted.calls) == 1
    assert [each.stream for each in provider.journal] == [True, True]


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_the_responses_api_is_guarded(provider: FakeProvider, how: str):
    """`use_responses_api=True` goes another way inside ChatOpenAI, through the same methods."""
    counted = Seen()
    provider.script(fault.status(503))
    model = guard(counted, at_once(), timeout(20))(openai(provider, use_responses_api=True))
    assert said(called(model, how)) == WHOLE
    assert len(counted.calls) == 1
    assert [each.protocol for each in provider.journal] == ["openai.responses"] * 2


async def test_events_and_logs_of_a_run_come_from_guarded_calls(provider: FakeProvider):
    """`astream_events` and `astream_log` read the guarded stream."""
    counted = Seen()
    chain = guard(counted)(openai(provider)) | StrOutputParser()
    found = [event["event"] async for event in chain.astream_events("hi", version="v2")]
    assert "on_chat_model_stream" in found
    assert counted.calls == ["ChatOpenAI.astream"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [patch async for patch in chain.astream_log("hi")]
    assert len(counted.calls) == len(provider.journal) == 2
    await aclose(chain.first)


def test_callbacks_see_one_run_of_the_model_and_the_guarded_answer(provider: FakeProvider):
    """Tracing is as it was: one start and one end, however many attempts lie between."""

    class Spy(BaseCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            self.heard.append("start")

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            self.heard.append(response.generations[0][0].text)

        def on_llm_error(self, *args: Any, **kwargs: Any) -> None:
            self.heard.append("error")

    provider.script(fault.status(503))
    spy = Spy()
    guard(at_once())(openai(provider)).invoke("hi", config={"callbacks": [spy]})
    assert spy.heard == ["start", WHOLE]


def test_a_cached_answer_makes_no_call(provider: FakeProvider):
    """LangChain's cache stands around the guard: what it answers was guarded when it came."""
    from langchain_core.caches import InMemoryCache
    from langchain_core.globals import set_llm_cache

    counted = Seen()
    model = guard(counted, timeout(20))(openai(provider))
    set_llm_cache(InMemoryCache())
    try:
        assert said(model.invoke("hi")) == said(model.invoke("hi")) == WHOLE
        assert said(list(model.stream("hi"))) == WHOLE
    finally:
        set_llm_cache(None)
    assert len(counted.calls) == len(provider.journal) == 2  # LangChain caches no stream


def test_the_threads_of_a_batch_have_the_context_of_their_caller(provider: FakeProvider):
    """Each of them is guarded for the same user, and reported."""
    with report() as seen, context(user="u1"):
        guard(at_once())(openai(provider)).batch(["a", "b", "c"])
    assert [call.tags["user"] for call in seen.calls] == ["u1"] * 3


def test_a_time_bound_is_told_to_the_client(provider: FakeProvider):
    """A worker that is left behind in a sync call ends soon after, also below LangChain's cache."""
    from agentguard.providers.endpoint import endpoint

    for vendor in MAKERS.values():
        model = vendor(provider)
        for name in ("_generate", "_agenerate", "_stream", "_astream"):
            assert endpoint(getattr(model, name)).takes_timeout


# -- what a guarded object is ------------------------------------------------------------------


@every_vendor
def test_a_guarded_model_is_still_its_class(provider: FakeProvider, vendor: Callable[..., Any]):
    """For isinstance, names, serialisation and fields; and the original is as it was."""
    model = vendor(provider)
    before = dumpd(model)
    safe = guard(at_once())(model)

    assert isinstance(safe, type(model))
    assert type(safe).__name__ == type(model).__name__
    assert type(safe).__module__ == type(model).__module__
    assert safe.lc_id() == model.lc_id()
    told = dumpd(safe)
    assert told["kwargs"].pop("max_retries", 0) == 0
    wanted = copy.deepcopy(before)
    wanted["kwargs"].pop("max_retries", None)
    assert told == wanted
    assert safe.model_fields_set >= model.model_fields_set
    assert safe.invoke("hi").content == WHOLE
    assert safe.model_dump(exclude={"max_retries"}) == model.model_dump(exclude={"max_retries"})
    assert repr(safe).startswith(f"{type(model).__name__}(")
    assert dumpd(model) == before


@every_vendor
def test_the_original_keeps_its_own_retries(provider: FakeProvider, vendor: Callable[..., Any]):
    """Only the copy's are off; also those of clients that were made before."""
    provider.script(fault.status(503, retry_after=0))
    model = vendor(provider)
    assert said(model.invoke("hi")) == WHOLE
    safe = guard(timeout(20))(model)

    provider.script(fault.status(503, retry_after=0))
    with pytest.raises(Exception, match=r"503|[Oo]verloaded"):
        safe.invoke("hi")
    provider.script(fault.status(503, retry_after=0))
    assert said(model.invoke("hi")) == WHOLE
    assert statuses(provider) == [503, 200, 503, 503, 200]


@every_vendor
def test_a_client_of_the_users_own_serves_the_guarded_model_too(
    provider: FakeProvider, vendor: Callable[..., Any]
):
    """Headers, keys and addresses stay: only the number of retries differs."""
    model = vendor(provider, default_headers={"x-team": "blue"})
    guard(at_once())(model).invoke("hi")
    assert provider.journal[0].headers["x-team"] == "blue"


@every_vendor
def test_what_is_told_of_a_guarded_model(provider: FakeProvider, vendor: Callable[..., Any]):
    """Its calls, how many requests one can become, and that its own retries are off."""
    facts = describe(guard(at_once(attempts=3))(vendor(provider)))
    assert facts["calls"] == ["_generate", "_agenerate", "_stream", "_astream"]
    assert facts["requests"] == 3
    assert facts["provider"] == vendor.__name__
    assert facts["blind"] == facts["warnings"] == []
    assert "Its own retries are off" in explain(guard(at_once())(vendor(provider)))


@every_vendor
def test_guarding_twice_joins_the_policies(provider: FakeProvider, vendor: Callable[..., Any]):
    """The outer ones stand around the inner ones, in one chain: no call is guarded twice."""
    provider.script(*[fault.status(503)] * 2)
    inner, outer = Seen(), Seen()
    model = guard(outer, fallback(model="other"))(
        guard(inner, at_once(attempts=2))(vendor(provider))
    )
    with report() as seen:
        assert said(model.invoke("hi")) == WHOLE

    assert [each["name"] for each in describe(model)["policies"]] == [
        "seen",
        "fallback",
        "seen",
        "retry",
    ]
    assert len(outer.calls) == len(inner.calls) == len(seen.calls) == 1
    assert statuses(provider) == [503, 503, 200]


def test_one_guard_around_many_models_shares_its_state(provider: FakeProvider):
    """A circuit is that of the model and its address, whichever object asks."""
    provider.always(fault.status(503))
    safe = guard(breaker(fail_max=1))
    first, second = safe(openai(provider)), safe(openai(provider))
    with pytest.raises(Exception, match="503"):
        first.invoke("hi")
    with pytest.raises(errors.CircuitOpen):
        second.invoke("hi")
    with pytest.raises(Exception, match="503"):
        safe(openai(provider, model="gpt-4o")).invoke("hi")


@every_vendor
def test_copying_deeply_is_no_worse_than_before(provider: FakeProvider, vendor: Callable[..., Any]):
    """Where the original can be copied the guarded one can, used or not."""

    def outcome(thing: Any) -> str:
        try:
            return said(copy.deepcopy(thing).invoke("hi"))
        except TypeError as error:
            return type(error).__name__

    model = vendor(provider)
    safe = guard(at_once())(model)
    assert outcome(safe) == outcome(model)
    called(safe, "invoke")
    called(model, "invoke")
    assert outcome(safe) == outcome(model)


def test_a_copy_of_a_used_model_is_guarded_for_itself(provider: FakeProvider):
    """A copy with other settings makes its own calls, not those of the one it was made of."""
    counted = Seen()
    model = guard(counted)(openai(provider))
    model.invoke("hi")
    model.model_copy(update={"model_name": "gpt-4o"}).invoke("hi")
    copy.deepcopy(guard(counted)(Local(text="x"))).invoke("hi")
    assert [each.body["model"] for each in provider.journal] == ["gpt-4o-mini", "gpt-4o"]
    assert len(counted.calls) == 3


# -- models of the user's own ------------------------------------------------------------------


class Local(BaseChatModel):
    """A chat model that has the sync method only, as many integrations do."""

    text: str
    fails: int = 0
    made: int = 0

    @property
    def _llm_type(self) -> str:
        return "local"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.made += 1
        if self.made <= self.fails:
            raise ConnectionError("local")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.text))])


@every_call
def test_what_a_model_does_not_have_itself_is_guarded_below(how: str):
    """LangChain's default for a missing method calls another one, which is guarded once."""
    counted = Seen()
    model = guard(counted, at_once())(Local(text="x", fails=1))
    assert said(called(model, how)) == "x"
    assert counted.calls == ["Local.generate"]
    assert model.made == 2
    assert describe(model)["calls"] == ["_generate"]


class Streaming(Local):
    """One whose `_generate` is made of its `_stream`."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for word in self.text.split():
            yield ChatGenerationChunk(message=AIMessageChunk(word))

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        text = "".join(said(chunk.message) for chunk in self._stream(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


@every_call
def test_a_method_that_another_one_calls_is_part_of_that_call(how: str):
    """`_generate` made of `_stream` is one guarded call, not two."""
    counted = Seen()
    assert said(called(guard(counted)(Streaming(text="a b")), how)) == "ab"
    assert len(counted.calls) == 1


class Native(Streaming):
    """One that makes LangChain's own events, without chunks between."""

    def _stream_chat_model_events(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        raise ConnectionError("native")
        yield


def test_a_models_own_events_are_guarded():
    """A hook of the newest langchain-core, looked for by its name."""
    assert "_stream_chat_model_events" in describe(guard(retry())(Native(text="a")))["calls"]


class Old(LLM):
    """A classic model: text in, text out."""

    fails: int = 0
    made: int = 0

    @property
    def _llm_type(self) -> str:
        return "old"

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        self.made += 1
        if self.made <= self.fails:
            raise ConnectionError("old")
        return prompt.upper()

    def _stream(self, prompt: str, *args: Any, **kwargs: Any) -> Iterator[GenerationChunk]:
        self.made += 1
        if self.made <= self.fails:
            raise ConnectionError("old")
        for letter in prompt.upper():
            yield GenerationChunk(text=letter)


@every_call
def test_classic_models_are_guarded(how: str):
    """`_generate` and its kin, in every way that LangChain calls them."""
    counted = Seen()
    model = guard(counted, at_once())(Old(fails=1))
    answer = called(model, how)
    assert (answer if isinstance(answer, str) else "".join(answer)) == "HI"
    assert len(counted.calls) == 1
    assert model.made == 2


def test_a_batch_of_a_classic_model_is_one_call():
    """It takes all prompts at once, which is how such providers are asked."""
    counted = Seen()
    assert guard(counted)(Old()).batch(["a", "b"]) == ["A", "B"]
    assert counted.calls == ["Old.generate"]


# -- tools -------------------------------------------------------------------------------------


def tools(failing: int, ran: list[str]) -> dict[str, tuple[BaseTool, dict[str, Any]]]:
    """Tools of every make, each of which fails `failing` times; and what they are called with."""

    def run(city: str) -> str:
        ran.append(city)
        if len(ran) <= failing:
            raise ConnectionError("weather")
        return f"sun in {city}"

    @tool
    def decorated(city: str) -> str:
        """Tell the weather."""
        return run(city)

    @tool
    async def asynchronous(city: str) -> str:
        """Tell the weather."""
        return run(city)

    @tool
    def configured(city: str, config: RunnableConfig) -> str:
        """Tell the weather."""
        assert config["tags"] == ["a"]
        return run(city)

    @tool
    def injected(city: str, user: Annotated[str, InjectedToolArg]) -> str:
        """Tell the weather."""
        assert user == "u"
        return run(city)

    class Written(BaseTool):
        name: str = "written"
        description: str = "Tell the weather."

        def _run(self, city: str, run_manager: Any = None) -> str:
            assert run_manager is not None
            return run(city)

    class Twofold(Written):
        async def _arun(self, city: str, config: RunnableConfig, run_manager: Any = None) -> str:
            assert run_manager is not None
            assert config["tags"] == ["a"]
            return run(city)

    class Plain(BaseTool):
        name: str = "plain"
        description: str = "Tell the weather."

        def _run(self, city: str) -> str:
            return run(city)

    both = StructuredTool.from_function(
        func=run,
        coroutine=asynchronous.coroutine,  # type: ignore[attr-defined]
        name="both",
        description="Tell the weather.",
        args_schema=decorated.args_schema,
    )
    return {
        "decorated": (decorated, {}),
        "async": (asynchronous, {}),
        "configured": (configured, {}),
        "injected": (injected, {"user": "u"}),
        "written": (Written(), {}),
        "twofold": (Twofold(), {}),
        "plain": (Plain(), {}),
        "both": (both, {}),
    }


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
@pytest.mark.parametrize("make", tools(0, []))
def test_tools_of_every_make_run_under_their_own_policies(make: str, how: str):
    """Their arguments are injected as before, and each run is one guarded call."""
    if (make, how) == ("async", "invoke"):
        return  # has no sync way, guarded or not
    ran: list[str] = []
    counted = Seen()
    plain, more = tools(1, ran)[make]
    safe = guard(counted, at_once())(plain)

    assert safe.args == plain.args
    assert safe.tool_call_schema.model_json_schema() == plain.tool_call_schema.model_json_schema()  # type: ignore[union-attr]
    answer = called(safe, how, {"city": "Rome", **more}, config={"tags": ["a"]})

    assert answer == "sun in Rome"
    assert ran == ["Rome"] * 2
    assert counted.calls == [plain.name]
    assert isinstance(safe, type(plain))


def test_a_guarded_tool_answers_a_tool_call_as_before():
    """With a ToolMessage that has the call's id."""
    ran: list[str] = []
    safe = guard(at_once())(tools(1, ran)["decorated"][0])
    message = safe.invoke(
        {"name": "decorated", "args": {"city": "Rome"}, "id": "7", "type": "tool_call"}
    )
    assert (message.content, message.tool_call_id) == ("sun in Rome", "7")


def test_what_a_tool_says_to_its_model_is_handled_as_before():
    """A ToolException comes out of the guard, and becomes the tool's answer where that is asked."""

    @tool
    def picky(city: str) -> str:
        """Refuse."""
        raise ToolException(f"no {city}")

    counted = Seen()
    safe = guard(counted, at_once())(picky)
    with pytest.raises(ToolException):
        safe.invoke({"city": "Rome"})
    safe.handle_tool_error = True
    assert safe.invoke({"city": "Rome"}) == "no Rome"
    with pytest.raises(ValueError, match="city"):
        safe.invoke({})
    assert counted.calls == ["picky"] * 2  # arguments that do not fit never reach the guard


def test_a_tool_that_hangs_is_given_up():
    """The bound is the tool's own."""
    import threading

    stop = threading.Event()

    @tool
    def hangs(city: str) -> str:
        """Hang."""
        stop.wait(20)
        return city

    try:
        with pytest.raises(errors.Timeout):
            guard(timeout(0.1))(hangs).invoke({"city": "Rome"})
    finally:
        stop.set()


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_a_call_around_a_tool_that_ran_is_not_repeated(how: str):
    """LangChain's tools are known to be tools, whichever thread they run in."""
    ran: list[str] = []
    safe = guard(at_once())(tools(0, ran)["decorated"][0])

    async def amain(city: str) -> str:
        await safe.ainvoke({"city": city})
        raise ConnectionError("after the tool")

    def main(city: str) -> str:
        safe.invoke({"city": city})
        raise ConnectionError("after the tool")

    with pytest.raises(ConnectionError):
        if how == "invoke":
            guard(at_once())(main)("Rome")
        else:
            asyncio.run(guard(at_once())(amain)("Rome"))
    assert ran == ["Rome"]


# -- embeddings and retrievers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["embed_query", "embed_documents", "aembed_query", "aembed_documents"]
)
def test_embeddings_are_guarded(provider: FakeProvider, method: str):
    """Each call once; its own retries are off."""
    from langchain_openai import OpenAIEmbeddings

    provider.script(fault.status(503))
    counted = Seen()
    plain = OpenAIEmbeddings(
        base_url=provider.openai_url,
        api_key="sk-test",
        check_embedding_ctx_length=False,
        timeout=20 + next(_numbers) / 1e6,
    )
    safe = guard(counted, at_once())(plain)
    what: Any = "a" if method.endswith("query") else ["a", "b"]

    async def there() -> Any:
        try:
            return await getattr(safe, method)(what)
        finally:
            await safe.async_client._client.close()

    got = asyncio.run(there()) if method.startswith("a") else getattr(safe, method)(what)
    assert isinstance((got if method.endswith("query") else got[0])[0], float)
    assert statuses(provider) == [503, 200]
    assert len(counted.calls) == 1
    assert describe(safe)["requests"] == 3
    assert describe(safe)["provider"] == "openai"
    assert plain.max_retries == 2


class Numbers(Embeddings):
    """Embeddings of the user's own, no pydantic model."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(len(text))]


async def test_embeddings_of_the_users_own_are_guarded():
    """What is missing in them goes through what they have."""
    counted = Seen()
    safe = guard(counted)(Numbers())
    assert await safe.aembed_documents(["a", "bc"]) == [[1.0], [2.0]]
    assert safe.embed_query("abc") == [3.0]
    assert counted.calls == ["Numbers.embed_documents", "Numbers.embed_query"]


class Shelf(BaseRetriever):
    """A retriever that fails once."""

    made: int = 0

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        self.made += 1
        if self.made == 1:
            raise ConnectionError("shelf")
        return [Document(query)]


class AsyncShelf(Shelf):
    """One that has both ways."""

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self._get_relevant_documents(query, run_manager=run_manager.get_sync())


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("kind", [Shelf, AsyncShelf], ids=["sync", "both"])
def test_retrievers_are_guarded(kind: type[Shelf], how: str):
    """Each retrieval once, with its callbacks."""
    counted = Seen()
    answer = called(guard(counted, at_once())(kind()), how)
    documents = answer if how.endswith("invoke") else answer[0]
    assert [each.page_content for each in documents] == ["hi"]
    assert len(counted.calls) == 1


# -- other runnables ---------------------------------------------------------------------------


def flaky(fails: int) -> Any:
    """A runnable that fails some times, then answers."""
    left = [fails]

    def ask(question: Any) -> str:
        if left[0]:
            left[0] -= 1
            raise ConnectionError("flaky")
        return f"<{question}>"

    return RunnableLambda(ask)


def runnables() -> dict[str, Callable[[int], Any]]:
    """Runnables of several kinds, made to fail some times."""
    return {
        "lambda": flaky,
        "sequence": lambda fails: RunnableLambda(lambda q: q) | flaky(fails) | StrOutputParser(),
        "binding": lambda fails: flaky(fails).with_config(tags=["a"]),
        "parallel": lambda fails: RunnableParallel(a=flaky(fails)),
    }


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "batch", "abatch"])
@pytest.mark.parametrize("kind", runnables())
def test_runnables_are_guarded_in_every_way(kind: str, how: str):
    """A failure is tried again item by item, and each item is guarded once."""
    counted = Seen()
    safe = guard(counted, at_once())(runnables()[kind](1))
    question: Any = ["a", "b"] if "batch" in how else "a"
    answer = called(safe, how, question)

    first = answer[0] if isinstance(answer, list) else answer
    assert first in ("<a>", {"a": "<a>"})
    assert len(counted.calls) == (2 if "batch" in how else 1)


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "batch", "abatch"])
@pytest.mark.parametrize("kind", runnables())
def test_a_guarded_runnable_stays_guarded_in_a_chain(kind: str, how: str):
    """Also a sequence, which `|` would take apart."""
    counted = Seen()
    safe = guard(counted, at_once())(runnables()[kind](1))
    chain = RunnableLambda(lambda q: q) | safe | RunnableLambda(lambda a: a)
    question: Any = ["a", "b"] if "batch" in how else "a"
    assert called(chain, how, question)
    assert len(counted.calls) == (2 if "batch" in how else 1)


@pytest.mark.parametrize("method", ["batch_as_completed", "abatch_as_completed"])
def test_batches_that_are_taken_as_they_come_are_guarded(method: str):
    """Each item is a call of its own."""
    counted = Seen()
    safe = guard(counted, at_once())(RunnableLambda(lambda q: q) | flaky(1))

    async def there() -> list[Any]:
        return [each async for each in safe.abatch_as_completed(["a", "b"])]

    got = (
        list(safe.batch_as_completed(["a", "b"]))
        if method == "batch_as_completed"
        else asyncio.run(there())
    )
    assert sorted(got) == [(0, "<a>"), (1, "<b>")]
    assert len(counted.calls) == 2


# -- no way past a guard -----------------------------------------------------------------------


class Refuses(Policy):
    """Lets no call through."""

    async def around(self, call: Call, next: Next) -> Reply:
        raise errors.InputRejected("no")


def built(model: Any) -> dict[str, Callable[[], Any]]:
    """What people build of a model and guard as a whole."""
    prompt = ChatPromptTemplate.from_messages([("user", "{q}")])
    chain = RunnableLambda(lambda q: {"q": q}) | prompt | model
    which = ConfigurableField(id="which")
    return {
        "sequence": lambda: chain,
        "binding": lambda: model.bind(stop=["x"]),
        "with_retry": lambda: model.with_retry(stop_after_attempt=1),
        "with_config": lambda: model.with_config(tags=["a"]),
        "chain_with_config": lambda: chain.with_config(tags=["a"]),
        "with_fallbacks": lambda: model.with_fallbacks([model]),
        "fallbacks_of_bindings": lambda: model.bind(stop=["x"]).with_fallbacks([model]),
        "configured_fallbacks": lambda: model.with_fallbacks([model]).with_config(tags=["a"]),
        "alternatives": lambda: model.configurable_alternatives(which, other=model),
        "each": model.map,
        "each_chain": chain.map,
    }


MADE: dict[str, Callable[[Any], Any]] = {
    "itself": lambda safe: safe,
    "bind_tools": lambda safe: safe.bind_tools([]),
    "with_config": lambda safe: safe.with_config(tags=["b"]),
    "other": lambda safe: safe.with_config(configurable={"which": "other"}),
    "bind": lambda safe: safe.bind(stop=["y"]),
}
MODELS_OWN = {
    "binding",
    "with_config",
    "with_fallbacks",
    "fallbacks_of_bindings",
    "configured_fallbacks",
    "alternatives",
}


def asked_for(runnable: Any, how: str, question: Any) -> None:
    """Call a runnable in any of its public ways, to the end."""

    async def source() -> AsyncIterator[Any]:
        yield question

    async def there() -> None:
        if how == "astream_events":
            _ = [each async for each in runnable.astream_events(question, version="v2")]
        elif how == "astream":
            _ = [each async for each in runnable.astream(question)]
        elif how == "atransform":
            _ = [each async for each in runnable.atransform(source())]
        else:
            await getattr(runnable, how)([question] if how == "abatch" else question)

    if how.startswith("a"):
        asyncio.run(there())
    elif how in {"stream", "transform"}:
        list(getattr(runnable, how)(iter([question]) if how == "transform" else question))
    else:
        getattr(runnable, how)([question] if how == "batch" else question)


@pytest.mark.parametrize(
    "how",
    [
        "invoke",
        "ainvoke",
        "stream",
        "astream",
        "batch",
        "abatch",
        "transform",
        "atransform",
        "astream_events",
    ],
)
@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (kind, made)
        for kind in built(GenericFakeChatModel(messages=iter(())))
        for made in MADE
        if (made != "bind_tools" or kind in MODELS_OWN)
        and (made != "other" or kind == "alternatives")
    ],
)
def test_no_way_leads_past_the_guard(provider: FakeProvider, kind: str, made: str, how: str):
    """A policy that refuses lets no request out, of the whole or of what its methods return."""
    model = openai(provider)
    safe = MADE[made](guard(Refuses())(built(model)[kind]()))
    each = kind.startswith("each")
    # LangChain has no events of a runnable that maps.
    expected = NotImplementedError if each and how == "astream_events" else errors.InputRejected
    with pytest.raises(expected):
        asked_for(safe, how, ["hi"] if each else "hi")
    assert not provider.journal


@pytest.mark.parametrize("first", ["with_config", "chain_with_config"])
def test_one_guard_keeps_bindings_of_models_and_of_chains_apart(provider: FakeProvider, first: str):
    """They are of one class, but guarded in different places."""
    things = built(openai(provider))
    counted = Seen()
    safe = guard(counted)
    second = "chain_with_config" if first == "with_config" else "with_config"
    for kind in (first, second):
        safe(things[kind]()).invoke("hi")
    assert sorted(counted.calls) == ["ChatOpenAI.generate", "RunnableSequence.invoke"]


def test_an_alternative_that_is_made_at_each_call_is_refused(provider: FakeProvider):
    """The message says what to give instead."""
    model = openai(provider)
    chosen = model.configurable_alternatives(ConfigurableField(id="which"), other=lambda: model)
    with pytest.raises(TypeError, match="give configurable_alternatives the model itself"):
        guard(Refuses())(chosen)


def test_a_stream_that_is_fed_by_a_stream_can_be_begun_again():
    """Every attempt reads the input from its beginning, and none of it twice from its source."""
    left = [1]
    pulled: list[str] = []

    def source() -> Iterator[str]:
        for word in ("a", "b", "c"):
            pulled.append(word)
            yield word

    def upper(words: Iterator[str]) -> Iterator[str]:
        for word in words:
            if word == "b" and left[0]:
                left[0] -= 1
                raise ConnectionError("once")
            if word != "a":
                yield word.upper()

    safe = guard(at_once())(RunnableGenerator(upper))
    assert list(safe.transform(source())) == ["B", "C"]
    assert pulled == ["a", "b", "c"]


async def test_an_async_stream_that_is_fed_by_a_stream_can_be_begun_again():
    """The same where an event loop runs."""
    left = [1]

    async def source() -> AsyncIterator[str]:
        for word in ("a", "b", "c"):
            yield word

    async def upper(words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            if word == "b" and left[0]:
                left[0] -= 1
                raise ConnectionError("once")
            if word != "a":
                yield word.upper()

    safe = guard(at_once())(RunnableGenerator(upper))
    assert [word async for word in safe.atransform(source())] == ["B", "C"]


def test_a_guarded_sequence_is_a_binding_of_it():
    """What `|` would take apart is held as one; everything else about it is as before."""
    chain = RunnableLambda(lambda q: q) | flaky(0)
    safe: Any = guard(at_once())(chain)
    assert isinstance(safe, RunnableBinding)
    assert isinstance(safe.bound, RunnableSequence)
    assert safe.get_name() == chain.get_name()
    assert safe.get_graph().to_json() is not None
    assert json.dumps(safe.input_schema.model_json_schema())
    assert safe.with_config(tags=["a"]).invoke("q") == safe.bind().invoke("q") == "<q>"
    again = guard(timeout(20))(safe)
    assert [each["name"] for each in describe(again)["policies"]] == ["timeout", "retry"]


def test_the_report_shows_a_chain_with_its_models_as_children(provider: FakeProvider):
    """One call with its child, whose attempts are counted there."""
    provider.script(fault.status(503))
    model = guard(at_once())(openai(provider))
    chain = guard(timeout(20))(ChatPromptTemplate.from_messages([("user", "{q}")]) | model)
    with report() as seen:
        chain.invoke({"q": "hi"})

    (call,) = seen.calls
    (child,) = call.children
    assert (call.name, child.name) == ("RunnableSequence.invoke", "ChatOpenAI.generate")
    assert [attempt.kind for attempt in child.attempts] == ["overloaded", None]
    assert call.attempts[0].usage is None
    assert child.attempts[1].usage is not None


def test_many_threads_and_loops_share_a_guarded_model(provider: FakeProvider):
    """Calls at once from threads, each with a loop or without: each is guarded once."""
    from concurrent.futures import ThreadPoolExecutor

    counted = Seen()
    model = guard(counted, at_once(attempts=9))(GenericFakeChatModel(messages=iter(())))
    chat = guard(counted, at_once(attempts=9))(openai(provider))
    provider.script(*[fault.status(503)] * 5)

    def one(number: int) -> str:
        safe = contextvars.copy_context()
        return said(safe.run(chat.invoke, f"question {number}"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(40))) == {WHOLE}
    assert len(counted.calls) == 40
    assert describe(model)["calls"] == ["_generate", "_stream"]
    assert sorted(statuses(provider))[-5:] == [503] * 5
