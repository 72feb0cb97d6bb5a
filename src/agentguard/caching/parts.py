"""Answers taken apart into plain JSON, and put together again.

What JSON has stays as it is. Everything else becomes `{"": [..., n]}`: its values, and the number of
the layout that says what they are. A layout is written once for all objects that look alike, so
the chunks of a stream cost what is in them.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import struct
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.layouts import PLAIN, Unreadable, builder, layout, schema, taker
from agentguard.caching.types import Known, can_be_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Parts", "Taking", "encode"]

_TEXT: Final = {str}
_FLOAT: Final = {float}
_VECTOR: Final = 16
"""So many numbers are stored as the bytes of them: half the size, and a twentieth of the time."""

_MOST: Final = 4096  # layouts remembered


def _vector(values: list[Any]) -> list[float]:
    raw = base64.b64decode(values[0])
    return list(struct.unpack(f"<{len(raw) // 8}d", raw))


def _delta(values: list[Any]) -> dt.timedelta:
    return dt.timedelta(*values)


_BUILT: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "vector": _vector,
    "bytes": lambda values: base64.b64decode(values[0]),
    "datetime": lambda values: dt.datetime.fromisoformat(values[0]),
    "date": lambda values: dt.date.fromisoformat(values[0]),
    "time": lambda values: dt.time.fromisoformat(values[0]),
    "timedelta": _delta,
    "Decimal": lambda values: Decimal(values[0]),
    "UUID": lambda values: uuid.UUID(values[0]),
}
_TAKEN: Final[Mapping[type, tuple[str, Callable[[Any], Any]]]] = {
    tuple: ("tuple", list),
    set: ("set", list),
    frozenset: ("frozenset", list),
    bytes: ("bytes", lambda value: [base64.b64encode(value).decode()]),
    dt.datetime: ("datetime", lambda value: [value.isoformat()]),
    dt.date: ("date", lambda value: [value.isoformat()]),
    dt.time: ("time", lambda value: [value.isoformat()]),
    dt.timedelta: ("timedelta", lambda v: [v.days, v.seconds, v.microseconds]),
    Decimal: ("Decimal", lambda value: [str(value)]),
    uuid.UUID: ("UUID", lambda value: [value.hex]),
}
encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""`json.dumps` would make an encoder each time."""


