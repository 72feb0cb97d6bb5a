"""Social security numbers of the United States (SSA: areas 000, 666 and 9xx were never given)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.detect.digits import Digits

__all__ = ["social_security_numbers"]

_NUMBER: Final = re.compile(
    r"(?<![\d\-.])(?!000|666|9)\d{3}([- .]?)(?!00)\d{2}([- .]?)(?!0000)\d{4}(?![\d])(?![\-.]\d)"
)
_NAMED: Final = re.compile(r"ssn|social[\s_-]?sec|사회\s?보장")
_OTHER: Final = re.compile(r"(?s)\d.*(?:account|phone|card|number|no\b|id\b)")


def social_security_numbers(place: Digits) -> Iterator[tuple[int, int, float]]:
    """Three, two and four digits with hyphens, or written otherwise where the text names them."""
    for found in _NUMBER.finditer(place.text, place.start, place.end):
        before = place.text[max(0, found.start() - 1) : found.start()]
        if before.isascii() and (before.isalpha() or before == "_"):
            continue
        left = place.left(found.start())
        names = list(_NAMED.finditer(left))
        named = bool(names) and not _OTHER.search(left, names[-1].end())
        if named or found[1] == found[2] == "-":
            yield found.start(), found.end(), 0.96 if named else 0.88
