"""What objects of one class that look alike have in common: said once, whatever their number.

A layout names the class, the fields that an object has, and which of them were never set. Objects
are put together without running code of theirs, as they were: nothing is validated, or changed by
a validator. An SDK's class may have got or lost fields since; one of the user's may not.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.types import is_enum, is_model, is_text, is_tuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Build = Callable[[list[Any]], Any]
    Look = tuple[Any, ...]
    Taken = tuple[Look, Iterable[Any]]

__all__ = ["PLAIN", "Unreadable", "builder", "layout", "schema", "taker"]

PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""What is the same in JSON."""

_new: Final = object.__new__
_put: Final = object.__setattr__


class Unreadable(Exception):
    """What was stored cannot be read here, so it counts as not there."""


def taker(kind: Any, *, own: bool) -> Callable[[Any], Taken]:
    """What takes an object of this class apart: what it looks like, and its values.

    Args:
        kind: the class.
        own: whether it is a class of the user's. An SDK's private attributes are left out: they
            hold the client, and the response as it was before any guard.
    """
    if is_model(kind):
        return functools.partial(_take_model, kind, _fields(kind).keys(), own)
    if is_enum(kind):
        return functools.partial(_take_member, kind)
    if is_tuple(kind):
        return lambda value: ((kind,), value)
    if is_text(kind):
        return functools.partial(_take_text, kind)
    return functools.partial(_take_record, kind, {field.name for field in dataclasses.fields(kind)})


def layout(look: Look) -> dict[str, Any]:
    """What is stored of a look, beside the name of its class."""
    kind, *rest = look
    if not is_model(kind):
        return {"fields": rest[0]} if rest else {}
    names, extra, private, were_set = rest
    odd = were_set.symmetric_difference([*names, *(extra or ())])
    absent = [name for name in _fields(kind) if name not in names]
    told = {"fields": names, "extra": extra, "private": private, "odd": sorted(odd)}
    told["absent"] = absent
    return {word: value for word, value in told.items() if value or value == ()}


def builder(kind: Any, told: Mapping[str, Any]) -> Build:
    """What makes an object of this class of its values, by what `layout` told."""
    if is_model(kind):
        return _model_builder(kind, told)
    if is_enum(kind):
        return functools.partial(_member, kind)
    if is_tuple(kind):
        return cast("Build", kind._make)
    if is_text(kind):
        return lambda values: str.__new__(kind, *values)
    return functools.partial(_record, kind, told["fields"])