class Parts:
    """Takes values apart and puts them together. One serves all threads.

    Args:
        known: the user's own classes.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._takers: dict[type, tuple[dict[str, Any], Callable[[Any], Any]]] = {}
        self._layouts: dict[Any, str] = {}
        self._readers: dict[tuple[str, int], json.JSONDecoder] = {}

    def apart(self, value: Any) -> tuple[str, str]:
        """The layouts and the value, each as JSON without a line break.

        Raises:
            TypeError: there is a type in it that cannot be stored.
        """
        taking = self.taking()
        body = taking.written(value)
        return taking.head(), body

    def taking(self) -> Taking:
        """What takes several values apart, by layouts that they have in common."""
        return Taking(self)

    def together(self, layouts: str, body: str) -> Any:
        """What `apart` was given."""
        wanted = layouts, self._known.replaced
        reader = self._readers.get(wanted)
        if reader is None:
            builders = [self._builder(told) for told in json.loads(layouts)] if layouts else []
            reader = json.JSONDecoder(object_hook=_hook(builders) if builders else None)
            _remember(self._readers, wanted, reader)
        value, end = reader.raw_decode(body)
        if end != len(body):
            raise Unreadable
        return value

    def layout(self, look: tuple[Any, ...] | str) -> str:
        """The layout for a look, as JSON."""
        found = self._layouts.get(look)
        if found is None:
            told = {"is": look} if isinstance(look, str) else self.taker(look[0])[0] | layout(look)
            found = encode(told)
            _remember(self._layouts, look, found)
        return found

    def taker(self, kind: type) -> tuple[dict[str, Any], Callable[[Any], Any]]:
        """For a class: how it is stored, and what takes an object of it apart."""
        found = self._takers.get(kind)
        if found is None:
            known = self._known.spelling(kind)
            if known is None:
                raise TypeError(_unknown(self._known.missing(kind)))
            spelling, own = known
            stored = {"is": spelling, **({"schema": schema(kind)} if own else {})}
            found = (stored, taker(kind, own=own))
            _remember(self._takers, kind, found)
        return found

    def _builder(self, told: Mapping[str, Any]) -> Callable[[list[Any]], Any]:
        spelling, digest = told["is"], told.get("schema")
        if spelling.__class__ is str and spelling in _BUILT:
            return _BUILT[spelling]
        kind = self._known.find(spelling, own=digest is not None)
        if (
            not isinstance(kind, type)
            or not can_be_stored(kind)
            or digest not in {None, schema(kind)}
        ):
            raise Unreadable
        return builder(kind, told)


class Taking:
    """Values being taken apart one after the other. Layouts are added to what is there."""

    __slots__ = ("_layouts", "_numbers", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._numbers: dict[Any, int] = {}
        self._layouts: list[str] = []

    def head(self) -> str:
        """The layouts so far, as JSON."""
        return f"[{','.join(self._layouts)}]" if self._layouts else ""

    def written(self, value: Any) -> str:
        """A value as JSON.

        Raises:
            TypeError: there is a type in it that cannot be stored.
        """
        try:
            return encode(self.plain(value))
        except RecursionError:
            raise TypeError("it is nested too deeply, or holds itself") from None
        except ValueError:
            raise TypeError("it holds a number of more than 4,300 digits") from None

    def plain(self, value: Any) -> Any:
        """The value as JSON has it."""
        kind = cast("Any", type(value))
        if kind in PLAIN:
            return value
        if kind is list:
            kinds = set(map(type, value))
            if kinds == _FLOAT and len(value) >= _VECTOR:
                raw = base64.b64encode(struct.pack(f"<{len(value)}d", *value)).decode()
                return {"": [raw, self._number("vector")]}
            if kinds <= PLAIN:
                return value
            return [v if type(v) in PLAIN else self.plain(v) for v in value]
        if kind is dict:
            if set(map(type, value)) <= _TEXT and "" not in value:
                return {k: v if type(v) in PLAIN else self.plain(v) for k, v in value.items()}
            return self._tagged("dict", map(list, value.items()))
        simple = _TAKEN.get(kind)
        if simple is not None:
            return self._tagged(simple[0], simple[1](value))
        look, values = self._parts.taker(kind)[1](value)
        return self._tagged(look, values)

    def _tagged(self, look: tuple[Any, ...] | str, values: Any) -> dict[str, Any]:
        parts = [v if type(v) in PLAIN else self.plain(v) for v in values]
        parts.append(self._number(look))
        return {"": parts}

    def _number(self, look: tuple[Any, ...] | str) -> int:
        number = self._numbers.get(look)
        if number is None:
            told = self._parts.layout(look)
            self._numbers[look] = number = len(self._layouts)
            self._layouts.append(told)
        return number


def _hook(builders: list[Callable[[list[Any]], Any]]) -> Callable[[dict[str, Any]], Any]:
    def hook(found: dict[str, Any]) -> Any:
        if "" not in found:
            return found
        values: list[Any] = found[""]
        number: int = values.pop()
        return builders[number](values)

    return hook


def _remember(kept: dict[Any, Any], key: Any, value: Any) -> None:
    if len(kept) >= _MOST:
        kept.clear()
    kept[key] = value


def _unknown(kind: type) -> str:
    name = kind.__qualname__
    if can_be_stored(kind):
        return (
            f"the answer holds a {name}, which cache() does not know: write it in the function's "
            f"return annotation, or pass cache(..., types=[{name}])"
        )
    return (
        f"the answer holds a {kind.__module__}.{name}, which cannot be stored. What can: text, bytes, "
        "numbers, lists, tuples, dicts, dataclasses, named tuples, Enums, pydantic models, and what the "
        "SDKs of OpenAI, Anthropic, Google, LiteLLM and LangChain return. Return one of these "
        "(of an array its .tolist()), or leave cache() out here"
    )
