"""What single items mean: which shape, which failure, which usage, what goes with a changed text."""

from __future__ import annotations

import codecs
import enum
import io
import itertools
import json
import subprocess
import sys
import tempfile
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from agentguard import errors
from agentguard.providers import shapes
from agentguard.providers.shapes import (
    OPAQUE,
    TEXT,
    Reading,
    Shape,
    Usage,
    is_stream,
    shape_of,
)
from agentguard.providers.usage import usage_of
from tests.providers.wire import (
    anthropic_message,
    chat_chunk,
    google_chunk,
    installed,
    litellm_types,
    response,
)


def read(*items: Any) -> Reading:
    """Read these items of one answer."""
    reading = Reading()
    for item in items:
        shape_of(item).read(item, reading)
    return reading


class Answer(str):
    """Somebody's own kind of text."""

    __slots__ = ()


class Verdict(enum.StrEnum):
    """An answer that is one of a few words."""

    YES = "yes"


# -- which shape -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ("hello", "text"),
        (Answer("own"), "text"),
        (Verdict.YES, "opaque"),
        (b"bytes", "opaque"),
        (None, "opaque"),
        (object(), "opaque"),
        (["a"], "opaque"),
        (mock.Mock(), "opaque"),
        (mock.MagicMock(), "opaque"),
        ({}, "opaque"),
        ({"answer": "x"}, "opaque"),
        ({"type": "unheard_of"}, "opaque"),
        ({"object": "list", "data": [{"id": "m"}]}, "opaque"),
        ({"choices": "rock or paper"}, "opaque"),
        ({"choices": []}, "openai.chat"),
        ({"object": "list", "data": [{"embedding": [0.1]}]}, "openai.embeddings"),
        ({"object": "response", "output": []}, "openai.responses"),
        ({"type": "response.created"}, "openai.responses"),
        ({"type": "error", "message": "m", "code": None}, "openai.responses"),
        ({"type": "error", "error": {"type": "overloaded_error"}}, "anthropic"),
        ({"type": "ping"}, "anthropic"),
        ({"type": "message", "content": []}, "anthropic"),
        ({"candidates": []}, "google"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "google"),
        ({"type": "ai", "content": "x"}, "langchain"),
    ],
)
def test_the_shape_of_an_item(item: object, name: str) -> None:
    """Strings, raw JSON and unknown things are told apart by type and keys."""
    assert shape_of(item).name == name


@pytest.mark.parametrize("spec", [str, dict, list], ids=lambda spec: spec.__name__)
def test_a_mock_with_a_spec_is_a_mock(spec: type) -> None:
    """What only claims to be a string or dict is opaque, and no stream."""
    item = mock.MagicMock(spec=spec)
    assert isinstance(item, spec)
    assert shape_of(item) is OPAQUE
    assert read(item).content
    assert not is_stream(item)


def test_types_that_are_made_on_the_fly_are_not_kept_for_ever() -> None:
    """Every mock has a class of its own: neither cache grows without bound."""
    for _ in range(shapes._MOST_TYPES + 10):
        kind = type("Passing", (), {})
        shape_of(kind())
        is_stream(kind())
    assert len(shapes._shapes) <= shapes._MOST_TYPES + 2
    assert len(shapes._streams) <= shapes._MOST_TYPES + 2
    assert shape_of("text") is TEXT
    assert not is_stream("text")


def test_the_interface_imports_nothing_heavy() -> None:
    """Importing the interface loads no SDK, no event loop and no provider's module."""
    code = (
        "import sys, agentguard.providers.shapes as s; s.shape_of('x'); s.shape_of(object());"
        "print([m for m in sys.modules if m.split('.')[0] in {'asyncio', 'logging', 'pydantic',"
        "'openai'} or m.startswith('concurrent.') or m.startswith('agentguard.providers.openai')])"
    )
    command = [sys.executable, "-S", "-c", code]
    source = str(__import__("pathlib").Path(shapes.__file__).parents[2])
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": source}
    )
    assert done.stdout.strip() == "[]"


# -- which values are streams ------------------------------------------------------------------


_kinds = itertools.count()


def kind_of(value: object) -> str:
    """Name a value in a test's id."""
    return f"{type(value).__name__}{next(_kinds)}"


class Lines(io.StringIO):
    """A file of somebody's own."""


class OnlyIter:
    """A container: can be iterated, is no iterator."""

    def __iter__(self) -> Any:
        return iter(())


