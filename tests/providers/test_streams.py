"""What a guarded stream answers for its provider's attributes: only what shows no text."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agentguard.providers.shapes import is_stream
from agentguard.providers.streams import ResponseView, attribute
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


@contextmanager
def openai_stream(provider: FakeProvider) -> Iterator[Any]:
    """An open openai Stream."""
    with (
        openai_client(provider, 10) as client,
        client.chat.completions.create(model="m", messages=QUESTION, stream=True) as stream,
    ):
        yield stream


@contextmanager
def responses_helper(provider: FakeProvider) -> Iterator[Any]:
    """An open ResponseStream."""
    with (
        openai_client(provider, 10) as client,
        client.responses.stream(model="m", input="hi") as stream,
    ):
        yield stream


@contextmanager
def anthropic_stream(provider: FakeProvider) -> Iterator[Any]:
    """An open anthropic Stream."""
    with (
        anthropic_client(provider, 10) as client,
        client.messages.create(model="m", max_tokens=9, messages=QUESTION, stream=True) as stream,
    ):
        yield stream


@contextmanager
def anthropic_helper(provider: FakeProvider) -> Iterator[Any]:
    """An open MessageStream."""
    with (
        anthropic_client(provider, 10) as client,
        client.messages.stream(model="m", max_tokens=9, messages=QUESTION) as stream,
    ):
        yield stream


@contextmanager
def google_stream(provider: FakeProvider) -> Iterator[Any]:
    """An open generator of google-genai."""
    client = google_client(provider, 10)
    stream = client.models.generate_content_stream(model="m", contents="hi")
    yield stream
    stream.close()


@contextmanager
def litellm_stream(provider: FakeProvider) -> Iterator[Any]:
    """An open CustomStreamWrapper."""
    litellm_types()
    import litellm

    with own_loop():
        yield litellm.completion(
            "openai/m",
            messages=QUESTION,
            stream=True,
            api_base=provider.openai_url,
            api_key="sk-test",
        )


STREAMS: dict[str, Any] = {
    "openai": openai_stream,
    "openai-responses-helper": responses_helper,
    "anthropic": anthropic_stream,
    "anthropic-helper": anthropic_helper,
}
if GENERATION == "litellm":
    STREAMS["litellm"] = litellm_stream
else:
    STREAMS["google"] = google_stream

every_stream = pytest.mark.parametrize("opened", STREAMS.values(), ids=STREAMS.keys())


@every_stream
def test_nothing_that_a_guarded_stream_answers_reaches_the_text(opened: Any) -> None:
    """Of all attributes of a real stream those that come through are plain values or copies."""
    with FakeProvider(answer=f"my {SECRET} is here") as provider, opened(provider) as stream:
        assert is_stream(stream)
        revealed = {}
        for name in [*dir(stream), *vars(type(stream))]:
            try:
                revealed[name] = attribute(stream, name)
            except AttributeError:
                continue
        for name, value in revealed.items():
            plain = value is None or isinstance(value, (str, int, float, dict, ResponseView))
            assert plain, name
            assert SECRET not in repr(value)
        text = "".join(map(repr, stream))
    assert "is here" in text or "here" in text


@pytest.mark.parametrize("opened", [openai_stream, anthropic_stream, anthropic_helper])
def test_the_response_is_seen_without_its_body(opened: Any) -> None:
    """Status, headers, URL and request id are there; everything that reads or closes is not."""
    with FakeProvider() as provider, opened(provider) as stream:
        view: Any = attribute(stream, "response")
        assert view.status_code == 200
        assert view.is_success
        assert not view.is_error
        assert view.http_version == "HTTP/1.1"
        assert str(view.url).startswith("http://127.0.0.1")
        assert view.headers["content-type"].startswith("text/event-stream")
        view.headers["content-type"] = "changed"
        assert stream.response.headers["content-type"] != "changed"
        assert view.request_id
        assert repr(view) == "<ResponseView [200]>"
        for name in ("read", "iter_lines", "iter_bytes", "content", "text", "json", "stream"):
            with pytest.raises(AttributeError, match="Iterate the stream"):
                getattr(view, name)
        assert list(stream)


def test_a_request_id_comes_through() -> None:
    """The id that Anthropic's stream helper knows is a plain string."""
    with FakeProvider() as provider, anthropic_helper(provider) as stream:
        assert attribute(stream, "request_id") == stream.request_id
        assert stream.request_id
        list(stream)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("text_stream", "take the text of each event"),
        ("get_final_message", "add up its items"),
        ("get_final_text", "add up its items"),
        ("until_done", "to its end"),
        ("current_message_snapshot", "add up its items"),
        ("_iterator", "every item is guarded"),
        ("__stream__", "every item is guarded"),
        ("gi_frame", "every item is guarded"),
    ],
)
def test_what_consumes_is_refused_with_the_way_to_do_it(name: str, instead: str) -> None:
    """The message of a refusal says what to use on a guarded stream."""
    with FakeProvider() as provider, anthropic_helper(provider) as stream:
        with pytest.raises(AttributeError, match=instead) as caught:
            attribute(stream, name)
        assert caught.value.name == name
        assert caught.value.obj is None
        assert list(stream)


