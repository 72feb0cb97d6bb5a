"""What of an answer its reader sees beside its first text, and how it is replaced.

Refusals, other choices, and texts in structures of the user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.sent_names import FIXED
from agentguard.providers.shapes import WHOLE
from agentguard.providers.structured import STRUCTURED, changing

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from agentguard.providers.shapes import Piece

__all__ = ["Replacing", "aside", "shown"]

_SHOWN: Final = frozenset({("content",), ("text",), ("refusal",)})
"""How the channels end that the user reads: not tool arguments, not reasoning."""

_CHOICES: Final = frozenset({"openai.chat", "google", "langchain"})
"""Shapes whose channels begin with the number of a choice."""


def shown(channel: Any) -> bool:
    """Whether the user reads this channel: not tool arguments, not reasoning."""
    return isinstance(channel, tuple) and channel[-1:] in _SHOWN


def aside(item: Any, *, streamed: bool = False) -> Iterator[Piece]:
    """The texts of an item that its reader sees and that `Reading.parts` leaves out.

    Args:
        item: an answer, or an item of a stream.
        streamed: one of many: then names, ids and the like in structures are no texts, nor is what
            stands around a message.

    Examples:
        >>> list(aside({"answer": "42"}))
        [(('at', 'answer'), '42')]
    """
    shape = changing(item)
    if shape is STRUCTURED:
        yield from _structured(item, streamed=streamed)
        return
    pieces: list[tuple[Any, str]] = [*shape.split(item)]
    for channel, text in pieces:
        if shown(channel) and (channel[-1] == "refusal" or _other(shape.name, channel)):
            yield channel, text


def _other(name: str, channel: Any) -> bool:
    """Whether this is a choice after the first."""
    first = channel[0]
    return name in _CHOICES and len(channel) > 1 and isinstance(first, int) and first > 0


def _structured(item: Any, *, streamed: bool) -> Iterator[Piece]:
    found: list[tuple[Any, str]] = [*STRUCTURED.split(item)]
    pieces = [
        (channel, text)
        for channel, text in found
        if channel[0] != WHOLE and (shown(channel) if channel[0] == "in" else channel[-1] != "json")
    ]
    whole = STRUCTURED.closes(item)
    messages = streamed and any(channel[0] == "in" for channel, _ in pieces)
    for channel, text in pieces:
        if streamed and channel[0] == "at" and (messages or channel[-1] in FIXED):
            continue
        yield channel, f"{text}\n" if streamed and channel in whole else text


class Replacing:
    """Puts one text in place of all that the reader of an answer would see, item by item."""

    __slots__ = ("_channel", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._channel: Hashable | None = None

    @property
    def said(self) -> bool:
        """Whether an item carries the text."""
        return self._channel is not None

    def change(self, item: Any) -> Any:
        """The item without its texts; the first one to have any gets the new one."""
        shape = changing(item)
        texts: dict[Any, str] = {}
        for channel, _ in shape.split(item):
            own = _repeated(channel)
            if not _seen(own):
                continue
            if self._channel is None:
                self._channel = own
                texts[channel] = self._text
            else:
                repeats = own != channel and own == self._channel
                texts[channel] = self._text if repeats else ""
        return shape.join(item, texts) if texts else item


def _repeated(channel: Any) -> Any:
    """What a channel repeats as a whole, or itself."""
    key: Any = channel
    return key[1] if isinstance(channel, tuple) and key[0] == WHOLE else key


def _seen(channel: Any) -> bool:
    key: Any = channel
    if isinstance(channel, tuple) and key[0] == "at":
        return bool(key[-1] != "json") and key[-1] not in FIXED
    return shown(channel)
