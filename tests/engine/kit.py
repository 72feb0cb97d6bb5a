"""What the engine's tests share: small policies, callables in every shape, a way to use them."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from agentguard import Call, Next, Outcome, Policy, Reply, observe
from agentguard.engine import streams
from agentguard.engine.lost import settle_lost


class Through(Policy):
    """Does nothing."""


class Watch(Policy):
    """Remembers how each call ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    async def around(self, call: Call, next: Next) -> Reply:
        return await observe(next(call), self.outcomes.append)

    @property
    def kinds(self) -> list[str]:
        return [outcome.kind for outcome in self.outcomes]


class Later(Policy):
    """Remembers it in a coroutine that has to wait twice before."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.begun = 0

    async def around(self, call: Call, next: Next) -> Reply:
        return await observe(next(call), functools.partial(self.settle, call))

    async def settle(self, call: Call, outcome: Outcome) -> None:
        self.begun += 1
        await call.runtime.sleep(1e-6)
        await call.runtime.sleep(1e-6)
        self.kinds.append(outcome.kind)


class Again(Policy):
    """Asks a second time when the first fails or `unwanted` says so; discards as it should."""

    def __init__(self, *, even_good: bool = False) -> None:
        self.even_good = even_good

    async def around(self, call: Call, next: Next) -> Reply:
        try:
            reply = await next(call)
        except Exception:
            return await next(call.replace(number=2))
        if not self.even_good:
            return reply
        await reply.discard()
        return await next(call.replace(number=2))


class Steps(Policy):
    """Puts the step that `make` returns on every text."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    async def around(self, call: Call, next: Next) -> Reply:
        reply = await next(call)
        reply.transform(self.make)
        return reply


class Upper:
    """A step that holds nothing back."""

    def feed(self, text: str) -> str:
        return text.upper()

    def flush(self) -> str:
        return ""


class Replace:
    """A step that replaces a word however it was cut: holds back what may begin it."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new, self.tail = old, new, ""

    def feed(self, text: str) -> str:
        out, rest = "", self.tail + text
        while self.old in rest:
            before, _, rest = rest.partition(self.old)
            out += before + self.new
        keep = next((n for n in range(len(self.old) - 1, 0, -1) if rest.endswith(self.old[:n])), 0)
        self.tail = rest[len(rest) - keep :]
        return out + rest[: len(rest) - keep]

    def flush(self) -> str:
        tail, self.tail = self.tail, ""
        return tail


class SdkStream:
    """A sync stream as SDKs make them: iterator, context manager, `close`, attributes."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.closed = 0
        self.request_id = "req_1"
        self.text_stream = iter(["raw"])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self.closed or not self.items:
            raise StopIteration
        item = self.items.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed += 1


class AsyncSdkStream:
    """The same for async code."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.closed = 0
        self.request_id = "req_1"
        self.text_stream = iter(["raw"])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        if self.closed or not self.items:
            raise StopAsyncIteration
        item = self.items.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


def callables(*items: Any) -> dict[str, Callable[..., Any]]:
    """A callable in every shape that answers with `items`, or raises the exception among them.

    Unary ones answer with all items joined.
    """

    def whole() -> Any:
        for item in items:
            if isinstance(item, BaseException):
                raise item
        return "".join(items)

    def each() -> Iterator[Any]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield item

    def function(_: str = "") -> Any:
        return whole()

    async def coroutine(_: str = "") -> Any:
        await asyncio.sleep(0)
        return whole()

    def generator(_: str = "") -> Any:
        yield from each()

    async def asyncgen(_: str = "") -> Any:
        for item in each():
            await asyncio.sleep(0)
            yield item

    def sync_stream(_: str = "") -> Any:
        return SdkStream(*items)

    def async_stream(_: str = "") -> Any:
        return AsyncSdkStream(*items)

    async def coroutine_stream(_: str = "") -> Any:
        await asyncio.sleep(0)
        return AsyncSdkStream(*items)

    async def coroutine_sync_stream(_: str = "") -> Any:
        return each()

    def hands_asyncgen(_: str = "") -> Any:
        return asyncgen()

    class Sync:
        def __call__(self, _: str = "") -> Any:
            return whole()

    class Async:
        async def __call__(self, _: str = "") -> Any:
            return whole()

    class Methods:
        def ask(self, _: str = "") -> Any:
            return whole()

        async def aask(self, _: str = "") -> Any:
            return whole()

        def stream(self, _: str = "") -> Any:
            yield from each()

        async def astream(self, _: str = "") -> Any:
            for item in each():
                yield item

    held = Methods()
    return {
        "function": function,
        "coroutine": coroutine,
        "generator": generator,
        "asyncgen": asyncgen,
        "returns a sync stream": sync_stream,
        "returns an async stream": async_stream,
        "coroutine of an async stream": coroutine_stream,
        "coroutine of a sync iterator": coroutine_sync_stream,
        "returns an async generator": hands_asyncgen,
        "lambda of an awaitable": lambda _="": coroutine(),
        "lambda": lambda _="": whole(),
        "partial": functools.partial(function, ""),
        "partial of async": functools.partial(coroutine, ""),
        "partial of generator": functools.partial(generator, ""),
        "partial of asyncgen": functools.partial(asyncgen, ""),
        "callable object": Sync(),
        "async callable object": Async(),
        "method": held.ask,
        "async method": held.aask,
        "generator method": held.stream,
        "asyncgen method": held.astream,
    }


SHAPES = tuple(callables())
UNARY = tuple(
    name for name in SHAPES if not any(word in name for word in ("gen", "stream", "iterator"))
)
STREAMS = tuple(name for name in SHAPES if name not in UNARY)


async def use(fn: Callable[..., Any], *args: Any, into: list[Any] | None = None) -> list[Any]:
    """Call `fn` as its shape demands and return its items; those before a failure are in `into`."""
    items = [] if into is None else into
    answer = fn(*args)
    if inspect.isawaitable(answer):
        answer = await answer
    if hasattr(type(answer), "__anext__"):
        async for item in answer:
            items.append(item)
    elif hasattr(type(answer), "__next__"):
        items.extend(answer)  # keeps what came before a failure
    else:
        items.append(answer)
    return items


async def begin(fn: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    """Call a streaming `fn` and read one item: the stream and the item."""
    answer = fn(*args)
    if inspect.isawaitable(answer):
        answer = await answer
    if hasattr(type(answer), "__anext__"):
        return answer, await anext(answer)
    return answer, next(answer)


async def close(stream: Any) -> None:
    """Close a stream in its own colour."""
    pending = stream.close() if not hasattr(stream, "aclose") else stream.aclose()
    if inspect.isawaitable(pending):
        await pending


def settle() -> None:
    """Have the engine settle what was dropped and forget what has ended."""
    gc.collect()
    settle_lost()
    streams.reap(0.0)


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the collector from running by itself, so that what it would find can be counted."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
