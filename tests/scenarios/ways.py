"""Every way in which an application calls a model through an SDK that is installed here.

A way opens a client on a FakeProvider and gives the SDK's own method, to be guarded as it is. The
clients make one attempt: retrying is the guard's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import pytest

from agentguard import guard, report, retry
from agentguard.testing import FakeProvider
from tests.providers.sdk_targets import version

MESSAGES: Final[list[Any]] = [{"role": "user", "content": "hi"}]
CHAT: Final = {"model": "gpt-4o-mini", "messages": MESSAGES}
RESPONSES: Final = {"model": "gpt-4o-mini", "input": "hi"}
CLAUDE: Final = {"model": "claude-x", "max_tokens": 64, "messages": MESSAGES}
GEMINI: Final = {"model": "gemini-x", "contents": "hi"}
PATIENT: Final = 20.0


# SDKs leave the connection of an answer that broke to the collector, LangChain its clients too; and
# they warn about each other's versions and habits.
LEFT_TO_THE_COLLECTOR: Final = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def at_once(**options: Any) -> Any:
    """A `retry` that does not wait, unless the provider asks for it."""
    return retry(wait=lambda _: 0.0, **options)


@contextlib.contextmanager
def openai_client(
    provider: FakeProvider, timeout: float = PATIENT, retries: int = 0
) -> Iterator[Any]:
    """`openai.OpenAI`."""
    import openai

    url = provider.openai_url
    with openai.OpenAI(
        base_url=url, api_key="sk-test", max_retries=retries, timeout=timeout
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def async_openai_client(
    provider: FakeProvider, timeout: float = PATIENT, retries: int = 0
) -> AsyncIterator[Any]:
    """`openai.AsyncOpenAI`."""
    import openai

    url = provider.openai_url
    async with openai.AsyncOpenAI(
        base_url=url, api_key="sk-test", max_retries=retries, timeout=timeout
    ) as client:
        yield client


@contextlib.contextmanager
def anthropic_client(
    provider: FakeProvider, timeout: float = PATIENT, retries: int = 0
) -> Iterator[Any]:
    """`anthropic.Anthropic`."""
    import anthropic

    url = provider.anthropic_url
    with anthropic.Anthropic(
        base_url=url, api_key="sk-test", max_retries=retries, timeout=timeout
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def async_anthropic_client(
    provider: FakeProvider, timeout: float = PATIENT, retries: int = 0
) -> AsyncIterator[Any]:
    """`anthropic.AsyncAnthropic`."""
    import anthropic

    url = provider.anthropic_url
    async with anthropic.AsyncAnthropic(
        base_url=url, api_key="sk-test", max_retries=retries, timeout=timeout
    ) as client:
        yield client


@contextlib.contextmanager
def google_client(provider: FakeProvider, timeout: float = PATIENT) -> Iterator[Any]:
    """`google.genai.Client`."""
    from google import genai

    options = genai.types.HttpOptions(base_url=provider.google_url, timeout=int(timeout * 1000))
    client = genai.Client(api_key="test-key", http_options=options)
    yield client
    if hasattr(client, "close"):
        client.close()


@contextlib.asynccontextmanager
async def async_google_client(
    provider: FakeProvider, timeout: float = PATIENT
) -> AsyncIterator[Any]:
    """`google.genai.Client(...).aio`."""
    with google_client(provider, timeout) as client:
        yield client.aio
        if hasattr(client.aio, "aclose"):
            await client.aio.aclose()


_numbers = itertools.count(1)


def _apart(timeout: float) -> float:
    """A timeout that no other client has.

    LangChain shares HTTP clients by address and timeout, across event loops: without this a test
    could meet the connections of an earlier one, when the system gives out a port again.
    """
    return timeout + next(_numbers) / 1e6


@contextlib.contextmanager
def chat_openai(provider: FakeProvider, timeout: float = PATIENT) -> Iterator[Any]:
    """`langchain_openai.ChatOpenAI`."""
    from langchain_openai import ChatOpenAI

    yield ChatOpenAI(
        model="gpt-4o-mini",
        base_url=provider.openai_url,
        api_key="sk-test",
        max_retries=0,
        timeout=_apart(timeout),
    )


@contextlib.contextmanager
def chat_anthropic(provider: FakeProvider, timeout: float = PATIENT) -> Iterator[Any]:
    """`langchain_anthropic.ChatAnthropic`."""
    from langchain_anthropic import ChatAnthropic

    yield ChatAnthropic(
        model="claude-x",
        base_url=provider.anthropic_url,
        api_key="sk-test",
        max_retries=0,
        timeout=_apart(timeout),
    )


@contextlib.contextmanager
def litellm_route(
    provider: FakeProvider, timeout: float = PATIENT, route: str = "openai"
) -> Iterator[Any]:
    """The module `litellm`, its calls bound to one of its routes."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
    import litellm

    litellm.suppress_debug_info = True
    base = {
        "openai": provider.openai_url,
        "anthropic": provider.anthropic_url,
        "gemini": f"{provider.google_url}/v1beta",
    }[route]
    bound = {"api_base": base, "api_key": "sk-test", "max_retries": 0, "timeout": timeout}

    class Route:
        completion = staticmethod(functools.partial(litellm.completion, **bound))
        acompletion = staticmethod(functools.partial(litellm.acompletion, **bound))

    yield Route


