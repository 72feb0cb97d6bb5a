"""What it is, by the looks of it, that differs from prompt to prompt."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["cause"]

_AROUND: Final = 40

_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TIME: Final = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
_DATE: Final = "|".join(
    (
        rf"\b\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[T ]{_TIME})?",
        r"\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b",
        rf"\b{_TIME}\b",
        rf"\b{_MONTH}\.? \d{{1,2}}\b",
        rf"\b\d{{1,2}}\.? {_MONTH}",
        r"\d{1,4}\s?[년월일시분年月日]",
    )
)
_LOOKS: Final = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("a UUID", r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
        ("a date or time", _DATE),
        ("a Unix time", r"\b1[6-9]\d{8}(?:\d{3}|\.\d+)?\b"),
        ("an identifier", r"\b(?=[a-z]*\d)[0-9a-z]{16,}\b"),
        ("a number", r"\b\d{3,}\b"),
    )
)


def cause(text: str, start: int, stop: int) -> str | None:
    """What stands in a stretch of text, if it looks like something that is new in every prompt.

    Args:
        text: of the prompt.
        start: of the stretch in which it begins to differ.
        stop: of it.

    Examples:
        >>> cause("Today is 2026-11-23 00:45. You are helpful.", 16, 32)
        'a date or time'
    """
    before = max(0, start - _AROUND)
    near = text[before : stop + _AROUND]
    for name, pattern in _LOOKS:
        for found in pattern.finditer(near):
            if found.start() < stop - before and found.end() > start - before:
                return name
    return None
