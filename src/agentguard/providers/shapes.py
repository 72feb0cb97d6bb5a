"""What an answer looks like: one `Shape` for each kind of item that providers send.

An item is a whole answer, or one chunk or event of a stream. The engine asks `shape_of(item)`
once per type and from then on talks to the shape alone; no policy ever sees a provider's type.

Channels. A channel is one text that grows from item to item: the content of a choice, its
refusal, its reasoning, the arguments of one tool call, one content block. Its key is a tuple.

- A key that ends in `"json"` is JSON source text (tool arguments while they stream): what a step
  inserts there must be escaped for a JSON string.
- `(WHOLE, key)` is not a channel but the whole text of channel `key`, repeated by an item after
  (or, in a snapshot, while) it streamed. It gets all that was put out on `key` so far. When no
  piece of `key` came before, the text stands for itself: a step of its own is fed and flushed.
- In the answer of a unary call every text is an ordinary channel, fed and flushed at once.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from agentguard.providers.items import Path, at, carved, outdated, rebuilt, reparsed
from agentguard.providers.usage import Usage, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

__all__ = [
    "ALL",
    "OPAQUE",
    "TEXT",
    "WHOLE",
    "Piece",
    "Reading",
    "Shape",
    "Usage",
    "is_stream",
    "shape_of",
]

Piece = tuple["Hashable", str]
"""A channel and the text that an item carries for it."""

ALL: Final[tuple[()]] = ()
"""In `Shape.closes`: every channel that is open. The empty tuple begins every key."""

WHOLE: Final = "whole"
"""First of a pair `(WHOLE, channel)`: the whole text of `channel`, repeated."""

_MOST_TYPES = 2048
"""Types remembered at most: unittest.mock makes a new class for every mock."""


class Reading:
    """What has been read so far of one attempt's answer. `Shape.read` fills it.

    Attributes:
        parts: the visible answer text in order: choice 0, no reasoning, no tool arguments.
        beside: texts that cost tokens and are not in `parts`: reasoning, tool arguments, the other
            choices, as far as they stream in pieces.
        content: something a consumer can use has arrived. Opening events leave it False.
        finished: the provider's terminal signal was seen. An empty answer finishes with `content`
            False.
        model: the model that served, as the provider names it.
        usage: the last cumulative figures; never a sum over chunks that repeat them.
        error: a failure that came as an ordinary item, where the SDK raises nothing.
        finish_reason: the provider's own word for why the answer ended.
        others: the same of the other choices.
        refused: the model declined, in a text of its own kind for that.
        request_id: the provider's id of the request, where an item reveals it.
        tier: the provider's word for the class of service that was given, which has a price of its
            own ("flex", "priority").
        raw: deltas come in the protocol's own form; events in which an SDK's helper repeats them
            add nothing to `parts`.
    """

    __slots__ = (
        "beside",
        "content",
        "error",
        "finish_reason",
        "finished",
        "model",
        "others",
        "parts",
        "raw",
        "refused",
        "request_id",
        "tier",
        "usage",
    )

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.beside: list[str] = []
        self.content = False
        self.finished = False
        self.model: str | None = None
        self.usage: Usage | None = None
        self.error: BaseException | None = None
        self.finish_reason: str | None = None
        self.others: tuple[str, ...] = ()
        self.refused = False
        self.request_id: str | None = None
        self.tier: str | None = None
        self.raw = False

    @property
    def text(self) -> str:
        """The visible answer text so far."""
        return "".join(self.parts)

    def __repr__(self) -> str:
        size = sum(map(len, self.parts))
        return (
            f"Reading(<{size} characters>, content={self.content}, finished={self.finished}, "
            f"model={self.model!r}, usage={self.usage!r}, finish_reason={self.finish_reason!r})"
        )


class Shape:
    """How one kind of item is read and rebuilt. Stateless: one instance serves all streams.

    A subclass writes `read` and, when its items carry text, `texts`; `split` and `join` follow
    from `texts`. Items of one stream may be of many classes, all of the same shape.

    Attributes:
        name: the protocol in a word, e.g. "openai.chat".
        ends: True when a whole stream always ends with a terminal signal, so that one without it
            was cut; False when there is no such signal; None when it depends on the server and
            must be learned from it.
        kept: what an item made by `carrier` has of the item's own fields, see `items.carved`.
        kept_inside: what it has of the fields on the way to the text.
    """

    name: ClassVar[str] = "opaque"
    ends: ClassVar[bool | None] = False
    kept: ClassVar[Mapping[str, Any]] = {}
    kept_inside: ClassVar[Mapping[str, Any]] = {}

    def read(self, item: Any, into: Reading) -> None:
        """Add what `item` says to `into`. One pass, never raises for what is missing."""
        raise TypeError(f"{type(self).__name__} does not say how to read an item")

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """Every text in `item`: its channel, where it is, and itself. Empty texts included."""
        return ()

    def split(self, item: Any) -> list[Piece]:
        """The texts that `item` carries: one piece for each channel, in the order they come.

        Examples:
            >>> TEXT.split("hello")
            [(('text',), 'hello')]
        """
        found: dict[Hashable, str] = {}
        for channel, _, text in self.texts(item):
            if text:
                found[channel] = found.get(channel, "") + text
        return list(found.items())

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """Channels that `item` ends, as beginnings of keys: `(0,)` ends `(0, "content")` too.

        Text held back on them must go out before `item`, or with it when it carries text for them
        itself. A channel that carries text after it was closed is a new one.
        """
        return ()

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """A copy of `item` with the texts of these channels replaced; `item` itself is unchanged.

        Ids, usage and all else stay, save what spells out or was made of a replaced text:
        log-probabilities are dropped, parsed objects parsed anew.

        Args:
            item: what `split` was asked about.
            texts: new text by channel. Channels that are absent keep theirs. Where an item has
                several pieces for a channel, each gets as much as it had and the last the rest.
        """
        places: dict[Hashable, list[tuple[Path, str]]] = {}
        for channel, path, text in self.texts(item):
            if channel in texts:
                places.setdefault(channel, []).append((path, text))
        changes: dict[Path, Any] = {}
        for channel, pieces in places.items():
            new = texts[channel]
            last = pieces[-1][0]
            for path, text in pieces:
                here, new = (new, "") if path == last else (new[: len(text)], new[len(text) :])
                if here != text:
                    changes[path] = _like(at(item, path), here)
                    changes.update(outdated(item, path, here))
        return rebuilt(item, changes.items()) if changes else item

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """A new item that carries just `text` on `channel`, for text that was held back.

        Args:
            item: an item of the same stream that carried `channel`, best the last one.
            channel: a channel that `split` reported; not a `(WHOLE, ...)` pair.
            text: what to carry.

        Returns:
            The new item, or None when `item` cannot be the model for one.
        """
        for found, path, _ in self.texts(item):
            if found == channel and isinstance(at(item, path), str):
                return self._emptied(
                    carved(item, path, text, self.kept, self.kept_inside), channel, text
                )
        return None

    def _emptied(self, carried: Any, channel: Hashable, text: str) -> Any:
        """A kept snapshot has the texts as they were before any guard: they must not go out.

        `join` with the `(WHOLE, ...)` keys puts in what did go out.
        """
        changes: dict[Path, Any] = {}
        for found, path, old in self.texts(carried):
            if found != channel and old:
                new = text if found == (WHOLE, channel) else ""
                changes[path] = _like(at(carried, path), new)
                changes.update(outdated(carried, path, new))
        return rebuilt(carried, changes.items())


def _like(old: object, text: str) -> object:
    """`text` as what stood in its place: a string, a parsed object, or no token in a list."""
    if isinstance(old, str):
        return text
    return [] if isinstance(old, list) else reparsed(old, text)


class _Text(Shape):
    name: ClassVar[str] = "text"
    _CHANNEL: ClassVar[tuple[str]] = ("text",)

    def read(self, item: Any, into: Reading) -> None:
        if item:
            into.parts.append(item)
            into.content = True

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        return ((self._CHANNEL, (), item),)

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        text = texts.get(self._CHANNEL, item)
        return item if text == item else _same_class(item, text)

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        return _same_class(item, text)


def _same_class(item: str, text: str) -> str:
    return text if item.__class__ is str else item.__class__(text)


class _Opaque(Shape):
    """An item we know nothing of: content as it stands, without a text we could see or change."""

    def read(self, item: Any, into: Reading) -> None:
        into.content = True
        try:
            usage = usage_of(_figures(item))
        except Exception:  # a property of somebody's class may raise anything: then no figures
            return
        if usage is not None:
            into.usage = usage


def _figures(item: object) -> object:
    figures: object = getattr(item, "usage", None)
    if figures is None:
        figures = getattr(item, "usage_metadata", None)
    elif callable(figures) and type(item).__module__.startswith("pydantic_ai."):
        figures = figures()  # a method in pydantic-ai before 2.0
    return figures


TEXT: Final[Shape] = _Text()
OPAQUE: Final[Shape] = _Opaque()

_FAMILIES = {
    "openai": "openai",
    "litellm": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "langchain": "langchain",
    "langchain_core": "langchain",
}
"""Which module of ours knows the classes of an SDK's package."""