class Way(NamedTuple):
    """One way to call a model.

    Attributes:
        fault: the name under which the fault matrix knows it.
        client: opens the client.
        method: the dotted name of the method to guard.
        arguments: of the call.
        streams: whether the answer is a stream.
    """

    fault: str
    client: Callable[..., Any]
    method: str
    arguments: Mapping[str, Any]
    streams: bool = False

    @property
    def is_async(self) -> bool:
        """Whether the answer is awaited, or iterated asynchronously."""
        return self.client.__name__.startswith("async_") or self.method.startswith("a")

    def run(self, provider: FakeProvider, guard: guard, *, timeout: float = PATIENT) -> Any:
        """Call the guarded method once: the answer, or the list of a stream's items."""
        if self.is_async:
            return asyncio.run(self.arun(provider, guard, timeout=timeout))
        with self.client(provider, timeout) as client:
            answer = guard(attrgetter(self.method)(client))(**self.arguments)
            return list(answer) if self.streams else answer

    async def arun(self, provider: FakeProvider, guard: guard, *, timeout: float = PATIENT) -> Any:
        """The same where an event loop runs."""
        async with contextlib.AsyncExitStack() as stack:
            opened = self.client(provider, timeout)
            if isinstance(opened, contextlib.AbstractAsyncContextManager):
                client = await stack.enter_async_context(opened)
            else:
                client = stack.enter_context(opened)
                for inner in ("root_async_client", "_async_client"):  # LangChain closes none
                    if hasattr(client, inner):
                        stack.push_async_callback(getattr(client, inner).close)
            answer = guard(attrgetter(self.method)(client))(**self.arguments)
            if inspect.isawaitable(answer):
                answer = await answer
            return [item async for item in answer] if self.streams else answer


def _both(
    fault: str,
    clients: tuple[Callable[..., Any], Callable[..., Any]],
    method: str,
    arguments: Mapping[str, Any],
    **options: Any,
) -> dict[str, Way]:
    sync, asynchronous = clients
    name = fault.partition(" (")[0]
    return {
        name: Way(fault, sync, method, arguments, **options),
        f"async {name}": Way(fault, asynchronous, method, arguments, **options),
    }


def _langchain(fault: str, client: Callable[..., Any]) -> dict[str, Way]:
    question = {"input": "hi"}
    return {
        f"{fault} invoke": Way(fault, client, "invoke", question),
        f"{fault} ainvoke": Way(fault, client, "ainvoke", question),
        f"{fault} stream": Way(fault, client, "stream", question, streams=True),
        f"{fault} astream": Way(fault, client, "astream", question, streams=True),
    }


def _litellm(route: str, model: str) -> dict[str, Way]:
    client, fault = functools.partial(litellm_route, route=route), f"litellm {route}/"
    client.__name__ = "litellm_route"  # type: ignore[attr-defined]
    call = {"model": f"{route}/{model}", "messages": MESSAGES}
    stream = {**call, "stream": True}
    return {
        f"{fault} completion": Way(fault, client, "completion", call),
        f"{fault} acompletion": Way(fault, client, "acompletion", call),
        f"{fault} completion stream": Way(fault, client, "completion", stream, streams=True),
        f"{fault} acompletion stream": Way(fault, client, "acompletion", stream, streams=True),
    }


_OPENAI = (openai_client, async_openai_client)
_ANTHROPIC = (anthropic_client, async_anthropic_client)
_GOOGLE = (google_client, async_google_client)

_EVERY: Final[dict[str, dict[str, Way]]] = {
    "openai": {
        **_both("openai chat", _OPENAI, "chat.completions.create", CHAT),
        **_both("openai responses", _OPENAI, "responses.create", RESPONSES),
    },
    "anthropic": _both("anthropic", _ANTHROPIC, "messages.create", CLAUDE),
    "google-genai": _both("google-genai", _GOOGLE, "models.generate_content", GEMINI),
    "langchain-openai": _langchain("langchain-openai", chat_openai),
    "langchain-anthropic": _langchain("langchain-anthropic", chat_anthropic),
    "litellm": {
        **_litellm("openai", "gpt-4o-mini"),
        **_litellm("anthropic", "claude-3-haiku-20240307"),
        **_litellm("gemini", "gemini-x"),
    },
}


def _streamed(name: str, way: Way) -> tuple[str, Way]:
    """The streaming sister of an SDK's unary way."""
    if way.method == "models.generate_content":
        return f"{name} stream", way._replace(method=f"{way.method}_stream", streams=True)
    stream = way._replace(arguments={**way.arguments, "stream": True}, streams=True)
    return f"{name} stream", stream


def ways(*packages: str, streams: bool | None = None) -> dict[str, Way]:
    """The ways through these packages, or all that are installed here."""
    found: dict[str, Way] = {}
    for package, calls in _EVERY.items():
        if version(package) < 0 or (packages and package not in packages):
            continue
        found |= calls
        if package in {"openai", "anthropic", "google-genai"}:
            found |= dict(_streamed(name, way) for name, way in calls.items())
    return {name: way for name, way in found.items() if streams is None or way.streams is streams}


def text_of(items: Any) -> str:
    """The visible text of an answer, or of a stream's items."""
    from agentguard.providers.shapes import Reading, shape_of

    reading = Reading()
    for item in items if isinstance(items, list) else [items]:
        shape_of(item).read(item, reading)
    return reading.text


def arrived(provider: FakeProvider, seconds: float = 20.0) -> None:
    """Wait until the provider has received a request."""
    until = time.monotonic() + seconds
    while not provider.journal and time.monotonic() < until:
        time.sleep(0.01)


def kinds(seen: report) -> list[str | None]:
    """What each attempt of the one call in a report failed of; None for one that did not."""
    (call,) = seen.calls
    return [attempt.kind for attempt in call.attempts]
