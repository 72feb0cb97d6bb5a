"""The keys of calls that go through the SDKs, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from agentguard.caching.canonical import NoForm, packed
from agentguard.testing import FakeProvider
from tests.caching.asking import Noting

MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer="fine") as running:
        yield running


@pytest.fixture
def openai_client(provider: FakeProvider) -> Iterator[Any]:
    """A client of the openai SDK."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-1") as client:
        yield client


def chat(client: Any, **changes: Any) -> Any:
    """One request."""
    request = {"model": "gpt-4o-mini", "messages": MESSAGES, "temperature": 0.2, **changes}
    return client.chat.completions.create(**request)


def test_a_client_s_request_is_its_key(openai_client: Any) -> None:
    """What is sent with it is not, unless it changes the answer."""
    noted = Noting()
    safe = noted(openai_client)
    same = noted.key(chat, safe)
    for beside in (
        {"timeout": 3},
        {"extra_headers": {"traceparent": "a", "Authorization": "b"}},
        {"prompt_cache_key": "a"},
        {"max_tokens": openai.NOT_GIVEN},
        {"messages": [{"content": m["content"], "role": m["role"]} for m in MESSAGES]},
    ):
        assert noted.key(chat, safe, **beside) == same, beside
    others = [
        {"model": "gpt-4o"},
        {"temperature": 0.3},
        {"messages": MESSAGES[1:]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"extra_headers": {"openai-beta": "a"}},
        {"extra_query": {"api-version": "1"}},
        {"extra_body": {"reasoning": "low"}},
        {"seed": 1},
    ]
    keys = {noted.key(chat, safe, **other) for other in others}
    assert len(keys | {same}) == len(others) + 1


def test_where_a_client_sends_its_requests_counts(
    openai_client: Any, provider: FakeProvider
) -> None:
    """Its key does not."""
    noted = Noting()
    same = noted.key(chat, noted(openai_client))
    assert noted.key(chat, noted(openai_client.with_options(api_key="sk-2", timeout=9))) == same
    beta = openai_client.with_options(default_headers={"openai-beta": "a"})
    query = openai_client.with_options(default_query={"api-version": "1"})
    with FakeProvider(answer="fine") as elsewhere:
        moved = openai_client.with_options(base_url=elsewhere.openai_url)
        keys = {noted.key(chat, noted(client)) for client in (beta, query, moved)}
    assert len(keys | {same}) == 4


def test_different_paths_have_different_keys(openai_client: Any) -> None:
    """Though the bodies are alike."""
    noted = Noting()
    safe = noted(openai_client)
    body = {"model": "m", "input": "hello"}
    assert noted.key(safe.embeddings.create, **body) != noted.key(safe.responses.create, **body)


def test_a_method_of_a_client_has_a_key(openai_client: Any, provider: FakeProvider) -> None:
    """A function that asks through a client is told apart by where that sends requests."""
    noted = Noting()
    create = noted(openai_client.chat.completions.create)
    assert noted.key(create, model="m", messages=MESSAGES) == noted.key(
        create, messages=MESSAGES, model="m", timeout=3
    )

    def ask(client: Any, question: str) -> Any:
        return chat(client, messages=[{"role": "user", "content": question}])

    noted, safe = Noting(), None
    safe = noted(ask)
    same = noted.key(safe, openai_client, "q")
    assert noted.key(safe, openai_client.with_options(api_key="sk-2"), "q") == same
    with FakeProvider(answer="fine") as elsewhere:
        moved = openai_client.with_options(base_url=elsewhere.openai_url)
        assert noted.key(safe, moved, "q") != same


def test_answers_given_back_as_history_have_forms(openai_client: Any) -> None:
    """A message of the SDK's in the next request."""
    noted = Noting()
    safe = noted(openai_client)
    message = chat(safe).choices[0].message
    first = noted.key(chat, safe, messages=[*MESSAGES, message])
    assert noted.key(chat, safe, messages=[*MESSAGES, message.model_copy()]) == first
    changed = message.model_copy(update={"content": "other"})
    assert noted.key(chat, safe, messages=[*MESSAGES, changed]) != first


def test_a_search_by_meaning_finds_the_last_turn(openai_client: Any) -> None:
    """Of chats and of responses."""
    noted = Noting()
    safe = noted(openai_client)
    chat(safe)
    rest, text = noted.maker.around(noted.call)  # type: ignore[misc]
    assert text == "hello"
    chat(safe, messages=[MESSAGES[0], {"role": "user", "content": "good morning"}])
    assert noted.maker.around(noted.call) == (rest, "good morning")
    safe.responses.create(model="m", input="hello")
    assert noted.maker.around(noted.call)[1] == "hello"  # type: ignore[index]
    safe.responses.create(model="m", input=[{"role": "user", "content": "hi"}])
    assert noted.maker.around(noted.call)[1] == "hi"  # type: ignore[index]


def test_anthropic_s_requests_have_keys(provider: FakeProvider) -> None:
    """Messages, system prompt and beta header."""
    noted = Noting()

    def ask(safe: Any, **changes: Any) -> Any:
        request = {"model": "claude", "max_tokens": 9, "messages": MESSAGES[1:], "system": "s"}
        return safe.messages.create(**request | changes)

    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="k") as client:
        safe = noted(client)
        same = noted.key(ask, safe)
        assert noted.key(ask, safe, timeout=4, extra_headers={"x-request-id": "1"}) == same
        assert noted.maker.around(noted.call)[1] == "hello"  # type: ignore[index]
        keys = {
            noted.key(ask, safe, system="t"),
            noted.key(ask, safe, extra_headers={"anthropic-beta": "x"}),
            noted.key(ask, safe, max_tokens=8),
        }
        assert len(keys | {same}) == 4


def test_an_async_client_has_keys(provider: FakeProvider) -> None:
    """Made in the loop."""
    noted = Noting()

    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="k") as client:
            safe = noted(client)
            await chat(safe)
            await chat(safe)
            await chat(safe, temperature=1)
        return noted.keys

    one, same, other = asyncio.run(run())
    assert one == same != other


def test_what_was_not_given_is_absent() -> None:
    """But in a list it would be sent, somehow."""
    bare = packed({"model": "m"})
    assert packed({"model": "m", "seed": openai.NOT_GIVEN, "stop": anthropic.NOT_GIVEN}) == bare
    with pytest.raises(NoForm, match="NotGiven has no canonical form"):
        packed({"model": "m", "stop": [openai.NOT_GIVEN]})
