"""Google's client under guards, beyond what test_sdk_matrix shows for every SDK."""

from __future__ import annotations

import asyncio

import pytest

from agentguard import errors, guard, report, timeout
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import GENERATION
from tests.scenarios.ways import (
    GEMINI,
    LEFT_TO_THE_COLLECTOR,
    async_google_client,
    at_once,
    google_client,
    kinds,
    text_of,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"


def test_an_error_in_the_first_event_of_a_200_is_retried(provider: FakeProvider):
    """The new SDK raises it, the previous one makes an empty chunk of it: both are seen."""
    provider.script(fault.error("overloaded", after=0))
    with google_client(provider) as client, report() as seen:
        items = list(guard(at_once())(client.models.generate_content_stream)(**GEMINI))

    assert text_of(items) == WHOLE
    expected = "truncated" if GENERATION == "previous" else "overloaded"
    assert kinds(seen) == [expected, None]


def test_the_wait_that_the_body_asks_for_is_obeyed(provider: FakeProvider):
    """Google says how long to wait in RetryInfo, not in a header."""
    provider.script(fault.status(429, retry_after=0.05, form="body"))
    with google_client(provider) as client, report() as seen:
        guard(at_once())(client.models.generate_content)(**GEMINI)

    assert seen.calls[0].attempts[1].wait == 0.05


async def test_the_async_stream_is_awaited_then_read(provider: FakeProvider):
    """`await aio.models.generate_content_stream(...)` answers with an async generator."""
    provider.script(fault.status(503))
    async with async_google_client(provider) as client:
        stream = await guard(at_once())(client.models.generate_content_stream)(**GEMINI)
        assert text_of([item async for item in stream]) == WHOLE

    assert len(provider.journal) == 2


def test_a_bound_cuts_a_client_without_timeout(provider: FakeProvider):
    """The client has no timeout by default: the caller is free after the guard's bound."""
    provider.script(fault.stall(1.0))
    with google_client(provider) as client:
        with pytest.raises(errors.Timeout):
            guard(timeout(0.2))(client.models.generate_content)(**GEMINI)
        assert provider.settle()


async def test_cancelling_reaches_the_provider(provider: FakeProvider):
    """The async bound closes the connection."""
    provider.always(fault.stall())
    async with async_google_client(provider) as client:
        with pytest.raises(errors.Timeout):
            await guard(timeout(0.1))(client.models.generate_content)(**GEMINI)
        assert await asyncio.to_thread(provider.settle)

    assert provider.journal[0].client_disconnected


def test_usage_comes_from_the_last_chunk_and_counts_thoughts_as_output(provider: FakeProvider):
    """Google counts thoughts apart from the answer; the report adds them up as others do."""
    provider.script(fault.ok(WHOLE, usage={"input": 9, "output": 16, "reasoning": 10}))
    with google_client(provider) as client, report() as seen:
        list(guard(at_once())(client.models.generate_content_stream)(**GEMINI))

    usage = seen.calls[0].attempts[0].usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (9, 16, 10)


def test_known_limit_an_empty_200_is_an_empty_answer(provider: FakeProvider):
    """The SDK makes an answer without candidates of it, and nothing says that it failed."""
    provider.script(fault.empty())
    with google_client(provider) as client:
        answer = guard(at_once())(client.models.generate_content)(**GEMINI)

    assert not answer.candidates
    assert len(provider.journal) == 1


def test_an_empty_answer_is_asked_again_by_a_predicate(provider: FakeProvider):
    """`on_result` is what reveals it."""
    provider.script(fault.empty())
    with google_client(provider) as client:
        ask = guard(at_once(on_result=lambda answer: not answer.candidates))
        assert text_of(ask(client.models.generate_content)(**GEMINI)) == WHOLE

    assert len(provider.journal) == 2
