"""Anthropic's clients under guards, beyond what test_sdk_matrix shows for every SDK."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from agentguard import errors, guard, record, report, timeout
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import (
    CLAUDE,
    LEFT_TO_THE_COLLECTOR,
    anthropic_client,
    async_anthropic_client,
    at_once,
    kinds,
    text_of,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"


async def test_an_async_method_whose_flags_say_sync_works_when_awaited(provider: FakeProvider):
    """`AsyncAnthropic().messages.create` is no coroutine function, and is guarded as one."""
    provider.script(fault.status(529))
    async with async_anthropic_client(provider) as client:
        assert not inspect.iscoroutinefunction(client.messages.create)
        ask = guard(at_once(), timeout(5))(client.messages.create)

        with report() as seen:
            answer = await ask(**CLAUDE)

    assert text_of(answer) == WHOLE
    assert kinds(seen) == ["overloaded", None]


async def test_an_async_stream_is_retried_before_its_first_word(provider: FakeProvider):
    """An error inside a 200, after message_start: the consumer sees the second stream alone."""
    provider.script(fault.error("overloaded", after="opening"))
    async with async_anthropic_client(provider) as client:
        stream = await guard(at_once())(client.messages.create)(**CLAUDE, stream=True)
        async with stream:
            items = [event async for event in stream]

    assert text_of(items) == WHOLE
    assert [event.type for event in items].count("message_start") == 1


def test_the_opening_events_that_were_held_back_are_handed_out(provider: FakeProvider):
    """The consumer gets the same events as from the bare client, in the same order."""
    with anthropic_client(provider) as client:
        bare = [event.type for event in client.messages.create(**CLAUDE, stream=True)]
        ask = guard(at_once())(client.messages.create)
        guarded = [event.type for event in ask(**CLAUDE, stream=True)]

    assert guarded == bare


def test_an_error_after_the_first_word_keeps_its_true_kind(provider: FakeProvider):
    """The SDK says status 200 for an error inside a stream; its body says overloaded."""
    import anthropic

    provider.script(fault.error("overloaded", after=2))
    with anthropic_client(provider) as client:
        ask = guard(at_once())(client.messages.create)
        with report() as seen, pytest.raises(anthropic.APIStatusError) as caught:
            list(ask(**CLAUDE, stream=True))

    assert caught.value.status_code == 200
    assert kinds(seen) == ["overloaded"]
    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert partial.usage is not None


def test_thinking_counts_as_content(provider: FakeProvider):
    """A model that thinks aloud first has begun to answer: the first event of it is handed out."""
    provider.script(fault.ok(WHOLE, thinking="let me think", first=0.0, each=0.01))
    with anthropic_client(provider) as client:
        ask = guard(at_once(), timeout(20))(client.messages.create)
        items = list(ask(**CLAUDE, stream=True))

    assert text_of(items) == WHOLE


def test_usage_is_the_last_figure_and_includes_what_was_cached(provider: FakeProvider):
    """Anthropic's figures are cumulative and leave the cache out of the input: both are mended."""
    provider.script(fault.ok(WHOLE, usage={"input": 20, "output": 6, "cached": 12}))
    with anthropic_client(provider) as client, report() as seen:
        list(guard(at_once())(client.messages.create)(**CLAUDE, stream=True))

    usage = seen.calls[0].attempts[0].usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (20, 6, 12)


def test_what_does_not_consume_a_stream_comes_through(provider: FakeProvider):
    """Status, headers and the request's id are those of the SDK's stream."""
    with anthropic_client(provider) as client:
        stream = guard(at_once())(client.messages.create)(**CLAUDE, stream=True)

        assert stream.response.status_code == 200
        assert stream.response.request_id == provider.journal[0].request_id
        with pytest.raises(AttributeError, match="Iterate the stream"):
            stream.response.iter_lines()
        assert text_of(list(stream)) == WHOLE


@pytest.mark.parametrize("stream", [False, True])
def test_a_bound_reaches_the_provider_from_sync_code(provider: FakeProvider, *, stream: bool):
    """The SDK method is told the bound as its own `timeout=`, so that its worker ends soon too."""
    provider.always(fault.stall())
    with anthropic_client(provider) as client:
        with pytest.raises(errors.Timeout):
            guard(timeout(0.2))(client.messages.create)(**CLAUDE, stream=stream)

        assert provider.settle()

    assert provider.journal[0].client_disconnected


async def test_a_consumer_that_stops_early_closes_the_connection(provider: FakeProvider):
    """After one word the provider sees its client leave, and the report says abandoned."""
    provider.script(fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    async with async_anthropic_client(provider) as client:
        with report() as seen:
            async with await guard(at_once())(client.messages.create)(
                **CLAUDE, stream=True
            ) as stream:
                async for event in stream:
                    if event.type == "content_block_delta":
                        break

        assert await asyncio.to_thread(provider.settle)

    assert provider.journal[0].client_disconnected
    assert seen.calls[0].outcome == "abandoned"


def test_a_wait_of_seventy_seconds_is_not_slept_inside_the_call(provider: FakeProvider):
    """Where the SDK itself would sleep for any Retry-After, the guard stays within its bounds."""
    import anthropic

    provider.script(fault.status(429, retry_after=70))
    with anthropic_client(provider) as client:
        ask = guard(at_once(max_retry_after=10))(client.messages.create)
        with pytest.raises(anthropic.RateLimitError) as caught:
            ask(**CLAUDE)

    assert "asks to wait 70 s" in caught.value.__notes__[0]
    assert len(provider.journal) == 1


@pytest.mark.parametrize("place", ["opening", 2])
def test_the_stream_helper_is_guarded_by_recording_what_it_yields(
    provider: FakeProvider, place: int | str
):
    """`messages.stream()` answers with a context manager: a function around it is what is guarded."""
    provider.script(fault.cut(after=place))
    with anthropic_client(provider) as client:

        @at_once()
        def ask() -> str:
            with client.messages.stream(**CLAUDE) as stream:
                return "".join(event.text for event in record(stream) if event.type == "text")

        with report() as seen:
            assert ask() == WHOLE

    assert kinds(seen) == ["truncated", None]
