"""Calls that answer a list item by item: which argument holds it, and how answers come apart.

The part of an answer is an answer of the same type with one item in it, so that whatever can keep
answers can keep parts. A user's own function answers with a list, whose items are the parts.
"""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import read
from agentguard.providers.items import sequence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentguard.engine.target import Target

__all__ = ["argument", "given", "items_of", "joined", "lacking", "split", "takes", "with_items"]

_LANGCHAIN: Final = frozenset({"embed_documents", "aembed_documents"})
_LITELLM: Final = frozenset({"embedding", "aembedding"})
_COUNTS: Final = ("prompt_tokens", "total_tokens")
_LISTS: Final = ("data", "embeddings")
"""Where answers hold their items: OpenAI's and LiteLLM's, Google's."""


def argument(target: Target) -> str | None:
    """The argument that holds the texts of a call for embeddings; None for any other call.

    Args:
        target: what will be called.
    """
    provider = target.endpoint.provider
    if provider is None:
        return None
    name = read(target.fn, "__name__")
    owner = type(read(target.fn, "__self__")).__name__
    if name in _LANGCHAIN:
        return "texts"
    if provider == "google":
        return "contents" if name == "embed_content" else None
    if provider == "litellm":
        return "input" if name in _LITELLM else None
    if owner.endswith("Embeddings") and name == "create":
        return "input"
    return "input" if target.name.endswith(".embeddings") else None


def takes(target: Target, name: str) -> bool:
    """Whether a target has an argument of this name, as far as its signature tells.

    Args:
        target: what will be called.
        name: of the argument.
    """
    try:
        parameters = inspect.signature(target.fn).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def given(target: Target, args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> Any:
    """What a call has for an argument, by position or by name; None where it has nothing.

    Args:
        target: what will be called.
        args: with which positional arguments.
        kwargs: with which keyword arguments.
        name: of the argument.
    """
    if name in kwargs:
        return kwargs[name]
    place = _place(target, name)
    return args[place] if place is not None and place < len(args) else None


def items_of(target: Target, value: Any) -> list[Any] | None:
    """The items that an argument holds; None where they cannot be told, as of a generator.

    An SDK takes one text as well as a list, and a text as the list of its tokens.

    Args:
        target: what will be called.
        value: of the argument.
    """
    if target.endpoint.provider is not None:
        if isinstance(value, str):
            return [value]
        if sequence(value) and value and all(type(each) is int for each in value):
            return [value]
    return [*value] if sequence(value) else None


def with_items(
    target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], name: str, items: list[Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the same call for other items.

    Args:
        target: what will be called.
        args: the positional arguments as they are.
        kwargs: the keyword arguments as they are.
        name: of the argument that holds the items.
        items: what it shall hold.
    """
    place = _place(target, name)
    if name in kwargs or place is None or place >= len(args):
        return args, {**kwargs, name: items}
    return (*args[:place], items, *args[place + 1 :]), kwargs


def lacking(
    items: Sequence[Any], digests: Sequence[str], known: Mapping[str, Any]
) -> dict[str, Any]:
    """The items still to be asked for, by digest: each of them once, in order.

    Args:
        items: of the call.
        digests: of the items.
        known: what is there, by digest.
    """
    found: dict[str, Any] = {}
    for item, digest in zip(items, digests, strict=True):
        if digest not in known:
            found.setdefault(digest, item)
    return found


def split(answer: Any, items: Sequence[Any], name: str) -> list[Any]:
    """An answer as one part for each item.

    Args:
        answer: to all the items.
        items: what was asked.
        name: of the argument that held them, for the message.

    Raises:
        TypeError: for an answer that is not one of as many items.
    """
    place = _list_of(answer)
    parts: Any = answer if place is None else _field(answer, place)
    if not sequence(parts) or len(parts) != len(items):
        count = f"{len(parts)} items" if sequence(parts) else f"a {type(answer).__name__}"
        raise TypeError(
            f"cache(each={name!r}) needs one answer for each of the {len(items)} items of {name!r}, "
            f"in a list of the same order, not {count}"
        )
    if place is None:
        return [*parts]
    ordered = sorted(parts, key=_index) if place == "data" else [*parts]
    weights = [len(item) if isinstance(item, str) or sequence(item) else 1 for item in items]
    usage = _field(answer, "usage")
    return [
        _with(answer, place, [_numbered(part, 0)], _share(usage, weight, sum(weights)))
        for part, weight in zip(ordered, weights, strict=True)
    ]


def joined(parts: Sequence[Any], sent: Any = None) -> Any:
    """The answer to a whole list, from its parts in order.

    Its usage is that of what was really asked now: none, where all parts were known.

    Args:
        parts: one for each item.
        sent: the answer to the items that were asked for, None where none were.
    """
    whole = sent if sent is not None else (parts[0] if parts else None)
    place = _list_of(whole)
    if place is None:
        return [*parts]
    items = [_field(part, place)[0] for part in parts]
    usage = _field(whole, "usage")
    usage = copy.deepcopy(usage) if sent is not None else _share(usage, 0, 1)
    return _with(whole, place, [_numbered(item, at) for at, item in enumerate(items)], usage)


def _place(target: Target, name: str) -> int | None:
    """Where an argument stands among the positional ones."""
    try:
        names = [*inspect.signature(target.fn).parameters]
    except (TypeError, ValueError):
        return None
    return names.index(name) if name in names else None


def _list_of(answer: Any) -> str | None:
    if sequence(answer):
        return None
    return next((name for name in _LISTS if sequence(_field(answer, name))), None)


def _field(node: Any, name: str) -> Any:
    if isinstance(node, dict):
        return cast("dict[str, Any]", node).get(name)
    return read(node, name)


def _index(item: Any) -> int:
    index = _field(item, "index")
    return index if isinstance(index, int) else 0


def _numbered(item: Any, index: int) -> Any:
    """A copy of an item, at another place in the list."""
    return _copied(item, index=index) if _field(item, "index") is not None else _copied(item)


def _share(usage: Any, weight: int, whole: int) -> Any:
    """What part of the usage fell to an item."""
    counts: dict[str, Any] = {
        name: _field(usage, name) * weight // (whole or 1)
        for name in _COUNTS
        if isinstance(_field(usage, name), int)
    }
    return _copied(usage, **counts) if counts else usage


def _with(answer: Any, place: str, items: list[Any], usage: Any) -> Any:
    changes = {place: items}
    if usage is not None:
        changes["usage"] = usage
    return _copied(answer, **changes)


def _copied(node: Any, **changes: Any) -> Any:
    """A copy with some fields changed, of an SDK's object or a dict."""
    if isinstance(node, dict):
        return {**cast("dict[str, Any]", node), **changes}
    twin = copy.copy(node)
    for name, value in changes.items():
        setattr(twin, name, value)
    return twin
