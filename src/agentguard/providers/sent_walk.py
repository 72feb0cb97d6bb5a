"""Every text in a value, whatever it is made of, with what each of them becomes.

Nothing is changed in place: objects on the way to a text that changes are copied, all else is
shared with the caller's own.
"""

from __future__ import annotations

import collections
import enum
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MappingView
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agentguard.providers.attached import (
    HOLDERS,
    Attachment,
    kind_of_block,
    kind_of_fields,
    kind_of_object,
    kind_of_url,
)
from agentguard.providers.items import fields, rebuilt
from agentguard.providers.sent_json import changed_source
from agentguard.providers.sent_names import AUTHORISES, BYTES, DATA, FIXED, SCHEMAS, SOURCE

if TYPE_CHECKING:
    from agentguard.providers.items import Path

__all__ = [
    "AS_DATA",
    "AS_REQUEST",
    "Change",
    "Unwalkable",
    "Walk",
    "Where",
    "is_walked",
    "named_path",
    "numbers",
    "record_fields",
]

AS_DATA: Final = "data"
"""An object of the user's: every text in it may be one that counts, names of fields included."""

AS_REQUEST: Final = "request"
"""What a provider's API takes: its ids, roles and names are none of the user's texts."""

_AS_JSON: Final = "json"  # data that goes out as JSON: a number is as good as a text
_AS_SCHEMA: Final = "schema"
_ATTACHED: Final = "attached"

_USER_LIST: Final[Any] = collections.UserList  # of what, a type checker could not know
_SEQUENCES: Final = (list, tuple, collections.deque, _USER_LIST, MappingView)
_CONTAINERS: Final = (Mapping, *_SEQUENCES, set, frozenset, collections.UserString, SimpleNamespace)
_ATOMS: Final = frozenset({int, float, bool, complex, type(None)})
_NUMBERS: Final = frozenset({int, float})
_LONG_NUMBER: Final = 10**8
_UNNAMED: Final = "[...]"
"""A step in a place: the keys of somebody's data may be what must not be told."""

_DEEPEST: Final = 200
_ROLES: Final = frozenset(
    {"user", "assistant", "system", "developer", "tool", "function", "model", "human", "ai"}
)
_SAYING: Final = ("content", "parts", "tool_calls")
_BLOCK_KEYS: Final = frozenset({"type", "role", "parts", "text", "content"})
_PACKAGES: Final = frozenset(
    {
        "anthropic",
        "cohere",
        "google",
        "groq",
        "langchain",
        "langchain_core",
        "litellm",
        "mistralai",
        "ollama",
        "openai",
        "pydantic_ai",
    }
)
"""Whose objects are parts of requests."""


class Where(NamedTuple):
    """Where a text stands in a request.

    Attributes:
        path: the way to it.
        label: the name that somebody's data gives it, where it has one: "passport_number".
    """

    path: Path
    label: str | None = None

    def __str__(self) -> str:
        return named_path(self.path)


Change = Callable[[str, Where], str]
"""What a text becomes."""


class Unwalkable(TypeError):
    """A value whose texts cannot all be reached: it contains itself, or is nested too deeply."""


