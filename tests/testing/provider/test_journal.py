"""What the provider says it received, and how it notices that a client has left."""

from __future__ import annotations

import asyncio
import contextlib

import openai
import pytest

from agentguard.testing import FakeProvider, fault
from tests.testing.provider import calls

MANY = [f"{n} " for n in range(2000)]


def test_a_record_says_what_came_and_what_became_of_it(provider: FakeProvider) -> None:
    """The journal holds path, protocol, body, headers, status and chunks of each request."""
    provider.script(fault.status(429))
    with pytest.raises(Exception, match="429"):
        calls.openai_chat(provider, calls.PATIENT)
    calls.anthropic_create_stream(provider, calls.PATIENT)
    assert provider.settle()
    first, second = provider.journal
    assert (first.number, first.path, first.protocol) == (1, "/v1/chat/completions", "openai.chat")
    assert (first.status, first.stream, first.chunks) == (429, False, 0)
    assert first.body["messages"] == calls.PROMPT
    assert first.answered == fault.status(429)
    assert first.headers["content-type"] == "application/json"
    assert (second.protocol, second.status, second.stream, second.chunks) == (
        "anthropic",
        200,
        True,
        5,
    )
    assert second.model == "claude-test"
    assert 0 <= first.at <= first.ended <= second.at <= second.ended
    assert not first.client_disconnected
    assert not second.client_disconnected
    assert provider.requests == 2


def test_the_sdks_own_retries_are_in_the_journal(provider: FakeProvider) -> None:
    """An SDK's hidden retries show as requests of their own."""
    provider.script(fault.status(500, should_retry=True), fault.status(503))
    client = openai.OpenAI(base_url=provider.openai_url, api_key="test-key", max_retries=1)
    with client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="m", messages=calls.PROMPT)
    counts = [record.headers["x-stainless-retry-count"] for record in provider.journal]
    assert counts == ["0", "1"]


def test_credentials_and_prompts_stay_out_of_reprs(provider: FakeProvider) -> None:
    """Neither a key nor a prompt shows when a record or its headers are printed."""
    calls.openai_chat(provider, calls.PATIENT)
    calls.google_generate(provider, calls.PATIENT)
    for record in provider.journal:
        shown = repr(record) + repr(record.headers)
        assert "test-key" not in shown
        assert "how are you" not in shown
    assert provider.journal[0].headers["authorization"] == "Bearer test-key"
    assert provider.journal[1].headers["x-goog-api-key"] == "test-key"


def test_the_journal_is_bounded() -> None:
    """Only the last `journal_size` records are kept; the count goes on."""
    with FakeProvider(journal_size=2) as provider:
        for _ in range(3):
            calls.openai_chat(provider, calls.PATIENT)
        assert [record.number for record in provider.journal] == [2, 3]
        assert provider.requests == 3


def test_leaving_in_mid_stream_is_noticed(provider: FakeProvider) -> None:
    """A client that closes after one chunk is recorded, and not every chunk was sent."""
    provider.script(fault.ok(chunks=MANY, each=0.005))
    with calls.openai_client(provider) as client:
        stream = client.chat.completions.create(model="m", messages=calls.PROMPT, stream=True)
        next(stream)
        next(stream)
        stream.close()
        assert provider.settle()
    record = provider.journal[0]
    assert record.client_disconnected
    assert record.status == 200
    assert 1 <= record.chunks < len(MANY)


async def test_a_cancelled_task_is_noticed(provider: FakeProvider) -> None:
    """Cancelling the task that reads a stream disconnects, and is recorded."""
    provider.script(fault.ok(chunks=MANY, each=0.005))
    got_one = asyncio.Event()

    async def read() -> None:
        async with calls.async_anthropic_client(provider) as client:
            arguments = {"model": "m", "max_tokens": 9, "messages": calls.PROMPT}
            async with client.messages.stream(**arguments) as stream:
                async for _ in stream.text_stream:
                    got_one.set()

    task = asyncio.create_task(read())
    await got_one.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(provider.settle)
    assert provider.journal[0].client_disconnected


@pytest.mark.parametrize(
    "step",
    [
        fault.stall(),
        fault.stall(after=0),
        fault.stall(after="opening"),
        fault.stall(after=2),
        fault.stall(after="finish"),
        fault.slow(first=60),
    ],
    ids=repr,
)
def test_leaving_during_a_stall_is_noticed(provider: FakeProvider, step: fault.Fault) -> None:
    """A client that times out during a silence is recorded at once, not when the stall ends."""
    provider.script(step)
    with pytest.raises(Exception, match=r"(?i)timed out"):
        calls.openai_chat_stream(provider, 0.3)
    assert provider.settle()
    assert provider.journal[0].client_disconnected


def test_a_slow_unary_answer_notices_too(provider: FakeProvider) -> None:
    """A client that gives up on a unary answer is recorded, and no status was sent."""
    provider.script(fault.slow(first=60))
    with pytest.raises(Exception, match=r"(?i)timed out"):
        calls.anthropic_create(provider, 0.3)
    assert provider.settle()
    assert provider.journal[0].client_disconnected
    assert provider.journal[0].status is None


@pytest.mark.parametrize("step", [fault.ok(), fault.drop(), fault.reset(after=1), fault.cut()])
def test_a_provider_that_ends_is_no_client_that_left(
    provider: FakeProvider, step: fault.Fault
) -> None:
    """`client_disconnected` is about the client; the provider's own faults do not set it."""
    provider.script(step)
    with contextlib.suppress(Exception):  # what the SDK makes of it is test_faults' subject
        calls.openai_chat_stream(provider, calls.PATIENT)
    assert provider.settle()
    assert not provider.journal[0].client_disconnected
