"""Every way in which an application asks a model through a client of openai or anthropic.

A `Way` opens the client on a FakeProvider, guarded as a whole, and asks. Written once as a
coroutine: with a sync client it never suspends, and runs without an event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self

from agentguard.testing import FakeProvider
from tests.scenarios.ways import CHAT, CLAUDE, RESPONSES, text_of

WHOLE: Final = "one two three four five six"
EMBED: Final = {"model": "text-embedding-3-small", "input": "hi"}


class Broken:
    """A server that answers 500 to whatever it is asked, endpoints that FakeProvider lacks too.

    Attributes:
        requests: how many came.
    """

    def __init__(self) -> None:
        self.requests = 0
        broken = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                broken.requests += 1
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(500)
                self.send_header("content-length", "0")
                self.send_header("retry-after-ms", "1")
                self.end_headers()

            do_POST = do_GET  # noqa: N815  as http.server names it

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.openai_url = self.anthropic_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


async def settled(value: Any) -> Any:
    """The value itself, or what awaiting it gives."""
    return await value if inspect.isawaitable(value) else value


async def entered(block: Any) -> Any:
    """Enter a `with` or `async with` block."""
    return await block.__aenter__() if hasattr(block, "__aenter__") else block.__enter__()


async def left(block: Any) -> None:
    """Leave it."""
    if hasattr(block, "__aexit__"):
        await block.__aexit__(None, None, None)
    else:
        block.__exit__(None, None, None)


async def items_of(stream: Any) -> list[Any]:
    """All items of a stream of either kind."""
    if hasattr(stream, "__aiter__"):
        return [item async for item in stream]
    return list(stream)


def opened(provider: FakeProvider | Broken, sdk: str, *, is_async: bool, **options: Any) -> Any:
    """A client of the SDK's own making."""
    import anthropic
    import openai

    options = {"api_key": "sk-test", "timeout": 20.0, **options}
    if sdk == "openai":
        kind: Any = openai.AsyncOpenAI if is_async else openai.OpenAI
        return kind(base_url=provider.openai_url, **options)
    kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
    return kind(base_url=provider.anthropic_url, **options)


async def unary(method: Any, arguments: dict[str, Any]) -> str:
    """`create(...)`."""
    return text_of(await settled(method(**arguments)))


async def stream(method: Any, arguments: dict[str, Any]) -> str:
    """`create(..., stream=True)`."""
    return text_of(await items_of(await settled(method(**arguments, stream=True))))


async def manager(method: Any, arguments: dict[str, Any]) -> str:
    """`with client....stream(...) as stream`, up to the whole answer that it put together."""
    block = method(**arguments)
    found = await entered(block)
    try:
        for name in ("get_final_message", "get_final_completion", "get_final_response"):
            if hasattr(type(found), name):
                return text_of(await settled(getattr(found, name)()))
    finally:
        await left(block)
    raise AssertionError(found)


async def text_stream(method: Any, arguments: dict[str, Any]) -> str:
    """`with client.messages.stream(...) as stream: stream.text_stream`."""
    block = method(**arguments)
    try:
        return "".join(await items_of((await entered(block)).text_stream))
    finally:
        await left(block)


async def raw(method: Any, arguments: dict[str, Any]) -> str:
    """`with_raw_response.create(...).parse()`."""
    found = await settled(method(**arguments))
    assert found.headers["x-request-id"]
    return text_of(await settled(found.parse()))


async def raw_stream(method: Any, arguments: dict[str, Any]) -> str:
    """`with_raw_response.create(..., stream=True).parse()`."""
    found = await settled(method(**arguments, stream=True))
    assert found.status_code == 200
    return text_of(await items_of(await settled(found.parse())))


async def streaming(method: Any, arguments: dict[str, Any]) -> str:
    """`with with_streaming_response.create(...) as response: response.parse()`."""
    block = method(**arguments)
    try:
        return text_of(await settled((await entered(block)).parse()))
    finally:
        await left(block)


async def streaming_stream(method: Any, arguments: dict[str, Any]) -> str:
    """`with with_streaming_response.create(..., stream=True) as response: response.parse()`."""
    block = method(**arguments, stream=True)
    try:
        return text_of(await items_of(await settled((await entered(block)).parse())))
    finally:
        await left(block)


class Way(NamedTuple):
    """One way to ask.

    Attributes:
        name: for the test's id.
        sdk: whose client it is.
        method: the dotted name of the method.
        path: of the request, as reports name it.
        ask: calls the method, and reads the answer's text.
        arguments: of the call.
        is_async: whether the client is.
    """

    name: str
    sdk: str
    method: str
    path: str
    ask: Callable[[Any, dict[str, Any]], Awaitable[str]]
    arguments: dict[str, Any]
    is_async: bool

    @property
    def streams(self) -> bool:
        """Whether the answer arrives in pieces."""
        return self.ask not in (unary, raw, streaming)

    def client(self, provider: FakeProvider, **options: Any) -> Any:
        """The client, bare."""
        return opened(provider, self.sdk, is_async=self.is_async, **options)

    def run(self, provider: FakeProvider, guards: Any, *, times: int = 1, **options: Any) -> Any:
        """Ask a client that is guarded, `times` times: the last answer's text."""

        async def use() -> Any:
            client = guards(self.client(provider, **options))
            try:
                for _ in range(times):
                    text = await self.ask(attrgetter(self.method)(client), self.arguments)
            finally:
                await settled(client.close())
            return text

        return self.driven(use())

    def driven(self, work: Any) -> Any:
        """Run it to its end: without an event loop where the client needs none."""
        if self.is_async:
            return asyncio.run(work)
        try:
            work.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("a sync client suspended")


_OPENAI = {
    "chat": ("chat.completions", CHAT, "chat.completions"),
    "responses": ("responses", RESPONSES, "responses"),
}
_ANTHROPIC = {
    "messages": ("messages", CLAUDE, "messages"),
    "beta messages": ("beta.messages", CLAUDE, "messages"),
}


def _ways() -> list[Way]:
    found: list[Way] = []
    for sdk, endpoints in (("openai", _OPENAI), ("anthropic", _ANTHROPIC)):
        for endpoint, (resource, arguments, path) in endpoints.items():
            asks = {
                "": (f"{resource}.create", unary),
                " stream": (f"{resource}.create", stream),
                " manager": (f"{resource}.stream", manager),
                " raw": (f"{resource}.with_raw_response.create", raw),
                " raw stream": (f"{resource}.with_raw_response.create", raw_stream),
                " streaming": (f"{resource}.with_streaming_response.create", streaming),
                " streaming stream": (
                    f"{resource}.with_streaming_response.create",
                    streaming_stream,
                ),
            }
            if sdk == "anthropic":
                asks[" text_stream"] = (f"{resource}.stream", text_stream)
            for suffix, (method, ask) in asks.items():
                for is_async in (False, True):
                    name = f"{'async ' if is_async else ''}{endpoint}{suffix}"
                    found.append(Way(name, sdk, method, path, ask, dict(arguments), is_async))
    return found


WAYS: Final = _ways()
PLAIN: Final = [way for way in WAYS if way.ask in (unary, stream) and "beta" not in way.name]
