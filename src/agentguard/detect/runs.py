"""Long runs of letters and digits: keys and addresses of wallets are such, words are not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Everything before a run is part of its match, so that a text without one is passed
# over in one step; at its end the pattern matches without a run.
_RUN: Final = re.compile(
    r"[^A-Za-z0-9_-]*+(?:[A-Za-z0-9_-]{1,17}+[^A-Za-z0-9_-]++)*+([A-Za-z0-9_-]{18,}+)?"
)


def runs(text: str) -> Iterator[tuple[int, int]]:
    """Where each run of 18 letters, digits, ``_`` and ``-`` or more begins and ends."""
    for found in _RUN.finditer(text):
        if found[1] is not None:
            yield found.span(1)
