"""The streams of a scripted model: their items, what happens between them, and who closed them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agentguard.testing.clock import pause, pause_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

__all__ = ["AsyncScriptedStream", "Cut", "ScriptedStream", "Stall", "Tape"]


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

    __slots__ = ("_count", "_ended", "_left")

    def __init__(self, items: Iterable[Any], count: Callable[[str], None]) -> None:
        self._left = deque(items)
        self._count = count
        self._ended = False
        count("opened")

    def next(self) -> Any:
        """The next item, or StopIteration."""
        while self._left:
            item = self._take()
            if type(item) is not Stall:
                return item
            pause(item.seconds)
        self._end()
        raise StopIteration

    async def anext(self) -> Any:
        """The next item, or StopAsyncIteration."""
        while self._left:
            item = self._take()
            if type(item) is not Stall:
                return item
            await pause_async(item.seconds)
        self._end()
        raise StopAsyncIteration

    def close(self) -> None:
        """Whoever reads it stops here: counted each time, unless it had ended by itself."""
        self._left.clear()
        if not self._ended:
            self._count("closed")

    def _take(self) -> Any:
        item = self._left.popleft()
        if type(item) is Cut:
            self._end()
            raise _Lost
        try:
            return raised(item)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._left.clear()
        if not self._ended:
            self._ended = True
            self._count("ended")
