"""The calls that the installed SDKs can make to a FakeProvider, by the names of the fault matrix.

One environment holds one generation of SDKs: `GENERATION` says which.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import os
import warnings
from collections.abc import Callable
from typing import Any, Final

from agentguard.testing.provider import FakeProvider

QUESTION: Final[list[Any]] = [{"role": "user", "content": "hi"}]

Target = Callable[[FakeProvider, float], object]
"""Makes one call, with the client's timeout in seconds, and consumes the answer."""


def version(package: str) -> int:
    """Return the major version of an installed package, -1 when it is not there."""
    try:
        return int(importlib.metadata.version(package).partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return -1


def generation() -> str:
    """Return which set of SDKs this environment holds."""
    if version("litellm") >= 0:
        return "litellm"
    return "previous" if version("openai") == 1 else "current"


GENERATION: Final = generation()


def let_go() -> None:
    """Collect the clients that SDKs and LangChain's models leave open, without their warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def openai_client(provider: FakeProvider, timeout: float) -> Any:
    """Return a client that makes one attempt."""
    import openai

    return openai.OpenAI(
        base_url=provider.openai_url, api_key="sk-test", max_retries=0, timeout=timeout
    )


def anthropic_client(provider: FakeProvider, timeout: float) -> Any:
    """Return a client that makes one attempt."""
    import anthropic

    return anthropic.Anthropic(
        base_url=provider.anthropic_url, api_key="sk-test", max_retries=0, timeout=timeout
    )


def google_client(provider: FakeProvider, timeout: float) -> Any:
    """Return a client; it makes one attempt by default, and its timeout is in milliseconds."""
    from google import genai

    options = genai.types.HttpOptions(base_url=provider.google_url, timeout=int(timeout * 1000))
    return genai.Client(api_key="test-key", http_options=options)


def openai_chat(provider: FakeProvider, timeout: float) -> object:
    """`chat.completions.create`."""
    with openai_client(provider, timeout) as client:
        return client.chat.completions.create(model="gpt-4o-mini", messages=QUESTION)


def openai_chat_stream(provider: FakeProvider, timeout: float) -> object:
    """`chat.completions.create(stream=True)`."""
    with openai_client(provider, timeout) as client:
        create = client.chat.completions.create
        with create(model="gpt-4o-mini", messages=QUESTION, stream=True) as stream:
            return list(stream)


def openai_responses_stream(provider: FakeProvider, timeout: float) -> object:
    """`responses.create(stream=True)`."""
    with (
        openai_client(provider, timeout) as client,
        client.responses.create(model="gpt-4o-mini", input="hi", stream=True) as stream,
    ):
        return list(stream)


def openai_chat_async(provider: FakeProvider, timeout: float) -> object:
    """`await chat.completions.create(stream=True)` of the async client."""
    import openai

    async def run() -> object:
        async with openai.AsyncOpenAI(
            base_url=provider.openai_url, api_key="sk-test", max_retries=0, timeout=timeout
        ) as client:
            create = client.chat.completions.create
            stream = await create(model="gpt-4o-mini", messages=QUESTION, stream=True)
            async with stream:
                return [chunk async for chunk in stream]

    return asyncio.run(run())


def anthropic_messages(provider: FakeProvider, timeout: float) -> object:
    """`messages.create`."""
    with anthropic_client(provider, timeout) as client:
        return client.messages.create(model="claude-x", max_tokens=64, messages=QUESTION)


def anthropic_create_stream(provider: FakeProvider, timeout: float) -> object:
    """`messages.create(stream=True)`."""
    with anthropic_client(provider, timeout) as client:
        create = client.messages.create
        with create(model="claude-x", max_tokens=64, messages=QUESTION, stream=True) as stream:
            return list(stream)


def anthropic_stream_helper(provider: FakeProvider, timeout: float) -> object:
    """`messages.stream`."""
    with anthropic_client(provider, timeout) as client:
        stream = client.messages.stream
        with stream(model="claude-x", max_tokens=64, messages=QUESTION) as events:
            return list(events)


def google(provider: FakeProvider, timeout: float) -> object:
    """`models.generate_content`."""
    client = google_client(provider, timeout)
    return client.models.generate_content(model="gemini-x", contents="hi")


def google_stream(provider: FakeProvider, timeout: float) -> object:
    """`models.generate_content_stream`."""
    client = google_client(provider, timeout)
    return list(client.models.generate_content_stream(model="gemini-x", contents="hi"))


def chat_openai(provider: FakeProvider, timeout: float) -> Any:
    """Return LangChain's chat model over the openai client."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="gpt-4o-mini",
        base_url=provider.openai_url,
        api_key="sk-test",
        max_retries=0,
        timeout=timeout,
    )


def chat_anthropic(provider: FakeProvider, timeout: float) -> Any:
    """Return LangChain's chat model over the anthropic client."""
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(
        model="claude-x",
        base_url=provider.anthropic_url,
        api_key="sk-test",
        max_retries=0,
        timeout=timeout,
    )


def litellm_call(model: str, *, stream: bool) -> Target:
    """Return `litellm.completion` for one of its routes."""

    def call(provider: FakeProvider, timeout: float) -> object:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
        import litellm

        litellm.suppress_debug_info = True
        base = {
            "openai": provider.openai_url,
            "anthropic": provider.anthropic_url,
            "gemini": f"{provider.google_url}/v1beta",
        }[model.partition("/")[0]]
        answer = litellm.completion(
            model=model,
            messages=QUESTION,
            api_base=base,
            api_key="sk-test",
            max_retries=0,
            num_retries=0,
            timeout=timeout,
            stream=stream,
        )
        return list(answer) if stream else answer

    return call


_LITELLM: Final = {
    "litellm openai/": "openai/gpt-4o-mini",
    "litellm anthropic/": "anthropic/claude-3-haiku-20240307",
    "litellm gemini/": "gemini/gemini-x",
}


def installed(targets: dict[str, Target]) -> dict[str, Target]:
    """Return the targets whose package is there; an environment may hold no SDK at all."""
    return {name: call for name, call in targets.items() if version(name.partition(" ")[0]) >= 0}


def unary_targets() -> dict[str, Target]:
    """Return the unary calls of this generation."""
    if GENERATION == "litellm":
        routes = {name: litellm_call(model, stream=False) for name, model in _LITELLM.items()}
        return {"openai chat": openai_chat, **routes}
    calls: dict[str, Target] = {
        "openai chat": openai_chat,
        "anthropic": anthropic_messages,
        "google-genai": google,
        "langchain-openai": lambda p, t: chat_openai(p, t).invoke("hi"),
        "langchain-anthropic": lambda p, t: chat_anthropic(p, t).invoke("hi"),
    }
    return installed(calls)


def stream_targets() -> dict[str, Target]:
    """Return the streamed calls of this generation, each consumed to its end."""
    openai: dict[str, Target] = {
        "openai chat": openai_chat_stream,
        "openai responses": openai_responses_stream,
        "openai chat async": openai_chat_async,
    }
    if GENERATION == "litellm":
        routes = {name: litellm_call(model, stream=True) for name, model in _LITELLM.items()}
        return {**openai, **routes}
    calls: dict[str, Target] = {
        **openai,
        "anthropic create(stream=True)": anthropic_create_stream,
        "anthropic .stream()": anthropic_stream_helper,
        "google-genai": google_stream,
        "langchain-openai": lambda p, t: list(chat_openai(p, t).stream("hi")),
        "langchain-anthropic": lambda p, t: list(chat_anthropic(p, t).stream("hi")),
    }
    return installed(calls)
