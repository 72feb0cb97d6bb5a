"""Streams as providers send them, cut up as a test asks, in every form that is installed here.

A `Dialect` writes one chunk of one channel as JSON, and builds an SDK's object of that JSON. The
environments hold different generations: what is not installed has no dialect, so no test is
skipped for it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

JSON = dict[str, Any]
Channel = tuple[Hashable, ...]


def installed(name: str) -> bool:
    """Tell whether a distribution's package can be imported here."""
    return importlib.util.find_spec(name) is not None


@contextmanager
def own_loop() -> Iterator[None]:
    """An event loop for LiteLLM, which asks for the thread's even in sync calls; closed after."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def litellm_types() -> Any:
    """LiteLLM's classes, built; they warn of themselves while they are."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it is fetched
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from litellm.types import utils

        utils.ModelResponseStream(choices=[{"index": 0, "delta": {"content": ""}}])
        utils.ModelResponse()
        utils.EmbeddingResponse()
    return utils


class Dialect:
    """One provider's way to stream: what each channel's chunk looks like, and what surrounds it.

    Args:
        name: shown in the test's id.
        build: makes the item of its JSON.
        channels: writes one chunk, by channel; the first of them is the visible text.
        opening: items that come first and carry nothing.
        ending: items that come last, given the whole text of each channel.
        shape: the name of the shape expected.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[JSON], Any],
        channels: dict[Channel, Callable[[str], JSON]],
        opening: Sequence[JSON],
        ending: Callable[[dict[Channel, str]], Sequence[JSON]],
        shape: str,
    ) -> None:
        self.name = name
        self.build = build
        self.channels = channels
        self.opening = opening
        self.ending = ending
        self.shape = shape

    def __repr__(self) -> str:
        return self.name


# -- OpenAI chat -------------------------------------------------------------------------------


def chat_chunk(delta: JSON | None = None, index: int = 0, finish: str | None = None) -> JSON:
    """A chunk of a chat completion."""
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-test",
        "choices": choices,
    }


def tool_delta(number: int, arguments: str) -> JSON:
    """The delta of a tool call's arguments."""
    return {"tool_calls": [{"index": number, "function": {"arguments": arguments}}]}


CHAT_CHANNELS: dict[Channel, Callable[[str], JSON]] = {
    (0, "content"): lambda text: chat_chunk({"content": text}),
    (1, "content"): lambda text: chat_chunk({"content": text}, index=1),
    (0, "refusal"): lambda text: chat_chunk({"refusal": text}),
    (0, "reasoning_content"): lambda text: chat_chunk({"reasoning_content": text}),
    (0, "tool", 0, "json"): lambda text: chat_chunk(tool_delta(0, text)),
    (0, "tool", 1, "json"): lambda text: chat_chunk(tool_delta(1, text)),
    (0, "function_call", "json"): lambda text: chat_chunk({"function_call": {"arguments": text}}),
}
CHAT_USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chat_ending(_texts: dict[Channel, str]) -> list[JSON]:
    """The chunks that finish both choices, and the one with usage."""
    usage = chat_chunk()
    usage["usage"] = CHAT_USAGE
    return [chat_chunk({}, 1, "length"), chat_chunk({}, 0, "stop"), usage]


def chat(name: str, build: Callable[[JSON], Any]) -> Dialect:
    """The chat protocol with items made by `build`."""
    opening = [chat_chunk({"role": "assistant", "content": ""})]
    return Dialect(name, build, CHAT_CHANNELS, opening, chat_ending, "openai.chat")


# -- OpenAI Responses --------------------------------------------------------------------------


