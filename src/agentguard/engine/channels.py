"""Steps over text: how a policy changes an answer without seeing any provider's type.

A step is made anew for every text channel of an answer, so that it may keep state between chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from agentguard.providers.shapes import ALL, WHOLE
from agentguard.providers.structured import changing

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

__all__ = ["Channels", "Step"]


class Step(Protocol):
    """Changes one text that arrives in pieces.

    What `feed` and `flush` return, joined, is the new text: it must not depend on how the text was
    split into pieces.
    """

    def feed(self, text: str, /) -> str:
        """Take the next piece; return what can already go out."""
        ...

    def flush(self) -> str:
        """The text is complete: return what was held back."""
        ...


class _Line:
    """One channel's steps in order, its last item, and what went out on it so far."""

    __slots__ = ("item", "out", "steps")

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.item: Any = None
        self.out: list[str] = []

    def feed(self, text: str) -> str:
        for step in self.steps:
            text = step.feed(text)
        self.out.append(text)
        return text

    def flush(self) -> str:
        text = ""
        for step in self.steps:
            text = (step.feed(text) if text else "") + step.flush()
        if text:
            self.out.append(text)
        return text


class Channels:
    """Runs the steps of all policies over the items of one answer."""

    __slots__ = ("_closed", "_lines", "_makers")

    def __init__(self) -> None:
        self._makers: list[tuple[Callable[[], Step], Callable[[], Step]]] = []
        self._lines: dict[Hashable, _Line] = {}
        self._closed: dict[Hashable, _Line] = {}

    def add(self, make: Callable[[], Step], make_source: Callable[[], Step] | None = None) -> None:
        """Put a policy's step behind those that are there; `make_source` is for JSON source."""
        self._makers.append((make, make_source or make))

    def feed(self, item: Any) -> list[Any]:
        """The items that go out for `item`: what its closing channels held back, and itself."""
        shape = changing(item)
        texts: dict[Hashable, str] = {}
        wholes: list[tuple[Hashable, Hashable, str]] = []
        for channel, text in shape.split(item):
            whole = _repeated(channel)
            if whole is not None:
                wholes.append((channel, whole, text))
                continue
            line = self._lines.get(channel)
            if line is None:
                line = self._lines[channel] = self._line(channel)
            line.item = item
            texts[channel] = line.feed(text)
        before: list[Any] = []
        for key in shape.closes(item):
            for channel in [c for c in self._lines if _within(c, key)]:
                line = self._lines.pop(channel)
                self._closed[channel] = line
                rest = line.flush()
                if channel in texts:  # its last piece is in this very item
                    texts[channel] += rest
                elif rest:
                    before += _carry(line, channel, rest)
        for whole_channel, channel, text in wholes:
            texts[whole_channel] = self._whole(channel, text)
        return [*before, shape.join(item, texts)]

    def flush(self) -> list[Any]:
        """The items that carry what is still held back at the end of the answer."""
        out: list[Any] = []
        for channel, line in self._lines.items():
            rest = line.flush()
            if rest:
                out += _carry(line, channel, rest)
        self._lines.clear()
        return out

    def all(self, item: Any) -> Any:
        """A whole, unary answer with all its texts changed."""
        shape = changing(item)
        texts = {channel: self._alone(channel, text) for channel, text in shape.split(item)}
        return shape.join(item, texts)

    def _whole(self, channel: Hashable, text: str) -> str:
        line = self._lines.get(channel) or self._closed.get(channel)
        return self._alone(channel, text) if line is None else "".join(line.out)

    def _alone(self, channel: Hashable, text: str) -> str:
        line = self._line(channel)
        return line.feed(text) + line.flush()

    def _line(self, channel: Hashable) -> _Line:
        source = _is_source(channel)
        return _Line([(make_source if source else make)() for make, make_source in self._makers])


def _is_source(channel: Hashable) -> bool:
    """Whether what flows there is the source of JSON."""
    key = [*cast("tuple[Hashable, ...]", channel)] if isinstance(channel, tuple) else []
    return key[-1:] == ["json"] or (key[:1] == [WHOLE] and _is_source(key[1]))


def _repeated(channel: Hashable) -> Hashable | None:
    """The channel whose whole text `channel` stands for, if it is not a channel itself."""
    key = cast("tuple[Hashable, ...]", channel) if isinstance(channel, tuple) else ()
    return key[1] if key and key[0] == WHOLE else None


def _within(channel: Hashable, key: tuple[Hashable, ...]) -> bool:
    return key == ALL or (isinstance(channel, tuple) and channel[: len(key)] == key)


def _carry(line: _Line, channel: Hashable, text: str) -> Iterable[Any]:
    carrier = changing(line.item).carrier(line.item, channel, text)
    return () if carrier is None else (carrier,)
