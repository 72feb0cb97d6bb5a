"""A stream behind a judge: what has come is let through when it was found to be good.

Text is judged in windows that overlap. Nothing is shown before it was judged together with what
follows it within the overlap, as long as that comes within the delay, and nothing that was shown is
taken back. A second text in the same
stream, such as a refusal or another choice, is held to the end with all that follows it.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any

from agentguard.engine import arguments
from agentguard.engine.call import Attempt
from agentguard.engine.drive import Ended, drive
from agentguard.engine.reply import Reply, Source
from agentguard.providers.shapes import OPAQUE, Reading, shape_of
from agentguard.providers.visible import Replacing, aside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from typing import Self

    from agentguard.engine.call import Call

    Look = Callable[[str, str], Awaitable["str | None"]]
    Cut = Callable[[str], int]

__all__ = ["Window", "gated"]


class Window:
    """How much of a stream is judged at a time.

    Args:
        size: characters that are gathered before they are judged.
        overlap: characters on either side of what is let through that are judged with it: as many
            as what is looked for is long.
        delay: seconds after which what is held is judged and let through when the next item comes,
            though the window is not full, and without waiting for the overlap. It bounds what the
            judge adds to a slow stream; `float("inf")` never lets go early.

    Examples:
        >>> from agentguard import Window
        >>> Window(size=400)
        Window(size=400, overlap=50, delay=0.5)
    """

    __slots__ = ("delay", "overlap", "size")

    def __init__(self, size: int = 200, overlap: int = 50, delay: float = 0.5) -> None:
        self.size = arguments.count("Window", "size", size)
        self.overlap = arguments.count("Window", "overlap", overlap, 0)
        self.delay = arguments.seconds("Window", "delay", delay, zero=True)

    def __repr__(self) -> str:
        return f"Window(size={self.size}, overlap={self.overlap}, delay={self.delay:g})"


def gated(
    call: Call, reply: Reply, source: Source, window: Window, look: Look, cut: Cut | None = None
) -> Reply:
    """The stream, of which each part is shown when `look` has let it through.

    Args:
        call: of the policy that judges.
        reply: of the chain inside.
        source: its stream.
        window: how much is looked at together.
        look: given what was shown before, as far as it overlaps, and what comes next: raises, or
            returns a text to say instead of the rest, or None.
        cut: up to where a text is made of whole pieces: then each is looked at once, when it is
            whole, without what is around it, and `overlap` counts for nothing.
    """
    gate = _AsyncGate if source.runtime.is_async else _Gate
    began, runtime = reply.attempt, reply.attempt.call.runtime
    attempt = Attempt(call)
    attempt.started, attempt.first = began.started, began.first
    reader = gate(source, window, look, cut)
    outer = Source(attempt, reader, reader.step)
    outer.runtime, outer.deadline, outer.origin = source.runtime, None, source.origin
    if runtime.open is not None and source in runtime.open:  # the gate closes it from here on
        runtime.open[runtime.open.index(source)] = outer
    return Reply(began, None, outer)


class _Gate:
    """Takes items in, and lets them out."""

    step: Callable[[], Any]

    def __init__(self, source: Source, window: Window, look: Look, cut: Cut | None = None) -> None:
        self.source = source
        self.window = window
        self.look = look
        self.cut = cut
        self.least = window.size  # characters to come before it is looked at again
        self.reading = Reading()
        self.read = 0  # how many of its parts are in `text`
        self.text = ""  # held and what was shown before it
        self.shown = 0  # how much of it was shown
        self.judged = 0  # up to where it was found to be good
        self.counted = 0  # how many of the texts beside them were looked through
        self.main: Hashable | None = None  # the channel in `text` where items are structures
        self.aside: dict[Hashable, list[str]] = {}  # other texts, judged at the end
        self.replacing: Replacing | None = None  # from where on nothing is shown as it came
        self.held: deque[tuple[Any, float]] = deque()  # items, and where in `text` each ends
        self.ready: deque[Any] = deque()
        self.since: float | None = None  # when the oldest held text came
        self.ended: Ended | None = None
        self.step = self.__next__

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        item = drive(self.take())
        if type(item) is Ended:
            raise StopIteration(item.value)
        return item

    def close(self) -> None:
        """Read no further."""
        drive(self.source.close())

    def forsake(self) -> None:
        """The event loop is gone: settle the stream, as far as that is possible."""
        self.source.forsake()
        drive(self.source.close())

    async def take(self) -> Any:
        """The next item that may be shown, or `Ended`."""
        while not self.ready:
            if self.ended is not None:
                return self.ended
            item = await self.source.pull()
            if type(item) is Ended:
                self.ended = item
                if self.replacing is None:
                    await self._judge(whole=True)
                continue
            if self.replacing is not None:
                self.ready.append(self.replacing.change(item))
                continue
            self._hold(item)
            if self.aside:
                continue
            if len(self.text) - self.judged >= self.least:
                await self._judge(whole=False)
            elif self.since is not None and self._now() - self.since >= self.window.delay:
                await self._judge(whole=self.cut is None)
        return self.ready.popleft()

    def _hold(self, item: Any) -> None:
        shape = shape_of(item)
        shape.read(item, self.reading)
        parts, beside = self.reading.parts, self.reading.beside
        new = "".join(parts[self.read :])
        self.read = len(parts)
        if shape is OPAQUE or len(beside) > self.counted:
            self.counted = len(beside)
            for channel, text in aside(item, streamed=True):
                if self.main is None and shape is OPAQUE and not parts:
                    self.main = channel
                if channel == self.main:
                    new += text
                else:
                    self.aside.setdefault(channel, []).append(text)
        self.text += new
        if new and self.since is None:
            self.since = self._now()
        if not new and not self.held and not self.aside:
            self.ready.append(item)
        else:
            self.held.append((item, inf if self.aside else len(self.text)))

    async def _judge(self, *, whole: bool) -> None:
        """Look at what has come; let through what has `overlap` behind it, or all of it."""
        for texts in self.aside.values():
            instead = await self.look("", "".join(texts))
            if instead is not None:
                await self._say(instead)
                return
        if self.cut is not None:
            await self._judge_pieces(self.cut, whole=whole)
            return
        overlap = self.window.overlap
        start = max(0, self.shown - overlap)
        if len(self.text) > self.judged:
            instead = await self.look(self.text[start : self.shown], self.text[self.shown :])
            if instead is not None:
                await self._say(instead)
                return
        self.judged = len(self.text)
        until = self._end(self.judged if whole else self.judged - overlap)
        while self.held and self.held[0][1] <= until:
            item, end = self.held.popleft()
            self.shown = int(min(end, len(self.text)))
            self.ready.append(item)
        self.since = self._now() if self.held else None
        drop = max(0, self.shown - overlap)
        self.text = self.text[drop:]
        self.shown, self.judged = self.shown - drop, self.judged - drop
        self.held = deque((item, end - drop) for item, end in self.held)

    async def _judge_pieces(self, cut: Cut, *, whole: bool) -> None:
        """Look at the pieces that are whole, and let them through."""
        rest = self.text[self.judged :]
        end = len(rest) if whole else cut(rest)
        if end:
            instead = await self.look("", rest[:end])
            if instead is not None:
                await self._say(instead)
                return
        self.judged += end
        until = self._end(self.judged)
        while self.held and self.held[0][1] <= until:
            item, at = self.held.popleft()
            self.shown = int(min(at, len(self.text)))
            self.ready.append(item)
        self.since = self._now() if self.held else None
        # A piece that does not end is looked at ever more seldom.
        self.least = max(self.window.size, 2 * (len(rest) - end))
        drop, self.shown = self.shown, 0
        self.text = self.text[drop:]
        self.judged -= drop
        self.held = deque((item, at - drop) for item, at in self.held)

    def _end(self, until: int) -> float:
        """Up to where items are let through: to `until`, and all of them at the end."""
        return until if self.ended is None else inf

    async def _say(self, text: str) -> None:
        """Say this in place of what was held; of a protocol the rest is what tells of the end."""
        self.replacing = Replacing(text)
        protocol = False
        for item, _ in self.held:
            protocol = protocol or shape_of(item).ends is not False
            changed = self.replacing.change(item)
            if changed != "":
                self.ready.append(changed)
        self.held.clear()
        if self.ended is None and not protocol:
            self.ended = Ended()
            await self.source.close()

    def _now(self) -> float:
        return self.source.runtime.monotonic()


class _AsyncGate(_Gate):
    def __init__(self, source: Source, window: Window, look: Look, cut: Cut | None = None) -> None:
        super().__init__(source, window, look, cut)
        self.step = self.__anext__

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        item = await self.take()
        if type(item) is Ended:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Read no further."""
        await self.source.close()
