"""JSON Web Tokens (RFC 7519): parts of base64url, the first of them a JOSE header."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

# The whole run at once, so that a long one that is no token is read only once.
_RUN: Final = re.compile(r"eyJ[A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]*+)*+=*")
_SIGNED, _ENCRYPTED = 3, 5
_SHORTEST_HEADER: Final = 12
_LONGEST_HEADER: Final = 8192


def json_web_tokens(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every token, signed (three parts) or encrypted (five)."""
    for run in _RUN.finditer(text):
        length = _length(run[0])
        if length and _begins(text, run.start()):
            yield run.start(), run.start() + length, 0.99


def _begins(text: str, start: int) -> bool:
    before = text[start - 1 : start] if start else ""
    return before != "_" and not (before.isascii() and before.isalnum())


def _length(run: str) -> int:
    """How much of the run is a token; 0 if it is none."""
    header, _, rest = run.partition(".")
    if not rest or not (fields := _header(header)):
        return 0
    count = _ENCRYPTED if "enc" in fields else _SIGNED
    parts = run.split(".", count)[:count]
    if len(parts) < count or (len(parts[1]) == 0 and count == _SIGNED):
        return 0
    token = ".".join(parts)
    return len(token)


def _header(part: str) -> dict[str, Any] | None:
    """The JOSE header that a part decodes to: JSON that names an algorithm."""
    if not _SHORTEST_HEADER <= len(part) <= _LONGEST_HEADER:
        return None
    try:
        fields: Any = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", fields) if isinstance(fields, dict) and "alg" in fields else None
