"""LangChain's chat models under guards: their bound methods are callables like any other."""

from __future__ import annotations

import asyncio

import pytest

from agentguard import errors, fallback, guard, report, timeout
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import (
    LEFT_TO_THE_COLLECTOR,
    Way,
    at_once,
    chat_openai,
    kinds,
    text_of,
    ways,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
UNARY = ways("langchain-openai", "langchain-anthropic", streams=False)


def test_invoke_keeps_its_config_and_its_answer(provider: FakeProvider):
    """`config=` and keywords pass through; the answer is LangChain's own message."""
    from langchain_core.messages import AIMessage

    provider.script(fault.status(503))
    with chat_openai(provider) as llm, report() as seen:
        answer = guard(at_once())(llm.invoke)("hi", config={"tags": ["a"]}, stop=["x"])

    assert isinstance(answer, AIMessage)
    assert answer.content == WHOLE
    assert provider.journal[0].body["stop"] == ["x"]
    assert kinds(seen) == ["overloaded", None]


async def test_ainvoke_and_astream_work_in_one_loop(provider: FakeProvider):
    """A coroutine function and an async generator function, guarded by one guard."""
    provider.script(fault.status(503))
    with chat_openai(provider) as llm:
        safe = guard(at_once(), timeout(20))
        assert (await safe(llm.ainvoke)("hi")).content == WHOLE

        provider.script(fault.status(503))
        assert text_of([chunk async for chunk in safe(llm.astream)("hi")]) == WHOLE
        await llm.root_async_client.close()

    assert [each.status for each in provider.journal] == [503, 200, 503, 200]


def test_nothing_is_called_before_the_first_pull(provider: FakeProvider):
    """`stream` is a generator function, and stays one: calling it costs nothing."""
    with chat_openai(provider) as llm:
        stream = guard(at_once())(llm.stream)("hi")
        assert not provider.journal
        assert text_of([next(stream), *stream]) == WHOLE


def test_a_stream_that_langchain_closes_itself_is_still_a_cut_one(provider: FakeProvider):
    """langchain-core ends a stream that was cut with an empty last chunk of its own making."""
    provider.script(WHOLE, fault.cut(after=2))
    with chat_openai(provider) as llm:
        ask = guard(at_once())(llm.stream)
        assert text_of(list(ask("hi"))) == WHOLE
        with pytest.raises(errors.StreamTruncated) as caught:
            list(ask("hi"))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"


def test_a_consumer_that_stops_early_closes_the_stream(provider: FakeProvider):
    """The generator inside is closed with the guarded one."""
    provider.script(fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    with chat_openai(provider) as llm, report() as seen:
        stream = guard(at_once())(llm.stream)("hi")
        while not next(stream).content:
            pass
        stream.close()
        assert provider.settle()

    assert seen.calls[0].outcome == "abandoned"


def test_a_guarded_method_is_a_step_of_a_chain(provider: FakeProvider):
    """`prompt | RunnableLambda(guarded) | parser` retries and falls back inside the chain."""
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.runnables import RunnableLambda

    provider.script(*[fault.status(503)] * 2)
    with chat_openai(provider) as llm:
        safe = guard(fallback(lambda *_, **__: "sorry"), at_once(attempts=2))
        chain = RunnableLambda(safe(llm.invoke), afunc=safe(llm.ainvoke)) | StrOutputParser()
        assert chain.invoke("hi") == "sorry"
        assert chain.invoke("hi") == WHOLE


def test_a_batch_keeps_every_answer_with_its_own_question():
    """Where `with_retry().batch` gives a failed item another's answer, a guarded step does not."""
    from langchain_core.runnables import RunnableLambda

    failures = {"second": 1, "third": 99}

    def ask(question: str) -> str:
        if failures.get(question, 0):
            failures[question] -= 1
            raise ConnectionError(question)
        return f"answer to {question}"

    step = RunnableLambda(guard(at_once())(ask))
    first, second, third = step.batch(["first", "second", "third"], return_exceptions=True)

    assert (first, second) == ("answer to first", "answer to second")
    assert isinstance(third, ConnectionError)
    assert str(third) == "third"


async def test_cancelling_reaches_the_provider(provider: FakeProvider):
    """The async bound closes the connection underneath LangChain."""
    provider.always(fault.stall())
    with chat_openai(provider) as llm:
        with pytest.raises(errors.Timeout):
            await guard(timeout(0.1))(llm.ainvoke)("hi")
        assert await asyncio.to_thread(provider.settle)
        await llm.root_async_client.close()

    assert provider.journal[0].client_disconnected


@pytest.mark.parametrize("way", [pytest.param(way, id=name) for name, way in UNARY.items()])
def test_known_limit_an_error_in_the_body_of_a_unary_200_is_unknown(
    provider: FakeProvider, way: Way
):
    """LangChain raises a ValueError or TypeError of its own, which loses what it was: no retry."""
    provider.script(fault.error("overloaded", after=0))

    with report() as seen, pytest.raises((ValueError, TypeError, AttributeError)):
        way.run(provider, guard(at_once()))

    assert kinds(seen) == ["unknown"]
