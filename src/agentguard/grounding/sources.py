"""The texts of what people call a source: strings, LangChain's and LlamaIndex' documents, dicts, records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, cast

__all__ = ["texts_of"]

_DEEPEST: Final = 32
_CONTENT: Final = ("page_content", "text", "content", "page", "body", "snippet")


def texts_of(source: Any) -> list[str]:
    """The texts of one source or of many, one for each document.

    Of a document: its content, and its metadata, which may name what the answer cites. Of a dict or
    a record: its fields line by line, so that the name of a field tells what a number counts.

    Examples:
        >>> texts_of(["It is open.", {"price_usd": 1200}])
        ['It is open.', 'price usd: 1200']
    """
    if _iterates(source):
        return [text for each in cast("Iterable[Any]", source) for text in texts_of(each)]
    lines = list(_lines(source, "", 0))
    return ["\n".join(lines)] if lines else []


def _iterates(source: object) -> bool:
    kind = type(source)
    return hasattr(kind, "__iter__") and not (
        issubclass(kind, (str, bytes, Mapping)) or hasattr(kind, "model_fields")
    )


def _lines(node: Any, label: str, depth: int) -> Iterable[str]:
    if node is None or isinstance(node, (bool, bytes, bytearray)) or depth > _DEEPEST:
        return
    if isinstance(node, str):
        yield f"{label}: {node}" if label else node
    elif isinstance(node, (datetime, date, time)):
        yield from _lines(node.isoformat(), label, depth)
    elif isinstance(node, (int, float, Decimal)):
        yield from _lines(str(node), label, depth)
    elif isinstance(node, Mapping):
        for name, value in cast("dict[Any, Any]", node).items():
            plain = str(name).replace("_", " ")
            yield from _lines(value, "" if plain in _CONTENT else plain, depth + 1)
    elif isinstance(node, (list, tuple, set, frozenset)):
        for value in cast("Iterable[Any]", node):
            yield from _lines(value, label, depth + 1)
    else:
        yield from _lines(_fields(node), label, depth + 1)


def _fields(node: Any) -> Any:
    """What a record says: a document's content before all else."""
    inner = getattr(node, "node", None)
    if inner is not None and hasattr(node, "score"):  # LlamaIndex' NodeWithScore
        node = inner
    for name in ("page_content", "text"):
        content = getattr(node, name, None)
        if isinstance(content, str):
            return [content, getattr(node, "metadata", None)]
    dump = getattr(node, "model_dump", None)
    if callable(dump):
        return dump()
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return dataclasses.asdict(node)
    raise TypeError(
        f"a source is a text, a document with page_content or text, a dict, or a list of these, not {type(node).__name__}"
    )
