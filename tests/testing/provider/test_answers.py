"""Good answers, in every protocol, read by the real SDKs into their own types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentguard.testing import FakeProvider, fault
from agentguard.testing.provider.answer import words
from tests.testing.provider import calls

TEXT = "Hello from the fake provider."
USAGE = {"input": 100, "output": 20, "cached": 60, "cache_write": 10, "reasoning": 5}
WEATHER = {"city": "Reykjavík", "days": 3}


def _valid(item: Any) -> Any:
    """Check an SDK object, which is built without validation, against its own declared type."""
    return type(item).model_validate(item.model_dump(by_alias=True, warnings="error"))


@pytest.mark.parametrize(
    "call",
    [
        calls.openai_chat,
        calls.anthropic_create,
        calls.google_generate,
        calls.openai_chat_stream,
        calls.openai_responses_stream,
        calls.anthropic_create_stream,
        calls.google_stream,
    ],
)
@pytest.mark.parametrize(
    "step",
    [
        fault.ok(),
        fault.ok("one two", thinking="let me see", usage=USAGE),
        fault.ok(tools=[("weather", WEATHER), ("time", {})]),
        fault.ok("both", tools=[("weather", WEATHER)], finish="tool_calls"),
        fault.ok("half", finish="length"),
        fault.ok("hidden", finish="content_filter"),
    ],
    ids=repr,
)
def test_every_item_is_valid_by_the_sdks_own_types(
    provider: FakeProvider, call: calls.Call, step: Any
) -> None:
    """Responses and stream items hold what the SDK's types declare, nothing missing or odd."""
    provider.script(step)
    answer = call(provider, calls.PATIENT)
    for item in answer if isinstance(answer, list) else [answer]:
        _valid(item)


def test_openai_chat_unary(provider: FakeProvider) -> None:
    """A chat completion carries text, finish reason, model and all of the usage."""
    provider.script(fault.ok("good morning", usage=USAGE, model="served-model"))
    answer = calls.openai_chat(provider, calls.PATIENT)
    assert answer.choices[0].message.content == "good morning"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "served-model"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (100, 20)
    assert answer.usage.prompt_tokens_details.cached_tokens == 60
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5


def test_openai_chat_stream_with_usage(provider: FakeProvider) -> None:
    """A chat stream is role, content, finish and, only when asked for, a chunk of usage."""
    with calls.openai_client(provider) as client:
        chunks = list(
            client.chat.completions.create(
                model="m",
                messages=calls.PROMPT,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].delta.content for c in chunks[1:-2]] == words(TEXT)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 5)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_openai_chat_stream_without_usage(provider: FakeProvider) -> None:
    """A chat stream has no usage when it was not asked for."""
    chunks = calls.openai_chat_stream(provider, calls.PATIENT)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_openai_chat_helper_assembles_a_tool_call(provider: FakeProvider) -> None:
    """The SDK's stream helper rebuilds a tool call whose arguments came in pieces."""
    provider.script(fault.ok(tools=[("weather", WEATHER)]))
    with (
        calls.openai_client(provider) as client,
        client.chat.completions.stream(model="m", messages=calls.PROMPT) as stream,
    ):
        events = list(stream)
        final = stream.get_final_completion()
    pieces = [e for e in events if e.type == "tool_calls.function.arguments.delta"]
    assert len(pieces) > 2
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == WEATHER
    assert final.choices[0].finish_reason == "tool_calls"


def test_openai_responses_unary(provider: FakeProvider) -> None:
    """A response carries its items and usage."""
    provider.script(fault.ok("hi there", tools=[("weather", WEATHER)], usage=USAGE))
    with calls.openai_client(provider) as client:
        response = _valid(client.responses.create(model="m", input="how are you"))
    assert response.output_text == "hi there"
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert json.loads(response.output[1].arguments) == WEATHER
    assert response.usage.input_tokens_details.cached_tokens == 60
    assert response.status == "completed"


def test_openai_responses_stream_is_complete(provider: FakeProvider) -> None:
    """A responses stream has every event of the documented order, numbered from 0."""
    events = calls.openai_responses_stream(provider, calls.PATIENT)
    kinds = [event.type for event in events]
    delta = "response.output_text.delta"
    assert [kind for i, kind in enumerate(kinds) if kind != delta or kinds[i - 1] != delta] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        delta,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == delta) == TEXT
    assert events[-1].response.output_text == TEXT
    assert events[-1].response.usage.total_tokens == 8


def test_openai_responses_helper_rebuilds_the_answer(provider: FakeProvider) -> None:
    """The SDK's stream helper accepts the events of text, reasoning and tool calls."""
    provider.script(fault.ok("done", thinking="first think", tools=[("weather", WEATHER)]))
    with (
        calls.openai_client(provider) as client,
        client.responses.stream(model="m", input="x") as stream,
    ):
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert final.output_text == "done"
    assert json.loads(final.output[2].arguments) == WEATHER


