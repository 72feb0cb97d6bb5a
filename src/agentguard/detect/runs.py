"""Long runs of letters and digits: keys and addresses of wallets are such, words are not."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["runs"]

_IN_RUNS: Final = frozenset(string.ascii_letters + string.digits + "_-")
_CLASS: Final = bytes(ord("x") if chr(code) in _IN_RUNS else ord(" ") for code in range(256))
_ROW: Final = b"x" * 18


def runs(text: str) -> Iterator[tuple[int, int]]:
    """Where each run of 18 letters, digits, `_` and `-` or more begins and ends."""
    plain = text.encode("ascii", "replace").translate(_CLASS)  # a byte a character
    at = plain.find(_ROW)
    while at >= 0:
        end = plain.find(b" ", at + len(_ROW))
        end = len(plain) if end < 0 else end
        yield at, end
        at = plain.find(_ROW, end)
