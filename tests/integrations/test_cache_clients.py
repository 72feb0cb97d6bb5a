"""Clients of openai and anthropic under `cache`, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

from agentguard import budget, cache, errors, guard, report, retry, usage
from agentguard.testing import FakeProvider, fault
from tests.integrations.clients import (
    EMBED,
    PLAIN,
    WAYS,
    WHOLE,
    Way,
    opened,
    raw,
    raw_stream,
    settled,
    streaming,
    streaming_stream,
)
from tests.scenarios.ways import CHAT, LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR

RAW = (raw, raw_stream, streaming, streaming_stream)
READ = [way for way in WAYS if way.ask not in RAW]
every_way = pytest.mark.parametrize("way", READ, ids=[way.name for way in READ])
raw_ways = pytest.mark.parametrize(
    "way",
    [way for way in WAYS if way.ask in RAW],
    ids=[way.name for way in WAYS if way.ask in RAW],
)
plain_ways = pytest.mark.parametrize("way", PLAIN, ids=[way.name for way in PLAIN])


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


@every_way
def test_every_way_to_ask_is_answered_from_the_cache(provider: FakeProvider, way: Way) -> None:
    """Asked three times, one request; the answer has the model and the usage of the first."""
    with report() as seen, usage() as used:
        assert way.run(provider, guard(cache()), times=3) == WHOLE

    assert len(provider.journal) == 1
    assert [len(call.attempts) for call in seen.calls] == [1, 0, 0]
    assert {call.model for call in seen.calls} == {way.arguments["model"]}
    assert used.hits == 2
    assert used.attempts == 1


@every_way
def test_a_file_serves_another_client(provider: FakeProvider, way: Way, tmp_path: Path) -> None:
    """As after a restart: another client, another guard."""
    store = f"sqlite:///{tmp_path}/answers.db"
    for _ in range(2):
        assert way.run(provider, guard(cache(store=store, name="n"))) == WHOLE
    assert len(provider.journal) == 1


@raw_ways
def test_a_raw_response_of_a_hit_has_no_headers(provider: FakeProvider, way: Way) -> None:
    """It has the answer, and says why there is nothing more."""
    with pytest.raises(AttributeError, match="or a cache gave this answer"):
        if way.ask in (streaming, streaming_stream):

            async def twice() -> None:
                client = guard(cache())(way.client(provider))
                for _ in range(2):
                    block = attrgetter(way.method)(client)(**way.arguments)
                    found = await _entered(block)
                    _ = found.headers

            way.driven(twice())
        else:
            way.run(provider, guard(cache()), times=2)
    assert len(provider.journal) == 1


async def _entered(block: Any) -> Any:
    return await block.__aenter__() if hasattr(block, "__aenter__") else block.__enter__()


@plain_ways
def test_what_is_cut_is_asked_again(provider: FakeProvider, way: Way) -> None:
    """An answer that ended at its maximum of tokens is no whole answer."""
    provider.script(fault.ok("one two", finish="length"))
    assert way.run(provider, guard(cache()), times=2) == WHOLE
    assert len(provider.journal) == 2


@plain_ways
def test_a_failure_is_asked_again(provider: FakeProvider, way: Way) -> None:
    """And what a retry brought is kept."""
    provider.script(fault.status(500))
    guards = guard(cache(), retry(attempts=2, wait=lambda _: 0.0))
    assert way.run(provider, guards, times=2) == WHOLE
    assert len(provider.journal) == 2


def test_a_parsed_answer_is_parsed_again(provider: FakeProvider) -> None:
    """`parse` gives the user's model, from the answer that is kept."""

    class Answer(pydantic.BaseModel):
        number: int

    provider.script('{"number": 42}')
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-test") as bare:
        client = guard(cache())(bare)
        for _ in range(2):
            found = client.chat.completions.parse(**CHAT, response_format=Answer)
            assert found.choices[0].message.parsed == Answer(number=42)
    assert len(provider.journal) == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_embeddings_are_kept_one_by_one(provider: FakeProvider, *, is_async: bool) -> None:
    """Only the missing texts are sent; order and vectors are those of the texts."""

    async def use() -> None:
        client = guard(cache(ttl=None))(opened(provider, "openai", is_async=is_async))

        async def embed(*texts: str) -> list[list[float]]:
            asked = client.embeddings.create(model=EMBED["model"], input=list(texts))
            found = await settled(asked)
            assert [each.index for each in found.data] == list(range(len(texts)))
            return [each.embedding for each in found.data]

        one, two = await embed("a", "b")
        assert await embed("b", "c", "a", "b") == [two, (await embed("c"))[0], one, two]
        assert await embed("a", "b", "c") == [one, two, (await embed("c"))[0]]
        await settled(client.close())

    if is_async:
        asyncio.run(use())
    else:
        with pytest.raises(StopIteration):
            use().send(None)
    assert [each.body["input"] for each in provider.journal] == [["a", "b"], ["c"]]


def test_another_key_is_the_same_request(provider: FakeProvider) -> None:
    """Keys rotate; the answer does not change with them."""
    guards = guard(cache())
    for key in ("sk-test-1", "sk-test-2"):
        with openai.OpenAI(base_url=provider.openai_url, api_key=key) as bare:
            guards(bare).chat.completions.create(**CHAT, extra_headers={"X-Request-Id": key})
    assert len(provider.journal) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"model": "gpt-4o"},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"extra_body": {"seed": 1}},
        {"extra_query": {"api-version": "2"}},
        {"stream": True},
        {"response_format": {"type": "json_object"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_answer_is_part_of_the_key(
    provider: FakeProvider, change: dict[str, Any]
) -> None:
    """Each of them makes another request."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-test") as bare:
        client = guard(cache())(bare)
        client.chat.completions.create(**CHAT)
        list(client.chat.completions.create(**{**CHAT, **change}))
    assert len(provider.journal) == 2


def test_a_hundred_tasks_ask_once(provider: FakeProvider) -> None:
    """Streams and answers in one piece: one request each."""

    async def use() -> None:
        client = guard(cache(), budget(tokens=10_000, per="day"))(
            opened(provider, "openai", is_async=True)
        )

        async def read() -> str:
            stream = await client.chat.completions.create(**CHAT, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

        async def one() -> str:
            found = await client.chat.completions.create(**CHAT)
            return found.choices[0].message.content or ""

        texts = await asyncio.gather(*(read() for _ in range(50)), *(one() for _ in range(50)))
        assert set(texts) == {WHOLE}
        await client.close()

    with pytest.warns(UserWarning, match="this process only"):
        asyncio.run(use())
    assert len(provider.journal) == 2


def test_a_stream_that_breaks_is_not_kept(provider: FakeProvider) -> None:
    """Its reader is told, and the next one asks anew."""
    provider.script(fault.drop(after=2))
    way = next(way for way in WAYS if way.name == "chat stream")

    async def use() -> None:
        client = guard(cache())(way.client(provider))
        with pytest.raises((errors.StreamTruncated, openai.APIError, Exception)):
            await way.ask(attrgetter(way.method)(client), way.arguments)
        assert await way.ask(attrgetter(way.method)(client), way.arguments) == WHOLE
        client.close()

    way.driven(use())
    assert len(provider.journal) == 2