class Walk:
    """Walks through values and changes their texts.

    Args:
        change: what each text becomes.
        attached: hears of each attachment.
        pieces: what a text becomes that arrives piece by piece, see `in_pieces`.
    """

    __slots__ = ("_attached", "_change", "_inside", "_known", "_pieces")

    def __init__(
        self,
        change: Change,
        attached: Callable[[Attachment], object] | None = None,
        pieces: Callable[[Any], Any] | None = None,
    ) -> None:
        self._change = change
        self._attached = attached
        self._pieces = pieces
        self._inside: set[int] = set()
        self._known: dict[tuple[int, str], Any] = {}

    def value(self, value: Any, path: Path, label: str | None, mode: str) -> Any:
        """`value`, or a copy of it with its texts changed."""
        if type(value) in _ATOMS:
            return self._number(value, path, label) if mode == _AS_JSON else value
        if isinstance(value, str):
            return self._text(value, path, label, mode)
        key = (id(value), mode)
        if key in self._known:
            return self._known[key]
        if not is_walked(value):
            return self._other(value, path, label, mode)
        if id(value) in self._inside or len(self._inside) > _DEEPEST:
            raise Unwalkable(
                f"{named_path(path)} contains itself, or is nested too deeply, so that its texts "
                "cannot all be reached"
            )
        self._inside.add(id(value))
        try:
            found = self._container(value, path, label, mode)
        finally:
            self._inside.discard(id(value))
        self._known[key] = found
        return found

    def field(self, name: object, value: Any, path: Path, mode: str) -> Any:
        """The value of a field, by what fields of this name hold."""
        if mode in {AS_DATA, _AS_JSON}:
            return self.value(value, path, name if isinstance(name, str) else None, mode)
        if mode == _AS_SCHEMA:
            if isinstance(value, str):
                return self._text(value, path, None, mode) if name == "description" else value
            return self.value(value, path, None, mode)
        if name in FIXED or not isinstance(name, str) or name.endswith("_id"):
            return value
        if name in SCHEMAS or AUTHORISES.search(name):
            return self.value(value, path, None, _AS_SCHEMA) if name in SCHEMAS else value
        if isinstance(value, str):
            if mode == _ATTACHED and name in BYTES:
                return value
            if name in SOURCE:
                return self._source(value, path)
            return self._text(value, path, None, mode)
        if name in HOLDERS and value is not None and mode != _ATTACHED:
            self._tell(kind_of_fields(HOLDERS[name], fields(value)), path)
            return self.value(value, path, None, _ATTACHED)
        if (name in DATA and not isinstance(value, (list, tuple))) or _is_data(
            name, cast("Any", value)
        ):
            return self.value(value, path, None, _AS_JSON)
        return self.value(value, path, None, mode)

    def _text(self, text: str, path: Path, label: str | None, mode: str) -> str:
        if not text or isinstance(text, enum.Enum):
            return text
        kind = kind_of_url(text)
        if kind is not None:
            if mode != _ATTACHED:
                self._tell(kind, path)
            return text
        plain = text if type(text) is str else str.__str__(text)
        new = self._change(plain, Where(path, label))
        return text if new == plain else _of_class(text, new)

    def _source(self, source: str, path: Path) -> str:
        return changed_source(
            source, lambda text, label: self._change(text, Where(path, label)) if text else text
        )

    def _number(self, number: Any, path: Path, label: str | None) -> Any:
        if type(number) is not int or abs(number) < _LONG_NUMBER:
            return number
        text = str(number)
        new = self._change(text, Where(path, label))
        return number if new == text else new

    def _other(self, value: Any, path: Path, label: str | None, mode: str) -> Any:
        """What holds no texts that can be reached, and what brings them one after the other."""
        if getattr(value, "in_pieces", False) is True and self._pieces is not None:
            return self._pieces(value)
        kind = kind_of_object(value)
        if kind is not None:
            if mode != _ATTACHED:
                self._tell(kind, path)
        elif type(value).__module__ == "builtins" or type(value).__module__ == "itertools":
            if hasattr(value, "__next__"):
                return self._each(value, path, label, mode)
            if hasattr(value, "__anext__"):
                return self._each_async(value, path, label, mode)
        return value

    def _each(self, items: Iterator[Any], path: Path, label: str | None, mode: str) -> Any:
        for number, item in enumerate(items):
            yield self.value(item, (*path, number), label, mode)

    async def _each_async(
        self, items: AsyncIterator[Any], path: Path, label: str | None, mode: str
    ) -> Any:
        number = 0
        async for item in items:
            yield self.value(item, (*path, number), label, mode)
            number += 1

    def _container(self, value: Any, path: Path, label: str | None, mode: str) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(cast("Any", value), path, mode)
        if isinstance(value, _SEQUENCES):
            return self._sequence(value, path, label, mode)
        if isinstance(value, (set, frozenset)):
            return self._set(cast("Any", value), path, label, mode)
        if isinstance(value, collections.UserString):
            new = self._text(value.data, path, label, mode)
            return value if new == value.data else type(value)(new)
        return self._record(value, path, mode)

    def _mapping(self, value: Mapping[Any, Any], path: Path, mode: str) -> Any:
        mode = self._mode(value, path, mode, own=False)
        changes: dict[Any, Any] = {}
        renamed: dict[Any, str] = {}
        for name, each in value.items():
            data = mode in {AS_DATA, _AS_JSON}
            here = (*path, _UNNAMED if data or not isinstance(name, str) else name)
            if data and isinstance(name, str):
                new = self._text(name, path, None, mode)
                if new != name:
                    renamed[name] = new
            new = self.field(name, each, here, mode)
            if new is not each:
                changes[name] = new
        if renamed:
            return _renamed(value, changes, renamed)
        if not changes:
            return value
        if isinstance(value, dict):
            return rebuilt(value, [((name,), each) for name, each in changes.items()])
        return {**value, **changes}

    def _sequence(self, value: Any, path: Path, label: str | None, mode: str) -> Any:
        if mode != _AS_JSON and numbers(value):
            return value
        changed = False
        members: list[Any] = []
        for number, each in enumerate(value):
            new = self.value(each, (*path, number), label, mode)
            changed = changed or new is not each
            members.append(new)
        if not changed:
            return value
        if isinstance(value, collections.deque):
            return collections.deque(members, cast("Any", value).maxlen)
        make = getattr(value, "_make", None)
        if make is not None:
            return make(members)
        if isinstance(value, tuple):
            return tuple(members)
        if isinstance(value, _USER_LIST):
            return type(value)(members)
        if isinstance(value, MappingView):
            return members
        return rebuilt(value, [((number,), each) for number, each in enumerate(members)])

    def _set(self, value: Any, path: Path, label: str | None, mode: str) -> Any:
        """In an order that does not hang on how texts are hashed in this process."""
        texts = sorted(each for each in value if isinstance(each, str))
        others = [each for each in value if not isinstance(each, str)]
        old = [*texts, *others]
        new = [self.value(each, (*path, at), label, mode) for at, each in enumerate(old)]
        same = all(before is after for before, after in zip(old, new, strict=True))
        return value if same else (frozenset if isinstance(value, frozenset) else set)(new)

    def _record(self, value: Any, path: Path, mode: str) -> Any:
        known = record_fields(value)
        mode = self._mode(known, path, mode, own=_of_sdk(cast("Any", type(value))))
        changes: dict[str, Any] = {}
        for name, each in known.items():
            new = self.field(name, each, (*path, name), mode)
            if new is not each:
                changes[name] = new
        return _with(value, changes) if changes else value

    def _mode(self, known: Mapping[Any, Any], path: Path, mode: str, *, own: bool) -> str:
        """How an object's fields are read: a message in somebody's data is a message."""
        if mode == AS_DATA and (own or _is_message(known)):
            mode = AS_REQUEST
        if mode == AS_REQUEST:
            kind = kind_of_block(known)
            if kind is not None:
                self._tell(kind, path)
                return _ATTACHED
        elif mode == _ATTACHED and known.get("type") in {"text", "content"}:
            return AS_REQUEST
        return mode

    def _tell(self, kind: str, path: Path) -> None:
        if self._attached is not None:
            self._attached(Attachment(kind, named_path(path)))


