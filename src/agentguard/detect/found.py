"""What was found, and what finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Detector", "Found"]


class Found(NamedTuple):
    """One value in a text.

    Attributes:
        start: its first character, counted in code points.
        end: the character after its last.
        type: "email", "phone", "api_key" ...
        confidence: how sure that is, from 0 to 1.
    """

    start: int
    end: int
    type: str
    confidence: float


class Detector(Protocol):
    """Finds values of one type, or of several, in one line of text."""

    def find(self, text: str, /) -> Iterable[Found]:
        """What there is in `text`, in any order; overlaps are resolved later."""
        ...