def response(output: list[JSON], status: str = "completed", **more: Any) -> JSON:
    """A Response object."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1.0,
        "model": "gpt-test",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": status,
        **more,
    }


def response_delta(kind: str, text: str, **indices: int) -> JSON:
    """A delta event of a Responses stream."""
    event = {"type": f"response.{kind}.delta", "item_id": "i", "sequence_number": 1, "delta": text}
    if kind == "output_text":
        event["logprobs"] = []
    return {**event, **indices}


RESPONSES_CHANNELS: dict[Channel, Callable[[str], JSON]] = {
    (0, 0, "text"): lambda text: response_delta(
        "output_text", text, output_index=0, content_index=0
    ),
    (0, 1, "refusal"): lambda text: response_delta(
        "refusal", text, output_index=0, content_index=1
    ),
    (1, 0, "summary"): lambda text: response_delta(
        "reasoning_summary_text", text, output_index=1, summary_index=0
    ),
    (1, 0, "reasoning"): lambda text: response_delta(
        "reasoning_text", text, output_index=1, content_index=0
    ),
    (2, "json"): lambda text: response_delta("function_call_arguments", text, output_index=2),
    (3, "input"): lambda text: response_delta("custom_tool_call_input", text, output_index=3),
}
RESPONSES_USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}


def responses_output(texts: dict[Channel, str]) -> list[JSON]:
    """The output items that the channels add up to."""
    text = {
        "type": "output_text",
        "text": texts.get((0, 0, "text"), ""),
        "annotations": [],
        "logprobs": [],
    }
    refusal = {"type": "refusal", "refusal": texts.get((0, 1, "refusal"), "")}
    return [
        {
            "type": "message",
            "id": "i",
            "role": "assistant",
            "status": "completed",
            "content": [text, refusal],
        },
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": texts.get((1, 0, "summary"), "")}],
            "content": [{"type": "reasoning_text", "text": texts.get((1, 0, "reasoning"), "")}],
        },
        {
            "type": "function_call",
            "call_id": "c",
            "name": "f",
            "arguments": texts.get((2, "json"), ""),
        },
        {
            "type": "custom_tool_call",
            "call_id": "d",
            "name": "g",
            "input": texts.get((3, "input"), ""),
        },
    ]


def responses_ending(texts: dict[Channel, str]) -> list[JSON]:
    """Everything once more, twice more or three times more."""
    output = responses_output(texts)
    common: JSON = {"item_id": "i", "sequence_number": 9, "output_index": 0, "content_index": 0}
    text = output[0]["content"][0]
    return [
        {**common, "type": "response.output_text.done", "text": text["text"], "logprobs": []},
        {**common, "type": "response.content_part.done", "part": text},
        *(
            {
                "type": "response.output_item.done",
                "sequence_number": 9,
                "output_index": index,
                "item": item,
            }
            for index, item in enumerate(output)
        ),
        {
            "type": "response.completed",
            "sequence_number": 10,
            "response": response(output, usage=RESPONSES_USAGE),
        },
    ]


def responses(name: str, build: Callable[[JSON], Any]) -> Dialect:
    """The Responses protocol with items made by `build`."""
    message = {
        "type": "message",
        "id": "i",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    opening = [
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": response([], "in_progress"),
        },
        {
            "type": "response.output_item.added",
            "sequence_number": 0,
            "output_index": 0,
            "item": message,
        },
        {
            "type": "response.content_part.added",
            "sequence_number": 0,
            "item_id": "i",
            "output_index": 0,
            "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
    ]
    return Dialect(name, build, RESPONSES_CHANNELS, opening, responses_ending, "openai.responses")


# -- Anthropic ---------------------------------------------------------------------------------


def block_delta(index: int, delta: JSON) -> JSON:
    """A delta event of an Anthropic stream."""
    return {"type": "content_block_delta", "index": index, "delta": delta}


ANTHROPIC_CHANNELS: dict[Channel, Callable[[str], JSON]] = {
    (1, "text"): lambda text: block_delta(1, {"type": "text_delta", "text": text}),
    (0, "thinking"): lambda text: block_delta(0, {"type": "thinking_delta", "thinking": text}),
    (2, "json"): lambda text: block_delta(2, {"type": "input_json_delta", "partial_json": text}),
}
ANTHROPIC_START_USAGE = {
    "input_tokens": 4,
    "cache_read_input_tokens": 1500,
    "cache_creation_input_tokens": 20,
    "output_tokens": 1,
}


def anthropic_message(content: list[JSON], stop: str | None = None) -> JSON:
    """A Message object."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": ANTHROPIC_START_USAGE,
    }


def anthropic_ending(_texts: dict[Channel, str]) -> list[JSON]:
    """The end of a block, the stop reason with the final usage, the end."""
    return [
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 7},
        },
        {"type": "message_stop"},
    ]


def anthropic(name: str, build: Callable[[JSON], Any]) -> Dialect:
    """The Anthropic protocol with items made by `build`."""
    opening = [
        {"type": "message_start", "message": anthropic_message([])},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    ]
    return Dialect(name, build, ANTHROPIC_CHANNELS, opening, anthropic_ending, "anthropic")


# -- Google ------------------------------------------------------------------------------------


def google_chunk(part: JSON | None, index: int = 0, finish: str | None = None) -> JSON:
    """A chunk of `generate_content_stream`."""
    candidate: JSON = {"index": index}
    if part is not None:
        candidate["content"] = {"role": "model", "parts": [part]}
    if finish is not None:
        candidate["finish_reason"] = finish
    return {"candidates": [candidate], "model_version": "gemini-test"}