def schema(kind: Any) -> str:
    """A digest of what a class of the user's says of its fields."""
    said: list[Any]
    if is_model(kind):
        said = [(n, str(f.annotation), f.is_required()) for n, f in _fields(kind).items()]
    elif is_enum(kind):
        said = [(name, repr(member.value)) for name, member in kind.__members__.items()]
    elif is_tuple(kind):
        said = [(name, str(kind.__annotations__.get(name))) for name in kind._fields]
    elif is_text(kind):
        said = []
    else:
        said = [(field.name, str(field.type)) for field in dataclasses.fields(kind)]
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(said))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _fields(kind: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", kind.model_fields)


def _take_model(kind: Any, fields: Any, own: bool, value: Any) -> Taken:  # noqa: FBT001
    mine: dict[str, Any] = value.__dict__
    extra: dict[str, Any] | None = value.__pydantic_extra__
    private: dict[str, Any] | None = value.__pydantic_private__
    if mine.keys() != fields:  # the SDKs put a request's id there, functools what it has cached
        mine = {n: v for n, v in mine.items() if n in fields or v.__class__ in PLAIN}
    others = None if extra is None else tuple(extra)
    hidden = None if private is None else tuple(private) if own else ()
    values: Any = mine.values()
    if others or hidden:
        values = [*values, *(extra or {}).values(), *((private or {}).values() if hidden else ())]
    return (kind, tuple(mine), others, hidden, frozenset(value.__pydantic_fields_set__)), values


def _model_builder(kind: Any, told: Mapping[str, Any]) -> Build:
    names: list[str] = told["fields"]
    extra: list[str] | None = told.get("extra")
    private: list[str] | None = told.get("private")
    every = [*names, *(extra or ())]
    were_set = set(every) ^ set(told.get("odd", ()))
    size, end = len(every), len(names)
    put_set, put_extra, put_private = (
        getattr(kind, f"__pydantic_{word}__").__set__ for word in ("fields_set", "extra", "private")
    )
    since = _since(kind, told, were_set)

    def build(values: list[Any]) -> Any:
        hidden = None
        if private is not None:
            hidden = _privates(kind, private, values[size:])
            del values[size:]
        if len(values) != size:
            raise Unreadable
        made = _new(kind)
        fields = dict(zip(names, values))  # noqa: B905  the length is right, and strict costs as much again
        _put(made, "__dict__", fields)
        put_set(made, were_set.copy())
        put_extra(made, None if extra is None else dict(zip(extra, values[end:], strict=True)))
        put_private(made, hidden)
        if since is not None:
            since(fields, made.__pydantic_fields_set__, made.__pydantic_extra__)
        return made

    return build


def _since(
    kind: Any, told: Mapping[str, Any], were_set: set[str]
) -> Callable[[dict[str, Any], set[str], dict[str, Any] | None], None] | None:
    """What makes an object one of the class as it is now, if that has changed."""
    fields = _fields(kind)
    names, extra = told["fields"], told.get("extra")
    new = [name for name in fields if name not in names and name not in told.get("absent", ())]
    gone = [name for name in names if name not in fields and not name.startswith("_")]
    lost = extra is None and not were_set.isdisjoint(gone)
    unknown = any(fields[name].is_required() for name in new)
    if lost or unknown or not fields.keys().isdisjoint(extra or ()):
        raise Unreadable
    if not new and not gone:
        return None

    def change(own: dict[str, Any], fields_set: set[str], others: dict[str, Any] | None) -> None:
        own |= {name: fields[name].get_default(call_default_factory=True) for name in new}
        for name in gone:
            value = own.pop(name)
            if name in fields_set and others is not None:
                others[name] = value

    return change


def _privates(kind: Any, names: list[str] | None, values: list[Any]) -> dict[str, Any] | None:
    if names:
        return dict(zip(names, values, strict=True))
    if names is None:
        return None
    defaults = {name: own.get_default() for name, own in kind.__private_attributes__.items()}
    return {n: v for n, v in defaults.items() if type(v).__name__ != "PydanticUndefinedType"}


def _take_member(kind: Any, value: Any) -> Taken:
    if value.name in kind.__members__:
        return (kind,), (value.name,)
    if issubclass(kind, str):  # what a newer API says, for which the SDK made a member
        return (kind,), (None, value.value)
    raise TypeError(
        f"the answer holds a {kind.__qualname__} that is none of its members, as flags together are: "
        "return the members in a list"
    )


def _member(kind: Any, values: list[Any]) -> Any:
    if values[0] is not None:
        return kind[values[0]]
    _, value = values
    made = str.__new__(kind, value)
    made._name_ = made._value_ = value
    return made


def _take_text(kind: Any, value: str) -> Taken:
    if getattr(value, "__dict__", None):
        raise TypeError(
            f"the answer holds a {kind.__qualname__} with attributes of its own, which would be lost: "
            "return a str, or a dataclass"
        )
    return (kind,), (str.__str__(value),)


def _take_record(kind: Any, fields: set[str], value: Any) -> Taken:
    state: dict[str, Any] = {name: getattr(value, name) for name in fields if hasattr(value, name)}
    for name, more in getattr(value, "__dict__", {}).items():
        cached = isinstance(getattr(kind, name, None), functools.cached_property)
        if name != "__orig_class__" and not cached:
            state[name] = more
    return (kind, tuple(state)), state.values()


def _record(kind: Any, names: list[str], values: list[Any]) -> Any:
    made = _new(kind)
    for name, value in zip(names, values, strict=True):
        _put(made, name, value)
    return made
