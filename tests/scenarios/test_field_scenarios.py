"""The acceptance scenarios that were seen failing elsewhere, with real clients over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agentguard import (
    breaker,
    context,
    deadline,
    describe,
    errors,
    events,
    fallback,
    guard,
    report,
    timeout,
)
from agentguard.testing import FakeProvider, FakeRuntime, fault
from tests.scenarios.ways import (
    CHAT,
    LEFT_TO_THE_COLLECTOR,
    async_openai_client,
    at_once,
    kinds,
    openai_client,
    text_of,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
SIXTY = [f"{n} " for n in range(60)]


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[Any]:
    """A client of the provider."""
    with openai_client(provider) as opened:
        yield opened


@pytest.fixture
def backup() -> Iterator[FakeProvider]:
    """Another provider, which is well."""
    with FakeProvider(answer="from elsewhere") as running:
        yield running


def test_an_error_in_the_first_event_of_a_200_is_retried_and_falls_back(
    provider: FakeProvider, backup: FakeProvider, client: Any
):
    """The consumer of the stream sees only the fallback's stream, from its beginning."""
    provider.always(fault.error("overloaded", after=0))
    with openai_client(backup) as other:
        ask = guard(fallback(other.chat.completions.create), at_once())
        with report() as seen:
            items = list(ask(client.chat.completions.create)(**CHAT, stream=True))

    assert text_of(items) == "from elsewhere"
    assert kinds(seen) == ["overloaded"] * 3 + [None]
    assert (len(provider.journal), len(backup.journal)) == (3, 1)


async def test_the_same_in_async_code(provider: FakeProvider, backup: FakeProvider):
    """With AsyncOpenAI on both sides."""
    provider.always(fault.error("rate_limit", after="opening"))
    async with async_openai_client(provider) as client, async_openai_client(backup) as other:
        ask = guard(fallback(other.chat.completions.create), at_once())
        stream = await ask(client.chat.completions.create)(**CHAT, stream=True)
        assert text_of([item async for item in stream]) == "from elsewhere"


async def test_a_sync_client_serves_as_fallback_of_an_async_one(
    provider: FakeProvider, backup: FakeProvider
):
    """Its stream is pulled in a worker; the consumer's `async for` does not notice."""
    provider.always(fault.status(503))
    async with async_openai_client(provider) as client:
        with openai_client(backup) as other:
            ask = guard(fallback(other.chat.completions.create), at_once(attempts=1))
            stream = await ask(client.chat.completions.create)(**CHAT, stream=True)
            assert text_of([item async for item in stream]) == "from elsewhere"


def test_a_stream_cut_after_forty_of_sixty_chunks_is_no_answer(provider: FakeProvider, client: Any):
    """StreamTruncated, with the forty; nothing is replayed."""
    provider.script(WHOLE, fault.cut(after=40, chunks=SIXTY))
    ask = guard(fallback(lambda **_: "other"), at_once())(client.chat.completions.create)
    list(ask(**CHAT, stream=True))
    seen: list[Any] = []

    with pytest.raises(errors.StreamTruncated) as caught:
        seen.extend(ask(**CHAT, stream=True))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "".join(SIXTY[:40]) == text_of(seen)
    assert len(provider.journal) == 2


async def test_twenty_chunks_then_silence_in_async_code(provider: FakeProvider):
    """The idle bound passes, the connection is closed, the twenty chunks are with the exception."""
    provider.script(fault.stall(after=20, chunks=SIXTY))
    async with async_openai_client(provider) as client:
        ask = guard(at_once(), timeout(20, idle=0.5))(client.chat.completions.create)
        with pytest.raises(errors.Timeout) as caught:
            async for _ in await ask(**CHAT, stream=True):
                pass
        assert await asyncio.to_thread(provider.settle)

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "".join(SIXTY[:20])
    assert caught.value.bound == "idle"
    assert provider.journal[0].client_disconnected


def test_a_slow_reader_is_no_silence(provider: FakeProvider, client: Any):
    """The time that the consumer takes between chunks counts for no bound."""
    ask = guard(timeout(20, total=0.8))(client.chat.completions.create)
    words = []
    for chunk in ask(**CHAT, stream=True):
        words.append(chunk)
        time.sleep(0.15)

    assert text_of(words) == WHOLE


