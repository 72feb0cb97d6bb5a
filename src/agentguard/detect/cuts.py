"""Where a text can be cut so that no value stands on both sides, whatever follows.

A value holds no white space, but for numbers in groups, dates, and private keys, which span lines.
So a cut is a beginning of a line that is in no key, or a space between two words without a digit.
What a detector looks at beside a value is at most `BEFORE` characters to its left, and to its right
nothing beyond the next cut. Then a text can be searched in parts: a stream as it comes, and a long
text without holding the interpreter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BEFORE", "LONGEST", "last", "line"]

BEFORE: Final = 64
"""Characters to the left of a value that a detector may look at."""

LONGEST: Final = 65_536
"""Characters after which a text is cut wherever it is."""

_KEY: Final = "-----BEGIN "
_KEY_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,64}-----")
_LONGEST_KEY: Final = 16_384
_DIGIT: Final = re.compile(r"\d")


def last(text: str, until: int) -> int:
    """The last cut that is not beyond `until`, given that `text` begins at one; 0 for none.

    Args:
        text: that begins at a cut, and may go on.
        until: to look no further.
    """
    return _outside_keys(text, until, _between_words)


def line(text: str, until: int) -> int:
    """The last cut between two lines."""
    return _outside_keys(text, until, _between_lines)


def _outside_keys(text: str, until: int, cut: Callable[[str, int], int]) -> int:
    while True:
        found = cut(text, until)
        begins = text.rfind(_KEY, 0, found)
        if begins < 0 or found >= _end_of_key(text, begins):
            return found
        until = begins


def _end_of_key(text: str, begins: int) -> int:
    """Where the private key ends that begins there, as far as can be known."""
    most = begins + _LONGEST_KEY
    found = _KEY_END.search(text, begins, most)
    return most if found is None else found.end()


def _between_lines(text: str, until: int) -> int:
    return text.rfind("\n", 0, until) + 1


def _between_words(text: str, until: int) -> int:
    line = _between_lines(text, until)
    return max(line, _words(text, line, until))


def _words(text: str, start: int, limit: int) -> int:
    """The last space after `start` between two words without a digit; both have to be whole."""
    end = limit
    while end > start:
        space = text.rfind(" ", start, end)
        if space < 0:
            return 0
        end = space
        if space + 1 >= len(text) or text[space + 1].isspace() or text[space - 1 : space].isspace():
            continue
        left = max(text.rfind(" ", start, space), start - 1) + 1
        right = text.find(" ", space + 1)
        stop = text.find("\n", space + 1, None if right < 0 else right)
        right = stop if stop >= 0 else right
        if right < 0 or left == space:
            continue
        if not _DIGIT.search(text, left, right):
            return space + 1
    return 0
