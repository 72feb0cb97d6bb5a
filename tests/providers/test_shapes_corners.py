"""Rare items: events of SDK helpers alone, legacy protocols, tools that servers run, odd objects."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from agentguard.engine.channels import Channels
from agentguard.providers import items
from agentguard.providers.shapes import Reading, Usage, shape_of
from tests.providers.wire import chat_chunk, google_chunk, installed, langchain_call, response


class Stars:
    """A step that holds everything back and gives as many stars as there were characters."""

    def __init__(self) -> None:
        self.seen = 0

    def feed(self, text: str) -> str:
        """Hold everything back."""
        self.seen += len(text)
        return ""

    def flush(self) -> str:
        """As many stars as characters."""
        return "*" * self.seen


def guarded(*stream: Any) -> list[Any]:
    """The items of a stream behind a step that holds everything back."""
    channels = Channels()
    channels.add(Stars)
    out: list[Any] = []
    for item in stream:
        out += channels.feed(item)
    return out + channels.flush()


def read(*stream: Any) -> Reading:
    """Read a stream."""
    reading = Reading()
    for item in stream:
        shape_of(item).read(item, reading)
    return reading


# -- OpenAI ------------------------------------------------------------------------------------


def test_what_is_held_back_goes_out_before_the_chunk_that_finishes() -> None:
    """The held text is carried by a chunk of its own, then the finish reason follows."""
    out = guarded(chat_chunk({"content": "ab"}), chat_chunk({}, finish="stop"))
    assert [c["choices"][0]["delta"].get("content") for c in out] == ["", "**", None]
    assert [c["choices"][0].get("finish_reason") for c in out] == [None, None, "stop"]


def test_a_finishing_chunk_with_text_takes_the_held_text_with_it() -> None:
    """Some servers finish with the last text in the same chunk: nothing comes after it."""
    out = guarded(chat_chunk({"content": "ab"}), chat_chunk({"content": "c"}, finish="stop"))
    assert [c["choices"][0]["delta"]["content"] for c in out] == ["", "***"]


def test_a_choice_that_ends_leaves_the_others_open() -> None:
    """Only the channels of the choice that finished are closed."""
    first = shape_of(chat_chunk({}, 1, "stop")).closes(chat_chunk({}, 1, "stop"))
    assert first == ((1,),)


def test_a_carrier_can_be_made_of_the_chunk_that_finishes() -> None:
    """It has a choice to carry text, though none of its own; tool arguments need their call."""
    last = chat_chunk({}, finish="stop")
    shape = shape_of(last)
    carrier = shape.carrier(last, (0, "content"), "rest")
    assert carrier is not None
    assert shape.split(carrier) == [((0, "content"), "rest")]
    assert shape.closes(carrier) == ()
    assert shape.carrier(last, (0, "tool", 0, "json"), "rest") is None


def test_a_carrier_of_tool_arguments_repeats_neither_id_nor_name() -> None:
    """Consumers add up ids and names as they do arguments: they must come once."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
    chunk = chat_chunk({"role": "assistant", "tool_calls": [call]})
    carrier: Any = shape_of(chunk).carrier(chunk, (0, "tool", 0, "json"), "}")
    (delta,) = (choice["delta"] for choice in carrier["choices"])
    assert delta == {
        "tool_calls": [{"index": 0, "type": "function", "function": {"arguments": "}"}}]
    }


def test_content_in_blocks_and_reasoning_in_blocks() -> None:
    """Content cut into blocks is one text; each block of reasoning is one of its own."""
    message = {
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}],
        "reasoning_details": [{"type": "reasoning.text", "text": "u"}],
        "audio": {"id": "x", "transcript": "spoken"},
        "function_call": {"name": "f", "arguments": "{}"},
        "provider_specific_fields": {"reasoning_content": "again"},
        "tool_calls": [{"type": "custom", "custom": {"name": "g", "input": "words"}}],
    }
    answer = {"choices": [{"index": 0, "message": message}]}
    texts = dict(shape_of(answer).split(answer))
    assert texts == {
        (0, "content"): "ab",
        (0, "thinking_blocks", 0, "thinking"): "t",
        (0, "reasoning_details", 0, "text"): "u",
        (0, "transcript"): "spoken",
        (0, "function_call", "json"): "{}",
        (0, "own", "reasoning_content"): "again",
        (0, "tool", 0, "input"): "words",
    }
    assert read(answer).text == "ab"
    joined = shape_of(answer).join(answer, {c: t.upper() for c, t in texts.items()})
    assert "again" not in json.dumps(joined)


