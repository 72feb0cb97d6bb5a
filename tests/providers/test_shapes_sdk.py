"""Real SDKs over real HTTP: what a step takes out of an answer is nowhere in what comes out."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentguard.engine.channels import Channels
from agentguard.providers.shapes import Reading, is_stream, shape_of
from agentguard.testing.provider import FakeProvider, fault
from tests.providers.sdk_targets import (
    GENERATION,
    QUESTION,
    anthropic_client,
    google_client,
    openai_client,
)
from tests.providers.wire import litellm_types, own_loop

SECRET = "swordfish"
CHUNKS = ["The pass", "word is sw", "ord", "fish, ", "again sword", "fish", "."]
TEXT = "".join(CHUNKS)
MASKED = TEXT.replace(SECRET, "*********")
ARGUMENTS = {"word": f"a {SECRET}", "n": 3}
TOOLS = {
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
}

Source = Callable[[FakeProvider], Iterator[Any]]


class Mask:
    """A step that replaces the secret and holds back what may be its beginning."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> str:
        """Replace; keep the longest end that may still become the secret."""
        text = (self.held + text).replace(SECRET, "*" * len(SECRET))
        keep = next(n for n in range(len(SECRET), -1, -1) if n == 0 or text.endswith(SECRET[:n]))
        cut = len(text) - keep
        self.held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back never became it."""
        held, self.held = self.held, ""
        return held


def chat(provider: FakeProvider) -> Iterator[Any]:
    """OpenAI chat, streamed, with usage."""
    with openai_client(provider, 10) as client:
        yield from client.chat.completions.create(
            model="gpt-4o-mini",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )


def chat_helper(provider: FakeProvider) -> Iterator[Any]:
    """OpenAI chat through the SDK's `.stream()`."""
    with openai_client(provider, 10) as client:
        stream = getattr(client.chat.completions, "stream", None)
        stream = stream or client.beta.chat.completions.stream
        with stream(model="gpt-4o-mini", messages=QUESTION) as events:
            yield from events


def responses(provider: FakeProvider) -> Iterator[Any]:
    """OpenAI Responses, streamed."""
    with openai_client(provider, 10) as client:
        yield from client.responses.create(model="gpt-4o-mini", input="hi", stream=True)


def responses_helper(provider: FakeProvider) -> Iterator[Any]:
    """OpenAI Responses through the SDK's `.stream()`."""
    with (
        openai_client(provider, 10) as client,
        client.responses.stream(model="gpt-4o-mini", input="hi") as events,
    ):
        yield from events


def messages(provider: FakeProvider) -> Iterator[Any]:
    """Anthropic, streamed."""
    with anthropic_client(provider, 10) as client:
        yield from client.messages.create(
            model="claude-test", max_tokens=99, messages=QUESTION, stream=True
        )


def messages_helper(provider: FakeProvider) -> Iterator[Any]:
    """Anthropic through the SDK's `.stream()`."""
    with (
        anthropic_client(provider, 10) as client,
        client.messages.stream(model="claude-test", max_tokens=99, messages=QUESTION) as events,
    ):
        yield from events


def google(provider: FakeProvider) -> Iterator[Any]:
    """Google, streamed."""
    client = google_client(provider, 10)
    yield from client.models.generate_content_stream(model="gemini-test", contents="hi")


def langchain_openai(provider: FakeProvider) -> Iterator[Any]:
    """LangChain's ChatOpenAI, streamed."""
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=provider.openai_url, api_key="sk-test", stream_usage=True
    )
    yield from model.stream("hi")


def langchain_anthropic(provider: FakeProvider) -> Iterator[Any]:
    """LangChain's ChatAnthropic, streamed."""
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model="claude-test", base_url=provider.anthropic_url, api_key="sk-test")
    tool = {"name": "f", "description": "f", "input_schema": {"type": "object"}}
    yield from model.bind_tools([tool]).stream("hi")


def litellm(provider: FakeProvider, *, route: str = "openai") -> Iterator[Any]:
    """LiteLLM, streamed."""
    litellm_types()
    import litellm

    url = provider.openai_url if route == "openai" else provider.anthropic_url
    with warnings.catch_warnings(), own_loop():
        warnings.simplefilter("ignore")  # it uses what pydantic deprecates, for every chunk
        items = list(
            litellm.completion(
                f"{route}/claude-3-haiku-20240307",
                messages=QUESTION,
                stream=True,
                api_base=url,
                api_key="sk-test",
                stream_options={"include_usage": True},
            )
        )
    yield from items


OPENAI = {
    "chat": chat,
    "chat-helper": chat_helper,
    "responses": responses,
    "responses-helper": responses_helper,
    "messages": messages,
    "messages-helper": messages_helper,
}
MORE = {
    "google": google,
    "langchain-openai": langchain_openai,
    "langchain-anthropic": langchain_anthropic,
}
LITELLM = {
    "litellm-openai": litellm,
    "litellm-anthropic": functools.partial(litellm, route="anthropic"),
}
SOURCES: dict[str, Source] = {**OPENAI, **(LITELLM if GENERATION == "litellm" else MORE)}

