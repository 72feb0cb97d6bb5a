"""The streams of a scripted model: their items, what happens between them, and who closed them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agentguard.testing.clock import pause, pause_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

__all__ = ["AsyncScriptedStream", "Cut", "ScriptedStream", "Stall", "Tape", "raised"]


class Stall:
    """In a scripted stream: nothing comes for `seconds` on the clock in use.

    Under `FakeRuntime` it takes no real time.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"Stall({self.seconds:g})"


class Cut:
    """In a scripted stream: it ends here, as when a connection is lost and no error says so."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Cut()"


class Tape:
    """The items of one stream while it is played.

    Args:
        items: what the script says.
        count: told "opened" now, and "ended" or "closed" later.
    """

    __slots__ = ("_count", "_left", "_state")

    def __init__(self, items: Iterable[Any], count: Callable[[str], None]) -> None:
        self._left = deque(items)
        self._count = count
        self._state = "opened"
        count("opened")

    def next(self) -> Any:
        """The next item, or StopIteration."""
        while self._left:
            item = self._take()
            if type(item) is Stall:
                pause(item.seconds)
            elif type(item) is not Cut:
                return item
        self._end()
        raise StopIteration

    async def anext(self) -> Any:
        """The next item, or StopAsyncIteration."""
        while self._left:
            item = self._take()
            if type(item) is Stall:
                await pause_async(item.seconds)
            elif type(item) is not Cut:
                return item
        self._end()
        raise StopAsyncIteration

    def close(self) -> None:
        """Whoever reads it stops here: counted each time, unless it had ended by itself."""
        self._left.clear()
        if self._state != "ended":
            self._state = "closed"
            self._count("closed")

    def release(self) -> None:
        """A generator is finished: close it, unless it has ended or was closed."""
        if self._state == "opened":
            self.close()

    def _take(self) -> Any:
        item = self._left.popleft()
        if type(item) is Cut:
            self._left.clear()
            return item
        try:
            return raised(item)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._left.clear()
        if self._state == "opened":
            self._state = "ended"
            self._count("ended")


class ScriptedStream:
    """What `ScriptedModel.returns_stream` returns: iterate it, close it, or use it in `with`."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._tape.next()

    def close(self) -> None:
        """Give the stream back to its provider."""
        self._tape.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncScriptedStream:
    """The same for asynchronous code, with `close` as a coroutine, as SDKs have it."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._tape.anext()

    async def close(self) -> None:
        """Give the stream back to its provider."""
        self._tape.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def raised(entry: Any) -> Any:
    """The entry, unless it is an exception or a class of one: that is raised."""
    if isinstance(entry, BaseException) or _is_exception_class(entry):
        raise entry
    return entry


def _is_exception_class(entry: object) -> bool:
    return isinstance(entry, type) and issubclass(entry, BaseException)
