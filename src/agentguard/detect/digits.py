"""Where digits stand together: every number that is looked for is in such a place.

One pass finds the places, and each detector of numbers looks at these alone. Most text has none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BESIDE", "Digits", "places"]

BESIDE: Final = 60
"""Characters to the left of a number in which a word that names it is looked for."""

_PLACE: Final = re.compile(r"[0-9](?:[ ()./\-~_]{0,3}[0-9]){6,}")
_OPEN: Final = "+( "


class Digits(NamedTuple):
    """A place where digits stand.

    Attributes:
        text: that it is in.
        start: its first digit, or the plus or bracket in front.
        end: the character after the last digit.
        size: how many digits there are.
    """

    text: str
    start: int
    end: int
    size: int

    def left(self, start: int) -> str:
        """What stands to the left of a number that begins at `start`, where its name would be."""
        return self.text[max(0, start - BESIDE) : start]


def places(text: str) -> Iterator[Digits]:
    """Every place with at least seven digits, none of which is more than three signs away."""
    for found in _PLACE.finditer(text):
        start, end = found.span()
        while start and text[start - 1] in _OPEN and found.start() - start < 3:
            start -= 1
        while text[start] == " ":
            start += 1
        yield Digits(text, start, end, sum(map(str.isdigit, found[0])))
