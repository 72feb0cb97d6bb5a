"""Names and passwords in addresses: ``scheme://user:password@host`` (RFC 3986)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 256
_AUTHORITY: Final = re.compile(r"://([^\s/?#\"'`<>\\]{0,1024}+)")
_TEMPLATE: Final = re.compile(
    r"(?:[*xX.]{3,}|[$%]?[{(\[<].*[})\]>]|\$\w+|%\w+%|%s)\Z|.*(?:\$\{|\{\{)"
)
_HOST: Final = re.compile(r"[^\W_]|\[|[${]")


def url_credentials(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every ``user:password``; a template such as ``${USER}:${PASS}`` is none."""
    for found in _AUTHORITY.finditer(text):
        authority, start = found[1], found.start(1)
        at = authority.rfind("@")
        if not 0 < at <= _LONGEST or not _HOST.match(authority, at + 1):
            continue
        user, colon, password = authority[:at].partition(":")
        if not colon or not password or not _follows_scheme(text, found.start()):
            continue
        if _is_template(password):
            continue
        first = start if user else start + 1
        yield first, start + at, 0.99


def _follows_scheme(text: str, mark: int) -> bool:
    before = text[mark - 1 : mark] if mark else ""
    return before.isascii() and before.isalnum()


def _is_template(password: str) -> bool:
    return _TEMPLATE.match(password) is not None
