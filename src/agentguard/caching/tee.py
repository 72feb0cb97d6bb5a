"""One stream for many callers: whoever needs the next item fetches it for all.

So nobody depends on how fast another reads, or whether he stays: the stream is closed when the
last reader leaves it. What has come is kept until its end, to be stored, within a bound.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from agentguard.caching.sharing import shared
from agentguard.engine import clock
from agentguard.engine.drive import Ended, drive
from agentguard.engine.loop import loop_or_refuse
from agentguard.engine.reply import Source
from agentguard.errors import Overloaded
from agentguard.providers.streams import Recalled

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from typing import Self

    from agentguard.caching.recording import Copy, Recording
    from agentguard.engine.call import Attempt

    _Window = tuple[int, list[tuple[Any, Copy]]]  # how many were let go of, and what is left

__all__ = ["MOST", "AsyncReader", "Reader", "Tee"]

MOST: Final = 65_536
"""Items kept at most. Of a longer stream nothing is stored, and nobody can join it any more."""

_FEW: Final = 1_024  # items that are let go of together


class Tee:
    """A stream and its readers, all in one event loop, or all sync.

    The first reads the items themselves, and may change them; who joined gets copies of before.

    Args:
        source: the stream.
        recording: makes the copies.
        retire: called where nobody can join it any more.
        keep: called with what has come, when the stream has ended well.

    Attributes:
        whole: whether everything that has come is still there.
        over: whether the stream has ended.
        error: what it ended with, if not well.
        times: seconds from the first item, for each.
    """

    def __init__(
        self,
        source: Source,
        recording: Recording,
        retire: Callable[[], None],
        keep: Callable[[Tee], Awaitable[None]],
    ) -> None:
        self.source = source
        self.recording = recording
        self.whole = True
        self.over = False
        self.error: BaseException | None = None
        self.returned: object = None
        self.times: list[float] = []
        self.window: _Window = (0, [])  # swapped as one, for who looks without a lock
        self.readers: set[_Reader] = set()
        self.baton = threading.Lock()  # held by the thread that fetches
        self.pulling: asyncio.Future[Any] | None = None
        self._retire = retire
        self._keep = keep
        self._first: Source | None = None

    @property
    def items(self) -> list[tuple[Any, Copy]]:
        """What has come, with copies."""
        return self.window[1]

    @property
    def joinable(self) -> bool:
        """Whether one more caller would get all of it."""
        return self.whole and self.error is None

    def attach(self, attempt: Attempt) -> Source:
        """The stream for one more caller, from the first item on.

        The deadline of the first bounds the fetching as long as he is alone, and then only him.
        """
        stream, first = self.source, self._first
        reader: Reader | AsyncReader
        if stream.runtime.is_async:
            reader = AsyncReader(self, joined=first is not None)
            source = Source(attempt, reader, reader.__anext__)
        else:
            reader = Reader(self, joined=first is not None)
            source = Source(attempt, reader, reader.__next__)
        if first is None:
            self._first, source.deadline, source.runtime = source, None, stream.runtime
            source.origin = stream.origin
        else:
            source.origin = Recalled()  # the response, with its headers, is that of the first
            own = first.attempt.call.deadline
            if own is not None and stream.deadline is not None and stream.deadline.at >= own.at:
                stream.deadline, first.deadline = None, own
        self.readers.add(reader)
        return source

    async def pull(self) -> None:
        """Fetch one item for all. A failure is kept for each of them."""
        try:
            item = await self.source.pull()
        except BaseException as error:
            self.over, self.error = True, error
            self._retire()
            if not isinstance(error, Exception):
                raise
            return
        if type(item) is Ended:
            self.over, self.returned = True, item.value
            try:
                await self._keep(self)
            except Exception as error:
                self.error = error
            finally:
                self._retire()
            return
        self.times.append(clock.monotonic())
        self.items.append((item, self.recording.copy(item)))
        if self.whole and len(self.items) > MOST:
            self.whole = False
            self._retire()
        if not self.whole:
            self._forget()

    async def more(self) -> None:
        """Fetch one item, or wait for whoever does so already."""
        import asyncio

        pulling = self.pulling
        if pulling is not None and not pulling.done():
            await asyncio.wait((pulling,))
            return
        loop = loop_or_refuse()
        if len(self.readers) > 1:  # a task of its own: no reader's cancellation ends it
            self.pulling = pulling = loop.create_task(self.pull())
            await asyncio.wait((pulling,))
            return
        self.pulling = alone = loop.create_future()
        try:
            await self.pull()
        finally:
            if not alone.done():
                alone.set_result(None)

    def left(self, reader: _Reader) -> bool:
        """This one reads no further; whether nobody does."""
        self.readers.discard(reader)
        if self.readers or self.over:
            return False
        self.over, self.error = True, GeneratorExit()
        self._retire()
        return True

    def _forget(self) -> None:
        dropped, items = self.window
        newest = dropped + len(items)
        least = max(min((each.at for each in self.readers), default=newest), newest - MOST)
        if least - dropped >= _FEW:
            self.window = (least, items[least - dropped :])


class _Reader:
    """One caller's place in the stream.

    Attributes:
        at: how many items it has read.
        joined: it came to a stream that another call had begun.
        new: it has, and has read nothing, so that it can still make the call itself. That is why it
            first awaits the fetch under way, which the cancellation of another would end for all.
    """

    def __init__(self, tee: Tee, *, joined: bool) -> None:
        self.tee = tee
        self.at = 0
        self.joined = self.new = joined

    def has(self) -> bool:
        """Whether there is something to take."""
        dropped, items = self.tee.window
        return self.at < dropped + len(items) or self.tee.over

    def take(self, stop: type[Exception]) -> Any:
        tee = self.tee
        new, self.new = self.new, False
        dropped, items = tee.window
        if new and tee.error is not None:
            raise shared(tee.error)
        if self.at < dropped:
            raise Overloaded(
                f"this caller had joined a stream that another began, and read it so slowly that "
                f"{MOST} items came before its own: read faster, or make the call anew"
            )
        if self.at < dropped + len(items):
            item, copy = items[self.at - dropped]
            self.at += 1
            return tee.recording.again(copy) if self.joined and copy is not None else item
        tee.readers.discard(self)
        if tee.error is not None:
            raise shared(tee.error) if self.joined else tee.error
        raise stop(tee.returned) if stop is StopIteration else stop

    def forsake(self) -> None:
        """The event loop is gone: settle the stream, as far as that is possible."""
        if self.tee.left(self):
            self.tee.source.forsake()
            drive(self.tee.source.close())


class Reader(_Reader):
    """A caller of a sync stream, in any thread."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self.new or not self.has():
            with self.tee.baton:
                while not self.has():
                    drive(self.tee.pull())
        return self.take(StopIteration)

    def close(self) -> None:
        """Read no further."""
        if self.tee.left(self):
            drive(self.tee.source.close())


class AsyncReader(_Reader):
    """A caller of an async stream, in its event loop."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        tee = self.tee
        fetching = tee.pulling if self.new else None
        if fetching is not None and not fetching.done():
            await tee.more()
        while not self.has():
            await tee.more()
        return self.take(StopAsyncIteration)

    async def aclose(self) -> None:
        """Read no further."""
        tee = self.tee
        if tee.left(self):
            if tee.pulling is not None:
                tee.pulling.cancel()
            await tee.source.close()
