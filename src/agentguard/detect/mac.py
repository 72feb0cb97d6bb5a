"""Addresses of network cards (IEEE 802): six bytes, in the three usual ways."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEAR: Final = 32
_BYTE: Final = "[0-9A-Fa-f]{2}"
_PAIRS: Final = tuple(
    re.compile(rf"{sep}(?:{_BYTE}{sep}){{4}}{_BYTE}(?![0-9A-Za-z_]|{sep}[0-9A-Za-z])")
    for sep in ":-"
)
_FOURS: Final = re.compile(r"\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![0-9A-Za-z_]|\.[0-9A-Za-z])")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_NAMED: Final = re.compile(
    r"(?:(?<![a-z])mac(?![a-z])|macaddr|hwaddr|ether|bssid|physical|맥|물리)[^\n]{0,16}\Z",
    re.IGNORECASE,
)
_NOBODY: Final = frozenset({"000000000000", "ffffffffffff"})


def mac_addresses(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every address; one of digits alone where the text names it."""
    for pattern, width in ((_PAIRS[0], 2), (_PAIRS[1], 2), (_FOURS, 4)):
        for rest in pattern.finditer(text):
            start, end = rest.start() - width, rest.end()
            if start >= 0 and _is_mac(text, start, rest.start(), end):
                yield start, end, 0.9


def _is_mac(text: str, start: int, first_mark: int, end: int) -> bool:
    if not _HEX.issuperset(text[start:first_mark]):
        return False
    before = text[start - 1 : start] if start else ""
    mark = text[first_mark]
    if before in {mark, "_"} or (before.isascii() and before.isalnum()):
        return False
    digits = text[start:end].replace(mark, "").lower()
    if digits in _NOBODY:
        return False
    unlike_numbers = not digits.isdigit() or digits.startswith("00")
    return unlike_numbers or _NAMED.search(text[max(0, start - _NEAR) : start]) is not None