def test_an_unfinished_response_ends_incomplete(provider: FakeProvider) -> None:
    """`finish="length"` ends a responses stream with response.incomplete and the reason."""
    provider.script(fault.ok("half", finish="length"))
    last = calls.openai_responses_stream(provider, calls.PATIENT)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_openai_embeddings(provider: FakeProvider, encoding: str | None) -> None:
    """Embeddings are unit vectors, equal for equal texts, in either encoding."""
    extra = {} if encoding is None else {"encoding_format": encoding}
    with calls.openai_client(provider) as client:
        answer = client.embeddings.create(
            model="embed", input=["a b", "c", "a b"], dimensions=16, **extra
        )
    vectors = [item.embedding for item in answer.data]
    if encoding == "base64":
        assert all(isinstance(vector, str) for vector in vectors)
    else:
        assert sum(value * value for value in vectors[0]) == pytest.approx(1.0, abs=1e-5)
        assert len(vectors[0]) == 16
    assert vectors[0] == vectors[2] != vectors[1]
    assert answer.usage.prompt_tokens == 5


def test_openai_embeddings_of_tokens(provider: FakeProvider) -> None:
    """An input of token numbers, as LangChain sends it, is one text."""
    with calls.openai_client(provider) as client:
        answer = client.embeddings.create(model="embed", input=[[1, 2], [3]])
        single = client.embeddings.create(model="embed", input=[1, 2])
    assert len(answer.data) == 2
    assert single.data[0].embedding == answer.data[0].embedding


def test_anthropic_unary(provider: FakeProvider) -> None:
    """A message carries its blocks, and its input tokens leave out cached ones."""
    provider.script(fault.ok("hi", thinking="well", tools=[("weather", WEATHER)], usage=USAGE))
    message = calls.anthropic_create(provider, calls.PATIENT)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[2].input == WEATHER
    assert message.stop_reason == "tool_use"
    assert message.usage.input_tokens == 30
    assert message.usage.cache_read_input_tokens == 60
    assert message.usage.cache_creation_input_tokens == 10


def test_anthropic_stream_is_complete(provider: FakeProvider) -> None:
    """A message stream has every event in order, usage first partial and then cumulative."""
    events = calls.anthropic_create_stream(provider, calls.PATIENT)
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 5,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.usage.output_tokens == 1
    assert events[-2].usage.output_tokens == 5


def test_anthropic_stream_sends_a_ping(provider: FakeProvider) -> None:
    """The raw stream has a ping, which SDKs skip."""
    import httpx2

    body = {"model": "m", "max_tokens": 9, "messages": calls.PROMPT, "stream": True}
    url = f"{provider.anthropic_url}/v1/messages"
    response = httpx2.post(url, json=body, timeout=calls.PATIENT)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert 'event: ping\ndata: {"type": "ping"}\n\n' in response.text


def test_anthropic_helper_rebuilds_the_answer(provider: FakeProvider) -> None:
    """The SDK's stream helper accepts text, thinking and tool arguments in pieces."""
    provider.script(fault.ok("hi you", thinking="well", tools=[("weather", WEATHER)]))
    with (
        calls.anthropic_client(provider) as client,
        client.messages.stream(model="m", max_tokens=9, messages=calls.PROMPT) as stream,
    ):
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "hi you"
    assert final.content[0].thinking == "well"
    assert final.content[2].input == WEATHER
    assert final.stop_reason == "tool_use"


def test_anthropic_count_tokens(provider: FakeProvider) -> None:
    """count_tokens counts the words of the prompt, system prompt included."""
    with calls.anthropic_client(provider) as client:
        count = client.messages.count_tokens(
            model="m", system="be brief", messages=[{"role": "user", "content": "how are you"}]
        )
    assert count.input_tokens == 5
    assert provider.journal[0].protocol == "anthropic.count_tokens"


def test_google_unary(provider: FakeProvider) -> None:
    """A Google answer carries text, tool calls and usage with thoughts apart."""
    provider.script(fault.ok("hi", thinking="well", tools=[("weather", WEATHER)], usage=USAGE))
    response = calls.google_generate(provider, calls.PATIENT)
    parts = response.candidates[0].content.parts
    assert [(part.text, part.thought) for part in parts[:2]] == [("well", True), ("hi", None)]
    assert response.function_calls[0].args == WEATHER
    usage = response.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (100, 15)
    assert (usage.thoughts_token_count, usage.cached_content_token_count) == (5, 60)
    assert usage.total_token_count == 120
    assert response.model_version == "gemini-test"


