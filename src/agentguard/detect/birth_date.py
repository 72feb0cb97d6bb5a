"""Dates of birth: dates that the text says somebody was born on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["birth_dates"]

_MONTHS: Final = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    "oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_NAMED: Final = re.compile(
    r"생년월일|생일|출생|born|birth(?:day|date|\s+date)?|date of birth|\bdob\b|d\.o\.b",
    re.IGNORECASE,
)
_WORDS: Final = (
    "생년",
    "생일",
    "출생",
    "born",
    "Born",
    "BORN",
    "irth",
    "IRTH",
    "dob",
    "Dob",
    "DOB",
    "D.O.B",
    "d.o.b",
)
_DATE: Final = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d ?(?:[-./]|년) ?\d{1,2} ?(?:[-./]|월) ?\d{1,2}(?: ?일)?"
    r"|\d{1,2}[-./]\d{1,2}[-./](?:19|20)?\d\d"
    r"|(?:19|20)\d{6}|\d{2} ?년 ?\d{1,2} ?월 ?\d{1,2} ?일|\d{6})(?![\d])"
    rf"|(?<![A-Za-z])(?:(?:{_MONTHS})\.? \d{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)\d\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTHS})\.?,? (?:19|20)\d\d)(?!\d)",
    re.IGNORECASE,
)
_FAR: Final = 30


def birth_dates(text: str) -> Iterator[tuple[int, int, float]]:
    """Dates at most thirty characters behind a word that speaks of birth."""
    if not any(word in text for word in _WORDS):
        return
    for named in _NAMED.finditer(text):
        found = _DATE.search(text, named.end(), named.end() + _FAR + 24)
        if (
            found
            and found.start() - named.end() <= _FAR
            and "\n" not in text[named.end() : found.start()]
        ):
            yield found.start(), found.end(), 0.85