_KEYS = (
    ("choices", "openai"),
    ("data", "openai"),
    ("object", "openai_responses"),
    ("type", "openai_responses"),
    ("type", "anthropic"),
    ("type", "langchain"),
    ("candidates", "google"),
    ("usageMetadata", "google"),
    ("promptFeedback", "google"),
    ("usage_metadata", "google"),
    ("prompt_feedback", "google"),
)
"""For raw JSON: a key, and which module of ours is asked when a dict has it, in this order."""

_shapes: dict[type, Shape] = {str: TEXT}
_streams: dict[type, bool] = {str: False, dict: False}


def shape_of(item: object) -> Shape:
    """The shape of an item; `TEXT` for plain strings, `OPAQUE` for what is not recognised.

    Remembered by type, so it costs a look-up; a dict is judged by its keys each time. No SDK is
    imported: classes are recognised by the modules they and their bases come from.

    Examples:
        >>> shape_of("hi").name, shape_of(object()).name
        ('text', 'opaque')
    """
    kind = type(item)  # a mock with a spec lies to isinstance, not to type
    shape = _shapes.get(kind)
    if shape is not None:
        return shape
    if issubclass(kind, dict):
        return _shape_of_dict(cast("Any", item))
    shape = _shape_of_type(kind)
    if len(_shapes) > _MOST_TYPES:
        _shapes.clear()
        _shapes[str] = TEXT
    _shapes[kind] = shape
    return shape


