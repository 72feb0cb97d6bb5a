"""Embeddings of the SDKs over real HTTP: their items, their parts and the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from agentguard import Call, Policy, Reply
from agentguard.engine.target import Target
from agentguard.providers.embeddings import argument, given, items_of, joined, split, with_items
from agentguard.testing import FakeProvider

TEXTS = ["one", "two", "three"]


class Halves(Policy):
    """Asks for the first item and for the others apart, and puts the answers together."""

    async def around(self, call: Call, next: Any) -> Reply:
        """Two requests in place of one."""
        name = argument(call.target)
        assert name is not None
        items = items_of(call.target, given(call.target, call.args, call.kwargs, name))
        assert items is not None
        parts = []
        for some in (items[:1], items[1:]):
            args, kwargs = with_items(call.target, call.args, call.kwargs, name, some)
            reply = await next(call.replace(args=args, kwargs=kwargs))
            parts += split(reply.value, some, name)
        reply.value = joined(parts, reply.value)
        return reply


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider() as running:
        yield running


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    """A client of the openai SDK."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="k") as made:
        yield made


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}], ids=["default", "float"])
@pytest.mark.parametrize("way", ["client", "method"])
def test_openai_s_answers_come_apart_and_together(
    client: openai.OpenAI, way: str, options: Any
) -> None:
    """As floats, and as base64, which the SDK asks for by itself."""
    plain = client.embeddings.create(model="m", input=TEXTS, **options)
    create = (
        Halves()(client).embeddings.create
        if way == "client"
        else Halves()(client.embeddings.create)
    )
    halves = create(model="m", input=TEXTS, **options)
    assert [each.embedding for each in halves.data] == [each.embedding for each in plain.data]
    assert [each.index for each in halves.data] == [0, 1, 2]
    assert type(halves) is type(plain)
    assert halves.usage.prompt_tokens < plain.usage.prompt_tokens


def test_an_sdk_takes_one_text_and_the_tokens_of_one(client: openai.OpenAI) -> None:
    """Each of which is one item."""
    target = Target(client.embeddings.create)
    assert argument(target) == "input"
    assert argument(Target(client.chat.completions.create)) is None
    assert items_of(target, "text") == ["text"]
    assert items_of(target, [1, 2]) == [[1, 2]]
    assert items_of(target, [[1, 2], [3]]) == [[1, 2], [3]]
