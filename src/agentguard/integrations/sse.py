"""`sse`: a guarded stream as Server-Sent Events, for a browser."""

from __future__ import annotations

import contextvars
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine import arguments, clock
from agentguard.engine.bounds import in_worker
from agentguard.engine.loop import finish_later, in_loop, kept, loop_or_refuse
from agentguard.engine.lost import lost
from agentguard.engine.streams import attempt_of
from agentguard.engine.trouble import trouble
from agentguard.integrations.http_errors import http_error
from agentguard.providers.items import fields
from agentguard.providers.shapes import Reading, shape_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
    from typing import Self

    from agentguard.engine.workers import Job

__all__ = ["sse"]

_SILENCE: Final = b": keep-alive\n\n"  # a comment, which clients ignore
_OVER: Final = b""
_NO_MORE: Final = object()
_UNKNOWN: Final = {
    "kind": "unknown",
    "message": "The request could not be completed.",
    "retry_after": None,
}


def sse(
    stream: AsyncIterable[Any] | Iterable[Any],
    *,
    heartbeat: float | None = 15.0,
    render: Callable[[Any], object] | None = None,
) -> Events:
    r"""Turn a stream into Server-Sent Events, for `StreamingResponse(..., media_type=...)`.

    Protects from answers that stop without a word: a failure becomes an event that says what kind
    it was and what had arrived, proxies see life while the model thinks, and a client that leaves
    closes the provider's connection, before the first byte too: the stream is closed when what this
    returns is closed or let go of. What was called here is read in the context of here.

    - Each item with text: `data: {"text": "..."}`.
    - While nothing comes: a comment line, every `heartbeat` seconds.
    - At a failure: `event: error` with `{"kind", "message", "retry_after", "partial"}`, the text
      that was sent so far. What is no failure of a model call, a bug, is then raised as well.
    - At the end: `event: done` with `{"usage": {...} or null, "model": ...}`.

    Args:
        stream: guarded or not, sync or async, of text or of any provider's chunks. A sync one is
            read in a worker thread.
        heartbeat: seconds of silence after which a comment is sent; None for never.
        render: your own payload for an item, anything that JSON can say, or None to leave it out.

    Raises:
        TypeError: for what is no stream, such as a coroutine that was not awaited, or a whole
            answer.

    Examples:
        >>> import asyncio
        >>> from agentguard import retry, sse
        >>> @retry(attempts=3)
        ... async def ask(question: str):
        ...     yield "forty-"
        ...     yield "two"
        >>> async def show() -> None:
        ...     async for event in sse(ask("?")):
        ...         print(event)
        >>> asyncio.run(show())
        b'data: {"text": "forty-"}\n\n'
        b'data: {"text": "two"}\n\n'
        b'event: done\ndata: {"usage": null, "model": null}\n\n'
    """
    if heartbeat is not None:
        arguments.seconds("sse", "heartbeat", heartbeat)
    arguments.plain("sse", "render", render, "a function of an item")
    _check(stream)
    return Events(_Feed(stream, render), heartbeat)


def _check(stream: Any) -> None:
    if inspect.isawaitable(stream):
        if inspect.iscoroutine(stream):
            stream.close()
        raise TypeError("sse() takes a stream, and this is still to be awaited: sse(await ...)")
    # A pydantic model, as every SDK's whole answer is, can be iterated: over its fields.
    kind = type(cast("object", stream))
    if str(getattr(getattr(kind, "__iter__", None), "__module__", "")).startswith("pydantic."):
        raise TypeError(
            f"sse() takes a stream, and {kind.__name__} is a whole answer: pass stream=True where the "
            "model is called"
        )
    known = hasattr(stream, "__aiter__") or hasattr(stream, "__iter__")
    if not known or isinstance(stream, (str, bytes, dict)):
        raise TypeError(
            f"sse() takes a stream of items, not {arguments.told(cast('object', stream))}"
        )


class Events:
    """The events of a stream: what `sse` returns, an async iterator of bytes.

    Protects from a connection that nobody closes: an async generator that never began runs no
    `finally`, and Starlette begins none for a client that has left already.
    """

    __slots__ = ("__weakref__", "_begun", "_context", "_events", "_feed", "_loop")

    def __init__(self, feed: _Feed, heartbeat: float | None) -> None:
        self._begun = False
        self._feed = feed
        self._context = contextvars.copy_context()
        self._loop = loop_or_refuse() if in_loop() else None
        self._events = _events(feed, heartbeat, self._context)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._begun = True
        return await anext(self._events)

    async def aclose(self) -> None:
        """Stop here: the stream is closed, whether it was begun or not."""
        begun, self._begun = self._begun, True
        await self._events.aclose()
        if not begun:
            await kept(_leave(self._feed, self._context))

    def __del__(self) -> None:
        if self._begun:  # its generator is let go of as well, and closed on its loop
            return
        if self._loop is not None:
            leave = functools.partial(_leave_later, self._feed, self._context)
            try:
                self._loop.call_soon_threadsafe(leave)
            except RuntimeError:
                pass  # the loop is closed, and its connections with it
            else:
                return
        lost.append(functools.partial(self._context.run, self._feed.forsake))


def _leave_later(feed: _Feed, context: contextvars.Context) -> None:
    finish_later(_leave(feed, context))


async def _leave(feed: _Feed, context: contextvars.Context) -> None:
    """Close a stream that was not begun."""
    feed.closing = True
    await _stop(feed, loop_or_refuse().create_task(feed.run(), context=context))