every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())


def plain(item: Any) -> str:
    """Everything an item says, as text."""
    with warnings.catch_warnings():
        # The SDKs' own helpers build snapshots that their classes do not quite describe.
        warnings.simplefilter("ignore")
        return json.dumps(item.model_dump(mode="json"), ensure_ascii=False)


class HoldAll(Mask):
    """A step that lets nothing out before the end."""

    def feed(self, text: str) -> str:
        """Hold everything back."""
        self.held += text
        return ""

    def flush(self) -> str:
        """All of it, masked."""
        return self.held.replace(SECRET, "*" * len(SECRET))


def guarded(items: list[Any], step: type[Mask] = Mask) -> list[Any]:
    """The items as they leave a guard with the masking step."""
    channels = Channels()
    channels.add(step)
    out: list[Any] = []
    for item in items:
        out += channels.feed(item)
    return out + channels.flush()


def read(items: list[Any]) -> Reading:
    """Read a whole stream."""
    reading = Reading()
    for item in items:
        shape_of(item).read(item, reading)
    return reading


@every_source
def test_a_stream_is_read(source: Source) -> None:
    """Text, usage, model and end of a real stream are read, and nothing of it is opaque."""
    with FakeProvider() as provider:
        provider.script(fault.ok(chunks=CHUNKS, usage={"input": 9, "output": 4}))
        items = list(source(provider))
    assert all(shape_of(item).name != "opaque" for item in items)
    reading = read(items)
    assert reading.text == TEXT
    assert reading.finished
    assert reading.error is None
    assert reading.model
    if reading.usage is not None or source is not chat_helper:
        assert reading.usage is not None
        assert (reading.usage.input_tokens, reading.usage.output_tokens) == (9, 4)


@every_source
def test_content_is_seen_with_the_first_text_and_not_before(source: Source) -> None:
    """Opening items leave a stream uncommitted, the first text commits it."""
    with FakeProvider() as provider:
        provider.script(fault.ok(chunks=CHUNKS))
        items = list(source(provider))
    reading = Reading()
    for item in items:
        shape_of(item).read(item, reading)
        assert reading.content == bool(reading.parts)
        if reading.content:
            break
    assert reading.text
    assert TEXT.startswith(reading.text)


@every_source
def test_a_secret_is_nowhere_in_a_guarded_stream(source: Source) -> None:
    """Neither in deltas nor in snapshots, repeats or final objects, and no text is lost."""
    with FakeProvider() as provider:
        provider.script(fault.ok(chunks=CHUNKS))
        items = list(source(provider))
    assert SECRET in read(items).text
    before = list(map(plain, items))
    out = guarded(items)
    assert list(map(plain, items)) == before
    assert read(out).text == MASKED
    assert SECRET not in "".join(map(plain, out))
    assert {type(item) for item in out} == {type(item) for item in items}


@every_source
def test_text_that_was_held_to_the_end_is_carried_without_the_original(source: Source) -> None:
    """A step that holds all back gets it out in items of the same kinds, snapshots masked too."""
    with FakeProvider() as provider:
        provider.script(fault.ok(chunks=CHUNKS, thinking=f"think {SECRET} think"))
        items = list(source(provider))
    out = guarded(items, HoldAll)
    assert read(out).text == MASKED
    assert SECRET not in "".join(map(plain, out))
    assert {type(item) for item in out} == {type(item) for item in items}


@every_source
def test_a_secret_is_nowhere_in_guarded_tool_arguments(source: Source) -> None:
    """The arguments of tools are texts like any other, streamed, repeated or parsed."""
    with FakeProvider() as provider:
        provider.script(fault.ok(tools=[("f", ARGUMENTS)], thinking=f"think {SECRET} think"))
        items = list(source(provider))
    out = guarded(items)
    assert SECRET not in "".join(map(plain, out))
    arguments: dict[Any, str] = {}
    for item in out:
        for channel, text in shape_of(item).split(item):
            arguments[channel] = arguments.get(channel, "") + text
    # JSON where they stream, single strings where they come parsed.
    parsed = [json.loads(text) for key, text in arguments.items() if key[-1] == "json"]
    assert {"word": "a *********", "n": 3} in parsed or "a *********" in arguments.values()


@every_source
def test_the_identity_changes_no_item(source: Source) -> None:
    """Without a change every item of a real stream comes out as it went in."""
    with FakeProvider() as provider:
        provider.script(fault.ok(chunks=CHUNKS, thinking="some thought"))
        items = list(source(provider))
    for item in items:
        shape = shape_of(item)
        assert shape.join(item, dict(shape.split(item))) is item
    assert not is_stream(items)
