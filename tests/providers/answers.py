"""Whole answers as providers send them, with any texts in them, in every form installed here."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, cast

from tests.providers.wire import (
    ANTHROPIC_START_USAGE,
    CHAT_USAGE,
    GOOGLE_USAGE,
    JSON,
    RESPONSES_USAGE,
    anthropic_message,
    installed,
    litellm_types,
    response,
    responses_output,
)

Texts = dict[Hashable, str]


class Form:
    """One provider's whole answer.

    Args:
        name: shown in the test's id.
        build: makes the answer of its JSON.
        wire: writes the JSON with the text of each channel.
        channels: every channel there is.
        visible: the channels that are the answer a user sees.
        usage: input, output, cached, cache write, reasoning and cache write for an hour expected.
        finish: the finish reason expected.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[JSON], Any],
        wire: Callable[[Texts], JSON],
        channels: list[Hashable],
        visible: list[Hashable],
        usage: tuple[int, ...],
        finish: str | None,
    ) -> None:
        self.name = name
        self.build = build
        self.wire = wire
        self.channels = channels
        self.visible = visible
        self.usage = usage
        self.finish = finish

    def __repr__(self) -> str:
        return self.name


def chat_wire(texts: Texts) -> JSON:
    """A chat completion with two choices, a refusal, reasoning and tool calls."""
    first = {
        "role": "assistant",
        "content": texts[0, "content"],
        "refusal": texts[0, "refusal"],
        "reasoning_content": texts[0, "reasoning_content"],
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "f", "arguments": texts[0, "tool", 0, "json"]},
            },
            {
                "id": "call_2",
                "type": "function",
                "function": {"name": "g", "arguments": texts[0, "tool", 1, "json"]},
            },
        ],
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-test",
        "choices": [
            {"index": 0, "message": first, "finish_reason": "stop"},
            {
                "index": 1,
                "message": {"role": "assistant", "content": texts[1, "content"]},
                "finish_reason": "stop",
            },
        ],
        "usage": CHAT_USAGE,
    }


CHAT: list[Hashable] = [
    (0, "content"),
    (0, "refusal"),
    (0, "reasoning_content"),
    (0, "tool", 0, "json"),
    (0, "tool", 1, "json"),
    (1, "content"),
]


def chat(name: str, build: Callable[[JSON], Any]) -> Form:
    """A chat completion made by `build`."""
    return Form(name, build, chat_wire, CHAT, CHAT[:1], (12, 5, 4, 0, 2), "stop")


def legacy_wire(texts: Texts) -> JSON:
    """A text completion of the API before chat."""
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-test",
        "choices": [
            {"index": 0, "text": texts[0, "text"], "finish_reason": "stop", "logprobs": None}
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
    }


def responses_wire(texts: Texts) -> JSON:
    """A Response with a message, reasoning, and two kinds of call."""
    return response(responses_output(texts), usage=RESPONSES_USAGE)  # type: ignore[arg-type]


RESPONSES: list[Hashable] = [
    (0, 0, "text"),
    (0, 1, "refusal"),
    (1, 0, "summary"),
    (1, 0, "reasoning"),
    (2, "json"),
    (3, "input"),
]


def responses(name: str, build: Callable[[JSON], Any]) -> Form:
    """A Response made by `build`."""
    usage = (12, 5, 4, 3, 2)
    return Form(name, build, responses_wire, RESPONSES, RESPONSES[:1], usage, "completed")


