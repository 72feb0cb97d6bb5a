"""When two spellings are one value, so that both get the same placeholder."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["alike"]

_UNSEEN: Final = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SPACE: Final = re.compile(r"\s+")
_APART: Final = re.compile(r"[\W_]+")
_KOREA: Final = re.compile(r"^(?:00)?820?(?=[1-9])")

_FOLDED: Final = {"email", "ip_address"}
_LETTERS_AND_DIGITS: Final = {
    "address",
    "bank_account",
    "birth_date",
    "credit_card",
    "iban",
    "kr_brn",
    "kr_driver_license",
    "kr_frn",
    "kr_passport",
    "kr_rrn",
    "mac_address",
    "name",
    "phone",
    "us_ssn",
}


def alike(kind: str, value: str) -> str:
    """What all spellings of a value have in common.

    Full-width characters, invisible ones and spacing make no difference. In numbers, names and
    addresses letters and digits alone count, and there as in e-mail addresses their case does not. A
    Korean phone number is the same with +82 and with 0.

    Examples:
        >>> alike("email", "Kim@Example.COM"), alike("phone", "+82 10-1234-5678")
        ('kim@example.com', '01012345678')
    """
    seen = _SPACE.sub(" ", _UNSEEN.sub("", unicodedata.normalize("NFKC", value))).strip()
    if kind in _LETTERS_AND_DIGITS:
        seen = _APART.sub("", seen).casefold()
        return _KOREA.sub("0", seen) if kind == "phone" else seen
    return seen.casefold() if kind in _FOLDED else seen
