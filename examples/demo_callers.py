"""Four ways to call a model, as applications do, and the guard that goes around each."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import anthropic
import openai

import agentguard as ag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agentguard.testing import FakeProvider

PATIENCE = 1.5
"""Seconds of silence that either side bears; the SDKs' own default is 600."""


def sync_text(client: openai.OpenAI) -> Callable[[str], str]:
    """A function that returns the answer."""

    def ask(question: str) -> str:
        answer = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}]
        )
        return answer.choices[0].message.content or ""

    return ask


def async_stream(client: openai.AsyncOpenAI) -> Callable[[str], Any]:
    """A coroutine function that returns the SDK's own stream."""

    async def ask(question: str) -> openai.AsyncStream[Any]:
        return await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}], stream=True
        )

    return ask


def sync_collected(client: anthropic.Anthropic) -> Callable[[str], str]:
    """A function that reads a stream itself; `record` lets the guard see how it ends."""

    def ask(question: str) -> str:
        stream = client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=200,
            messages=[{"role": "user", "content": question}],
            stream=True,
        )
        return "".join(map(words, ag.record(stream)))

    return ask


def async_generator(client: anthropic.AsyncAnthropic) -> Callable[[str], AsyncIterator[str]]:
    """An async generator that hands the words on as they come."""

    async def ask(question: str) -> AsyncIterator[str]:
        stream = await client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=200,
            messages=[{"role": "user", "content": question}],
            stream=True,
        )
        async for event in ag.record(stream):
            yield words(event)

    return ask


def words(event: Any) -> str:
    """The text in one event of an Anthropic stream."""
    return event.delta.text if event.type == "content_block_delta" else ""


CALLERS: dict[str, tuple[Callable[..., Any], Callable[[Any], Callable[[str], Any]]]] = {
    "OpenAI": (openai.OpenAI, sync_text),
    "AsyncOpenAI": (openai.AsyncOpenAI, async_stream),
    "Anthropic": (anthropic.Anthropic, sync_collected),
    "AsyncAnthropic": (anthropic.AsyncAnthropic, async_generator),
}


def connect(sdk: Callable[..., Any], provider: FakeProvider, **options: Any) -> Any:
    url = provider.openai_url if "OpenAI" in sdk.__name__ else provider.anthropic_url
    return sdk(base_url=url, api_key="test-key", **options)


def bare(name: str, provider: FakeProvider) -> Callable[[str], Any]:
    """The SDK as it comes: it retries twice by itself. Only its timeout is shortened."""
    sdk, caller = CALLERS[name]
    return caller(connect(sdk, provider, timeout=PATIENCE))


def guarded(name: str, provider: FakeProvider, backup: FakeProvider) -> Callable[[str], Any]:
    """The same function, guarded. Its SDK's own retries are off: one place decides."""
    sdk, caller = CALLERS[name]
    elsewhere = caller(connect(sdk, backup))
    guard = ag.guard(
        ag.fallback(elsewhere),
        ag.retry(attempts=4),
        ag.breaker(fail_max=8, reset_timeout=0.6),
        ag.timeout(PATIENCE),
    )
    return guard(caller(connect(sdk, provider, max_retries=0)))


async def read(ask: Callable[[str], Any], question: str) -> str:
    """What a user sees in the end: the whole text, whichever way it comes."""
    if not (inspect.iscoroutinefunction(ask) or inspect.isasyncgenfunction(ask)):
        return await asyncio.to_thread(ask, question)
    answer = ask(question)
    if inspect.isawaitable(answer):
        answer = await answer
    text = ""
    async for piece in answer:
        text += piece if isinstance(piece, str) else piece.choices[0].delta.content or ""
    return text