class AsyncItems:
    """An asynchronous iterator that is no generator."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        raise StopAsyncIteration


async def _agenerator() -> Any:
    yield 1


@pytest.mark.parametrize(
    "value",
    [
        iter([1]),
        (i for i in "ab"),
        map(str, [1]),
        _agenerator(),
        AsyncItems(),
    ],
    ids=kind_of,
)
def test_iterators_are_streams(value: object) -> None:
    """Sync and async iterators of every making are streams."""
    assert is_stream(value)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        b"bytes",
        [1],
        (1,),
        {"a": 1},
        range(3),
        None,
        OnlyIter(),
        io.BytesIO(),
        io.StringIO(),
        Lines(),
        codecs.StreamReader(io.BytesIO()),
        mock.Mock(),
        mock.MagicMock(),
        mock.AsyncMock(),
        mock.NonCallableMagicMock(),
        mock.MagicMock(spec=iter([])),
        mock.mock_open()(),
    ],
    ids=kind_of,
)
def test_containers_files_and_mocks_are_whole_answers(value: object) -> None:
    """What merely can be iterated, reads lines or fakes everything is no stream."""
    assert not is_stream(value)


def test_real_files_are_no_streams() -> None:
    """Open files, temporary ones included, are answers."""
    with tempfile.TemporaryFile() as plain, tempfile.NamedTemporaryFile() as named:
        assert not is_stream(plain)
        assert not is_stream(named)


# -- failures inside an answer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("rate_limit_exceeded", "rate_limited"),
        ("insufficient_quota", "quota_exhausted"),
        ("server_error", "server"),
        ("server_overloaded", "overloaded"),
        ("context_length_exceeded", "context_length"),
        ("content_filter", "content_filter"),
        ("invalid_image_url", "invalid_request"),
        ("vector_store_timeout", "timeout"),
        ("a_code_of_next_year", "server"),
        (None, "server"),
    ],
)
def test_an_error_inside_a_responses_stream(code: str | None, kind: str) -> None:
    """`error` and `response.failed` become an error of the kind that their code means."""
    event = {"type": "error", "code": code, "message": "no luck", "param": None}
    failed = {
        "type": "response.failed",
        "response": response([], "failed", error={"code": code, "message": "no luck"}),
    }
    for item in (event, failed):
        error = read(item).error
        assert isinstance(error, errors.ProviderError)
        assert error.kind == kind
        assert "no luck" in str(error)
        assert not read(item).content


@pytest.mark.parametrize(
    ("word", "kind"),
    [("overloaded_error", "overloaded"), ("rate_limit_error", "rate_limited")],
)
def test_an_error_in_raw_json(word: str, kind: str) -> None:
    """An error object in raw JSON is an error, as the SDKs take it."""
    chat = {"choices": None, "error": {"message": "m", "type": word}}
    anthropic = {"type": "error", "error": {"type": word, "message": "m"}, "request_id": "req_1"}
    for item in (chat, anthropic):
        error = read(item).error
        assert isinstance(error, errors.ProviderError)
        assert error.kind == kind
    assert isinstance(error, errors.ProviderError)
    assert error.request_id == "req_1"


def test_a_refused_prompt_is_an_answer() -> None:
    """Google's block reason finishes the answer and is no error."""
    for item in (
        {"prompt_feedback": {"block_reason": "SAFETY"}},
        {"promptFeedback": {"blockReason": "SAFETY"}},
    ):
        reading = read(item)
        assert reading.content
        assert reading.finished
        assert reading.finish_reason == "SAFETY"
        assert reading.error is None


def test_a_response_that_stopped_early_says_why() -> None:
    """An incomplete response is finished, with the reason."""
    details = {"incomplete_details": {"reason": "max_output_tokens"}}
    event = {"type": "response.incomplete", "response": response([], "incomplete", **details)}
    reading = read(event)
    assert reading.finished
    assert reading.finish_reason == "max_output_tokens"
    assert reading.error is None


# -- opening items and content -----------------------------------------------------------------


def part(text: str) -> dict[str, Any]:
    """A part of a Responses message."""
    return {"type": "output_text", "text": text, "annotations": []}


