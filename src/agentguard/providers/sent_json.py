"""Texts inside JSON source, changed where they stand: all around them stays as it was written.

Arguments of a tool call are such source, perhaps cut off. Written anew by a serialiser they would
no longer be, character for character, what the model had said and the provider has cached.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["changed_source"]

_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|-?\d[\d.eE+\-]*', re.DOTALL)
_BETWEEN: Final = re.compile(
    r"(?:[\s{}\[\]:,]|true|false|null)*(?:t|tr|tru|f|fa|fal|fals|n|nu|nul)?"
)
_NAMES: Final = re.compile(r"\s*:")
_SHORT: Final = 9
"""Digits that a number must have to be looked at."""


def changed_source(source: str, change: Callable[[str, str | None], str]) -> str:
    """JSON source with its texts changed; what is no JSON is one text.

    A number that is changed becomes a text.

    Args:
        source: JSON, perhaps cut off.
        change: gets each text, and the name of the field that it stands under.

    Examples:
        >>> changed_source('{"to": "a@b.example", "n": 1}', lambda text, _: text.upper())
        '{"TO": "A@B.EXAMPLE", "n": 1}'
    """
    out: list[str] = []
    end = 0
    label: str | None = None
    for found in _LITERAL.finditer(source):
        if not _BETWEEN.fullmatch(source, end, found.start()):
            return change(source, None)
        literal = found[0]
        out.append(source[end : found.start()])
        end = found.end()
        if literal[0] != '"':
            out.append(_number(literal, change, label))
            continue
        text = _decoded(literal)
        if text is None:
            return change(source, None)
        names = _NAMES.match(source, end) is not None
        new = change(text, None if names else label)
        out.append(literal if new == text else _encoded(new, literal))
        if names:
            label = text
    rest = source[end:]
    if not _BETWEEN.fullmatch(rest):
        return change(source, None)
    return "".join(out) + rest


def _number(literal: str, change: Callable[[str, str | None], str], label: str | None) -> str:
    if len(literal) < _SHORT:
        return literal
    new = change(literal, label)
    return literal if new == literal else json.dumps(new, ensure_ascii=False)


def _decoded(literal: str) -> str | None:
    """The text of a literal, or of as much of one as there is."""
    try:
        return str(json.loads(literal, strict=False))
    except ValueError:
        pass
    if len(literal) > 1 and literal.endswith('"') and not literal.endswith('\\"'):
        return None
    for cut in range(7):  # an escape that is cut off has six characters at most
        try:
            return str(json.loads(literal[: len(literal) - cut] + '"', strict=False))
        except ValueError:
            continue
    return None


def _encoded(text: str, literal: str) -> str:
    """The text as a literal: in ASCII where the old one was, and open where the old one was cut."""
    new = json.dumps(text, ensure_ascii=literal.isascii())
    whole = len(literal) > 1 and literal.endswith('"') and _is_whole(literal)
    return new if whole else new[:-1]


def _is_whole(literal: str) -> bool:
    try:
        json.loads(literal, strict=False)
    except ValueError:
        return False
    return True
