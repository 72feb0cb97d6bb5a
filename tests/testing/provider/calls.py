"""The real SDKs, each called in its ways, with its own retries off.

A call is a function from a base URL and a timeout in seconds to a callable; what comes back is the
response, or the list of a stream's items.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from agentguard.testing import FakeProvider

PROMPT = [{"role": "user", "content": "how are you"}]
PATIENT = 30.0

Call = Callable[[FakeProvider, float], Any]


@contextlib.contextmanager
def openai_client(provider: FakeProvider, timeout: float = PATIENT) -> Iterator[Any]:
    """Open a client for the time of a block."""
    import openai

    url = provider.openai_url
    with openai.OpenAI(base_url=url, api_key="test-key", max_retries=0, timeout=timeout) as client:
        yield client


@contextlib.asynccontextmanager
async def async_openai_client(
    provider: FakeProvider, timeout: float = PATIENT
) -> AsyncIterator[Any]:
    """Open an async client for the time of a block."""
    import openai

    url = provider.openai_url
    async with openai.AsyncOpenAI(
        base_url=url, api_key="test-key", max_retries=0, timeout=timeout
    ) as client:
        yield client


@contextlib.contextmanager
def anthropic_client(provider: FakeProvider, timeout: float = PATIENT) -> Iterator[Any]:
    """Open a client for the time of a block."""
    import anthropic

    url = provider.anthropic_url
    with anthropic.Anthropic(
        base_url=url, api_key="test-key", max_retries=0, timeout=timeout
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def async_anthropic_client(
    provider: FakeProvider, timeout: float = PATIENT
) -> AsyncIterator[Any]:
    """Open an async client for the time of a block."""
    import anthropic

    url = provider.anthropic_url
    async with anthropic.AsyncAnthropic(
        base_url=url, api_key="test-key", max_retries=0, timeout=timeout
    ) as client:
        yield client


@contextlib.contextmanager
def google_client(provider: FakeProvider, timeout: float = PATIENT) -> Iterator[Any]:
    """Open a client for the time of a block."""
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=provider.google_url, timeout=int(timeout * 1000))
    client = genai.Client(api_key="test-key", http_options=options)
    try:
        yield client
    finally:
        client.close()


def openai_chat(provider: FakeProvider, timeout: float) -> Any:
    """Return a chat completion."""
    with openai_client(provider, timeout) as client:
        return client.chat.completions.create(model="gpt-test", messages=PROMPT)


def openai_chat_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return the chunks of a chat completion."""
    with openai_client(provider, timeout) as client:
        return list(client.chat.completions.create(model="gpt-test", messages=PROMPT, stream=True))


def openai_chat_async_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return the chunks of a chat completion, read by the async client."""

    async def call() -> list[Any]:
        async with async_openai_client(provider, timeout) as client:
            stream = await client.chat.completions.create(
                model="gpt-test", messages=PROMPT, stream=True
            )
            return [chunk async for chunk in stream]

    return asyncio.run(call())


def openai_responses_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return the events of a response."""
    with openai_client(provider, timeout) as client:
        return list(client.responses.create(model="gpt-test", input="how are you", stream=True))


def anthropic_create(provider: FakeProvider, timeout: float) -> Any:
    """Return a message."""
    with anthropic_client(provider, timeout) as client:
        return client.messages.create(model="claude-test", max_tokens=9, messages=PROMPT)


def anthropic_create_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return the events of a message."""
    with anthropic_client(provider, timeout) as client:
        return list(
            client.messages.create(model="claude-test", max_tokens=9, messages=PROMPT, stream=True)
        )


def anthropic_helper_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return what the `.stream()` helper makes of the events of a message."""
    with (
        anthropic_client(provider, timeout) as client,
        client.messages.stream(model="claude-test", max_tokens=9, messages=PROMPT) as stream,
    ):
        return list(stream)


def google_generate(provider: FakeProvider, timeout: float) -> Any:
    """Return a generated answer."""
    with google_client(provider, timeout) as client:
        return client.models.generate_content(model="gemini-test", contents="how are you")


def google_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return the chunks of a generated answer."""
    with google_client(provider, timeout) as client:
        return list(
            client.models.generate_content_stream(model="gemini-test", contents="how are you")
        )


def langchain_openai(provider: FakeProvider, timeout: float) -> Any:
    """Return LangChain's message, by way of OpenAI."""
    return _chat_openai(provider, timeout).invoke("how are you")


def langchain_openai_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return LangChain's chunks, by way of OpenAI."""
    return list(_chat_openai(provider, timeout).stream("how are you"))


def langchain_anthropic(provider: FakeProvider, timeout: float) -> Any:
    """Return LangChain's message, by way of Anthropic."""
    return _chat_anthropic(provider, timeout).invoke("how are you")


def langchain_anthropic_stream(provider: FakeProvider, timeout: float) -> Any:
    """Return LangChain's chunks, by way of Anthropic."""
    return list(_chat_anthropic(provider, timeout).stream("how are you"))


def _chat_openai(provider: FakeProvider, timeout: float) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="gpt-test",
        base_url=provider.openai_url,
        api_key="test-key",
        max_retries=0,
        timeout=timeout,
    )


def _chat_anthropic(provider: FakeProvider, timeout: float) -> Any:
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(
        model="claude-test",
        base_url=provider.anthropic_url,
        api_key="test-key",
        max_retries=0,
        timeout=timeout,
        max_tokens=9,
    )


def error_name(error: BaseException) -> str:
    """Name an exception by its library and class, as the tables of expected errors do."""
    root, _, rest = type(error).__module__.partition(".")
    library = "genai" if root == "google" and rest.startswith("genai") else root
    return f"{library}.{type(error).__name__}"
