"""One form for everything that is the same request, and different ones for what is not.

`canonical` turns a value into atoms, lists and dicts that `marshal` writes exactly: in its format 2
it keeps every type apart and writes no references. A tuple of the caller's becomes a list, so that
the tuples in the result are ours, and no dict of the caller's can pass for a tagged object.
"""

from __future__ import annotations

import marshal
import types
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NoForm", "canonical", "class_of", "fields_of", "name_of_class", "packed"]

_ATOMS: Final = frozenset({str, bytes, int, float, bool, type(None)})
_FORMAT: Final = 2


class NoForm(TypeError):
    """A value has no canonical form.

    Attributes:
        what: its type, or what else is wrong with it; never the value.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} has no canonical form")
        self.what = what


class _Absent(NoForm):
    """An SDK's sentinel for an argument that was not given."""


def packed(value: object) -> bytes:
    """The canonical form of `value` as bytes: the same in every process.

    Raises:
        NoForm: for what has none.

    Examples:
        >>> packed({"a": (1, 2), "b": 3}) == packed({"b": 3, "a": [1, 2]})
        True
        >>> packed(1) == packed(True)
        False
    """
    try:
        return marshal.dumps(canonical(value), _FORMAT)
    except (RecursionError, ValueError):
        raise NoForm("a structure that contains itself, or is nested too deeply,") from None


def canonical(value: Any) -> Any:
    """The canonical form of `value`, for `packed`."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in _ATOMS:
        return value
    if kind is dict:
        return _mapping(value)
    if kind is list or kind is tuple:
        return [each if type(each) in _ATOMS else canonical(each) for each in value]
    return _tagged(value, kind)  # pyright: ignore[reportUnknownArgumentType]


def name_of_class(kind: type[Any]) -> str:
    """A class by its module and its name in it."""
    return f"{kind.__module__}.{kind.__qualname__}"


def class_of(value: object) -> str:
    """The class of a value, by name."""
    return name_of_class(type(value))


def _mapping(value: dict[Any, Any]) -> Any:
    try:
        keys = sorted(value)
    except TypeError:
        return _keyed(value)
    found: dict[str, Any] = {}
    for key in keys:
        if type(key) is not str:
            return _keyed(value)
        each = value[key]
        try:
            found[key] = each if type(each) in _ATOMS else canonical(each)
        except _Absent:
            if not _is_absent(each):  # it is in a list of it
                raise
    return found


def _keyed(value: dict[Any, Any]) -> Any:
    """The form of a dict that has other keys than texts."""
    return ("keys", *_sorted([key, each] for key, each in value.items()))


def _sorted(values: Iterable[Any]) -> list[Any]:
    return sorted(map(canonical, values), key=lambda form: marshal.dumps(form, _FORMAT))


def _is_absent(value: object) -> bool:
    kind = type(value)
    return kind.__name__ in {"NotGiven", "Omit"} and (
        kind.__module__.partition(".")[0] in {"openai", "anthropic"}
    )


def _tagged(value: Any, kind: type[Any]) -> Any:
    """The form of anything but atoms, lists and dicts: a tuple, its class's name first."""
    name = name_of_class(kind)
    own = getattr(kind, "__cache_key__", None)
    if own is not None:
        return name, canonical(own(value))
    make = _PLAIN.get(name)
    if make is not None:
        return name, make(value)
    if _is_absent(value):
        raise _Absent(name)
    if isinstance(value, (type, types.GenericAlias, types.UnionType)) or name in _TYPING:
        return _of_type(value)
    if "enum.Enum" in map(name_of_class, kind.__mro__):
        return name, value.name, canonical(value.value)
    if callable(value):
        from agentguard.caching.callables import callable_form

        form = callable_form(value)
        if form is not None:
            return form
    from agentguard.caching.objects import object_form

    form = object_form(value, kind)
    if form is not None:
        return name, form
    names = fields_of(value, kind)
    if names is not None:
        return name, _mapping(names)
    return name, _inherited(value)