def anthropic_wire(texts: Texts) -> JSON:
    """A message that thinks, answers and calls a tool with nested arguments."""
    arguments = {
        "city": texts[2, "input", "city"],
        "days": 3,
        "sure": True,
        "more": [{"note": texts[2, "input", "more", 0, "note"]}],
    }
    content = [
        {"type": "thinking", "thinking": texts[0, "thinking"], "signature": "s"},
        {"type": "text", "text": texts[1, "text"]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": arguments},
    ]
    return anthropic_message(content, "tool_use")


ANTHROPIC: list[Hashable] = [
    (1, "text"),
    (0, "thinking"),
    (2, "input", "city"),
    (2, "input", "more", 0, "note"),
]


def anthropic(name: str, build: Callable[[JSON], Any]) -> Form:
    """A message made by `build`; Anthropic's own figure leaves cached tokens out."""
    assert ANTHROPIC_START_USAGE["input_tokens"] == 4
    usage = (1524, 1, 1500, 20, 0)
    return Form(name, build, anthropic_wire, ANTHROPIC, ANTHROPIC[:1], usage, "tool_use")


def google_wire(texts: Texts) -> JSON:
    """An answer with a thought, two parts of text around a call, and code that was run."""
    parts = [
        {"text": texts[0, "thought"], "thought": True},
        {"text": texts[0, "text"]},
        {
            "function_call": {
                "name": "f",
                "args": {"q": texts["whole", (0, "call", 2, "q")], "n": 1.0},
            }
        },
        {
            "executable_code": {
                "code": texts["whole", (0, "executable_code", 3)],
                "language": "PYTHON",
            }
        },
        {
            "code_execution_result": {
                "output": texts["whole", (0, "code_execution_result", 4)],
                "outcome": "OUTCOME_OK",
            }
        },
    ]
    return {
        "candidates": [
            {"index": 0, "content": {"role": "model", "parts": parts}, "finish_reason": "STOP"}
        ],
        "model_version": "gemini-test",
        "usage_metadata": GOOGLE_USAGE,
    }


GOOGLE: list[Hashable] = [
    (0, "text"),
    (0, "thought"),
    ("whole", (0, "call", 2, "q")),
    ("whole", (0, "executable_code", 3)),
    ("whole", (0, "code_execution_result", 4)),
]


def google(name: str, build: Callable[[JSON], Any]) -> Form:
    """A Google answer made by `build`; thoughts are counted beside the candidates."""
    return Form(name, build, google_wire, GOOGLE, GOOGLE[:1], (12, 5, 4, 0, 2), "STOP")


def google_json_wire(texts: Texts) -> JSON:
    """The same kind of answer as the REST API spells it."""
    return {
        "candidates": [
            {"content": {"parts": [{"text": texts[0, "text"]}]}, "finishReason": "STOP"}
        ],
        "modelVersion": "gemini-test",
        "usageMetadata": {
            "promptTokenCount": 12,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 4,
        },
    }


def langchain_wire(texts: Texts) -> JSON:
    """An AIMessage with plain content, a call, and the call's raw form beside it."""
    raw = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": texts["more", "tool", 0, "json"]},
    }
    return {
        "type": "ai",
        "content": texts[("content",)],
        "id": "run-1",
        "additional_kwargs": {"tool_calls": [raw]},
        "response_metadata": {"model_name": "gpt-test", "finish_reason": "stop"},
        "tool_calls": [
            {
                "name": "f",
                "args": {"q": [texts["tool", 0, "args", "q", 0], 7]},
                "id": "c",
                "type": "tool_call",
            }
        ],
        "usage_metadata": {
            "input_tokens": 12,
            "output_tokens": 5,
            "total_tokens": 17,
            "input_token_details": {
                "cache_read": 4,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 2,
                "ephemeral_1h_input_tokens": 1,
            },
            "output_token_details": {"reasoning": 2},
        },
    }


LANGCHAIN: list[Hashable] = [
    ("content",),
    ("tool", 0, "args", "q", 0),
    ("more", "tool", 0, "json"),
]


def langchain_blocks_wire(texts: Texts) -> JSON:
    """An AIMessage whose content is a list of blocks."""
    return {
        **langchain_wire(dict.fromkeys(LANGCHAIN, "")),
        "tool_calls": [],
        "additional_kwargs": {},
        "content": [
            {"type": "thinking", "thinking": texts[0, "thinking"], "signature": "s"},
            {"type": "text", "text": texts[1, "text"]},
            {
                "type": "tool_use",
                "id": "c",
                "name": "f",
                "input": {"q": texts[2, "input", "q"]},
            },
            texts[3, "text"],
        ],
    }


