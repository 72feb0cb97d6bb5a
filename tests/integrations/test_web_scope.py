"""A response is sent after the block it was made in was left: its calls keep what held there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

import agentguard as ag
from agentguard.engine.scope import surrounding
from agentguard.testing import FakeProvider
from tests.integrations.web import SHAPES, Streams, serving

AT_ONCE = 25


class Whose(ag.Policy):
    """Notes for whom each call was made when it began and when it ended."""

    def __init__(self) -> None:
        self.begun: list[object] = []
        self.ended: list[object] = []

    async def around(self, call, next):
        user = call.scope.tags.get("user")
        self.begun.append(user)
        return await ag.observe(next(call), lambda _: self.ended.append(user))


async def ask_all(url: str, paths: list[str]) -> list[str]:
    """Ask all paths at once; the answers."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answers = await asyncio.gather(*(client.get(path) for path in paths))
    assert {each.status_code for each in answers} == {200}
    return [each.text for each in answers]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_streamed_response_keeps_the_user_it_was_made_for(shape):
    """In every shape, many at once: each stream belongs to the block its function was called in."""
    app, whose = FastAPI(), Whose()
    with FakeProvider(answer="one two three") as provider:
        streams = Streams(provider, whose)

        @app.get("/async/{user}", response_model=None)
        async def aanswer(user: str) -> Any:
            with ag.context(user=user):
                made = streams.respond(shape)
                return await made if asyncio.iscoroutine(made) else made

        @app.get("/sync/{user}", response_model=None)
        def answer(user: str) -> Any:
            with ag.context(user=user):
                return streams.respond(shape)

        paths = [f"/async/a{n}" for n in range(AT_ONCE)]
        if "async stream" not in shape:
            paths += [f"/sync/s{n}" for n in range(AT_ONCE)]
        with serving(app, streams) as server:
            answers = asyncio.run(ask_all(server.url, paths))

    users = sorted(path.rpartition("/")[2] for path in paths)
    assert all("three" in each for each in answers)
    assert sorted(map(str, whose.begun)) == sorted(map(str, whose.ended)) == users


@ag.retry(attempts=1)
def inner() -> str:
    """A guarded call made while a stream is read."""
    return f"{surrounding().tags.get('user')} "


@ag.retry(attempts=1)
def generator() -> Iterator[str]:
    """Makes a call for each of its pieces."""
    for _ in range(3):
        yield inner()


@ag.retry(attempts=1)
async def agenerator() -> AsyncIterator[str]:
    """The same."""
    for _ in range(3):
        await asyncio.sleep(0)
        yield inner()


@pytest.mark.parametrize("wrap", [lambda stream: stream, ag.sse], ids=["raw", "sse"])
@pytest.mark.parametrize("fn", [generator, agenerator], ids=["sync", "async"])
def test_calls_made_while_the_stream_is_read_are_for_the_same_user(wrap, fn):
    """Whichever thread or task of the framework pulls it, what runs inside finds the scope."""
    app = FastAPI()

    @app.get("/{user}", response_model=None)
    def answer(user: str) -> Any:
        with ag.context(user=user):
            return StreamingResponse(wrap(fn()))

    with serving(app) as server:
        answers = asyncio.run(ask_all(server.url, [f"/u{n}" for n in range(AT_ONCE)]))
    for number, text in enumerate(answers):
        assert text.count(f"u{number} ") == 3, text


def test_a_deadline_around_the_response_bounds_its_stream():
    """A stream that is read after the block was left is still cut at the block's end of time."""
    app = FastAPI()

    @ag.retry(attempts=1)
    async def slow() -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(60)
        yield "never"

    @app.get("/")
    async def answer() -> StreamingResponse:
        with ag.deadline(0.2):
            return StreamingResponse(ag.sse(slow()))

    with serving(app) as server:
        text = httpx.get(server.url, timeout=30).text

    assert '"kind": "timeout"' in text
    assert '"partial": "first"' in text
    assert "never" not in text
