"""`cache` over clients of openai and anthropic, used in unusual ways."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest

from agentguard import budget, cache, guard, retry, testing, timeout, usage
from agentguard.testing import FakeProvider, fault
from tests.integrations.clients import WHOLE
from tests.scenarios.ways import CHAT, CLAUDE, LEFT_TO_THE_COLLECTOR, text_of

pytestmark = LEFT_TO_THE_COLLECTOR


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


@pytest.fixture
def bare(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    """A client of openai."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-test", timeout=20) as client:
        yield client


def said(stream: Any) -> str:
    """The text of a stream of chunks."""
    return "".join(each.choices[0].delta.content or "" for each in stream if each.choices)


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_a_joined_stream_is_paid_by_the_one_who_began_it(
    provider: FakeProvider, bare: openai.OpenAI, *, leaves: bool
) -> None:
    """Once, also when it leaves and the other reads on; nothing stays set aside."""
    money = budget(tokens=100_000)
    client: Any = guard(cache(), money)(bare)
    with usage() as paid:
        first = client.chat.completions.create(**CHAT, stream=True)
        began = [next(first)]
    with usage() as free:
        second = client.chat.completions.create(**CHAT, stream=True)
        next(second)
    if leaves:
        first.close()
    else:
        assert said([*began, *first]) == WHOLE
    rest = list(second)
    assert said(rest).endswith("six")
    assert (paid.attempts, free.attempts, free.hits) == (1, 0, 1)
    standing = money.status()["tokens"]
    assert standing.reserved == 0
    assert standing.used == paid.total_tokens > 0
    assert said(client.chat.completions.create(**CHAT, stream=True)) == WHOLE
    assert len(provider.journal) == 1


def test_a_manager_that_is_left_early_is_not_kept(provider: FakeProvider) -> None:
    """The next one asks anew, and its whole answer is kept."""
    money = budget(tokens=100_000)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="sk-test") as plain:
        client: Any = guard(cache(), money)(plain)
        with client.messages.stream(**CLAUDE) as stream:
            next(iter(stream))
        assert money.status()["tokens"].reserved == 0
        for _ in range(2):
            with client.messages.stream(**CLAUDE) as stream:
                assert text_of(stream.get_final_message()) == WHOLE
    assert len(provider.journal) == 2
    assert money.status()["tokens"].reserved == 0


def test_copies_of_a_client_share_what_is_kept(provider: FakeProvider, bare: openai.OpenAI) -> None:
    """`copy.copy`, and `with_options` of what changes no answer."""
    client: Any = guard(cache())(bare)
    for each in (
        client,
        copy.copy(client),
        client.with_options(timeout=5),
        client.with_options(max_retries=1),
        client.with_options(api_key="sk-other"),
        client.copy(),
    ):
        assert text_of(each.chat.completions.create(**CHAT)) == WHOLE
    assert len(provider.journal) == 1


def test_options_that_change_the_answer_ask_anew(
    provider: FakeProvider, bare: openai.OpenAI
) -> None:
    """Headers and queries that every request of the client has are part of it."""
    client: Any = guard(cache())(bare)
    client.chat.completions.create(**CHAT)
    with FakeProvider(answer="other") as other:
        elsewhere = client.with_options(base_url=other.openai_url)
        assert text_of(elsewhere.chat.completions.create(**CHAT)) == "other"
    client.with_options(default_query={"api-version": "2"}).chat.completions.create(**CHAT)
    client.with_options(default_headers={"X-Feature": "2"}).chat.completions.create(**CHAT)
    assert len(provider.journal) == 3


def test_a_raw_response_and_a_plain_one_do_not_mix(
    provider: FakeProvider, bare: openai.OpenAI
) -> None:
    """Whatever is asked first, each gets its own kind of answer."""
    client: Any = guard(cache())(bare)
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(**CHAT)
        assert text_of(raw.parse()) == WHOLE
        assert text_of(client.chat.completions.create(**CHAT)) == WHOLE
    assert len(provider.journal) <= 2


def test_disabled_asks_each_time(provider: FakeProvider, bare: openai.OpenAI) -> None:
    """`testing.disabled()` takes the cache of a client away."""
    client: Any = guard(cache())(bare)
    with testing.disabled():
        for _ in range(2):
            client.chat.completions.create(**CHAT)
    assert len(provider.journal) == 2


def test_policies_outside_read_kept_streams(provider: FakeProvider, bare: openai.OpenAI) -> None:
    """A retry that holds them all back, and a bound on their pauses."""
    judged: list[Any] = []

    def bad(answer: Any) -> bool:
        judged.append(answer)
        return False

    policies = (retry(on_result=bad, hold="all"), timeout(idle=5), cache(replay="paced"))
    client: Any = guard(*policies)(bare)
    for _ in range(3):
        assert said(client.chat.completions.create(**CHAT, stream=True)) == WHOLE
    assert len(provider.journal) == 1
    assert len(judged) == 3


def test_loops_in_several_threads_stream(provider: FakeProvider) -> None:
    """Each with a client of its own, one cache for all."""
    provider.script(*[fault.slow(WHOLE, each=0.005) for _ in range(4)])
    money, guards_cache = budget(tokens=1_000_000), cache()
    guards = guard(guards_cache, money)

    async def many() -> list[str]:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="sk-test") as plain:
            client: Any = guards(plain)

            async def read() -> str:
                stream = await client.chat.completions.create(**CHAT, stream=True)
                return said([each async for each in stream])

            async def leave() -> str:
                stream = await client.chat.completions.create(**CHAT, stream=True)
                await anext(stream)
                await stream.close()
                return WHOLE

            return await asyncio.gather(*(read() if n % 3 else leave() for n in range(9)))

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(asyncio.run, many()) for _ in range(4)]
        assert [each.result(30) for each in runs] == [[WHOLE] * 9] * 4
    assert guards_cache.flights._under_way == {}
    assert money.status()["tokens"].reserved == 0
    assert len(provider.journal) <= 8
