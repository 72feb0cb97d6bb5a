"""Whether the end of a text, which arrives in pieces, stands inside a string of JSON."""

from __future__ import annotations

import json
import re
from typing import Final

__all__ = ["JsonText", "escaped"]

_BEGINS: Final = re.compile(r'\s*(?:```\w*\s+)?(?=\{\s*"|\[\s*["{\[])')
_MAY_BEGIN: Final = re.compile(r"\s*(?:`{0,3}|```\w*\s*|(?:```\w*\s+)?[\[{]\s*)")
_MARKS: Final = re.compile(r'["\\\[\]{}]')
_HEAD: Final = 256
"""Characters among which JSON has begun, or the text is none."""


class JsonText:
    """Follows an answer that is JSON, as structured output is, perhaps between Markdown fences.

    Attributes:
        in_string: whether what comes next stands inside a string of it.
    """

    __slots__ = ("_depth", "_escape", "_head", "in_string")

    def __init__(self) -> None:
        self.in_string = False
        self._head: str | None = ""  # None once it is known whether this is JSON
        self._depth = 0
        self._escape = False

    def read(self, text: str) -> None:
        """Take the next piece."""
        if self._head is not None:
            text = self._head + text
            begins = _BEGINS.match(text)
            if begins is None:
                undecided = len(text) < _HEAD and _MAY_BEGIN.fullmatch(text)
                self._head = text if undecided else None
                return
            self._head = None
            self._depth = 1
            text = text[begins.end() + 1 :]
        if self._depth and text:
            self._follow(text)

    def _follow(self, text: str) -> None:
        at = 1 if self._escape else 0
        self._escape = False
        while (mark := _MARKS.search(text, at)) is not None:
            at = mark.end()
            if mark[0] == '"':
                self.in_string = not self.in_string
            elif self.in_string:
                if mark[0] == "\\":
                    self._escape = at == len(text)
                    at += 1
            elif mark[0] != "\\":
                self._depth += 1 if mark[0] in "[{" else -1
                if not self._depth:
                    return  # what follows is prose


def escaped(value: str) -> str:
    """A value as it can stand in a string of JSON: one that came out of JSON text already can."""
    try:
        json.loads(f'"{value}"')
    except ValueError:
        return json.dumps(value, ensure_ascii=False)[1:-1]
    return value