def test_an_openrouter_failure_inside_an_answer() -> None:
    """An error beside the choices, or in their place, is a failure."""
    last = chat_chunk({"content": ""}, finish="error")
    last["error"] = {"code": 429, "message": "slow down", "type": "rate_limit_error"}
    assert read(last).error is not None
    if installed("openai"):
        from openai.types.chat import ChatCompletion

        answer: Any = ChatCompletion.construct(choices=None, error={"message": "no", "code": 502})
        assert read(answer).error is not None


@pytest.mark.parametrize("sdk", [True, False] if installed("openai") else [False])
def test_events_of_the_chat_helper_alone(sdk: bool) -> None:
    """Somebody passes on the deltas only: they count as text, tokens go with a changed text."""
    token = {"token": "ab", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    wires: list[dict[str, Any]] = [
        {"type": "content.delta", "delta": "ab", "snapshot": "ab", "parsed": None},
        {"type": "logprobs.content.delta", "content": [token], "snapshot": [token]},
        {"type": "logprobs.content.done", "content": [token]},
        {"type": "content.done", "content": "ab", "parsed": None},
        {
            "type": "tool_calls.function.arguments.delta",
            "name": "f",
            "index": 0,
            "arguments": '{"a": "b"}',
            "parsed_arguments": {"a": "b"},
            "arguments_delta": '{"a": "b"}',
        },
    ]
    if not sdk:
        assert all(shape_of(wire).name == "opaque" for wire in wires)
        return
    from openai.lib.streaming.chat import _events as events

    classes = [
        events.ContentDeltaEvent,
        events.LogprobsContentDeltaEvent,
        events.LogprobsContentDoneEvent,
        events.ContentDoneEvent,
        events.FunctionToolCallArgumentsDeltaEvent,
    ]
    stream = [kind.construct(**wire) for kind, wire in zip(classes, wires, strict=True)]
    reading = read(*stream)
    assert reading.text == "ab"
    assert reading.content
    shown = [item.to_dict() for item in guarded(*stream)]
    assert "ab" not in json.dumps(shown)
    assert '"b' not in json.dumps(shown)
    assert [item for item in shown if item["type"] == "content.done"][-1]["content"] == "**"


def test_output_of_tools_that_openai_runs() -> None:
    """Code, logs, queries and results of hosted tools are texts too; ids are not."""
    output = [
        {
            "type": "code_interpreter_call",
            "id": "c",
            "code": "print(1)",
            "outputs": [{"type": "logs", "logs": "one"}],
        },
        {
            "type": "file_search_call",
            "id": "f",
            "queries": ["q"],
            "results": [{"file_id": "x", "text": "found"}],
        },
        {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": "what"}},
        {"type": "mcp_call", "id": "m", "arguments": "{}", "output": "said"},
    ]
    answer = response(output)
    texts = dict(shape_of(answer).split(answer))
    assert set(texts.values()) == {"print(1)", "one", "q", "found", "what", "{}", "said"}
    event = {
        "type": "response.shell_call_output_content.delta",
        "output_index": 0,
        "command_index": 0,
        "delta": {"stdout": "out", "stderr": None},
    }
    assert dict(shape_of(event).split(event)) == {(0, 0, "output", "stdout"): "out"}
    assert read(event).content


# -- Anthropic ---------------------------------------------------------------------------------


def test_legacy_text_completions_of_anthropic() -> None:
    """The protocol before messages is read, split and closed."""
    first = {"type": "completion", "completion": "a", "stop_reason": None, "model": "c"}
    last = {"type": "completion", "completion": "b", "stop_reason": "stop_sequence", "model": "c"}
    reading = read(first, last)
    assert reading.text == "ab"
    assert reading.finish_reason == "stop_sequence"
    assert [item["completion"] for item in guarded(first, last)] == ["", "**"]


@pytest.mark.parametrize("beta", [False, True])
def test_text_that_comes_with_the_start_of_a_block(beta: bool) -> None:
    """It begins the block's text; what is held back of it goes out as a delta."""
    wire = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": "ab", "citations": None},
    }
    starts: list[Any] = [wire]
    if installed("anthropic"):
        from anthropic.types import RawContentBlockStartEvent
        from anthropic.types.beta import BetaRawContentBlockStartEvent

        kind: Any = BetaRawContentBlockStartEvent if beta else RawContentBlockStartEvent
        starts.append(kind.model_validate(wire))
    for start in starts:
        stop = {"type": "content_block_stop", "index": 0}
        opened, delta, _ = guarded(start, stop)
        assert shape_of(opened).split(opened) == []
        assert shape_of(delta).split(delta) == [((0, "text"), "**")]
        assert items.fields(delta)["type"] == "content_block_delta"
        assert type(delta).__module__ != "builtins" or start is wire
        assert shape_of(start).carrier(start, (9, "text"), "x") is None


def test_results_of_tools_that_anthropic_runs_and_citations() -> None:
    """They arrive whole: each string is a text of its own."""
    start = {
        "type": "content_block_start",
        "index": 1,
        "content_block": {
            "type": "web_search_tool_result",
            "tool_use_id": "t",
            "content": [{"type": "web_search_result", "title": "T", "url": "u"}],
        },
    }
    cited = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "citations_delta", "citation": {"cited_text": "quoted"}},
    }
    assert [text for _, text in shape_of(start).split(start)] == ["T"]
    assert shape_of(cited).split(cited) == [(("whole", (0, "cited")), "quoted")]
    assert guarded(cited)[0]["delta"]["citation"]["cited_text"] == "******"


