"""usage() with the openai SDK: clients and bare methods, unary and streams, and their option."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Final

import openai
import pytest

from agentguard import carry, guard, retry, usage
from agentguard.testing import FakeProvider, fault
from agentguard.tokens.count import count_tokens
from tests.scenarios.ways import (
    CHAT,
    LEFT_TO_THE_COLLECTOR,
    RESPONSES,
    async_openai_client,
    openai_client,
)

pytestmark = LEFT_TO_THE_COLLECTOR

FIGURES: Final = {"input": 1000, "output": 100, "cached": 600, "reasoning": 40}
COST: Final = Decimal("0.000165")  # 400 at 0.15, 600 at 0.075, 100 at 0.60 dollars a million
WAYS: Final = ("client", "method", "partial", "async client", "async method")
REFUSAL: Final = "Unrecognized request argument supplied: stream_options"


def again() -> Any:
    """A retry that does not wait."""
    return retry(wait=lambda _: 0.0, budget=None)


def creating(way: str, client: Any, **fixed: Any) -> Any:
    """`chat.completions.create`, guarded in one of the ways that people have."""
    if "client" in way:
        return functools.partial(guard(again())(client).chat.completions.create, **fixed)
    if way == "partial":
        return guard(again())(functools.partial(client.chat.completions.create, **fixed))
    return functools.partial(guard(again())(client.chat.completions.create), **fixed)


def items(way: str, provider: FakeProvider, take: int | None = None, **options: Any) -> list[Any]:
    """Ask once in this way; the chunks, or the one answer."""

    async def use() -> list[Any]:
        async with async_openai_client(provider) as client:
            answer = await creating(way, client, **{**CHAT, **options})()
            if not hasattr(answer, "__anext__"):
                return [answer]
            found: list[Any] = []
            async for item in answer:
                found.append(item)
                if len(found) == take:
                    break
            await answer.close()
            return found

    if way.startswith("async"):
        return asyncio.run(use())
    with openai_client(provider) as client:
        answer = creating(way, client, **{**CHAT, **options})()
        if not hasattr(answer, "__next__"):
            return [answer]
        found = []
        for item in answer:
            found.append(item)
            if len(found) == take:
                break
        answer.close()
        return found


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("way", WAYS)
def test_chat(provider, way, stream):
    """Figures and cost are right; a stream is asked for them, and its caller does not see it."""
    provider.always(fault.ok(usage=FIGURES))
    plain = items(way, provider, stream=stream)
    with usage() as u:
        answer = items(way, provider, stream=stream)
    assert (u.input_tokens, u.output_tokens, u.cached_tokens) == (1000, 100, 600)
    assert (u.reasoning_tokens, u.estimated, u.attempts, u.requests) == (40, 0, 1, 1)
    assert u.cost == COST
    assert len(answer) == len(plain)
    bodies = [received.body for received in provider.journal]
    assert "stream_options" not in bodies[0]
    assert ("stream_options" in bodies[1]) is stream
    if stream:
        assert all(chunk.choices for chunk in answer)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("asked", [True, False])
def test_a_caller_who_has_said_what_he_wants(provider, way, asked):
    """His own include_usage is left alone: the last chunk is his, or none is sent."""
    options = {"include_usage": asked}
    with usage() as u:
        chunks = items(way, provider, stream=True, stream_options=options)
    assert provider.journal[0].body["stream_options"] == options
    assert (chunks[-1].choices == []) is asked
    assert (u.estimated, u.attempts) == (0 if asked else 1, 1)


@pytest.mark.parametrize("way", WAYS)
def test_other_options_of_the_stream_are_kept(provider, way):
    """The option is added to those that are there."""
    with usage():
        items(way, provider, stream=True, stream_options={"include_obfuscation": False})
    sent = provider.journal[0].body["stream_options"]
    assert sent == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_the_option(way, status):
    """It is asked once more without, in the same attempt, and never again with it."""

    def answer(body: dict[str, Any]) -> Any:
        return fault.status(status, message=REFUSAL) if "stream_options" in body else "one two"

    with FakeProvider(answer=answer) as provider, usage() as u:
        for _ in range(2):
            assert len(items(way, provider, stream=True)) > 2
    asked = ["stream_options" in received.body for received in provider.journal]
    assert asked == [True, False, False]
    assert (u.attempts, u.requests, u.estimated, u.unpriced) == (2, 2, 2, 0)
    assert u.output_tokens == 2 * count_tokens("one two", "gpt-4o-mini")


@pytest.mark.parametrize("way", WAYS)
def test_another_refusal_is_not_repeated(provider, way):
    """A bad request that is not about the option comes out as it is, asked once."""
    provider.always(fault.status(400, message="bad messages"))
    with usage() as u, pytest.raises(openai.BadRequestError, match="bad messages"):
        items(way, provider, stream=True)
    assert provider.requests == 1
    assert (u.attempts, u.unpriced, u.cost) == (1, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_retries(provider, way):
    """Refusals cost nothing and are attempts; a stream cut before content is asked again."""
    provider.script(fault.status(429), fault.ok(usage=FIGURES))
    with usage() as u:
        items(way, provider, stream=True)
    assert (u.requests, u.attempts, u.unpriced, u.cost) == (1, 2, 0, COST)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["left", "cut", "dropped"])
def test_streams_that_did_not_end(provider, way, end):
    """What was sent and what had arrived is estimated, and marked so."""
    if end != "left":
        provider.always(fault.cut(after=2) if end == "cut" else fault.drop(after=2))
    with usage() as u:
        if end == "left":
            items(way, provider, take=3, stream=True)  # the role, "one" and " two"
        else:
            with contextlib.suppress(Exception):  # which one, and whether, is another test's matter
                items(way, provider, stream=True)
    assert (u.estimated, u.attempts, u.unpriced) == (1, 1, 0)
    assert u.input_tokens == count_tokens(CHAT, "gpt-4o-mini")
    assert u.output_tokens == count_tokens("one two", "gpt-4o-mini")
    assert u.cost > 0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_responses_and_embeddings(provider, asynchronous):
    """The Responses API, unary and streamed, and embeddings tell their usage unasked."""
    provider.always(fault.ok(usage=FIGURES))
    embed = {"model": "text-embedding-3-small", "input": "hi"}

    async def ask(client: Any) -> None:
        for method, options in (
            (client.responses.create, RESPONSES),
            (client.responses.create, {**RESPONSES, "stream": True}),
            (client.embeddings.create, embed),
        ):
            answer = method(**options)
            answer = await answer if inspect.isawaitable(answer) else answer
            if hasattr(answer, "__anext__"):
                async for _ in answer:
                    pass
            elif hasattr(answer, "__next__"):
                list(answer)

    async def use() -> None:
        if asynchronous:
            async with async_openai_client(provider) as client:
                await ask(guard(again())(client))
        else:
            with openai_client(provider) as client:
                await ask(guard(again())(client))

    with usage() as u:
        asyncio.run(use())
    by_model = u.by("model")
    assert by_model["gpt-4o-mini"].cost == 2 * COST
    assert by_model["text-embedding-3-small"].input_tokens == 1000
    assert by_model["text-embedding-3-small"].cost == Decimal("0.00002")
    assert (u.requests, u.attempts, u.unpriced, u.estimated) == (3, 3, 0, 0)
    assert not any("stream_options" in received.body for received in provider.journal)


def test_a_guarded_function_around_a_guarded_client(provider):
    """The figures are counted once, where the model was asked, and the stream still asked for."""
    with openai_client(provider) as client:
        inner = guard(again())(client)

        @again()
        def ask():
            yield from inner.chat.completions.create(**CHAT, stream=True)

        with usage() as u:
            chunks = list(ask())
    assert all(chunk.choices for chunk in chunks)
    assert (u.requests, u.attempts, u.estimated, u.output_tokens) == (1, 1, 0, 6)


def test_the_helper_of_the_sdk(provider):
    """`chat.completions.stream()` of a guarded client: counted, and its snapshot is as it was."""
    with openai_client(provider) as client:
        held = guard(again())(client)
        with usage() as u, held.chat.completions.stream(**CHAT) as stream:
            for _ in stream:
                pass
            assert stream.get_final_completion().usage is None
    assert (u.attempts, u.estimated, u.output_tokens) == (1, 0, 6)


def test_threads_and_tasks_at_once(provider):
    """Unary and streams, threads and tasks, refusals in between: the sums are the provider's."""

    def choose(number: int, _: Any) -> Any:
        return fault.status(503) if number % 5 == 0 else fault.ok(usage=tokens(number))

    def tokens(number: int) -> Any:
        return {"input": 10 * number, "output": number, "cached": number}

    provider.schedule(choose)

    def work(client: Any) -> None:
        for number in range(6):
            answer = client.chat.completions.create(**CHAT, stream=number % 2 == 0)
            if hasattr(answer, "__next__"):
                list(answer)

    async def tasks() -> None:
        async with async_openai_client(provider) as plain:
            client = guard(again())(plain)
            await asyncio.gather(*(one(client, number) for number in range(24)))

    async def one(client: Any, number: int) -> None:
        answer = await client.chat.completions.create(**CHAT, stream=number % 2 == 0)
        if hasattr(answer, "__anext__"):
            async for _ in answer:
                pass

    with openai_client(provider) as plain, usage() as u, ThreadPoolExecutor(5) as pool:
        client = guard(again())(plain)
        done = [pool.submit(carry(work), client) for _ in range(4)]
        done.append(pool.submit(carry(asyncio.run), tasks()))
        for each in done:
            each.result(60)
    served = [r.number for r in provider.journal if r.status == 200]
    assert len(served) == u.requests == 48
    assert u.attempts == provider.requests
    assert u.input_tokens == sum(10 * n for n in served)
    assert (u.output_tokens, u.cached_tokens) == (sum(served), sum(served))
    assert (u.estimated, u.unpriced) == (0, 0)
    million = sum(Decimal(9 * n) * Decimal("0.15") + n * Decimal("0.675") for n in served)
    assert u.cost == million / 1_000_000