async def _events(
    feed: _Feed, heartbeat: float | None, context: contextvars.Context
) -> AsyncGenerator[bytes, None]:
    # The stream is read by one task of its own from its beginning to its closing: a silence must
    # not cancel a pull, and what a generator enters at one `yield` (asyncio.timeout, a cancel
    # scope) it must leave in the same task.
    loop = loop_or_refuse()
    task = loop.create_task(feed.run(), context=context)
    task.add_done_callback(lambda _: feed.ready.put_nowait(_OVER))
    over = False
    try:
        while True:
            event = await feed.next(loop, heartbeat)
            if event is _OVER:
                break
            yield event
            if event is not _SILENCE:
                feed.wanted.release()
        over = True
        error = task.exception()
        if error is None:
            yield _event(feed.end(), "done")
            return
        answer = http_error(error)
        told = _UNKNOWN if answer is None else answer.content
        yield _event({**told, "partial": "".join(feed.sent)}, "error")
        try:
            if answer is None:
                raise error
        finally:
            error = None  # its traceback holds this frame
    finally:
        if not over:
            await kept(_stop(feed, task))


class _Feed:
    """Reads a stream, one item ahead of nobody, and says what is sent for each.

    Attributes:
        wanted: released when the consumer has got rid of an event and comes for another.
        ready: holds one event at most, and beats of silence.
        sent: the text in the events so far.
        closing: the stream is read no further, and closed: that must not be cancelled.
    """

    def __init__(self, stream: Any, render: Callable[[Any], object] | None) -> None:
        import asyncio

        self._stream = stream
        self._render = render
        self._reading = Reading()
        self.wanted = asyncio.Semaphore(0)
        self.ready: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent: list[str] = []
        self.closing = False

    async def run(self) -> None:
        """Read to the end, and close whatever comes."""
        items = _Async(self._stream) if hasattr(self._stream, "__aiter__") else _Sync(self._stream)
        try:
            while not self.closing and (item := await items.next()) is not _NO_MORE:
                payload = self._payload(item)
                if payload is not None:
                    self.ready.put_nowait(_event(payload))
                    await self.wanted.acquire()
        finally:
            self.closing = True
            await items.close()

    def forsake(self) -> None:
        """Close a sync stream where no loop is: an async one went with its loop."""
        if not hasattr(self._stream, "__aiter__"):
            closing = _closing(self._stream, None, "close")
            if closing is not None:
                closing()

    async def next(self, loop: asyncio.AbstractEventLoop, heartbeat: float | None) -> bytes:
        """The next event, or a beat when none comes for so long."""
        if heartbeat is None or not self.ready.empty():
            return await self.ready.get()
        beat = functools.partial(self.ready.put_nowait, _SILENCE)
        alarm = clock.now().alarm(loop, heartbeat, beat)
        try:
            return await self.ready.get()
        finally:
            alarm.cancel()

    def end(self) -> dict[str, object]:
        """What the last event says. The guard knows of usage that only `record` was shown."""
        seen = attempt_of(self._stream) or self._reading
        usage = seen.usage
        figures = {name: getattr(usage, name) for name in usage.__slots__} if usage else None
        return {"usage": figures, "model": seen.model}

    def _payload(self, item: Any) -> object:
        reading = self._reading
        before = len(reading.parts)
        shape_of(item).read(item, reading)
        if reading.error is not None:
            raise reading.error
        if self._render is None:
            text = "".join(reading.parts[before:])
            payload: object = {"text": text} if text else None
        else:
            payload = self._render(item)
        said = payload if isinstance(payload, str) else fields(payload).get("text")
        if isinstance(said, str):
            self.sent.append(said)
        return payload


class _Async:
    """An async stream, item by item."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._iterator: Any = None  # made by the first pull: what is only closed is not begun

    async def next(self) -> Any:
        if self._iterator is None:
            self._iterator = aiter(self._stream)
        return await anext(self._iterator, _NO_MORE)

    async def close(self) -> None:
        closing = _closing(self._stream, self._iterator, "aclose", "close")
        pending = None if closing is None else closing()
        if inspect.isawaitable(pending):
            await pending


class _Sync:
    """A sync stream, each item of which is pulled in a worker thread, all in one context."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._iterator: Iterator[Any] | None = None  # as above
        self._context = contextvars.copy_context()
        self._left = False

    async def next(self) -> Any:
        import asyncio

        if self._iterator is None:
            self._iterator = iter(self._stream)
        pull = functools.partial(self._context.run, next, self._iterator, _NO_MORE)
        try:
            return await in_worker(pull, late=self._late)
        except asyncio.CancelledError:
            self._left = True  # a thread cannot be stopped: it closes the stream when it is out
            raise

    async def close(self) -> None:
        closing = _closing(self._stream, self._iterator, "close")
        if closing is not None and not self._left:
            await in_worker(functools.partial(self._context.run, closing))

    def _late(self, job: Job) -> None:
        closing = _closing(self._stream, self._iterator, "close")
        try:
            if closing is not None:
                self._context.run(closing)
        except Exception as error:
            trouble("closing a stream", error, "its client had left")


def _closing(stream: Any, iterator: Any, *names: str) -> Callable[[], Any] | None:
    found = (getattr(each, name, None) for each in (stream, iterator) for name in names)
    return next(filter(callable, found), None)


async def _stop(feed: _Feed, task: asyncio.Task[None]) -> None:
    """Nobody listens any more: cancel the reader of a stream, and wait until it has closed it."""
    import asyncio

    if not feed.closing:
        task.cancel()
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()  # its time for closing is over as well
        raise
    error = None if task.cancelled() else task.exception()
    if error is not None and http_error(error) is None:  # else its guard has told of it
        trouble("reading a stream", error, "its client had left")


def _event(payload: object, name: str = "") -> bytes:
    import json

    # Pure ASCII: no newline, no U+2028, no lone surrogate that a client could stumble over.
    data = f"data: {json.dumps(payload, allow_nan=False)}\n\n".encode()
    return f"event: {name}\n".encode() + data if name else data