@pytest.mark.parametrize(
    "item",
    [
        "",
        chat_chunk({"role": "assistant"}),
        chat_chunk({"content": None}),
        chat_chunk(),
        {"choices": [], "prompt_filter_results": [{}]},
        {"type": "response.in_progress", "response": response([], "in_progress")},
        {"type": "response.queued", "response": response([], "queued")},
        {"type": "response.output_item.added", "item": {"type": "reasoning", "summary": []}},
        {"type": "response.content_part.added", "part": part("")},
        {"type": "response.output_text.delta", "delta": ""},
        {"type": "keepalive"},
        {"type": "ping"},
        {"type": "message_start", "message": anthropic_message([])},
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ""}},
        {"type": "content_block_stop", "index": 0},
        google_chunk({"text": ""}),
        {"candidates": None, "model_version": "gemini-test"},
        {"type": "AIMessageChunk", "content": ""},
    ],
)
def test_what_only_opens_is_not_content(item: object) -> None:
    """A consumer could use nothing of these: an error that follows can still be retried."""
    assert not read(item).content


@pytest.mark.parametrize(
    "item",
    [
        "x",
        chat_chunk({"content": "x"}),
        chat_chunk({"refusal": "x"}),
        chat_chunk({"reasoning_content": "x"}),
        chat_chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}),
        chat_chunk({"content": "x"}, index=1),
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}},
        {"type": "response.content_part.added", "part": part("x")},
        {"type": "response.refusal.delta", "delta": "x"},
        {"type": "response.of_next_year"},
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f"}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": "x"}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "x"}},
        google_chunk({"text": "x", "thought": True}),
        google_chunk({"function_call": {"name": "f"}}),
        {"type": "AIMessageChunk", "content": "", "tool_call_chunks": [{"name": "f"}]},
        object(),
    ],
)
def test_what_a_consumer_can_use_is_content(item: object) -> None:
    """Text, reasoning, refusals, calls and whatever is unknown commit a stream."""
    assert read(item).content


@pytest.mark.parametrize(
    "item",
    [
        {"choices": None},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"delta": {"tool_calls": [None], "content": 3}}]},
        {"type": "response.output_text.delta"},
        {"type": "response.completed"},
        {"type": "response.output_item.done", "item": None},
        {"type": "message_start"},
        {"type": "content_block_delta", "index": 0},
        {"type": "content_block_start"},
        {"type": "message", "content": [None]},
        {"type": "error", "error": None},
        {"candidates": [{}]},
        {"candidates": [{"content": {"parts": [None, {}]}}]},
        {"type": "ai", "content": [3, None, {"type": "text"}]},
        {"type": "ai", "content": None, "tool_calls": [{}]},
    ],
)
def test_what_is_missing_never_raises(item: Any) -> None:
    """A broken or unusual item is read, split, closed and joined all the same."""
    read(item)
    shape = shape_of(item)
    assert isinstance(shape.closes(item), tuple)
    assert shape.join(item, dict(shape.split(item))) == item
    assert shape.carrier(item, ("no such channel",), "x") is None


# -- usage -------------------------------------------------------------------------------------


def test_anthropic_usage_is_replaced_and_not_added_up() -> None:
    """What message_delta repeats replaces, what it leaves out stands; input includes cached."""
    start = anthropic_message([])
    start["usage"] = {
        "input_tokens": 4,
        "cache_read_input_tokens": 1500,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
        "output_tokens": 1,
    }

    def delta(**usage: Any) -> dict[str, Any]:
        return {"type": "message_delta", "delta": {"stop_reason": None}, "usage": usage}

    details = {"thinking_tokens": 3}
    first = {"type": "message_start", "message": start}
    assert read(first, delta(output_tokens=5), delta(output_tokens=9)).usage == Usage(
        1524, 9, 1500, 20, 0, 5
    )
    repeated = delta(
        input_tokens=4,
        cache_read_input_tokens=1500,
        cache_creation_input_tokens=20,
        output_tokens=9,
    )
    assert read(first, repeated).usage == Usage(1524, 9, 1500, 20, 0, 5)
    thought = delta(output_tokens=9, output_tokens_details=details)
    assert read(first, thought).usage == Usage(1524, 9, 1500, 20, 3, 5)


def test_a_server_that_counts_in_every_chunk_is_not_added_up() -> None:
    """The last cumulative figure of a chat stream counts."""
    chunks = [
        {**chat_chunk({"content": "x"}), "usage": {"prompt_tokens": 3, "completion_tokens": n}}
        for n in (1, 2, 3)
    ]
    assert read(*chunks).usage == Usage(3, 3)


