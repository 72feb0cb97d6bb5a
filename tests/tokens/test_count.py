from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import anthropic.types
import pytest
import tiktoken.model
from google.genai import types as google
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.tools import tool
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel

import agentguard as ag
from agentguard.tokens.count import TokenCount, bound_tokens, count_tokens
from agentguard.tokens.families import family
from tests.tokens.samples import (
    COOKBOOK_CHAT,
    COOKBOOK_TOOL_CHAT,
    COOKBOOK_TOOLS,
    KOREAN,
    TEXTS,
)

MODELS = (
    "gpt-4o",
    "gpt-4",
    "gpt-5.4-mini",
    "gpt-oss-120b",
    "gpt-6-astra",
    "claude-sonnet-4-5",
    "claude-opus-4-7",
    "gemini-2.5-pro",
    "gemini-3.8-flash",
    "llama-3.3-70b-instruct",
    "solar-pro",
)

ESTIMATED = MODELS[4:]


def test_it_is_part_of_the_package() -> None:
    """The function is at the top of the package."""
    assert ag.count_tokens is count_tokens


def test_a_count_is_an_int_that_says_whether_it_is_exact() -> None:
    """It adds, compares, copies and pickles as the number it is, and keeps its word."""
    count = count_tokens("tiktoken is great!", "gpt-4o")
    assert (count, count + 1, f"{count}", count.exact) == (6, 7, "6", True)
    estimate = TokenCount(6)
    assert estimate == count
    assert not estimate.exact
    for same in (pickle.loads(pickle.dumps(count)), copy.deepcopy(count)):
        assert (same, same.exact) == (6, True)


# The cookbook's own figures, which it shows to be the API's.
@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4", 129), ("gpt-4o", 124), ("gpt-4o-mini", 124)],
)  # fmt: skip
def test_a_chat_counts_what_the_cookbook_says(model: str, expected: int) -> None:
    """The example conversation has the published number of tokens, alone and in a request."""
    chat = count_tokens(COOKBOOK_CHAT, model)
    assert (chat, chat.exact) == (expected, True)
    assert count_tokens({"model": model, "messages": COOKBOOK_CHAT, "n": 3}, model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-3.5-turbo", 105), ("gpt-4", 105), ("gpt-4o", 101), ("gpt-4o-mini", 101)],
)
def test_tools_count_what_the_cookbook_says(model: str, expected: int) -> None:
    """The example request with a function has the published number of tokens."""
    request = {"messages": COOKBOOK_TOOL_CHAT, "tools": COOKBOOK_TOOLS}
    count = count_tokens(request, model)
    assert (count, count.exact) == (expected, False)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", TEXTS)
def test_estimates_are_not_below_openai_s_count(model: str, kind: str) -> None:
    """No model's estimate is below what o200k_base gives, and no bound below the count."""
    text = TEXTS[kind]
    count = count_tokens(text, model)
    assert count <= bound_tokens(text, model)
    assert count.exact == (model not in ESTIMATED)
    if model in ESTIMATED:
        assert count >= count_tokens(text, "gpt-4o")


# Tokens for each Hangul syllable. Claude's public tokenizer, of Claude 2, makes 1.15 of running
# Korean; counts of Claude Haiku 4.5's API are at 0.62 (claudeguide.io/claude-token-counting-accurate).
@pytest.mark.parametrize(
    ("model", "least"), [("claude-sonnet-4-5", 1.15), ("claude-opus-4-7", 1.5), ("solar-pro", 2.0)]
)
def test_korean_is_not_under_counted(model: str, least: float) -> None:
    """Korean running text is estimated above every rate that was measured for it."""
    assert count_tokens(KOREAN, model) >= least * sum("가" <= c <= "힣" for c in KOREAN)


