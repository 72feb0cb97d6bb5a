"""E-mail addresses: an at sign, a local part to its left, a domain to its right.

RFC 5321 bounds the two (64 and 255 characters). The domain ends in a top-level
domain that exists, which tells ``jane@example.kr`` from ``icon@2x.png`` and
``q@k.transpose``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentguard.detect.top_level_domains import TOP_LEVEL_DOMAINS

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_LOCAL: Final = 64
_LATIN: Final = "".join(map(chr, range(0xC0, 0x250)))
_LOCAL: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-" + _LATIN
_AT: Final = re.compile(r"@([A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9.\u00c0-\u024f-]{1,253}+))")
# What only looks like the beginning of a local part.
_NOT_LOCAL: Final = re.compile(r".*(?:%[0-9A-Fa-f]{2}|\.\.)")
_RETINA: Final = re.compile(r"[1-9](?:\.\d)?x\.")
_CODE: Final = frozenset(
    [
        "at",
        "call",
        "data",
        "date",
        "id",
        "is",
        "map",
        "mt",
        "name",
        "next",
        "open",
        "page",
        "read",
        "run",
        "to",
    ]
)
_SHORT: Final = 2
_HOSTING: Final = frozenset({"git", "hg", "svn"})
_REMOTE: Final = re.compile(r":[~/]|:[^\s:]{1,200}\.git\b")


def emails(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every address: where it starts and ends, and how sure that is."""
    free = 0
    for at in _AT.finditer(text):
        start = _local_start(text, max(free, at.start() - _LONGEST_LOCAL), at.start())
        if start == at.start():
            continue
        end = _domain_end(at[1])
        if not end or _is_code(text, start, at.start(), at.start(1) + end):
            continue
        free = at.start(1) + end
        yield start, free, 0.95


def _local_start(text: str, first: int, at: int) -> int:
    """Where the local part that ends at ``at`` begins; ``at`` where there is none."""
    window = text[first:at]
    start = first + len(window.rstrip(_LOCAL))
    if before := _NOT_LOCAL.match(text, start, at):
        start = before.end()
    start += at - start - len(text[start:at].lstrip(".-"))
    return at if text[at - 1] == "." else start


def _domain_end(name: str) -> int:
    """The length of the domain that ``name`` begins with; 0 where there is none."""
    if _RETINA.match(name):
        return 0
    while True:
        name = name.rstrip(".-")
        head, dot, last = name.rpartition(".")
        if not dot:
            return 0
        if _is_top(last) and not head.endswith((".", "-")) and ".." not in head:
            return len(name)
        name = _without_tail(head, last)


def _without_tail(head: str, last: str) -> str:
    """The name without what cannot end it: a label, or what follows its hyphen."""
    kept, hyphen, _ = last.partition("-")
    return f"{head}.{kept}" if hyphen and not last.startswith("xn--") else head


def _is_top(label: str) -> bool:
    lower = label.lower()
    if lower.startswith("xn--"):
        return True
    return lower in TOP_LEVEL_DOMAINS and label in {lower, label.upper()}


def _is_code(text: str, start: int, at: int, end: int) -> bool:
    """Whether it is an expression, or the remote of a repository, after all."""
    following = text[end : end + 2]
    if following[:1] in {"(", "["} or (following[:1] == "_" and following[1:].isalnum()):
        return True
    local, domain = text[start:at], text[at + 1 : end]
    if local.lower() in _HOSTING or _REMOTE.match(text, end):
        return True
    name, _, last = domain.partition(".")
    return max(len(local), len(name)) <= _SHORT and last in _CODE