def fields_of(value: Any, kind: Any) -> dict[str, Any] | None:
    """The fields of a dataclass, of a model of pydantic, attrs or msgspec; None of all else."""
    known: Any = getattr(kind, "__pydantic_fields__", None)
    if known is None and hasattr(kind, "__pydantic_core_schema__"):
        known = kind.model_fields
    if known is not None:
        held = {name: getattr(value, name, None) for name in known}
        for more in (value.__pydantic_extra__, value.__pydantic_private__):
            held.update(more or {})
        return held
    for place in ("__dataclass_fields__", "__struct_fields__"):
        names: Any = getattr(kind, place, None)
        if names is not None:
            return _state(value, names)
    names = getattr(kind, "__attrs_attrs__", None)
    return None if names is None else _state(value, [each.name for each in names])


def _state(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """Fields, and what else was put on the object."""
    held = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return {**getattr(value, "__dict__", {}), **held}


def _inherited(value: Any) -> Any:
    """The form of an object that is a str, a list and so on by inheritance."""
    for base, plain in _BASES.items():
        if isinstance(value, base):
            state = getattr(value, "__dict__", None)
            form = canonical(plain(value))
            return (form, _mapping(state)) if state else form
    raise NoForm(f"a {class_of(value)}")


def _of_type(value: Any) -> Any:
    from agentguard.caching.callables import class_form

    if type(value) is not types.GenericAlias and isinstance(value, type):
        return class_form(value)
    parts = [*getattr(value, "__args__", ()), *getattr(value, "__metadata__", ())]
    origin = getattr(value, "__origin__", None)
    inside = [each if isinstance(each, (str, int)) else canonical(each) for each in parts]
    return "type", str(origin or class_of(value)), inside


def _moment(value: Any) -> Any:
    zone = value.tzinfo
    told = None if zone is None else [class_of(zone), value.tzname(), str(zone)]
    return [value.isoformat(), value.fold, told]


def _span(value: Any) -> Any:
    return [canonical(value.start), canonical(value.stop), canonical(value.step)]


_PLAIN: Final[dict[str, Callable[[Any], Any]]] = {
    "builtins.set": _sorted,
    "builtins.frozenset": _sorted,
    "builtins.bytearray": bytes,
    "builtins.memoryview": lambda view: [view.format, [*view.shape], view.tobytes()],
    "builtins.complex": lambda number: [number.real, number.imag],
    "builtins.range": _span,
    "builtins.slice": _span,
    "builtins.ellipsis": lambda _: None,
    "builtins.NotImplementedType": lambda _: None,
    "builtins.mappingproxy": lambda view: _mapping({**view}),
    "datetime.datetime": _moment,
    "datetime.time": _moment,
    "datetime.date": lambda day: day.isoformat(),
    "datetime.timedelta": lambda span: [span.days, span.seconds, span.microseconds],
    "datetime.timezone": str,
    "zoneinfo.ZoneInfo": str,
    "decimal.Decimal": str,
    "fractions.Fraction": str,
    "uuid.UUID": str,
    "re.Pattern": lambda pattern: [pattern.pattern, pattern.flags],
    "_io.BytesIO": lambda file: [file.getvalue(), file.tell()],
    "collections.deque": lambda items: [canonical([*items]), items.maxlen],
    **{
        f"{module}.{kind}Path": str
        for module in ("pathlib", "pathlib._local")
        for kind in ("Posix", "Windows", "PurePosix", "PureWindows")
    },
}
"""By the name of the class, so that none of these modules is imported."""

_BASES: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    bytes: lambda value: bytes(memoryview(value)),
    int: int.__int__,
    float: float.__float__,
    list: lambda value: [*value],
    tuple: lambda value: [*value],
    dict: lambda value: {**value},
    set: lambda value: {*value},
    frozenset: lambda value: frozenset({*value}),
}

_TYPING: Final = frozenset(
    f"typing.{name}"
    for name in (
        "_GenericAlias",
        "_UnionGenericAlias",
        "_LiteralGenericAlias",
        "_AnnotatedAlias",
        "_SpecialForm",
        "_SpecialGenericAlias",
        "_AnyMeta",
        "TypeVar",
        "Union",
    )
)
