"""A FastAPI application under a real uvicorn, whose endpoints stream guarded calls of real SDKs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Self

import openai
import uvicorn
from starlette.responses import StreamingResponse

import agentguard as ag
from agentguard.testing import FakeProvider

QUESTION: list[Any] = [{"role": "user", "content": "hi"}]

SMALL = 4096
"""Bytes in a socket's buffer, so that a client that does not read blocks its server soon."""


class Server:
    """An ASGI application under uvicorn, with an event loop in a thread of its own."""

    def __init__(self, app: Any, **config: Any) -> None:
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=5, **config)
        )
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        self.port: int = self._listener.getsockname()[1]
        self.loop: asyncio.AbstractEventLoop | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uvicorn", daemon=True)

    @property
    def url(self) -> str:
        """The root, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> set[Any]:
        """The protocols of the connections that are open."""
        return self._uvicorn.server_state.connections

    def on_loop(self, make: Callable[[], Awaitable[Any]]) -> Any:
        """Await something on the server's loop."""

        async def run() -> Any:
            return await make()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(30)
        while not self._uvicorn.started and self._thread.is_alive():
            self._begun.wait(0.01)
            threading.Event().wait(0.005)
        return self

    def __exit__(self, *error: object) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            self._begun.set()
            await self._uvicorn.serve(sockets=[self._listener])

        asyncio.run(serve())


class Streams:
    """Guarded calls of OpenAI's clients, in every shape that a streaming endpoint can return.

    Attributes:
        shapes: by name, what an endpoint returns.
    """

    def __init__(self, provider: FakeProvider, *policies: ag.Policy) -> None:
        options: Any = {"base_url": provider.openai_url, "api_key": "sk-test", "max_retries": 0}
        self.aclient = openai.AsyncOpenAI(**options)
        self.client = openai.OpenAI(**options)
        guard = ag.guard(*policies, ag.retry(attempts=1, budget=None))
        ask: Any = {"model": "gpt-5", "stream_options": {"include_usage": True}}
        create, acreate = self.client.chat.completions.create, self.aclient.chat.completions.create

        @guard
        async def awords(question: list[Any]) -> AsyncIterator[str]:
            stream = await acreate(messages=question, stream=True, **ask)
            async with stream:
                async for chunk in ag.record(stream):
                    if chunk.choices:
                        yield chunk.choices[0].delta.content or ""

        @guard
        def words(question: list[Any]) -> Iterator[str]:
            with create(messages=question, stream=True, **ask) as stream:
                for chunk in ag.record(stream):
                    if chunk.choices:
                        yield chunk.choices[0].delta.content or ""

        @guard
        async def arecorded(question: list[Any]) -> Any:
            return ag.record(await acreate(messages=question, stream=True, **ask))

        @guard
        def recorded(question: list[Any]) -> Any:
            return ag.record(create(messages=question, stream=True, **ask))

        astream, stream = guard(acreate), guard(create)

        async def sdk_async(q: list[Any]) -> Any:
            return ag.sse(await astream(messages=q, stream=True, **ask), heartbeat=0.05)

        async def recorded_async(q: list[Any]) -> Any:
            return ag.sse(await arecorded(q))

        self.shapes: dict[str, Callable[[list[Any]], Any]] = {
            "async generator": awords,
            "generator": words,
            "sse of an async generator": lambda q: ag.sse(awords(q), heartbeat=0.05),
            "sse of a generator": lambda q: ag.sse(words(q), heartbeat=0.05),
            "sse of an SDK's async stream": sdk_async,
            "sse of an SDK's stream": lambda q: ag.sse(stream(messages=q, stream=True, **ask)),
            "sse of a recorded async stream": recorded_async,
            "sse of a recorded stream": lambda q: ag.sse(recorded(q)),
        }

    def respond(self, shape: str, question: list[Any] = QUESTION) -> Any:
        """The response of an endpoint; where its call is async, to be awaited."""
        made = self.shapes[shape](question)
        return _awaited(made) if asyncio.iscoroutine(made) else StreamingResponse(made)

    async def aclose(self) -> None:
        """Close the clients, on the loop that has used them."""
        await self.aclient.close()
        self.client.close()


async def _awaited(made: Awaitable[Any]) -> StreamingResponse:
    return StreamingResponse(await made)


SHAPES = [
    "async generator",
    "generator",
    "sse of an async generator",
    "sse of a generator",
    "sse of an SDK's async stream",
    "sse of an SDK's stream",
    "sse of a recorded async stream",
    "sse of a recorded stream",
]
SSE = [shape for shape in SHAPES if shape.startswith("sse")]


@contextlib.contextmanager
def serving(app: Any, streams: Streams | None = None, **config: Any) -> Iterator[Server]:
    """Run a server, and close the clients that its endpoints have used."""
    with Server(app, **config) as server:
        try:
            yield server
        finally:
            if streams is not None:
                server.on_loop(streams.aclose)