def _shape_of_type(kind: type) -> Shape:
    if issubclass(kind, str):
        # An Enum's members cannot be rebuilt with another text.
        return OPAQUE if hasattr(kind, "__members__") else TEXT
    for base in kind.__mro__:
        family = base.__module__.partition(".")[0]
        if family in _FAMILIES:
            module = import_module("agentguard.providers." + _FAMILIES[family])
            shape: Shape = module.shape_of_type(kind)
            return shape
    return OPAQUE


@functools.cache
def _of_dict(module: str) -> Callable[[Mapping[Any, Any]], Shape | None]:
    found: Callable[[Mapping[Any, Any]], Shape | None] = import_module(
        "agentguard.providers." + module
    ).shape_of_dict
    return found


def _shape_of_dict(item: Mapping[Any, Any]) -> Shape:
    for key, module in _KEYS:
        if key in item:
            shape: Shape | None = _of_dict(module)(item)
            if shape is not None:
                return shape
    return OPAQUE


def is_stream(value: object) -> bool:
    """Whether `value` is a stream of items: an iterator or asynchronous iterator, by its type.

    Lists, strings and other containers are whole answers. So are files and everything of `io`,
    which iterate over lines, and all of `unittest.mock`, which has every attribute.

    Examples:
        >>> is_stream(iter(["a", "b"])), is_stream(["a", "b"])
        (True, False)
    """
    kind = type(value)
    known = _streams.get(kind)
    if known is None:
        known = (hasattr(kind, "__next__") or hasattr(kind, "__anext__")) and not any(
            base.__module__ in _NO_STREAMS for base in kind.__mro__
        )
        if len(_streams) > _MOST_TYPES:
            _streams.clear()
        _streams[kind] = known
    return known


_NO_STREAMS = frozenset({"io", "_io", "_pyio", "codecs", "tempfile", "unittest.mock"})
