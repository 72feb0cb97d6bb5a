"""`fallback(another_client)`: the call that failed is made by another client or model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from tenacity import wait_fixed

from agentguard import fallback, guard, report, retry
from agentguard.testing import FakeProvider
from agentguard.testing.provider import fault

QUESTION: Any = [{"role": "user", "content": "who?"}]


def make(name: str, place: FakeProvider) -> Any:
    """A client or model of this class, at this provider."""
    if name == "Google":
        options = genai.types.HttpOptions(base_url=place.google_url)
        return genai.Client(api_key="test-key", http_options=options)
    if name == "ChatOpenAI":
        return ChatOpenAI(model="m", api_key="test-key", base_url=place.openai_url)
    if name == "ChatAnthropic":
        return ChatAnthropic(model="m", api_key="test-key", base_url=place.anthropic_url)
    if "OpenAI" in name:
        return getattr(openai, name)(base_url=place.openai_url, api_key="test-key")
    return getattr(anthropic, name)(base_url=place.anthropic_url, api_key="test-key")


CALLS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat.completions.create(model="m", messages=QUESTION),
    "chat stream": lambda client: client.chat.completions.create(
        model="m", messages=QUESTION, stream=True
    ),
    "responses": lambda client: client.responses.create(model="m", input="who?"),
    "messages": lambda client: client.messages.create(model="m", messages=QUESTION, max_tokens=9),
    "generate": lambda client: client.models.generate_content(model="m", contents="who?"),
    "agenerate": lambda client: client.aio.models.generate_content(model="m", contents="who?"),
    "invoke": lambda model: model.invoke("who?"),
    "stream": lambda model: model.stream("who?"),
    "ainvoke": lambda model: model.ainvoke("who?"),
}
WAYS = [
    ("OpenAI", "OpenAI", "chat"),
    ("OpenAI", "OpenAI", "chat stream"),
    ("OpenAI", "OpenAI", "responses"),
    ("AsyncOpenAI", "AsyncOpenAI", "chat"),
    ("AsyncOpenAI", "AsyncOpenAI", "chat stream"),
    ("Anthropic", "Anthropic", "messages"),
    ("AsyncAnthropic", "AsyncAnthropic", "messages"),
    ("Google", "Google", "generate"),
    ("Google", "Google", "agenerate"),
    ("ChatOpenAI", "ChatAnthropic", "invoke"),
    ("ChatOpenAI", "ChatAnthropic", "stream"),
    ("ChatAnthropic", "ChatOpenAI", "ainvoke"),
]


@pytest.fixture
def down() -> Iterator[FakeProvider]:
    """A provider that is overloaded."""
    with FakeProvider() as provider:
        provider.always(fault.status(503))
        yield provider


@pytest.fixture
def up() -> Iterator[FakeProvider]:
    """A provider that answers."""
    with FakeProvider(answer="the other one") as provider:
        yield provider


async def said(answer: Any) -> str:
    """All that the answer holds, as text."""
    if inspect.isawaitable(answer):
        answer = await answer
    if hasattr(answer, "__anext__"):
        return "".join([str(item) async for item in answer])
    if hasattr(answer, "__next__"):
        return "".join(map(str, answer))
    return str(answer)


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")
@pytest.mark.parametrize(("first", "second", "way"), WAYS)
async def test_another_client_makes_the_same_call(
    down: FakeProvider, up: FakeProvider, first: str, second: str, way: str
) -> None:
    """It is asked with the same arguments, past the retries of the first, and the report names it."""
    other = make(second, up)
    client = guard(fallback(other), retry(attempts=2, wait=wait_fixed(0)))(make(first, down))
    with report() as seen:
        assert "other" in await said(CALLS[way](client))
    assert (down.requests, up.requests) == (2, 1)
    name = seen.calls[0].served_by
    assert name is not None
    assert name != seen.calls[0].name
    for each in (client, other):
        close = getattr(each, "close", None)
        if close is not None and inspect.isawaitable(pending := close()):
            await pending


async def test_a_guarded_client_answers_with_its_own_policies(
    down: FakeProvider, up: FakeProvider
) -> None:
    """The client fallen back to may be guarded itself: its call is a child in the report."""
    up.script(fault.status(429))
    other = retry(wait=wait_fixed(0))(make("OpenAI", up))
    client = fallback(other)(make("OpenAI", down))
    with report() as seen:
        assert "other" in await said(CALLS["chat"](client))
    assert len(seen.calls[0].children[0].attempts) == 2
    client.close()


def test_a_client_that_speaks_another_protocol_is_refused(
    down: FakeProvider, up: FakeProvider
) -> None:
    """It has no such call, and the error says what to pass instead; nothing is asked."""
    client = fallback(make("Anthropic", up))(make("OpenAI", down))
    with pytest.raises(
        TypeError, match=r"the Anthropic cannot be asked for what OpenAI\.chat\.completions"
    ):
        CALLS["chat"](client)
    assert (down.requests, up.requests) == (0, 0)
    client.close()


def test_a_client_is_no_fallback_of_a_function(up: FakeProvider) -> None:
    """A function's arguments are its own: no client knows what to do with them."""
    client = make("OpenAI", up)
    with pytest.raises(TypeError, match="Pass a function"):
        fallback(client)(lambda question: question)
    client.close()


def test_an_async_client_is_no_fallback_of_a_sync_one(up: FakeProvider, down: FakeProvider) -> None:
    """It could not answer when it is needed: refused when the call is first made, not in the outage."""
    other = make("AsyncOpenAI", up)
    for target in (other, other.chat.completions.create):
        client = fallback(target)(make("OpenAI", down))
        with pytest.raises(TypeError, match="asynchronous and cannot serve"):
            CALLS["chat"](client)
        client.close()
    assert down.requests == 0


def test_embeddings_of_another_model_are_not_asked_for(down: FakeProvider) -> None:
    """`fallback(model=)` around a client is for what it generates: vectors cannot be mixed."""
    client = fallback(model="gpt-4o-mini")(make("OpenAI", down))
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="text-embedding-3-small", input="x")
    assert [each.body["model"] for each in down.journal] == [
        "text-embedding-3-small"
    ] * down.requests
    assert down.requests == 1
    client.close()
