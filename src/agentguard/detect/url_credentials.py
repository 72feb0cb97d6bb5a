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
# As Go's driver of MySQL has it: user:password@tcp(host:3306)/name.
_GO: Final = re.compile(r"@(?:tcp|unix)\(")
_BEFORE_GO: Final = re.compile(r"[^\s\"'`:@/()=]{1,60}:([^\s\"'`]{1,120})\Z")
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
    for go in _GO.finditer(text):
        before = _BEFORE_GO.search(text[max(0, go.start() - _LONGEST) : go.start()])
        if before and not _is_template(before[1]):
            yield go.start() - len(before[0]), go.start(), 0.99


def _follows_scheme(text: str, mark: int) -> bool:
    before = text[mark - 1 : mark] if mark else ""
    return before.isascii() and before.isalnum()


def _is_template(password: str) -> bool:
    return _TEMPLATE.match(password) is not None
