"""Ways to ask a guarded client, by name; an environment has those of the SDKs that it holds."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

from agentguard.testing import FakeProvider
from tests.providers.sdk_targets import (
    GENERATION,
    QUESTION,
    anthropic_client,
    chat_anthropic,
    chat_openai,
    google_client,
    openai_client,
)

Ask = Callable[[FakeProvider, Callable[[Any], Any]], Any]
"""Asks a provider through a client that the second argument has guarded; returns what came."""

VECTORS = "text-embedding-3-small"


async def consumed(answer: Any) -> Any:
    """The answer, or all items of the stream that it is."""
    answer = await answer if inspect.isawaitable(answer) else answer
    if hasattr(answer, "__aiter__"):
        return [item async for item in answer]
    return list(answer) if hasattr(answer, "__next__") else answer


def openai(way: Callable[[Any], Any]) -> Ask:
    """With the sync client."""

    def ask(provider: FakeProvider, guard: Callable[[Any], Any]) -> Any:
        with openai_client(provider, 10) as client:
            return asyncio.run(consumed(way(guard(client))))

    return ask


def openai_async(way: Callable[[Any], Any]) -> Ask:
    """With the async client."""

    def ask(provider: FakeProvider, guard: Callable[[Any], Any]) -> Any:
        from openai import AsyncOpenAI

        async def run() -> Any:
            async with AsyncOpenAI(base_url=provider.openai_url, api_key="sk-test") as client:
                return await consumed(way(guard(client)))

        return asyncio.run(run())

    return ask


def anthropic(way: Callable[[Any], Any]) -> Ask:
    """With Anthropic's."""

    def ask(provider: FakeProvider, guard: Callable[[Any], Any]) -> Any:
        with anthropic_client(provider, 10) as client:
            return asyncio.run(consumed(way(guard(client))))

    return ask


def google(way: Callable[[Any], Any]) -> Ask:
    """With Google's."""

    def ask(provider: FakeProvider, guard: Callable[[Any], Any]) -> Any:
        client = google_client(provider, 10)
        return asyncio.run(consumed(way(guard(client))))

    return ask


def chain(model: Callable[[FakeProvider, float], Any], way: Callable[[Any], Any]) -> Ask:
    """With one of LangChain's chat models."""

    def ask(provider: FakeProvider, guard: Callable[[Any], Any]) -> Any:
        return asyncio.run(consumed(way(guard(model(provider, 10)))))

    return ask


_CHAT = {"model": "gpt-4o-mini", "messages": QUESTION}
_RESPONSE = {"model": "gpt-4o-mini", "input": "hi"}
_MESSAGE = {"model": "claude-x", "max_tokens": 64, "messages": QUESTION}
_GOOGLE = {"model": "gemini-x", "contents": "hi"}

_OPENAI: dict[str, Callable[[Any], Any]] = {
    "chat": lambda c: c.chat.completions.create(**_CHAT),
    "chat-stream": lambda c: c.chat.completions.create(**_CHAT, stream=True),
    "responses": lambda c: c.responses.create(**_RESPONSE),
    "responses-stream": lambda c: c.responses.create(**_RESPONSE, stream=True),
    "embeddings": lambda c: c.embeddings.create(model=VECTORS, input=["a", "b"]),
    "embeddings-float": lambda c: c.embeddings.create(
        model=VECTORS, input="a", encoding_format="float"
    ),
}
_ANTHROPIC: dict[str, Callable[[Any], Any]] = {
    "messages": lambda c: c.messages.create(**_MESSAGE),
    "messages-stream": lambda c: c.messages.create(**_MESSAGE, stream=True),
    "beta": lambda c: c.beta.messages.create(**_MESSAGE),
    "beta-stream": lambda c: c.beta.messages.create(**_MESSAGE, stream=True),
}
_GENERATED: dict[str, Callable[[Any], Any]] = {
    "google": lambda c: c.models.generate_content(**_GOOGLE),
    "google-stream": lambda c: c.models.generate_content_stream(**_GOOGLE),
}
_LANGCHAIN: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda m: m.invoke("hi"),
    "ainvoke": lambda m: m.ainvoke("hi"),
    "stream": lambda m: m.stream("hi"),
    "astream": lambda m: m.astream("hi"),
}


def _all_here() -> bool:
    return GENERATION != "litellm" and importlib.util.find_spec("langchain_openai") is not None


OPENAI: dict[str, Ask] = {
    **{f"openai-{name}": openai(way) for name, way in _OPENAI.items()},
    **{f"openai-async-{name}": openai_async(way) for name, way in _OPENAI.items()},
}
ANTHROPIC: dict[str, Ask] = {}
GOOGLE: dict[str, Ask] = {}
CHAIN: dict[str, Ask] = {}
if _all_here():
    ANTHROPIC |= {f"anthropic-{name}": anthropic(way) for name, way in _ANTHROPIC.items()}
    GOOGLE |= {name: google(way) for name, way in _GENERATED.items()}
    for model in (chat_openai, chat_anthropic):
        CHAIN |= {f"{model.__name__}-{n}": chain(model, way) for n, way in _LANGCHAIN.items()}
EVERY: dict[str, Ask] = {**OPENAI, **ANTHROPIC, **GOOGLE, **CHAIN}
