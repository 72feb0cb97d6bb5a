"""What type checkers make of a guarded google-genai client: checked by `make check`, never run.

The SDK accepts images of PIL, whose types are unknown where PIL is not installed.
"""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from google import genai
from google.genai import types
from google.genai.client import AsyncClient

import agentguard as ag

guards = ag.guard(ag.retry(attempts=3), ag.timeout(30))
client = guards(genai.Client(api_key="test-key"))

assert_type(client, genai.Client)
assert_type(guards(client.aio), AsyncClient)

answer = client.models.generate_content(model="gemini-x", contents="hi")
assert_type(answer, types.GenerateContentResponse)
stream = client.models.generate_content_stream(model="gemini-x", contents="hi")
assert_type(stream, Iterator[types.GenerateContentResponse])
chat = client.chats.create(model="gemini-x")
assert_type(chat.send_message("hi"), types.GenerateContentResponse)


async def ask() -> None:
    models = client.aio.models
    answer = await models.generate_content(model="gemini-x", contents="hi")
    assert_type(answer, types.GenerateContentResponse)
    stream = await models.generate_content_stream(model="gemini-x", contents="hi")
    assert_type(stream, AsyncIterator[types.GenerateContentResponse])