def test_langchain_chunks_add_up_as_their_own_plus_does() -> None:
    """LangChain splits one figure over several chunks: their sum is the usage."""
    first = {"input_tokens": 12, "output_tokens": 0, "input_token_details": {"cache_read": 4}}
    chunks = [
        {"type": "AIMessageChunk", "content": "", "usage_metadata": first},
        {
            "type": "AIMessageChunk",
            "content": "",
            "usage_metadata": {"input_tokens": 0, "output_tokens": 5},
        },
    ]
    assert read(*chunks).usage == Usage(12, 5, 4)


@pytest.mark.parametrize(
    ("figures", "usage"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": None}, None),
        (mock.Mock(), None),
        ({"prompt_tokens": 3, "total_tokens": 3}, Usage(3)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "cache_read_input_tokens": 6,
                "cache_creation_input_tokens": 1,
            },
            Usage(10, 2, 6, 1),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8},
            Usage(10, 2, 8),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 2,
                "cache_read_tokens": 4,
                "cache_write_tokens": 1,
            },
            Usage(10, 2, 4, 1),
        ),
        (
            {"prompt_token_count": 5, "tool_use_prompt_token_count": 2, "thoughts_token_count": 3},
            Usage(7, 3, 0, 0, 3),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cache_creation_tokens": 4}},
            Usage(9, 0, 0, 4),
        ),
        (SimpleNamespace(input_tokens=3, output_tokens=4), Usage(3, 4)),
    ],
)
def test_usage_in_every_spelling(figures: object, usage: Usage | None) -> None:
    """One rule reads the figures of all providers; what is no figure is no usage."""
    assert usage_of(figures) == usage


def test_usage_adds_up_and_shows_itself() -> None:
    """Usages of several attempts add up; total is input and output."""
    both = Usage(1, 2, 3, 4, 5, 6) + Usage(10, 20, 30, 40, 50, 60)
    assert both == Usage(11, 22, 33, 44, 55, 66)
    assert both.total_tokens == 33
    assert hash(both) == hash(Usage(11, 22, 33, 44, 55, 66))
    assert both != 33
    assert repr(Usage(1)).startswith("Usage(input_tokens=1, output_tokens=0")


def test_unknown_answers_may_have_usage() -> None:
    """An object of no known SDK is opaque, but its usage is read where it has one."""
    agent = SimpleNamespace(usage=SimpleNamespace(input_tokens=7, output_tokens=2))
    assert read(agent).usage == Usage(7, 2)
    assert read(SimpleNamespace(usage_metadata={"input_tokens": 1})).usage == Usage(1)

    class Explosive:
        @property
        def usage(self) -> object:
            raise RuntimeError("not now")

    assert read(Explosive()).usage is None
    assert read(mock.MagicMock()).usage is None


