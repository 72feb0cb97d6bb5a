"""What a validator found wrong, in words that quote nothing of what it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agentguard.engine.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationError

__all__ = ["MOST", "Problem", "fields_of_schema", "place", "problems_of"]

MOST: Final = 20
"""Problems of one value that are told."""

_UNKNOWN: Final = "*"
"""Stands in a path for a key that is the answer's own, not the schema's."""

_QUOTING: Final = {
    "value_error": "a validator refused it",
    "assertion_error": "a validator refused it",
    "union_tag_invalid": "Input tag does not match any of the expected tags",
    "get_attribute_error": "Error extracting attribute",
    "iteration_error": "Error iterating over object",
    "mapping_type": "Input should be a valid mapping",
    "uuid_parsing": "Input should be a valid UUID",
    "url_parsing": "Input should be a valid URL",
    "url_syntax_violation": "Input should be a valid URL",
    "bytes_invalid_encoding": "Data has another encoding",
    "json_invalid": "Invalid JSON",
}
"""pydantic's own messages that may quote a value, or the words of the user's validator."""


class Problem(NamedTuple):
    """One thing wrong with a value.

    Attributes:
        finding: for everybody.
        told: for the model that gave the value: it may quote keys and the words of a validator.
    """

    finding: Finding
    told: str


def problems_of(error: ValidationError, names: frozenset[str]) -> list[Problem]:
    """What pydantic found wrong.

    Args:
        error: what it raised. Nothing of its inputs is kept.
        names: of the fields that the type has; other keys in a path are the answer's own.
    """
    found: list[Problem] = []
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:MOST]:
        kind, loc = each["type"], each["loc"]
        reason = _QUOTING.get(kind) or (
            each["msg"] if kind in _kinds() else _QUOTING["value_error"]
        )
        finding = Finding(kind if kind in _kinds() else "value_error", reason, place(loc, names))
        where = place(loc, None)
        found.append(Problem(finding, f"{where}: {each['msg']}" if where else each["msg"]))
    return found


def place(path: Iterable[Any], names: frozenset[str] | None) -> str | None:
    """A path in the usual spelling, as in `items[0].price`; None for the value itself.

    Args:
        path: keys and indices.
        names: keys that may be told; None for all.
    """
    told = ""
    for step in path:
        if isinstance(step, int):
            told += f"[{step}]"
        elif step == "[key]":
            told += " (key)"
        else:
            shown = step if names is None or step in names else _UNKNOWN
            told += f".{shown}" if told else str(shown)
    return told or None


def fields_of_schema(schema: object) -> Iterator[str]:
    """The names of all fields in a JSON schema."""
    if isinstance(schema, dict):
        for key, inner in cast("dict[str, object]", schema).items():
            if key == "properties" and isinstance(inner, dict):
                yield from cast("dict[str, object]", inner)
            yield from fields_of_schema(cast("Any", inner))
    elif isinstance(schema, list):
        for inner in cast("list[object]", schema):
            yield from fields_of_schema(inner)


def _kinds() -> frozenset[str]:
    """The kinds of pydantic's own errors: any other has words of the user's, or of a library's."""
    global _known  # noqa: PLW0603
    if _known is None:
        from typing import get_args

        from pydantic_core.core_schema import ErrorType

        _known = frozenset(get_args(ErrorType))
    return _known


_known: frozenset[str] | None = None
