"""Items of nobody's protocol that have texts in them: an agent's events, a function's own objects.

A text keeps growing from item to item only where its field says that it does, as "text" or "delta"
do; all other texts are whole in their item. Messages inside are read as messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from agentguard.providers.items import Path, rebuilt, sequence
from agentguard.providers.sent_names import SOURCE
from agentguard.providers.sent_walk import is_walked, numbers, record_fields
from agentguard.providers.shapes import OPAQUE, TEXT, WHOLE, Reading, Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

__all__ = ["STRUCTURED", "changing"]

_GROWING: Final = frozenset(
    {
        "answer",
        "arguments",
        "chunk",
        "content",
        "data",
        "delta",
        "message",
        "output",
        "partial_json",
        "reasoning",
        "response",
        "text",
        "thinking",
        "token",
        "value",
    }
)
"""Fields whose texts arrive in pieces, where items stream."""

_RAW: Final = "at"
_INSIDE: Final = "in"


class Structured(Shape):
    """A dict, list, tuple or record with texts or messages somewhere inside.

    Channels: `("at", *way)` for a text, `("in", *way, *channel)` for those of a message.
    """

    name: ClassVar[str] = "structured"

    def read(self, item: Any, into: Reading) -> None:
        """As of anything unknown."""
        OPAQUE.read(item, into)

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """Every text, and those of every message."""
        for path, node, shape in _nodes(item, (), set()):
            if shape is None:
                yield _raw(path), path, node
            else:
                for channel, inner, text in shape.texts(node):
                    yield _inside(path, channel), (*path, *inner), text

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """What is whole in this item, and what its messages close."""
        found: list[tuple[Hashable, ...]] = []
        for path, node, shape in _nodes(item, (), set()):
            if shape is not None:
                found += [(_INSIDE, *path, *key) for key in shape.closes(node)]
            elif path[-1] not in _GROWING:
                found.append(_raw(path))
        return tuple(found)

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """Messages are joined by their own shapes."""
        changes: list[tuple[Path, Any]] = []
        for path, node, shape in _nodes(item, (), set()):
            if shape is None:
                new: Any = texts.get(_raw(path), node)
            else:
                own = {channel: _inside(path, channel) for channel, _, _ in shape.texts(node)}
                new = shape.join(node, {c: texts[ours] for c, ours in own.items() if ours in texts})
            if new is not node:
                changes.append((path, new))
        return rebuilt(item, changes) if changes else item

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """A copy of the item in which no other text of its kind is said again."""
        changes: list[tuple[Path, Any]] = []
        found = False
        for path, node, shape in _nodes(item, (), set()):
            if shape is None:
                mine = _raw(path) == channel
                if mine or path[-1] in _GROWING:
                    changes.append((path, text if mine else ""))
                found = found or mine
                continue
            inner = next((c for c, _, _ in shape.texts(node) if _inside(path, c) == channel), None)
            if inner is not None:
                carried = shape.carrier(node, inner, text)
                if carried is None:
                    return None
                changes.append((path, carried))
                found = True
        return rebuilt(item, changes) if found else None


STRUCTURED: Final[Shape] = Structured()


def changing(item: object) -> Shape:
    """The shape by which an item's texts are changed: as `shape_of`, and for structures as well.

    Examples:
        >>> changing({"answer": "42"}).name, changing(object()).name
        ('structured', 'opaque')
    """
    shape = shape_of(item)
    return STRUCTURED if shape is OPAQUE and is_walked(item) else shape


def _raw(path: Path) -> tuple[Hashable, ...]:
    return (_RAW, *path, "json") if path and path[-1] in SOURCE else (_RAW, *path)


def _inside(path: Path, channel: Hashable) -> Hashable:
    key = [*cast("tuple[Hashable, ...]", channel)] if isinstance(channel, tuple) else [channel]
    if key[0] == WHOLE:
        return WHOLE, _inside(path, key[1])
    return (_INSIDE, *path, *key)


def _nodes(node: Any, path: Path, above: set[int]) -> Iterator[tuple[Path, Any, Shape | None]]:
    """The texts in a structure, and the messages, with the way to each."""
    shape = shape_of(node)
    if shape is TEXT:
        yield path, node, None
        return
    if shape is not OPAQUE:
        yield path, node, shape
        return
    if not is_walked(node) or id(node) in above:
        return
    above.add(id(node))
    for step, each in _members(node):
        if isinstance(each, str) or is_walked(each) or shape_of(each) is not OPAQUE:
            yield from _nodes(each, (*path, step), above)
    above.discard(id(node))


def _members(node: Any) -> Iterable[tuple[Any, Any]]:
    if sequence(node):
        return () if numbers(node) else enumerate(node)
    known = cast("Mapping[Any, Any]", node if isinstance(node, dict) else record_fields(node))
    return known.items()
