"""Reading and copying items, be they an SDK's objects or raw JSON.

An item is never changed: `rebuilt` copies the objects on the way to what changes and shares the
rest, so that the original stays valid for whoever else holds it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Path = tuple[str | int, ...]
"""The way from an item to something in it: attribute names or keys, and indices."""

_NOTHING: dict[str, Any] = {}


def fields(node: object) -> Mapping[str, Any]:
    """The fields of an SDK's object or a dict, by name; empty for anything else.

    A pydantic model keeps its fields in `__dict__`, where reading one that is absent costs a tenth
    of the AttributeError that the attribute would raise; fields unknown to its class (a newer
    API, another vendor's `reasoning_content`) are in `__pydantic_extra__`.
    """
    if isinstance(node, dict):
        return cast("dict[str, Any]", node)
    own: dict[str, Any] = getattr(node, "__dict__", _NOTHING)
    extra: dict[str, Any] | None = getattr(node, "__pydantic_extra__", None)
    return {**own, **extra} if extra else own


def sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether `value` is a list or tuple."""
    return isinstance(value, (list, tuple))


def leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string inside parsed JSON, with the way to it; keys of dicts are not among them."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from leaves(inner, (*path, key))
    elif sequence(value):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


def rebuilt(node: Any, changes: Iterable[tuple[Path, Any]]) -> Any:
    """A copy of `node` with the values at some paths replaced; everything else is shared.

    Args:
        node: an SDK's object, a dict, a list or a tuple.
        changes: paths, none of which leads through another, with their new values.
    """
    values: dict[str | int, Any] = {}
    deeper: dict[str | int, list[tuple[Path, Any]]] = {}
    for path, value in changes:
        if len(path) == 1:
            values[path[0]] = value
        else:
            deeper.setdefault(path[0], []).append((path[1:], value))
    for step, inner in deeper.items():
        values[step] = rebuilt(_child(node, step), inner)
    return _with(node, values) if values else node


def _child(node: Any, step: str | int) -> Any:
    if isinstance(step, int) or isinstance(node, dict):
        return node[step]
    return getattr(node, step)


def _with(node: Any, values: dict[str | int, Any]) -> Any:
    if isinstance(node, dict):
        changed = cast("dict[Any, Any]", copy.copy(node))
        changed.update(values)
        return changed
    if sequence(node):
        members = list(node)
        for index, value in values.items():
            members[cast("int", index)] = value
        return members if isinstance(node, list) else tuple(members)
    if hasattr(node, "model_copy"):
        return node.model_copy(update=values)
    other = copy.copy(node)
    for name, value in values.items():
        object.__setattr__(other, cast("str", name), value)
    return other
