"""Four ways to call a model, as applications do, and the guard that goes around their clients."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Protocol

import anthropic
import openai

import agentguard as ag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE = 1.5
"""Seconds of silence that either side bears; the SDKs' own default is 600."""


def sync_text(client: openai.OpenAI) -> Callable[[str], str]:
    """A function that returns the text."""

    def ask(question: str) -> str:
        answer = client.chat.completions.create(
            model="gpt-4o-mini", max_tokens=100, messages=[{"role": "user", "content": question}]
        )
        return answer.choices[0].message.content or ""

    return ask


def async_stream(client: openai.AsyncOpenAI) -> Callable[[str], Any]:
    """A coroutine function that returns the SDK's own stream."""

    async def ask(question: str) -> openai.AsyncStream[Any]:
        return await client.chat.completions.create(
            model="gpt-4o-mini",
            max_tokens=100,
            messages=[{"role": "user", "content": question}],
            stream=True,
        )

    return ask


def sync_collected(client: anthropic.Anthropic) -> Callable[[str], str]:
    """A function that reads a stream itself and returns its text."""

    def ask(question: str) -> str:
        stream = client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            messages=[{"role": "user", "content": question}],
            stream=True,
        )
        return "".join(map(words, stream))

    return ask


def async_generator(client: anthropic.AsyncAnthropic) -> Callable[[str], AsyncIterator[str]]:
    """An async generator that hands the words on as they come."""

    async def ask(question: str) -> AsyncIterator[str]:
        stream = await client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            messages=[{"role": "user", "content": question}],
            stream=True,
        )
        async for event in stream:
            yield words(event)

    return ask


def words(event: Any) -> str:
    """The text in one event of an Anthropic stream."""
    return event.delta.text if event.type == "content_block_delta" else ""


CALLERS: dict[str, Callable[[Any], Callable[[str], Any]]] = {
    "OpenAI": sync_text,
    "AsyncOpenAI": async_stream,
    "Anthropic": sync_collected,
    "AsyncAnthropic": async_generator,
}


class Place(Protocol):
    """Where a model is served: the fake provider, or another server that speaks both protocols."""

    @property
    def openai_url(self) -> str: ...

    @property
    def anthropic_url(self) -> str: ...


def connect(name: str, place: Place, **options: Any) -> Any:
    """A client of this name, from the SDK that has it."""
    if "OpenAI" in name:
        return getattr(openai, name)(base_url=place.openai_url, api_key="test-key", **options)
    return getattr(anthropic, name)(base_url=place.anthropic_url, api_key="test-key", **options)


def bare(name: str, place: Place) -> Callable[[str], Any]:
    """The SDK as it comes: it retries twice by itself. Only its timeout is shortened."""
    return CALLERS[name](connect(name, place, timeout=PATIENCE))


def guarded(name: str, place: Place, elsewhere: Place) -> Callable[[str], Any]:
    """The same function; its client is guarded, and nothing else differs."""
    return CALLERS[name](guard(connect(name, place), connect(name, elsewhere)))


def guard(client: Any, backup: Any, patience: float = PATIENCE) -> Any:
    """The whole of what the application adds."""
    elsewhere = backup.messages if hasattr(backup, "messages") else backup.chat.completions
    return ag.guard(
        ag.fallback(elsewhere.create),
        ag.retry(attempts=4),
        ag.breaker(fail_max=10, reset_timeout=0.6),
        ag.timeout(patience),
    )(client)


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