def test_an_async_stream_answers_alike() -> None:
    """An AsyncStream has the same view of its response, and no more."""

    async def run(provider: FakeProvider) -> None:
        import openai

        async with openai.AsyncOpenAI(
            base_url=provider.openai_url, api_key="sk-test", max_retries=0
        ) as client:
            stream = await client.chat.completions.create(model="m", messages=QUESTION, stream=True)
            assert is_stream(stream)
            view: Any = attribute(stream, "response")
            assert view.status_code == 200
            with pytest.raises(AttributeError):
                attribute(stream, "_iterator")
            assert [item async for item in stream]

    with FakeProvider() as provider:
        asyncio.run(run(provider))


def test_litellm_shows_what_it_knows_of_the_call() -> None:
    """Model, provider, cost and headers come through; the chunks it collects do not."""
    hidden = {
        "model_id": "m",
        "response_cost": 0.1,
        "original_response": SECRET,
        "additional_headers": {"x": "y"},
    }
    stream = types.SimpleNamespace(
        model="gpt-test",
        custom_llm_provider="openai",
        _hidden_params=hidden,
        _response_headers={"a": "b"},
        complete_response=SECRET,
        chunks=[SECRET],
    )
    seen: Any = attribute(stream, "_hidden_params")
    assert seen == {"model_id": "m", "response_cost": 0.1, "additional_headers": {"x": "y"}}
    assert attribute(stream, "model") == "gpt-test"
    assert attribute(stream, "custom_llm_provider") == "openai"
    assert attribute(stream, "_response_headers") == {"a": "b"}
    stream._response_headers = None
    assert attribute(stream, "_response_headers") is None
    for name in ("complete_response", "chunks", "messages"):
        with pytest.raises(AttributeError):
            attribute(stream, name)
    stream.model = ["not a plain value"]
    with pytest.raises(AttributeError):
        attribute(stream, "model")


def test_what_a_stream_does_not_have_is_missing() -> None:
    """An allowed name that the source lacks raises as any missing attribute does."""
    for name in ("response", "request_id", "_hidden_params", "model"):
        with pytest.raises(AttributeError):
            attribute(iter([]), name)


def test_a_view_of_something_else_than_a_response() -> None:
    """A response without the usual attributes shows None for each."""
    view = ResponseView(object())
    assert view.status_code is None
    assert view.headers is None
    assert view.request_id is None


def test_faults_are_scripted_for_streams_too() -> None:
    """A stream that was cut still shows the status that its response had."""
    with FakeProvider() as provider:
        provider.script(fault.cut(after=1))
        with openai_stream(provider) as stream:
            view: Any = attribute(stream, "response")
            assert view.status_code == 200
            list(stream)