def numbers(value: Any) -> bool:
    """Whether a sequence is nothing but numbers, as a vector is."""
    return bool(value) and _NUMBERS.issuperset(map(type, value))


def named_path(path: Path) -> str:
    """A path as one writes it in Python.

    Examples:
        >>> named_path(("messages", 0, "content"))
        'messages[0].content'
    """
    told = ""
    for step in path:
        if isinstance(step, int):
            told += f"[{step}]"
        elif step == _UNNAMED or not told:
            told += step
        else:
            told += f".{step}"
    return told


def _is_message(known: Mapping[Any, Any]) -> bool:
    role = known.get("role", known.get("type"))
    return isinstance(role, str) and role in _ROLES and any(name in known for name in _SAYING)


def _is_data(name: str, value: object) -> bool:
    """Whether it is what a tool has returned, and not a message's block."""
    return (
        name == "content"
        and isinstance(value, dict)
        and _BLOCK_KEYS.isdisjoint(cast("dict[str, Any]", value))
    )


def _of_sdk(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] in _PACKAGES for base in kind.__mro__)


def is_walked(value: Any) -> bool:
    """Whether texts are looked for in it: containers, and records that are no tools or clients."""
    if isinstance(value, _CONTAINERS):
        return True
    kind = cast("Any", type(value))
    if not (
        hasattr(kind, "__dataclass_fields__")
        or hasattr(kind, "__pydantic_fields__")
        or hasattr(kind, "__attrs_attrs__")
        or hasattr(kind, "__struct_fields__")
        or (hasattr(kind, "__fields__") and hasattr(kind, "model_fields"))
    ):
        return False
    return not (
        isinstance(value, (type, enum.Enum))
        or callable(value)
        or hasattr(kind, "invoke")
        or hasattr(kind, "__enter__")
        or hasattr(kind, "__aenter__")
        or kind_of_object(value) is not None
    )


def record_fields(value: Any) -> Mapping[str, Any]:
    """The fields of a record, and what else was put on the object."""
    known = dict(fields(value))
    kind = cast("Any", type(value))
    for place in ("__struct_fields__", "__dataclass_fields__"):
        for name in getattr(kind, place, ()):
            if name not in known and hasattr(value, name):
                known[name] = getattr(value, name)
    for each in getattr(kind, "__attrs_attrs__", ()):
        if each.name not in known and hasattr(value, each.name):
            known[each.name] = getattr(value, each.name)
    return known


def _with(value: Any, changes: dict[str, Any]) -> Any:
    if hasattr(value, "__struct_fields__"):
        return sys.modules["msgspec"].structs.replace(value, **changes)
    if hasattr(value, "__pydantic_fields_set__") and hasattr(value, "model_copy"):
        other = value.model_copy()  # whose `update` takes what is cached on it for fields
        for name, each in changes.items():
            (vars(other) if name in vars(other) else other.__pydantic_extra__)[name] = each
        return other
    return rebuilt(value, [((name,), each) for name, each in changes.items()])


def _of_class(old: str, text: str) -> str:
    kind: Any = type(old)
    if kind is str:
        return text
    try:
        return cast("str", kind(text))
    except Exception:  # a class of the user's that takes more than a text: the plain text it is
        return text


def _renamed(
    value: Mapping[Any, Any], changes: Mapping[Any, Any], renamed: Mapping[Any, str]
) -> dict[Any, Any]:
    """A dict with other keys, in the same order; what would meet under one key gets a number."""
    found: dict[Any, Any] = {}
    for name, each in value.items():
        new: Any = renamed.get(name, name)
        number = 1
        while new in found:
            number += 1
            new = f"{renamed.get(name, name)} ({number})"
        found[new] = changes.get(name, each)
    return found
