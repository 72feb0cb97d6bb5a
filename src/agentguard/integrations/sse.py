"""`sse`: a guarded stream as Server-Sent Events, for a browser."""

from __future__ import annotations

import contextvars
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine import arguments, clock
from agentguard.engine.bounds import in_worker
from agentguard.engine.loop import kept, loop_or_refuse
from agentguard.engine.streams import attempt_of
from agentguard.engine.trouble import trouble
from agentguard.integrations.http_errors import http_error
from agentguard.providers.items import fields
from agentguard.providers.shapes import Reading, shape_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator

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
) -> AsyncGenerator[bytes, None]:
    r"""Turn a stream into Server-Sent Events, for `StreamingResponse(..., media_type=...)`.

    Protects from answers that stop without a word: a failure becomes an event that says what kind
    it was and what had arrived, proxies see life while the model thinks, and a client that leaves
    closes the provider's connection. What was called here is read in the context of here.

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
        TypeError: for what is no stream, such as a coroutine that was not awaited.

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
    return _events(_Feed(stream, render), heartbeat, contextvars.copy_context())


def _check(stream: Any) -> None:
    if inspect.isawaitable(stream):
        if inspect.iscoroutine(stream):
            stream.close()
        raise TypeError("sse() takes a stream, and this is still to be awaited: sse(await ...)")
    known = hasattr(stream, "__aiter__") or hasattr(stream, "__iter__")
    if not known or isinstance(stream, (str, bytes, dict)):
        raise TypeError(
            f"sse() takes a stream of items, not {arguments.told(cast('object', stream))}"
        )


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
            while (item := await items.next()) is not _NO_MORE:
                payload = self._payload(item)
                if payload is not None:
                    self.ready.put_nowait(_event(payload))
                    await self.wanted.acquire()
        finally:
            self.closing = True
            await items.close()

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
        self._iterator = aiter(stream)

    async def next(self) -> Any:
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
        self._iterator: Iterator[Any] = iter(stream)
        self._context = contextvars.copy_context()
        self._left = False

    async def next(self) -> Any:
        import asyncio

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
