"""What cosine cannot see: two questions that sound alike and ask for something else."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Reading", "differs"]

_PLACEHOLDER: Final = re.compile(r"<[A-Z_]+_\d+>")
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")


class Reading:
    """A text, taken apart once."""

    __slots__ = ("numbers", "placeholders", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.placeholders = _PLACEHOLDER.findall(text)
        self.numbers = _NUMBER.findall(text)


def differs(a: Reading, b: Reading) -> str | None:
    """Why two texts must not share an answer, in a word; None where nothing was found."""
    if a.placeholders != b.placeholders:
        return "placeholders"
    if a.numbers != b.numbers:
        return "numbers"
    return None
