"""Where digits stand together: every number that is looked for is in such a place.

One pass finds the places, and each detector of numbers looks at these alone. Most text has none.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BESIDE", "Digits", "places"]

BESIDE: Final = 60
"""Characters to the left of a number in which a word that names it is looked for."""

_PLACE: Final = re.compile(r"[0-9](?:[ ()./\-~_]{0,3}[0-9]){6,}")
_OPEN: Final = "+( "
_BEHIND: Final = 16


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

    def speaks_of(self, words: tuple[str, ...]) -> bool:
        """Whether one of these words, in small letters, stands near: else no name has to be looked for."""
        near = self.text[max(0, self.start - BESIDE) : self.end + _BEHIND].lower()
        return _any_of(words).search(near) is not None

    def left(self, start: int) -> str:
        """What stands left of a number that begins at `start`, in small letters: its name may be there."""
        return self.text[max(0, start - BESIDE) : start].lower()


def places(text: str) -> Iterator[Digits]:
    """Every place with at least seven digits, none of which is more than three signs away."""
    for found in _PLACE.finditer(text):
        start, end = found.span()
        while start and text[start - 1] in _OPEN and found.start() - start < 3:
            start -= 1
        while text[start] == " ":
            start += 1
        yield Digits(text, start, end, sum(map(str.isdigit, found[0])))


@functools.cache
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)))