def test_events_of_the_message_helper_alone() -> None:
    """Somebody passes on the text events only: they count as text."""
    if installed("anthropic"):
        from anthropic.lib.streaming import InputJsonEvent, TextEvent

        stream: list[Any] = [
            TextEvent(type="text", text="a", snapshot="a"),
            TextEvent(type="text", text="b", snapshot="ab"),
            InputJsonEvent(type="input_json", partial_json='{"k', snapshot={"k": "v"}),
        ]
        assert read(*stream).text == "ab"
        assert "v" not in json.dumps([e.snapshot for e in guarded(*stream)])
    assert read({"type": "ping"}).text == ""


# -- Google ------------------------------------------------------------------------------------


def test_arguments_of_google_that_stream_in_parts() -> None:
    """Each argument has a channel of its own, by call and path."""
    call = {"name": "f", "partial_args": [{"json_path": "$.a", "string_value": "xy"}]}
    chunk = google_chunk({"function_call": call})
    channel = (0, "call", "f", "$.a")
    shape = shape_of(chunk)
    assert shape.split(chunk) == [(channel, "xy")]
    carrier: Any = shape.carrier(chunk, channel, "z")
    assert shape.split(carrier) == [(channel, "z")]
    assert read(chunk).content


def test_what_google_parsed_follows_the_text() -> None:
    """`parsed` is made of the new text; passages in the grounding are texts too."""
    chunk = google_chunk({"text": '{"a": "secret"}'})
    chunk["parsed"] = {"a": "secret"}
    support = {"segment": {"text": "secret"}}
    chunk["candidates"][0]["grounding_metadata"] = {"grounding_supports": [support]}
    shape = shape_of(chunk)
    texts = {channel: text.replace("secret", "*") for channel, text in shape.split(chunk)}
    joined = shape.join(chunk, texts)
    assert joined["parsed"] == {"a": "*"}
    assert "secret" not in json.dumps(joined)


# -- LangChain ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["dict", *(["sdk"] if installed("langchain_core") else [])])
def test_a_generation_repeats_its_message(form: str) -> None:
    """The text of a ChatGenerationChunk follows the text of its message."""
    if form == "dict":
        assert shape_of({"message": {"content": "x"}}).name == "opaque"
        return
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

    usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    chunk = ChatGenerationChunk(message=AIMessageChunk("secret", usage_metadata=usage))
    shape = shape_of(chunk)
    assert read(chunk).text == "secret"
    assert read(chunk).usage == Usage(1, 2)
    joined = shape.join(chunk, {("content",): "*"})
    assert (joined.text, joined.message.content) == ("*", "*")
    assert chunk.text == "secret"
    carrier: Any = shape.carrier(chunk, ("content",), "z")
    assert (carrier.text, carrier.message.content) == ("z", "z")
    assert carrier.message.usage_metadata is None
    blocks: list[Any] = [{"type": "text", "text": "se"}, "cret"]
    whole = ChatGeneration(message=AIMessage(blocks))
    new = shape.join(whole, {(0, "text"): "a", (1, "text"): "b"})
    assert new.text == "ab"


@pytest.mark.parametrize("form", ["dict", *(["sdk"] if installed("langchain_core") else [])])
def test_calls_are_derived_anew_from_the_arguments(form: str) -> None:
    """A chunk's `tool_calls` follow its changed `tool_call_chunks`; broken ones become invalid."""
    wire = langchain_call(0, '{"a": "secret"}')
    chunk: Any = wire
    if form == "sdk":
        from langchain_core.messages import AIMessageChunk

        chunk = AIMessageChunk(**wire)
    shape = shape_of(chunk)
    joined = shape.join(chunk, {("tool", 0, "json"): '{"a": "*"}'})
    broken = shape.join(chunk, {("tool", 0, "json"): "<removed>"})
    if form == "sdk":
        assert joined.tool_calls[0]["args"] == {"a": "*"}
        assert chunk.tool_calls[0]["args"] == {"a": "secret"}
        assert broken.tool_calls == []
    else:
        assert joined["tool_call_chunks"][0]["args"] == '{"a": "*"}'
    assert "secret" not in str(items.fields(joined)) + str(items.fields(broken))