# Programs and the tokens that the APIs counted for them, as ratios to o200k_base:
# https://huggingface.co/datasets/JOHNISKING/token-cost-by-programming-language
@pytest.mark.parametrize(
    ("model", "worst"),
    [("claude-haiku-4-5", 771 / 597), ("claude-opus-5-5", 993 / 597), ("gemini-3.8-flash", 771 / 620)],
)  # fmt: skip
def test_code_is_not_under_counted(model: str, worst: float) -> None:
    """Programs are estimated above the largest ratio that was measured for them."""
    code = TEXTS["code"].replace("제곱", "squared")
    assert count_tokens(code, model) >= worst * count_tokens(code, "gpt-4o")


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=300),
        st.lists(st.sampled_from([*TEXTS.values()]), max_size=4).map("".join),
        st.text(st.sampled_from("가나다뷁ㅋ 🎉🇰🇷👍🏽aZ09_=<|>\n\t{}"), max_size=300),
    ),
    model=st.sampled_from(MODELS),
)
def test_the_bound_holds(text: str, model: str) -> None:
    """For any text the bound is no less than the count, alone, in a chat and in a request."""
    assert bound_tokens(text, model) >= count_tokens(text, model)
    chat = [{"role": "user", "content": text}]
    request = {"messages": chat, "tools": [{"name": "f", "description": text}]}
    for thing in (chat, request):
        assert bound_tokens(thing, model) >= count_tokens(thing, model)


def test_the_bound_needs_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounding a request loads and calls no vocabulary."""
    monkeypatch.setattr("agentguard.tokens.encodings.encoding", None)
    request = {"messages": COOKBOOK_CHAT, "tools": COOKBOOK_TOOLS}
    assert bound_tokens(request, "gpt-4o") > 600


def test_every_model_that_tiktoken_knows_has_its_encoding() -> None:
    """The encoding is the one that tiktoken gives a model; the vocabularies it lacks are estimated."""
    for model, name in tiktoken.model.MODEL_TO_ENCODING.items():
        known = family(model)
        if name in {"cl100k_base", "o200k_base"}:
            assert (known.encoding, known.factor) == (name, 1), model
        else:
            assert known.factor > 1, model
    for prefix, name in tiktoken.model.MODEL_PREFIX_TO_ENCODING.items():
        if "davinci" not in prefix and "babbage" not in prefix:
            assert family(f"{prefix}x").encoding == name, prefix


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai/gpt-4o", "GPT-4o"),
        ("azure/gpt-4o-2024-08-06", "GPT-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme::9aB", "GPT-4o mini"),
        ("openrouter/anthropic/claude-3.5-sonnet", "Claude to 4.6"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Claude to 4.6"),
        ("claude-sonnet-4-20250514", "Claude to 4.6"),
        ("claude-opus-4-7", "Claude from Opus 4.7"),
        ("claude-opus-5@20260724", "Claude from Opus 4.7"),
        ("anthropic/claude-fable", "Claude from Opus 4.7"),
        ("claude-2.1", "Claude to 4.6"),
        ("models/gemini-2.5-flash", "Gemini"),
        ("gpt-4.2", "GPT-6"),
        ("gpt-5.1", "GPT-5"),
        ("gpt-5-4-mini-2026-03-17", "GPT-5 mini"),
        ("text-embedding-3-small", "embeddings"),
        ("meta.llama3-3-70b-instruct-v1:0", "open models"),
        ("hyperclova-x", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_model_is_found_however_it_is_spelled(model: str, name: str) -> None:
    """Gateways, regions, dates and fine-tunes do not hide which rule is the model's."""
    assert family(model).name == name


