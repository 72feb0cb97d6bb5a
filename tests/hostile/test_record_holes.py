"""`record` must not be walked around: a cut stream read through a helper would pass for whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from agentguard import errors, record, report, retry
from agentguard.testing import FakeProvider, fault

ASKED: Any = {
    "model": "claude-test",
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "?"}],
}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider on this machine."""
    with FakeProvider(answer="Seoul is the capital of Korea.") as served:
        yield served


@pytest.mark.parametrize(
    "helper", ["text_stream", "get_final_text", "get_final_message", "until_done"]
)
def test_a_helper_that_reads_past_the_record_is_refused(
    provider: FakeProvider, helper: str
) -> None:
    """The SDK's own readers would hide from the guard that the stream was cut."""
    client = anthropic.Anthropic(base_url=provider.anthropic_url, api_key="test-key", max_retries=0)

    @retry(attempts=1)
    def ask() -> Any:
        with client.messages.stream(**ASKED) as stream:
            return getattr(record(stream), helper)

    with client, pytest.raises(AttributeError, match="iterate the stream"):
        ask()


async def test_async_helpers_are_refused_too(provider: FakeProvider) -> None:
    """The same of an async client's stream."""
    client = anthropic.AsyncAnthropic(
        base_url=provider.anthropic_url, api_key="test-key", max_retries=0
    )

    @retry(attempts=1)
    async def ask() -> Any:
        async with client.messages.stream(**ASKED) as stream:
            return record(stream).text_stream

    async with client:
        with pytest.raises(AttributeError, match="iterate the stream"):
            await ask()
        await asyncio.sleep(0)


def test_after_the_end_the_final_message_is_there(provider: FakeProvider) -> None:
    """Once the recorded stream was read to its end, its helpers only add up what was seen."""
    client = anthropic.Anthropic(base_url=provider.anthropic_url, api_key="test-key", max_retries=0)

    @retry(attempts=1)
    def ask() -> str:
        with client.messages.stream(**ASKED) as opened:
            stream = record(opened)
            for _ in stream:
                pass
            return stream.get_final_text()

    with client, report() as r:
        assert ask() == "Seoul is the capital of Korea."
    assert r.calls[0].model == "claude-test"


def test_a_cut_stream_that_is_iterated_is_seen(provider: FakeProvider) -> None:
    """What the message says to write works: the cut is an error."""
    client = anthropic.Anthropic(base_url=provider.anthropic_url, api_key="test-key", max_retries=0)

    @retry(attempts=1)
    def ask() -> str:
        with client.messages.stream(**ASKED) as opened:
            return "".join(event.text for event in record(opened) if event.type == "text")

    provider.script(fault.cut(after=3))
    with client, pytest.raises(errors.StreamTruncated):
        ask()


@pytest.mark.parametrize("nothing", [fault.empty(), fault.cut(after=0)], ids=repr)
def test_a_recorded_stream_without_a_single_event_is_cut(
    provider: FakeProvider, nothing: Any
) -> None:
    """An SDK's stream that brings nothing at all is no empty answer."""
    client = anthropic.Anthropic(base_url=provider.anthropic_url, api_key="test-key", max_retries=0)

    @retry(attempts=1)
    def ask() -> int:
        return len(list(record(client.messages.create(stream=True, **ASKED))))

    provider.script(nothing)
    with client, pytest.raises(errors.StreamTruncated):
        ask()


def test_the_figures_of_all_recorded_responses_count() -> None:
    """A function that asks twice uses the tokens of both; the last one's model is told."""

    def answer(model: str) -> dict[str, Any]:
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        return {"model": model, "choices": [{"message": {"content": "x"}}], "usage": usage}

    @retry
    def ask() -> str:
        record(answer("m-1"))
        record(answer("m-2"))
        return "42"

    with report() as r:
        ask()
    (attempt,) = r.calls[0].attempts
    assert attempt.usage is not None
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (20, 10)
    assert attempt.model == "m-2"