BLOCKS: list[Hashable] = [(0, "thinking"), (1, "text"), (2, "input", "q"), (3, "text")]


def langchain(name: str, build: Callable[[JSON], Any]) -> list[Form]:
    """Both kinds of AIMessage, made by `build`."""
    usage = (12, 5, 4, 3, 2, 1)
    return [
        Form(name, build, langchain_wire, LANGCHAIN, LANGCHAIN[:1], usage, "stop"),
        Form(
            f"{name}-blocks",
            build,
            langchain_blocks_wire,
            BLOCKS,
            [(1, "text"), (3, "text")],
            usage,
            "stop",
        ),
    ]


def langchain_results() -> list[Form]:
    """What LangChain's models return whole: the same message, one level down, or plain text."""
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult, Generation, LLMResult

    def generation(wire: JSON) -> Any:
        return ChatGeneration(message=AIMessage(**wire))

    def classic(texts: Texts) -> JSON:
        return {"text": texts[0, "text"]}

    def completed(wire: JSON) -> Any:
        figures = {"prompt_tokens": 12, "completion_tokens": 5}
        return LLMResult(
            generations=[[Generation(**wire, generation_info={"finish_reason": "stop"})]],
            llm_output={"token_usage": figures, "model_name": "gpt-test"},
        )

    keys: list[Hashable] = [(0, *cast("tuple[Any, ...]", key)) for key in LANGCHAIN]

    def inner(texts: Texts) -> JSON:
        return langchain_wire({key[1:]: text for key, text in cast("Any", texts).items()})

    def form(name: str, build: Callable[[JSON], Any]) -> Form:
        return Form(name, build, inner, keys, keys[:1], (12, 5, 4, 3, 2, 1), "stop")

    return [
        form("langchain-result", lambda wire: ChatResult(generations=[generation(wire)])),
        form("langchain-llm-result", lambda wire: LLMResult(generations=[[generation(wire)]])),
        Form(
            "langchain-classic",
            completed,
            classic,
            [(0, "text")],
            [(0, "text")],
            (12, 5, 0, 0, 0),
            "stop",
        ),
    ]


def _forms() -> list[Form]:
    legacy: list[Hashable] = [(0, "text")]
    found = [
        chat("chat-dict", dict),
        Form("legacy-dict", dict, legacy_wire, legacy, legacy, (12, 5, 0, 0, 0), "stop"),
        responses("responses-dict", dict),
        anthropic("anthropic-dict", dict),
        google("google-dict", dict),
        Form("google-json", dict, google_json_wire, legacy, legacy, (12, 5, 4, 0, 2), "STOP"),
        *langchain("langchain-dict", dict),
    ]
    if installed("openai"):
        from openai.types import Completion
        from openai.types.chat import ChatCompletion, ParsedChatCompletion
        from openai.types.responses import Response

        usage = (12, 5, 0, 0, 0)
        build = Completion.model_validate
        found += [
            chat("chat-openai", ChatCompletion.model_validate),
            chat("chat-parsed", ParsedChatCompletion[Any].model_validate),
            Form("legacy-openai", build, legacy_wire, legacy, legacy, usage, "stop"),
            responses("responses-openai", Response.model_validate),
        ]
    if installed("anthropic"):
        from anthropic.types import Message

        found.append(anthropic("anthropic-sdk", Message.model_validate))
    if installed("google") and installed("google.genai"):
        from google.genai.types import GenerateContentResponse

        found.append(google("google-sdk", GenerateContentResponse.model_validate))
    if installed("litellm"):
        answer = litellm_types().ModelResponse
        found.append(chat("chat-litellm", lambda wire: answer(**wire)))
    if installed("langchain_core"):
        from langchain_core.messages import AIMessage

        found += langchain("langchain", lambda wire: AIMessage(**wire))
        found += langchain_results()
    return found


FORMS = _forms()
