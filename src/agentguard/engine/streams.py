"""What the caller of a guarded callable holds when the answer is a stream."""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine import clock
from agentguard.engine.drive import Ended, Stopped, drive
from agentguard.engine.loop import finish_later, loop_or_refuse
from agentguard.engine.lost import lost, settle_lost
from agentguard.engine.surround import within
from agentguard.engine.trouble import trouble
from agentguard.errors import Timeout
from agentguard.providers.streams import attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Self

    from agentguard.engine.call import Attempt
    from agentguard.engine.reply import Reply, Source

__all__ = [
    "AsyncStream",
    "GuardedAsyncGenerator",
    "GuardedGenerator",
    "Stream",
    "attempt_of",
    "look",
    "reap",
    "settle_lost",
    "watch",
]

_beginning: Final[Any] = object()  # stands for the coroutine that gets the first item
_open: Final[set[Source]] = set()
_reaper: threading.Thread | None = None
_REAPER_SECONDS: Final = 1.0


class _Held:
    """What all guarded streams share: a source, there from the start or made by the first pull."""

    __slots__ = ("__weakref__", "_begin", "_source")

    def __init__(
        self,
        source: Source | None = None,
        begin: Callable[[], Coroutine[Any, Any, Reply]] | None = None,
    ) -> None:
        self._source: Source | None = source
        self._begin: Callable[[], Coroutine[Any, Any, Reply]] | None = begin

    def _claim(self) -> Callable[[], Coroutine[Any, Any, Reply]] | None:
        """What begins the stream, for the one who comes first; None when it is over already."""
        begin, self._begin = self._begin, _beginning
        if begin is _beginning:
            raise RuntimeError("this stream is already being read by another thread or task")
        if begin is None:
            self._begin = None
        return begin

    def _sending(self, method: str, value: object) -> Callable[[], Any] | None:
        """The step that resumes the generator with `value`; None, its next, where none is taken."""
        source = self._source
        if value is not None and source is None and self._begin is not None:
            raise TypeError("can't send non-None value to a just-started generator")
        send = None if value is None or source is None else getattr(source.iterator, method, None)
        return None if source is None or send is None else _resuming(source, method, send, value)

    def _throwing(self, method: str, error: tuple[Any, ...]) -> Callable[[], Any] | None:
        """The step that raises inside the generator; None where nothing stands at a `yield`."""
        source = self._source
        throw = None if source is None or source.done else getattr(source.iterator, method, None)
        if source is None or throw is None:
            return None
        source.opening.clear()
        return _resuming(source, method, throw, *error)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self._source is None:
            raise AttributeError(name)
        return attribute(self._source.origin, name, self)

    def __repr__(self) -> str:
        source = self._source
        if source is None:
            return "<guarded stream, not begun>"
        state = "ended" if source.done else "open"
        return f"<guarded stream of {source.attempt.call.target.name}, {state}>"

    def __del__(self) -> None:
        source = self._source
        if source is not None and not source.done:
            lost.append(functools.partial(_close, source, None))
            if source.loop is not None:
                try:
                    source.loop.call_soon_threadsafe(settle_lost)
                except RuntimeError:
                    return  # the loop is closed: settled before the next call instead


def _resuming(
    source: Source, method: str, resume: Callable[..., Any], *args: Any
) -> Callable[[], Any]:
    waits = method in {"asend", "athrow"}
    return functools.partial(within(source.attempt, resume, waits=waits), *args)