def test_google_stream(provider: FakeProvider) -> None:
    """A Google stream carries partial usage, and the finish reason in its last chunk only."""
    chunks = calls.google_stream(provider, calls.PATIENT)
    assert [chunk.text for chunk in chunks[:-1]] == words(TEXT)
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks]
    assert [reason is None for reason in reasons] == [True] * 5 + [False]
    assert chunks[-1].usage_metadata.candidates_token_count == 5


async def test_async_openai(provider: FakeProvider) -> None:
    """The async client reads chat, its stream, and responses."""
    async with calls.async_openai_client(provider) as client:
        answer = await client.chat.completions.create(model="m", messages=calls.PROMPT)
        stream = await client.chat.completions.create(model="m", messages=calls.PROMPT, stream=True)
        text = "".join([c.choices[0].delta.content or "" async for c in stream])
        response = await client.responses.create(model="m", input="x")
    assert answer.choices[0].message.content == text == response.output_text == TEXT


async def test_async_anthropic(provider: FakeProvider) -> None:
    """The async client reads messages, the raw stream and the stream helper."""
    async with calls.async_anthropic_client(provider) as client:
        arguments = {"model": "m", "max_tokens": 9, "messages": calls.PROMPT}
        message = await client.messages.create(**arguments)
        raw = await client.messages.create(**arguments, stream=True)
        kinds = [event.type async for event in raw]
        async with client.messages.stream(**arguments) as stream:
            text = "".join([piece async for piece in stream.text_stream])
    assert message.content[0].text == text == TEXT
    assert kinds[-1] == "message_stop"


# google-genai takes aiohttp where it is installed, and subclasses its session.
@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_async_google(provider: FakeProvider) -> None:
    """The async Google client reads unary answers and streams."""
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=provider.google_url)
    client = genai.Client(api_key="test-key", http_options=options)
    try:
        answer = await client.aio.models.generate_content(model="m", contents="x")
        stream = await client.aio.models.generate_content_stream(model="m", contents="x")
        text = "".join([chunk.text or "" async for chunk in stream])
    finally:
        await client.aio.aclose()
        client.close()
    assert answer.text == text == TEXT


@pytest.mark.parametrize("call", [calls.langchain_openai_stream, calls.langchain_anthropic_stream])
def test_langchain_streams(provider: FakeProvider, call: calls.Call) -> None:
    """LangChain's chat models read the streams."""
    texts = (chunk.text for chunk in call(provider, calls.PATIENT))
    # a method before langchain-core 1.0
    assert "".join(text if isinstance(text, str) else text() for text in texts) == TEXT


@pytest.mark.parametrize(
    "path", ["/v1beta/models/m%3AgenerateContent", "/v1/models/m:generateContent"]
)
def test_google_paths_may_be_quoted(provider: FakeProvider, path: str) -> None:
    """Both API versions are served, with the colon quoted or not."""
    import httpx2

    body = {"contents": [{"parts": [{"text": "x"}]}]}
    answer = httpx2.post(f"{provider.google_url}{path}", json=body, timeout=calls.PATIENT)
    assert answer.json()["modelVersion"] == "m"
    assert provider.journal[0].protocol == "google"


def test_chunks_can_be_given(provider: FakeProvider) -> None:
    """`chunks=` are streamed as they are, and are the text of a unary answer."""
    provider.script(fault.ok(chunks=["a", "", "bc"]), fault.ok(chunks=["a", "", "bc"]))
    items = calls.openai_chat_stream(provider, calls.PATIENT)
    assert [item.choices[0].delta.content for item in items[1:-1]] == ["a", "", "bc"]
    answer = calls.openai_chat(provider, calls.PATIENT)
    assert answer.choices[0].message.content == "abc"


def test_arguments_given_as_text_are_sent_as_they_are(provider: FakeProvider) -> None:
    """A model may emit tool arguments that are not JSON; a str is not repaired."""
    provider.script(fault.ok(tools=[("weather", '{"city": ')]))
    answer = calls.openai_chat(provider, calls.PATIENT)
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city": '


def test_slow_answers_arrive_whole(provider: FakeProvider) -> None:
    """Latency changes when an answer arrives, not what it says."""
    provider.script(fault.slow(first=0.02, each=0.005), fault.slow("slowly", first=0.01))
    items = calls.openai_chat_stream(provider, calls.PATIENT)
    assert "".join(item.choices[0].delta.content or "" for item in items) == TEXT
    record = provider.journal[0]
    assert provider.settle()
    assert record.ended is not None
    assert record.ended - record.at >= 0.02 + 4 * 0.005
    answer = calls.openai_chat(provider, calls.PATIENT)
    assert answer.choices[0].message.content == "slowly"


@pytest.mark.parametrize("text", ["", " ", "a", " a  b\n", "one two", "\n\nx y "])
def test_words_joined_are_the_text(text: str) -> None:
    """Splitting into chunks loses nothing."""
    assert "".join(words(text)) == text