def test_embeddings_are_read() -> None:
    """An embedding response has usage and model and is complete."""
    vectors = {
        "object": "list",
        "model": "embed-test",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    items: list[Any] = [vectors]
    if installed("openai"):
        from openai.types import CreateEmbeddingResponse

        items.append(CreateEmbeddingResponse.model_validate(vectors))
    if installed("litellm"):
        items.append(litellm_types().EmbeddingResponse(**vectors))
    for item in items:
        reading = read(item)
        assert shape_of(item).name == "openai.embeddings"
        assert reading.usage == Usage(3)
        assert reading.model == "embed-test"
        assert reading.finished
        assert shape_of(item).split(item) == []


# -- what goes with a changed text -------------------------------------------------------------


def test_log_probabilities_go_with_a_changed_text_and_stay_with_an_unchanged_one() -> None:
    """The tokens spell the text out: they are dropped when it changes, and only then."""
    chunk = chat_chunk({"content": "secret"})
    chunk["choices"][0]["logprobs"] = {"content": [{"token": "secret", "logprob": -0.1}]}
    shape = shape_of(chunk)
    assert shape.join(chunk, {(0, "content"): "secret"})["choices"][0]["logprobs"]
    assert shape.join(chunk, {(0, "content"): "*"})["choices"][0]["logprobs"] is None
    event = {
        "type": "response.output_text.delta",
        "delta": "secret",
        "logprobs": [{"token": "secret"}],
    }
    joined = shape_of(event).join(event, {(None, None, "text"): "*"})
    assert joined["logprobs"] == []
    candidate = google_chunk({"text": "secret"})
    candidate["candidates"][0]["logprobs_result"] = {"chosen_candidates": [{"token": "secret"}]}
    assert "secret" not in json.dumps(shape_of(candidate).join(candidate, {(0, "text"): "*"}))


def test_a_parsed_object_is_parsed_anew() -> None:
    """What an SDK parsed out of the text follows the text; None where it no longer fits."""
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str

    message = {"role": "assistant", "content": '{"name": "Eve"}', "parsed": Person(name="Eve")}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    shape = shape_of(answer)

    def parsed(text: str) -> Any:
        return shape.join(answer, {(0, "content"): text})["choices"][0]["message"]["parsed"]

    assert parsed('{"name": "X"}') == Person(name="X")
    assert parsed("no longer JSON") is None
    assert answer["choices"][0]["message"]["parsed"] == Person(name="Eve")
    call = {"name": "f", "arguments": '{"a": "b"}', "parsed_arguments": {"a": "b"}}
    response_ = response([{"type": "function_call", "call_id": "c", **call}])
    joined = shape_of(response_).join(response_, {(0, "json"): '{"a": "*"}'})
    assert joined["output"][0]["parsed_arguments"] == {"a": "*"}


def test_tool_arguments_that_a_step_broke_do_not_come_back() -> None:
    """Where parsed arguments repeat a text that is JSON no more, they are empty."""
    stop = {
        "type": "content_block_stop",
        "index": 0,
        "content_block": {"type": "tool_use", "name": "f", "input": {"a": "secret"}},
    }
    shape = shape_of(stop)
    ((channel, text),) = shape.split(stop)
    assert channel == ("whole", (0, "json"))
    assert json.loads(text) == {"a": "secret"}
    assert shape.join(stop, {channel: '{"a": "*"}'})["content_block"]["input"] == {"a": "*"}
    assert shape.join(stop, {channel: "<removed>"})["content_block"]["input"] == {}


def test_pieces_of_one_channel_in_one_item_keep_their_places() -> None:
    """Two parts of one text are one piece; the new text is laid out over both places."""
    item = {"candidates": [{"content": {"parts": [{"text": "ab"}, {"text": "cd"}]}}]}
    shape = shape_of(item)
    assert shape.split(item) == [((0, "text"), "abcd")]
    parts = shape.join(item, {(0, "text"): "ABCDE"})["candidates"][0]["content"]["parts"]
    assert [p["text"] for p in parts] == ["AB", "CDE"]


def test_text_keeps_the_class_of_the_string() -> None:
    """A subclass of str comes out as one; a plain string stays the same object."""
    text = Answer("hello")
    assert type(TEXT.join(text, {("text",): "bye"})) is Answer
    assert type(TEXT.carrier(text, ("text",), "rest")) is Answer
    assert TEXT.join(text, {}) is text
    assert TEXT.split("") == []


def test_a_shape_must_say_how_to_read() -> None:
    """The base class reads nothing; an opaque item has no texts and no carrier."""
    with pytest.raises(TypeError, match="how to read"):
        Shape().read("x", Reading())
    item = object()
    assert OPAQUE.split(item) == []
    assert OPAQUE.closes(item) == ()
    assert OPAQUE.join(item, {("text",): "x"}) is item
    assert OPAQUE.carrier(item, ("text",), "x") is None


def test_a_reading_shows_no_text() -> None:
    """The repr of a reading has sizes and figures, never what was said."""
    reading = read(chat_chunk({"content": "my secret"}))
    assert reading.text == "my secret"
    assert "secret" not in repr(reading)
    assert "<9 characters>" in repr(reading)


def test_litellm_hides_no_second_copy() -> None:
    """LiteLLM keeps Anthropic's answer in `_hidden_params`: a changed answer does not have it."""
    if not installed("litellm"):
        answer: Any = SimpleNamespace(model_copy=None)
        answer = type("ModelResponse", (), {"__module__": "litellm.types.utils"})()
        answer.choices = [{"index": 0, "message": {"content": "secret"}, "finish_reason": "stop"}]
    else:
        message = {"role": "assistant", "content": "secret"}
        answer = litellm_types().ModelResponse(choices=[{"index": 0, "message": message}])
    answer._hidden_params = {"model_id": "m", "original_response": [{"text": "secret"}]}
    joined = shape_of(answer).join(answer, {(0, "content"): "*"})
    assert joined._hidden_params == {"model_id": "m"}
    assert "original_response" in answer._hidden_params