GOOGLE_CHANNELS: dict[Channel, Callable[[str], JSON]] = {
    (0, "text"): lambda text: google_chunk({"text": text}),
    (0, "thought"): lambda text: google_chunk({"text": text, "thought": True}),
    (1, "text"): lambda text: google_chunk({"text": text}, index=1),
}
GOOGLE_USAGE = {
    "prompt_token_count": 12,
    "candidates_token_count": 3,
    "thoughts_token_count": 2,
    "cached_content_token_count": 4,
    "total_token_count": 17,
}


def google_ending(_texts: dict[Channel, str]) -> list[JSON]:
    """The chunks that finish both candidates, the last with usage."""
    last = google_chunk(None, 0, "STOP")
    last["usage_metadata"] = GOOGLE_USAGE
    return [google_chunk(None, 1, "MAX_TOKENS"), last]


def google(name: str, build: Callable[[JSON], Any]) -> Dialect:
    """Google's protocol with items made by `build`."""
    opening = [{"candidates": None, "model_version": "gemini-test"}]
    return Dialect(name, build, GOOGLE_CHANNELS, opening, google_ending, "google")


# -- LangChain ---------------------------------------------------------------------------------


def langchain_chunk(**fields: Any) -> JSON:
    """An AIMessageChunk as a dict."""
    return {"content": "", "id": "run-1", "type": "AIMessageChunk", **fields}


def langchain_call(number: int, arguments: str) -> JSON:
    """A chunk with a piece of a tool call's arguments."""
    return langchain_chunk(
        tool_call_chunks=[
            {
                "name": None,
                "args": arguments,
                "id": None,
                "index": number,
                "type": "tool_call_chunk",
            }
        ]
    )


LANGCHAIN_CHANNELS: dict[Channel, Callable[[str], JSON]] = {
    ("content",): lambda text: langchain_chunk(content=text),
    (0, "text"): lambda text: langchain_chunk(content=[{"type": "text", "text": text, "index": 0}]),
    (1, "thinking"): lambda text: langchain_chunk(
        content=[{"type": "thinking", "thinking": text, "index": 1}]
    ),
    ("tool", 0, "json"): lambda text: langchain_call(0, text),
    ("more", "reasoning_content"): lambda text: langchain_chunk(
        additional_kwargs={"reasoning_content": text}
    ),
}


def langchain_ending(_texts: dict[Channel, str]) -> list[JSON]:
    """The chunk with the finish reason and the chunk with usage."""
    usage = {
        "input_tokens": 12,
        "output_tokens": 5,
        "total_tokens": 17,
        "input_token_details": {"cache_read": 4},
        "output_token_details": {"reasoning": 2},
    }
    reason = {"finish_reason": "stop", "model_name": "gpt-test"}
    return [langchain_chunk(response_metadata=reason), langchain_chunk(usage_metadata=usage)]


def _dialects() -> list[Dialect]:
    found = [
        chat("chat-dict", dict),
        responses("responses-dict", dict),
        anthropic("anthropic-dict", dict),
        google("google-dict", dict),
    ]
    if installed("openai"):
        from openai.types.chat import ChatCompletionChunk
        from openai.types.responses import ResponseStreamEvent
        from pydantic import TypeAdapter

        event: Any = TypeAdapter(ResponseStreamEvent)
        found.append(chat("chat-openai", ChatCompletionChunk.model_validate))
        found.append(responses("responses-openai", event.validate_python))
    if installed("anthropic"):
        from anthropic.types import RawMessageStreamEvent
        from pydantic import TypeAdapter

        raw: Any = TypeAdapter(RawMessageStreamEvent)
        found.append(anthropic("anthropic-sdk", raw.validate_python))
    if installed("google") and installed("google.genai"):
        from google.genai.types import GenerateContentResponse

        found.append(google("google-sdk", GenerateContentResponse.model_validate))
    if installed("litellm"):
        stream: Any = litellm_types().ModelResponseStream
        found.append(chat("chat-litellm", lambda wire: stream(**wire)))
    if installed("langchain_core"):
        from langchain_core.messages import AIMessageChunk

        opening = [langchain_chunk()]
        found.append(
            Dialect(
                "langchain",
                lambda wire: AIMessageChunk(**wire),
                LANGCHAIN_CHANNELS,
                opening,
                langchain_ending,
                "langchain",
            )
        )
    return found


DIALECTS = _dialects()


def dumped(item: Any) -> Any:
    """The item as plain data, dumped without a warning."""
    if isinstance(item, dict):
        return item
    item.model_dump_json()
    return item.model_dump()