def test_invalid_calls_and_parsed_answers_of_langchain() -> None:
    """Arguments that are no JSON are a text; a parsed answer follows its content."""
    message = {
        "type": "ai",
        "content": '{"a": "secret"}',
        "invalid_tool_calls": [{"name": "f", "args": "secret", "id": "c", "error": None}],
        "additional_kwargs": {
            "parsed": {"a": "secret"},
            "function_call": {"name": "f", "arguments": "secret"},
            "refusal": "secret",
        },
        "response_metadata": {"logprobs": {"content": [{"token": "secret"}]}, "request_id": "r"},
    }
    shape = shape_of(message)
    joined = shape.join(message, {c: t.replace("secret", "*") for c, t in shape.split(message)})
    assert "secret" not in json.dumps(joined)
    assert joined["additional_kwargs"]["parsed"] == {"a": "*"}
    assert read(message).request_id == "r"
    assert "secret" in json.dumps(message)


if installed("langchain"):

    def test_an_agents_model_response_is_read_and_changed() -> None:
        """Its first AI message is the answer; what was parsed from it is parsed anew."""
        from langchain.agents.middleware import ModelResponse
        from langchain_core.messages import AIMessage, ToolMessage
        from pydantic import BaseModel

        class Sky(BaseModel):
            look: str

        usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
        call: Any = {"name": "Sky", "args": {"look": "secret"}, "id": "c", "type": "tool_call"}
        answer = ModelResponse(
            result=[
                AIMessage("", tool_calls=[call], usage_metadata=usage),
                ToolMessage("returned secret", tool_call_id="c"),
            ],
            structured_response=Sky(look="secret"),
        )
        shape = shape_of(answer)
        assert (read(answer).text, read(answer).usage) == ("", Usage(1, 2))
        joined = shape.join(answer, {c: t.replace("secret", "*") for c, t in shape.split(answer)})
        assert joined.structured_response == Sky(look="*")
        assert "secret" not in str(joined)
        assert "secret" in str(answer.result[0])
        assert shape.join(answer, {}) is answer
        spoken = ModelResponse(result=[AIMessage('{"look": "secret"}')], structured_response=Sky)
        assert shape.join(spoken, {(0, "content"): "no"}).structured_response == {}


if installed("langchain_core"):

    def test_the_chunks_of_a_classic_model() -> None:
        """Text, and in the last one why it ended, with log-probabilities that spell it out."""
        from langchain_core.messages import AIMessageChunk
        from langchain_core.outputs import ChatGenerationChunk, GenerationChunk

        info = {"finish_reason": "stop", "logprobs": {"tokens": ["secret"]}}
        first, last = (
            GenerationChunk(text="a "),
            GenerationChunk(text="secret", generation_info=info),
        )
        assert read(first, last).text == "a secret"
        assert (read(first).finished, read(first, last).finished) == (False, True)
        shape = shape_of(last)
        assert (shape.closes(first), shape.closes(last)) == ((), ((),))
        assert "secret" not in str(shape.join(last, {("text",): "*"}))
        assert shape.carrier(first, ("text",), "z").text == "z"
        chunk = ChatGenerationChunk(message=AIMessageChunk("secret"), generation_info=info)
        assert read(chunk).finish_reason == "stop"
        assert "secret" not in str(shape_of(chunk).join(chunk, {("content",): "*"}))


# -- objects that are no pydantic models -------------------------------------------------------


def test_items_of_plain_objects_are_rebuilt_too() -> None:
    """Whatever has attributes can be on the way to a text: it is copied, not changed."""
    delta = SimpleNamespace(content="secret")
    inner = (SimpleNamespace(index=0, delta=delta, finish_reason=None),)
    chunk = {"choices": inner, "model": "m"}
    shape = shape_of(chunk)
    joined = shape.join(chunk, {(0, "content"): "*"})
    assert joined["choices"][0].delta.content == "*"
    assert isinstance(joined["choices"], tuple)
    assert delta.content == "secret"


def test_strings_inside_parsed_json_are_found_with_their_way() -> None:
    """Leaves are strings at any depth; keys and numbers are none."""
    value = {"a": ["x", {"b": "y"}, 3], "c": None}
    assert dict(items.leaves(value)) == {("a", 0): "x", ("a", 1, "b"): "y"}
    assert dict(items.named({"k": ["p", "q"], "z": "n"}, frozenset({"k"}))) == {
        ("k", 0): "p",
        ("k", 1): "q",
    }


def test_partial_json_is_parsed_as_far_as_it_goes() -> None:
    """A snapshot of streaming arguments is cut off; what is no JSON is empty."""
    assert items.parsed_json('{"a": 1}') == {"a": 1}
    assert items.parsed_json("<removed>") == {}
    assert items.reparsed(None, "{}") is None
    assert items.reparsed([1], "[2]") == [2]