# The same conversation in every dialect: "You are terse." and "Hi there", answered.
DIALECTS: dict[str, Any] = {
    "openai chat": {
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": [{"type": "text", "text": "Hi there"}]},
            ChatCompletionMessage(role="assistant", content="Hello"),
        ]
    },
    "openai responses": {
        "instructions": "You are terse.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi there"}]},
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
            },
        ],
    },
    "anthropic": {
        "system": [{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}],
        "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "Hi there"},
            {"role": "assistant", "content": [anthropic.types.TextBlock(type="text", text="Hello")]},
        ],
    },
    "google": {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi there"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
        ],
        "config": {"system_instruction": "You are terse.", "temperature": 0},
    },
    "google objects": {
        "contents": [
            google.Content(role="user", parts=[google.Part(text="Hi there")]),
            google.Content(role="model", parts=[google.Part(text="Hello")]),
        ],
        "config": google.GenerateContentConfig(
            system_instruction=google.Content(parts=[google.Part(text="You are terse.")])
        ),
    },
    "langchain": [
        SystemMessage("You are terse."),
        HumanMessage("Hi there"),
        AIMessage("Hello", response_metadata={"model_name": "x"}, id="run-1"),
    ],
    "langchain, short": [("system", "You are terse."), ("human", "Hi there"), ("ai", "Hello")],
    "langchain, prompt": ChatPromptValue(
        messages=[SystemMessage("You are terse."), HumanMessage("Hi there"), AIMessage("Hello")]
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_counts_alike(dialect: str) -> None:
    """A conversation has the same number of tokens in every SDK's words, and the count is exact."""
    count = count_tokens(DIALECTS[dialect], "gpt-4o")
    assert (count, count.exact) == (3 * 3 + 3 + 4 + 2 + 1 + 3, True)


def test_plain_text_in_requests() -> None:
    """A prompt, a Responses input, an embedding's texts and a prompt value are the text they are."""
    assert count_tokens({"input": "Hi there"}, "gpt-4o") == 3 + 1 + 2 + 3
    assert count_tokens({"contents": "Hi there"}, "gpt-4o") == 3 + 1 + 2 + 3
    assert count_tokens({"contents": ["Hi", " there"]}, "gpt-4o") == 2 * (3 + 1 + 1) + 3
    assert count_tokens({"prompt": "Hi there"}, "davinci-002") == 2
    assert count_tokens({"input": "Hi there"}, "text-embedding-3-small") == 2
    assert count_tokens({"input": ["Hi there"] * 3}, "text-embedding-3-small") == 6
    assert count_tokens({"input": [[1, 2, 3], [4]]}, "text-embedding-3-small") == 4
    assert count_tokens(["Hi there", "Hi"], "gpt-4o") == 3
    assert count_tokens(StringPromptValue(text="Hi there"), "gpt-4o") == 2
    assert count_tokens(HumanMessage("Hi there"), "gpt-4o") == 3 + 1 + 2 + 3


@tool
def look_up(city: str) -> str:
    """Look the weather up."""
    return city


class Weather(BaseModel):
    degrees: float
    sky: str


def plain_tool(city: str) -> str:
    """Look the weather up."""
    return city


CHAT = [{"role": "user", "content": "Hi"}]
EXTRAS: dict[str, tuple[dict[str, Any], int]] = {
    # what a request carries, and the least that it adds
    "openai tool": ({"tools": COOKBOOK_TOOLS}, 60),
    "openai responses tool": (
        {"tools": [{"type": "function", **COOKBOOK_TOOLS[0]["function"]}]},  # type: ignore[dict-item]
        60,
    ),
    "anthropic tool": (
        {"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]},
        15,
    ),
    "google tool": ({"config": {"tools": [{"function_declarations": [{"name": "f"}]}]}}, 15),
    "langchain tool": ({"tools": [look_up]}, 20),
    "python function": ({"config": {"tools": [plain_tool]}}, 15),
    "hosted tool": ({"tools": [{"type": "web_search"}]}, 10),
    "schema": ({"response_format": {"type": "json_schema", "json_schema": {"a": 1}}}, 5),
    "schema class": ({"response_format": Weather}, 20),
    "google schema": ({"config": {"response_schema": Weather}}, 20),
    "responses format": ({"text": {"format": {"type": "json_schema", "schema": {"a": 1}}}}, 5),
}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro"])
def test_what_a_request_carries_is_counted(extra: str, model: str) -> None:
    """Tools and schemas weigh, and make the count an estimate."""
    carried, least = EXTRAS[extra]
    request = {"messages": CHAT, **carried}
    count = count_tokens(request, model)
    assert count >= count_tokens(CHAT, model) + least
    assert not count.exact
    assert bound_tokens(request, model) >= count


def test_what_is_not_sent_to_the_model_weighs_nothing() -> None:
    """Settings, empty formats and metadata of messages add nothing."""
    request = {
        "messages": [{**CHAT[0], "cache_control": {"type": "ephemeral"}, "id": "msg_1"}],
        "temperature": 0.3,
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_object"},
        "tools": None,
        "tool_choice": "auto",
        "extra_headers": {"x": "y" * 1000},
    }
    assert count_tokens(request, "gpt-4o") == count_tokens(CHAT, "gpt-4o")


TURNS: dict[str, tuple[list[Any], int]] = {
    # messages of an agent, and the least that they weigh
    "openai": (
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": KOREAN},
        ],
        60,
    ),
    "responses": (
        [
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"city": "서울"}'},
            {"type": "function_call_output", "call_id": "c", "output": KOREAN},
        ],
        60,
    ),
    "anthropic": (
        [
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": KOREAN, "signature": "x" * 5000},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"city": "서울"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [
                    {"type": "text", "text": KOREAN}]}]},
        ],
        120,
    ),
    "google": (
        [
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"city": "서울"}}}]},
            {"role": "user", "parts": [
                {"function_response": {"name": "f", "response": {"result": KOREAN}}}]},
        ],
        60,
    ),
    "langchain": (
        [
            AIMessage("", tool_calls=[{"id": "c", "name": "f", "args": {"city": "서울"}}]),
            ToolMessage(KOREAN, tool_call_id="c"),
        ],
        60,
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", TURNS)
def test_the_turns_of_an_agent_are_counted(dialect: str) -> None:
    """Calls and results of tools and thoughts weigh their text, not their signatures."""
    messages, least = TURNS[dialect]
    count = count_tokens(messages, "gpt-4o")
    assert least <= count <= 2 * least + 60
    assert not count.exact
    assert bound_tokens(messages, "gpt-4o") >= count


def test_files_weigh_by_their_bytes() -> None:
    """What no published rule covers is an estimate that grows with the data."""
    data = "A" * 40_000
    files = {
        "pdf": {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}},
        "file": {"type": "file", "file": {"filename": "a.pdf", "file_data": data}},
        "sound": {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},
        "google sound": {"inline_data": {"mime_type": "audio/mp3", "data": b"A" * 30_000}},
    }  # fmt: skip
    counts = {
        kind: count_tokens([{"role": "user", "content": [block]}], "gpt-4o")
        for kind, block in files.items()
    }
    assert {kind: count - 7 for kind, count in counts.items()} == {
        "pdf": 7500,
        "file": 7500,
        "sound": 240,
        "google sound": 240,
    }
    assert not any(count.exact for count in counts.values())
    text = {"type": "document", "source": {"type": "text", "data": "Hi there"}}
    assert count_tokens([{"role": "user", "content": [text]}], "gpt-4o") == 9


