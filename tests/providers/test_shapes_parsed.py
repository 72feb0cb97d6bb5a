"""Answers that an SDK parses into somebody's own class: the parsed object follows the text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from agentguard.providers.shapes import Reading, shape_of
from agentguard.testing.provider import FakeProvider, fault
from tests.providers.sdk_targets import (
    GENERATION,
    QUESTION,
    anthropic_client,
    google_client,
    openai_client,
)
from tests.providers.test_shapes_sdk import SECRET, HoldAll, Mask, guarded, plain, read

CHUNKS = ['{"name": "sw', "ordf", 'ish", ', '"n": 3}']
MASKED = '{"name": "*********", "n": 3}'


class Person(BaseModel):
    """What the answer is parsed into."""

    name: str
    n: int


def chat(provider: FakeProvider) -> Iterator[Any]:
    """Structured output through OpenAI's chat helper."""
    with openai_client(provider, 10) as client:
        completions = client.chat.completions
        completions = (
            completions if hasattr(completions, "stream") else client.beta.chat.completions
        )
        with completions.stream(model="m", messages=QUESTION, response_format=Person) as events:
            yield from events


def chat_unary(provider: FakeProvider) -> Iterator[Any]:
    """Structured output with OpenAI chat, whole."""
    with openai_client(provider, 10) as client:
        completions = client.chat.completions
        completions = completions if hasattr(completions, "parse") else client.beta.chat.completions
        yield completions.parse(model="m", messages=QUESTION, response_format=Person)


def responses(provider: FakeProvider) -> Iterator[Any]:
    """Structured output through the Responses helper."""
    with (
        openai_client(provider, 10) as client,
        client.responses.stream(model="m", input="x", text_format=Person) as events,
    ):
        yield from events


def responses_unary(provider: FakeProvider) -> Iterator[Any]:
    """Structured output with Responses, whole."""
    with openai_client(provider, 10) as client:
        yield client.responses.parse(model="m", input="x", text_format=Person)


def messages(provider: FakeProvider) -> Iterator[Any]:
    """Structured output through Anthropic's helper."""
    with (
        anthropic_client(provider, 10) as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=QUESTION, output_format=Person
        ) as events,
    ):
        yield from events


def messages_unary(provider: FakeProvider) -> Iterator[Any]:
    """Structured output with Anthropic, whole."""
    with anthropic_client(provider, 10) as client:
        yield client.messages.parse(
            model="m", max_tokens=9, messages=QUESTION, output_format=Person
        )


def google(provider: FakeProvider) -> Iterator[Any]:
    """Structured output with Google, whole."""
    client = google_client(provider, 10)
    config = {"response_mime_type": "application/json", "response_schema": Person}
    yield client.models.generate_content(model="m", contents="x", config=config)


def langchain(provider: FakeProvider) -> Iterator[Any]:
    """Structured output with LangChain: the chunk after the last has the parsed object."""
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", base_url=provider.openai_url, api_key="sk-test")
    yield from model.bind(response_format=Person).stream("x")


SOURCES: list[Callable[[FakeProvider], Iterator[Any]]] = [
    chat,
    chat_unary,
    responses,
    responses_unary,
]
if GENERATION != "previous":  # anthropic 0.69 parses nothing
    SOURCES += [messages, messages_unary]
if GENERATION != "litellm":
    SOURCES += [google, langchain]


@pytest.mark.parametrize("step", [Mask, HoldAll])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_a_secret_is_in_no_parsed_object(source: Any, step: type[Mask]) -> None:
    """What a step takes out of the text is in no parsed field or snapshot of any item."""
    with FakeProvider() as provider, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDKs' own about their generic classes
        provider.script(fault.ok(chunks=CHUNKS))
        items = list(source(provider))
    assert SECRET in "".join(plain(item) + repr(item) for item in items)
    out = guarded(items, step)
    assert read(out).text == MASKED
    assert SECRET not in "".join(plain(item) + repr(item) for item in out)
    assert SECRET in "".join(plain(item) + repr(item) for item in items)


def test_a_parsed_object_keeps_its_class() -> None:
    """The parsed object of a changed answer is an instance of the same class."""
    with FakeProvider() as provider:
        provider.script(fault.ok("".join(CHUNKS)))
        (answer,) = chat_unary(provider)
    shape = shape_of(answer)
    joined = shape.join(answer, {(0, "content"): MASKED})
    assert joined.choices[0].message.parsed == Person(name="*********", n=3)
    assert answer.choices[0].message.parsed == Person(name=SECRET, n=3)


def test_the_request_id_of_whole_answers_is_read() -> None:
    """OpenAI and Anthropic put the id of the request on whole answers."""
    with FakeProvider() as provider:
        with openai_client(provider, 10) as client:
            answers = [
                client.chat.completions.create(model="m", messages=QUESTION),
                client.responses.create(model="m", input="x"),
                client.embeddings.create(model="m", input="x"),
            ]
        with anthropic_client(provider, 10) as client:
            answers.append(client.messages.create(model="m", max_tokens=9, messages=QUESTION))
    for answer in answers:
        reading = Reading()
        shape_of(answer).read(answer, reading)
        assert reading.request_id == answer._request_id
        assert reading.request_id
        assert reading.finished
