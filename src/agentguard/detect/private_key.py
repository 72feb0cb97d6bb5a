r"""Private keys in text armour: PEM (RFC 7468, RFC 1421), OpenSSH, PGP (RFC 9580).

A key stands on lines of its own, or in one JSON string with its line ends escaped.
The span is the whole block: from its first line to its last or, where it was cut
off, to the end of what can be part of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_OF_LINE: Final = r"(?:\s|\\+[nrt]|[\"'`>|+,])"
_PEM: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    rf"({_END_OF_LINE}*+(?:[A-Z][A-Za-z-]{{1,20}}: [^\n\\]{{0,120}}+{_END_OF_LINE}++){{0,6}}"
    rf"(?:[A-Za-z0-9+/=]|{_END_OF_LINE})*+)"
    r"(-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
)
_BODY: Final = re.compile(r"[A-Za-z0-9+/]{16,}+")
_SHORTEST: Final = 48


def private_keys(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every block that holds a private key; a header alone is none."""
    if "-----BEGIN " in text:
        for block in _PEM.finditer(text):
            if _size(block[1]) >= _SHORTEST:
                yield block.start(), _end(text, block), 0.99


def _size(body: str) -> int:
    """How many characters of base64 a body has, counting no short words."""
    return sum(len(line) for line in _BODY.findall(body))


def _end(text: str, block: re.Match[str]) -> int:
    """The end of the block; of one that was cut off, of its last line of base64."""
    if block[2]:
        return block.end()
    return max(line.end() for line in _BODY.finditer(text, block.start(1), block.end(1)))