def test_what_the_server_remembers_makes_an_estimate() -> None:
    """A request that continues a stored conversation does not show all that is counted."""
    request = {"input": "Hi", "previous_response_id": "resp_1"}
    assert not count_tokens(request, "gpt-4o").exact


@pytest.mark.parametrize("thing", [3, None, b"bytes", object(), {}, SimpleNamespace(a=1)])
def test_what_cannot_be_counted_is_refused(thing: object) -> None:
    """The error says what to pass, and nothing of what was passed."""
    for function in (count_tokens, bound_tokens):
        with pytest.raises(TypeError, match="pass a text, a list of messages, or the request"):
            function(thing, "gpt-4o")


def test_a_strange_object_in_a_message_is_survived() -> None:
    """An object that leads to itself is counted by its name."""
    strange = SimpleNamespace()
    strange.itself = strange
    message = {"role": "user", "content": [{"type": "custom", "thing": {"deep": strange}}]}
    assert count_tokens([message], "gpt-4o") < 30


def test_nested_schemas_are_counted_to_the_bottom() -> None:
    """What a tool's parameters hold within objects, lists and alternatives weighs, too."""

    def weight(spec: dict[str, Any]) -> int:
        parameters = {"type": "object", "properties": {"x": spec}, "$defs": {"y": {"type": "null"}}}
        function = {"type": "function", "name": "f", "parameters": parameters}
        return count_tokens({"messages": CHAT, "tools": [function]}, "gpt-4o")

    plain = weight({"type": "object"})
    inner = {"type": "object", "properties": {"deep": {"type": "string", "description": KOREAN}}}
    assert weight(inner) > plain + 50
    assert weight({"type": "array", "items": inner}) > plain + 50
    assert weight({"anyOf": [inner, {"type": "null"}]}) > plain + 50


def test_a_block_alone_and_a_document_of_blocks() -> None:
    """Content may be one block, and a document's source may be blocks."""
    block = {"type": "text", "text": "Hi there"}
    assert count_tokens([{"role": "user", "content": block}], "gpt-4o") == 9
    assert count_tokens(block, "gpt-4o") == 2
    document = {"type": "document", "source": {"type": "content", "content": [block]}}
    assert count_tokens([{"role": "user", "content": [document]}], "gpt-4o") == 9


def test_settings_that_were_not_given_weigh_nothing() -> None:
    """The SDKs' own sign for an argument left out is not counted."""
    from openai import NOT_GIVEN, omit

    request = {"messages": CHAT, "tools": NOT_GIVEN, "response_format": omit, "system": None}
    count = count_tokens(request, "gpt-4o")
    assert (count, count.exact) == (count_tokens(CHAT, "gpt-4o"), True)
