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


def fields(node: Any) -> Mapping[str, Any]:
    """The fields of an SDK's object or a dict, by name; empty for anything else.

    A pydantic model keeps its fields in `__dict__`, where reading one that is absent costs a tenth
    of the AttributeError that the attribute would raise; fields unknown to its class (a newer
    API, another vendor's `reasoning_content`) are in `__pydantic_extra__`.
    """
    if isinstance(node, dict):
        return cast("dict[str, Any]", node)
    if node is None:
        return _NOTHING
    try:
        extra = node.__pydantic_extra__
        own: Mapping[str, Any] = node.__dict__
    except AttributeError:
        return cast("Mapping[str, Any]", getattr(node, "__dict__", _NOTHING))
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


def named(node: object, names: frozenset[str], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The strings that stand under one of `names`, at any depth of objects, dicts and lists.

    A name that holds a list of strings yields each of them.
    """
    if sequence(node):
        for index, inner in enumerate(node):
            yield from named(inner, names, (*path, index))
        return
    for name, value in fields(node).items():
        here = (*path, name)
        if isinstance(value, str):
            if name in names:
                yield here, value
        elif name in names and sequence(value) and all(isinstance(v, str) for v in value):
            yield from leaves(value, here)
        elif value is not None:
            yield from named(value, names, here)


def at(node: Any, path: Path) -> Any:
    """What is at `path`."""
    for step in path:
        node = _child(node, step)
    return node


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


def carved(
    node: Any, path: Path, value: Any, rest: Mapping[str, Any], inner: Mapping[str, Any]
) -> Any:
    """A copy of `node` that holds only what is at `path`, there `value`.

    Lists on the way keep one member. Other fields become None; a dict loses them.

    Args:
        node: an SDK's object, a dict or a list.
        path: the way to the one thing to keep.
        value: what to put there.
        rest: exceptions, values for other fields of `node` itself; `...` keeps what is there.
        inner: the same for everything on the way to `path`.
    """
    if not path:
        return value
    head, deeper = path[0], path[1:]
    if sequence(node):
        return [carved(node[cast("int", head)], deeper, value, inner, inner)]
    known = fields(node)
    values: dict[str | int, Any] = {} if isinstance(node, dict) else dict.fromkeys(known)
    for name in known:
        if name in rest:
            values[name] = known[name] if rest[name] is ... else rest[name]
    values[head] = carved(known.get(cast("str", head)), deeper, value, inner, inner)
    return values if isinstance(node, dict) else _with(node, values)


def parsed_json(text: str) -> Any:
    """The JSON in `text`, which may be cut off; an empty dict when it is none.

    A guard that breaks the JSON of tool arguments must not bring the original ones back.
    """
    import json
    import sys

    core = sys.modules.get("pydantic_core")
    try:
        if core is not None:
            return core.from_json(text, allow_partial="trailing-strings")
        return json.loads(text)
    except ValueError:
        return {}


def reparsed(old: object, text: str) -> object:
    """What an SDK had parsed into `old`, parsed anew from `text`; None where that is impossible."""
    if old is None:
        return None
    validate = getattr(type(old), "model_validate_json", None)
    if validate is None:
        return parsed_json(text)
    try:
        return cast("object", validate(text))
    except ValueError:  # a changed text need not fit the user's model; None is "nothing parsed"
        return None


def outdated(item: Any, path: Path, text: str) -> Iterator[tuple[Path, Any]]:
    """What stands beside the text at `path` and no longer holds once it is `text`.

    Log-probabilities spell the old tokens out, a parsed object is made of the old text: left
    alone they would carry what a guard took away. Empty values of the same kind replace them.
    """
    node = item
    for depth, step in enumerate(path):
        beside = _NOTHING if isinstance(step, int) else fields(node)
        tokens = beside.get("logprobs")
        if tokens:
            yield (*path[:depth], "logprobs"), [] if sequence(tokens) else None
        if depth == len(path) - 1:
            for name in ("parsed", "parsed_arguments", "parsed_output"):
                if beside.get(name) is not None:
                    yield (*path[:depth], name), reparsed(beside[name], text)
        node = _child(node, step)


def _child(node: Any, step: str | int) -> Any:
    if isinstance(step, str) and not isinstance(node, dict):
        return getattr(node, step)
    return cast("Any", node)[step]


def _with(node: Any, values: dict[str | int, Any]) -> Any:
    if isinstance(node, dict):
        return copy.copy(cast("Any", node)) | values
    if sequence(node):
        members = list(node)
        for index, value in values.items():
            members[cast("int", index)] = value
        make = getattr(node, "_make", tuple)  # a named tuple stays one
        return members if isinstance(node, list) else make(members)
    if hasattr(node, "model_copy"):
        return node.model_copy(update=values)
    other = copy.copy(node)
    for name, value in values.items():
        object.__setattr__(other, cast("str", name), value)
    return other