class Stream(_Held):
    """A guarded stream in sync code: iterate it, close it, or use it in `with`."""

    __slots__ = ()

    def __iter__(self) -> Self:
        return self

    def _advance(self, step: Callable[[], Any] | None = None) -> Any:
        try:
            source = self._source or self._started()
            item = drive(source.pull(step))
        except Stopped as stopped:
            raise stopped.error from None
        if type(item) is Ended:
            raise StopIteration(item.value)
        return item

    __next__ = _advance

    def _started(self) -> Source:
        begin = self._claim()
        if begin is None:
            raise StopIteration  # as a generator does that failed or was closed before
        try:
            source: Source = drive(begin()).streamed()
        finally:
            self._begin = None
        self._source = source
        watch(source)
        return source

    def close(self) -> None:
        """Stop here: the provider's stream is closed, and what it cost is settled."""
        self._begin = None
        if self._source is not None:
            drive(self._source.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class GuardedGenerator(Stream):
    """What a guarded generator function returns: begins at the first `next`, as it would unguarded.

    Not a generator of its own: the collector would run its `finally` inside any lock.
    """

    __slots__ = ()

    def send(self, value: Any) -> Any:
        """Resume the user's generator with `value`."""
        return self._advance(self._sending("send", value))

    def throw(self, *error: Any) -> Any:
        """Raise inside the user's generator, at the `yield` where it stands."""
        throw = self._throwing("throw", error)
        if throw is None:
            self.close()
            raise error[0]
        return self._advance(throw)


class AsyncStream(_Held):
    """A guarded stream in async code: iterate it, close it, or use it in `async with`."""

    __slots__ = ()

    def __aiter__(self) -> Self:
        return self

    async def _advance(self, step: Callable[[], Any] | None = None) -> Any:
        source = self._source or await self._started()
        item = await source.pull(step)
        if type(item) is Ended:
            raise StopAsyncIteration
        return item

    __anext__ = _advance

    async def _started(self) -> Source:
        begin = self._claim()
        if begin is None:
            raise StopAsyncIteration
        try:
            if "trio" in sys.modules:
                loop_or_refuse()
            source: Source = (await begin()).streamed()
        finally:
            self._begin = None
        self._source = source
        watch(source)
        return source

    async def aclose(self) -> None:
        """Stop here: the provider's stream is closed, and what it cost is settled."""
        self._begin = None
        if self._source is not None:
            await self._source.close()

    async def close(self) -> None:
        """The same, by the name that SDKs give it."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class GuardedAsyncGenerator(AsyncStream):
    """What a guarded async generator function returns."""

    __slots__ = ()

    async def asend(self, value: Any) -> Any:
        """Resume the user's generator with `value`."""
        return await self._advance(self._sending("asend", value))

    async def athrow(self, *error: Any) -> Any:
        """Raise inside the user's generator, at the `yield` where it stands."""
        throw = self._throwing("athrow", error)
        if throw is None:
            await self.aclose()
            raise error[0]
        return await self._advance(throw)


def attempt_of(stream: object) -> Attempt | None:
    """The attempt that a guarded stream comes from; None before it began, and for any other."""
    source: Source | None = getattr(stream, "_source", None) if isinstance(stream, _Held) else None
    return None if source is None else source.attempt


def watch(source: Source) -> None:
    """Close `source` by itself when nobody pulls it for the guard's `abandon_after` seconds."""
    global _reaper  # noqa: PLW0603  one thread for the process, begun on demand
    if source.runtime.is_async:
        source.loop = loop_or_refuse()
    source.idle_since = clock.monotonic()
    _open.add(source)
    if _reaper is None or not _reaper.is_alive():
        _reaper = threading.Thread(target=_reap_forever, name="agentguard-reaper", daemon=True)
        _reaper.start()


def look(now: float) -> None:
    """Note since when nobody reads a stream: here, and not in every pull, which it would burden."""
    for source in tuple(_open):
        if source.done:
            _open.discard(source)
        elif source.idle_since is None and not source.being_read:
            source.idle_since = now


def reap(now: float) -> None:
    """Forget the streams that ended and close those that were left alone too long."""
    look(now)
    for source in tuple(_open):
        idle, limit = source.idle_since, source.runtime.options.abandon_after
        if idle is not None and now - idle > limit:
            _open.discard(source)
            _close(
                source,
                Timeout(
                    f"nobody read this stream for {limit:g} s, so it was closed and settled. Read "
                    "it to its end, close it, or pass guard(abandon_after=...)",
                    bound="abandon_after",
                    seconds=limit,
                ),
            )


def _reap_forever() -> None:
    global _reaper  # noqa: PLW0603  as above
    tick = threading.Event()
    while True:
        tick.wait(_REAPER_SECONDS)
        settle_lost()
        reap(clock.monotonic())
        if not _open:
            _reaper = None
            if not _open:  # nothing came between the two looks; else whoever came starts another
                return


def _close(source: Source, error: Timeout | None) -> None:
    if source.loop is not None:
        try:
            source.loop.call_soon_threadsafe(lambda: finish_later(source.close(late=error)))
        except RuntimeError:  # its loop is closed: its connection is gone, its accounts are not
            source.forsake()
        else:
            return
    try:
        drive(source.close(late=error))
    except Exception as failure:
        trouble("settling an abandoned stream", failure)


def _after_fork() -> None:
    global _reaper  # noqa: PLW0603  as above
    _reaper = None
    _open.clear()
    lost.clear()


if hasattr(os, "register_at_fork"):
    # A forked child must not close its parent's connections.
    os.register_at_fork(after_in_child=_after_fork)