def test_a_reader_who_stops_after_one_chunk_is_neutral(provider: FakeProvider, client: Any):
    """Five readers leave: the provider sees them go, and a circuit that opens at one is closed."""
    provider.schedule(lambda number, _: fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    ask = guard(at_once(), breaker(fail_max=1))(client.chat.completions.create)
    with report() as seen:
        for _ in range(5):
            with ask(**CHAT, stream=True) as stream:
                next(stream)
        assert provider.settle()

    assert [call.outcome for call in seen.calls] == ["abandoned"] * 5
    assert all(each.client_disconnected for each in provider.journal)
    provider.schedule(None)
    assert text_of(ask(**CHAT)) == WHOLE


def test_a_stream_is_judged_at_its_end(provider: FakeProvider, client: Any):
    """A stream that begins well and breaks off counts as a failure of the circuit."""
    provider.script(WHOLE, fault.drop(after=2))
    ask = guard(at_once(), breaker(fail_max=1))(client.chat.completions.create)
    list(ask(**CHAT, stream=True))
    with pytest.raises(Exception, match=r".") as caught:
        list(ask(**CHAT, stream=True))
    assert not isinstance(caught.value, errors.GuardError)

    with pytest.raises(errors.CircuitOpen):
        ask(**CHAT, stream=True)
    assert len(provider.journal) == 2


def test_an_outage_costs_one_request_a_trial(provider: FakeProvider, client: Any):
    """Open, refused, fallback at once; when the provider is back, one trial closes the circuit."""
    provider.always(fault.status(503))
    policy = guard(fallback(lambda **_: "elsewhere"), at_once(), breaker(fail_max=3))
    ask = policy(client.chat.completions.create)
    with FakeRuntime() as clock, report() as seen:
        assert [ask(**CHAT) for _ in range(10)] == ["elsewhere"] * 10
        assert len(provider.journal) == 3
        provider.recover()
        clock.advance(60)
        assert text_of(ask(**CHAT)) == WHOLE

    happened = [event for call in seen.calls for event in call.events]
    assert sum(isinstance(event, events.CircuitOpened) for event in happened) == 1
    assert sum(isinstance(event, events.CircuitRejected) for event in happened) == 9
    assert sum(isinstance(event, events.CircuitClosed) for event in happened) == 1


def test_retry_after_sets_the_time_that_a_circuit_stays_open(provider: FakeProvider, client: Any):
    """The provider says when to come back, and the refusal passes it on."""
    provider.script(fault.status(429, retry_after=40))
    ask = guard(breaker(fail_max=1, reset_timeout=1))(client.chat.completions.create)
    with pytest.raises(Exception, match="429"):
        ask(**CHAT)

    with pytest.raises(errors.CircuitOpen) as caught:
        ask(**CHAT)

    assert 30 < caught.value.retry_after <= 40


@pytest.mark.parametrize("form", ["seconds", "ms", "date"])
def test_a_wait_of_an_hour_is_neither_slept_nor_ignored(
    provider: FakeProvider, client: Any, form: Any
):
    """Beyond max_retry_after there is no retry at all, rather than one after a shorter wait."""
    provider.always(fault.status(429, retry_after=3600, form=form))
    with report() as seen, pytest.raises(Exception, match="429") as caught:
        guard(at_once())(client.chat.completions.create)(**CHAT)

    assert len(provider.journal) == 1
    assert "more than max_retry_after=120" in caught.value.__notes__[0]
    assert kinds(seen) == ["rate_limited"]


def test_a_wait_that_passes_the_deadline_is_not_begun(provider: FakeProvider, client: Any):
    """With two seconds left nobody sleeps for thirty: the fallback answers at once."""
    provider.always(fault.status(429, retry_after=30))
    ask = guard(fallback(lambda **_: "elsewhere"), at_once())(client.chat.completions.create)
    with report() as seen, deadline(2):
        assert ask(**CHAT) == "elsewhere"

    assert len(provider.journal) == 1
    assert kinds(seen) == ["rate_limited", None]


def test_the_model_that_served_is_the_providers_word(provider: FakeProvider, client: Any):
    """An alias, a router or a fallback may answer with another model than was asked for."""
    provider.script(fault.ok(WHOLE, model="gpt-4o-2026-01-01"))
    with report() as seen:
        guard(at_once())(client.chat.completions.create)(**CHAT)

    assert seen.calls[0].model == "gpt-4o-2026-01-01"
    assert seen.calls[0].served_by == "Completions.create"


@pytest.mark.parametrize(("own", "requests"), [(0, 3), (1, 6)])
def test_a_clients_own_retries_are_inside_every_attempt(
    provider: FakeProvider, own: int, requests: int
):
    """Nothing can be seen of them from outside, so `describe` says what one call can become."""
    provider.always(fault.status(503, headers={"retry-after-ms": "1"}))
    with openai_client(provider, retries=own) as client, report() as seen:
        ask = guard(at_once())(client.chat.completions.create)
        with pytest.raises(Exception, match="503"):
            ask(**CHAT)

    assert describe(ask)["requests"] == len(provider.journal) == requests
    assert kinds(seen) == ["overloaded"] * 3


def test_a_nested_call_is_a_child_of_the_attempt_that_made_it(provider: FakeProvider, client: Any):
    """The tree of calls: an agent's step, and the model calls inside; tags come from the context."""
    ask = guard(at_once())(client.chat.completions.create)

    @at_once()
    def step() -> str:
        return text_of(ask(**CHAT)) + text_of(ask(**CHAT))

    provider.script(fault.status(503))
    with context(user="u1"), report() as seen:
        assert step() == WHOLE * 2

    (call,) = seen.calls
    assert [len(child.attempts) for child in call.children] == [2, 1]
    assert call.children[0].tags == {"user": "u1"}
    assert "Completions.create" in str(seen)


async def test_sixteen_callers_at_once_get_each_their_own_answer():
    """One guard, many tasks: no answer is another's, whatever failed in between."""
    with FakeProvider(answer=lambda body: f"to {body['messages'][-1]['content']}") as provider:
        provider.schedule(lambda number, _: fault.status(503) if number % 3 == 0 else None)
        async with async_openai_client(provider) as client:
            ask = guard(at_once(attempts=9), breaker(fail_max=50), timeout(20))
            create = ask(client.chat.completions.create)

            async def one(number: int) -> str:
                question = [{"role": "user", "content": str(number)}]
                stream = await create(model="m", messages=question, stream=True)
                return text_of([item async for item in stream])

            answers = await asyncio.gather(*(one(number) for number in range(16)))

    assert answers == [f"to {number}" for number in range(16)]
