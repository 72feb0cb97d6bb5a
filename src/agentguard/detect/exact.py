"""What the application knows already, found exactly: no model has to guess a name."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from agentguard.detect.found import Found
from agentguard.detect.view import view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Exact"]

_SHORTEST: Final = 2
_CONFIDENCE: Final = 0.94  # less than an e-mail address, which a name may be a part of
_HANGUL: Final = re.compile(r"[가-힣]+")
_NAME: Final = re.compile(r"[가-힣]{2,4}")
_WORD: Final = re.compile(r"[\w\u0300-\u036f]+")
_BETWEEN: Final = r"[\W_]{0,3}"
_FORMS: Final = ("NFC", "NFD")  # file names of macOS are in the second


class Exact:
    """Finds given values, with whatever particle behind them, spaced or in another case.

    A Korean name is found with a space inside, an address with other punctuation, a number with
    other separators. Latin values are whole words only; Hangul only where no Hangul stands in front.

    Args:
        known: pairs of a type and a value. What has less than two letters or digits is not looked
            for: it would be found everywhere.

    Examples:
        >>> Exact([("name", "Jane Doe")]).find("hi, jane  doe!")
        [Found(start=4, end=13, type='name', confidence=0.94)]
    """

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        by_type: dict[str, set[str]] = {}
        for kind, value in known:
            for form in _FORMS:
                pattern = _pattern(unicodedata.normalize(form, value))
                if pattern is not None:
                    by_type.setdefault(kind, set()).add(pattern)
        # The longest first: an address holds the name of a street that may be known, too.
        self._patterns = [
            (kind, re.compile("|".join(sorted(each, key=len, reverse=True)), re.IGNORECASE))
            for kind, each in by_type.items()
        ]

    def __repr__(self) -> str:
        return f"Exact({', '.join(kind for kind, _ in self._patterns)})"

    def find(self, text: str, /) -> list[Found]:
        """Find every value that is known."""
        return list(self._find(text))

    def _find(self, text: str) -> Iterator[Found]:
        seen = view(text)
        for kind, pattern in self._patterns:
            for found in pattern.finditer(seen.text):
                yield Found(*seen.span(*found.span()), kind, _CONFIDENCE)


def _pattern(value: str) -> str | None:
    value = view(value).text
    words = _WORD.findall(value)
    if sum(map(len, words)) < _SHORTEST:
        return None
    if _NAME.fullmatch(value):
        inside = r"\s?".join(value)
    elif value.replace("-", "").replace(" ", "").isdigit():
        inside = r"[\s.\-]?".join(re.escape(digit) for digit in "".join(words))
    else:
        inside = _BETWEEN.join(map(re.escape, words))
    first, last = words[0][0], words[-1][-1]
    before = "(?<![가-힣])" if _HANGUL.match(first) else "(?<![A-Za-z0-9])"
    behind = "" if _HANGUL.match(last) else "(?![A-Za-z0-9])"
    return f"{before}{inside}{behind}"
