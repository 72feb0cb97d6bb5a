"""What type checkers make of guarded clients: they are the SDK's own classes, overloads included."""

from __future__ import annotations

from typing import assert_type

import anthropic
import openai
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

import agentguard as ag

guards = ag.guard(ag.retry(), ag.timeout(30))
client = guards(openai.OpenAI())
claude = ag.retry()(anthropic.Anthropic())

assert_type(client, openai.OpenAI)
assert_type(claude, anthropic.Anthropic)
assert_type(guards(openai.AzureOpenAI()), openai.AzureOpenAI)
assert_type(client.with_options(timeout=3), openai.OpenAI)


def asked() -> None:
    create = client.chat.completions.create
    assert_type(create(model="m", messages=[]), ChatCompletion)
    assert_type(create(model="m", messages=[], stream=True), openai.Stream[ChatCompletionChunk])
    assert_type(client.responses.create(model="m", input="?"), Response)
    assert_type(client.embeddings.create(model="m", input="?"), CreateEmbeddingResponse)
    assert_type(claude.messages.create(model="m", max_tokens=9, messages=[]), Message)
    assert_type(
        claude.messages.create(model="m", max_tokens=9, messages=[], stream=True),
        anthropic.Stream[RawMessageStreamEvent],
    )
    create(model=3, messages=[])  # type: ignore[call-overload]


async def awaited() -> None:
    other = guards(openai.AsyncOpenAI())
    assert_type(other, openai.AsyncOpenAI)
    create = other.chat.completions.create
    assert_type(await create(model="m", messages=[]), ChatCompletion)
    assert_type(
        await create(model="m", messages=[], stream=True), openai.AsyncStream[ChatCompletionChunk]
    )
