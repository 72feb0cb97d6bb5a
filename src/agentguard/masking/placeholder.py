"""What a placeholder looks like, and in which spellings a model gives it back.

A placeholder is written `<EMAIL_1>`. Models change it: its case, its separators, its brackets,
which they escape, widen or leave out. `SPELLED` finds these spellings, and `begins` tells whether
the end of a text may still become one of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = [
    "LONGEST",
    "NUMBERED",
    "SPELLED",
    "begins",
    "canonical",
    "first_begun",
    "names",
    "of",
    "word",
]

# What opens a placeholder, and what then closes it. Where one pair is part of another it is later.
_PAIRS: Final = (
    (r"\u003c", r"\u003e"),
    (r"\<", r"\>"),
    ("<", ">"),
    ("&lt;", "&gt;"),
    ("&#60;", "&#62;"),
    ("&#x3c;", "&#x3e;"),
    ("\uff1c", "\uff1e"),  # full-width
    ("\u3008", "\u3009"),
    ("\u27e8", "\u27e9"),
    ("\uff3b", "\uff3d"),
    ("[", "]"),
)
_SPACES: Final = " \xa0"
_KIND: Final = 40
_MOST: Final = 80  # between the brackets
LONGEST: Final = _MOST + 2 * 6
"""No spelling of a placeholder has more characters."""

_GAP: Final = re.compile(rf"\\{{0,2}}[_{_SPACES}-]")  # Markdown escapes `_`, JSON the escape
_APART: Final = re.compile(r"[^A-Z0-9]+")
_INSIDE: Final = rf"([A-Za-z0-9_\\{_SPACES}-]{{2,{_MOST}}})"
_WORD: Final = "A-Za-z0-9_"
_BEFORE: Final = {"[": rf"(?<![{_WORD})\]])"}  # `users[email_1]` is code
_AFTER: Final = {"]": r"(?!\()"}  # `[EMAIL_1](mailto:...)` is a link
SPELLED: Final = re.compile(
    "|".join(
        _BEFORE.get(opening, "")
        + f"(?i:{re.escape(opening)}){_INSIDE}(?i:{re.escape(closing)})"
        + _AFTER.get(closing, "")
        for opening, closing in _PAIRS
    )
    # Without brackets only as it was written: `email_1` may be a variable, `$EMAIL_1` is one.
    + rf"|(?<![{_WORD}$])([A-Z][A-Z0-9]*(?:\\{{0,2}}_[A-Z0-9]+)*\\{{0,2}}_[0-9]{{1,9}})(?![{_WORD}])",
    re.ASCII,
)
"""Whatever may be a placeholder; the last group is the one without brackets."""

NUMBERED: Final = re.compile(
    rf"(?i:{'|'.join(re.escape(opening) for opening, _ in _PAIRS)})[{_SPACES}]?"
    rf"([A-Za-z][A-Za-z0-9]*(?:\\{{0,2}}[_{_SPACES}-][A-Za-z][A-Za-z0-9]*)*)"
    rf"\\{{0,2}}[_{_SPACES}-]([0-9]+)",
    re.ASCII,
)
"""A bracket, a type and a number, whatever follows."""

_START: Final = re.compile(
    rf"[<&\\\uff1c\u3008\u27e8\uff3b]|(?<![{_WORD})\]])\[|(?<![{_WORD}$])[A-Z]"
)
_UPPER: Final = re.compile(r"[A-Z0-9_\\]*")


def word(kind: str) -> str:
    """A type's name as it stands in a placeholder.

    Examples:
        >>> word("kr_rrn"), word("Employee no."), word("사번")
        ('KR_RRN', 'EMPLOYEE_NO', 'VALUE')
    """
    letters = _APART.sub("_", kind.upper())[:_KIND].strip("_")
    return letters if letters[:1].isalpha() else f"VALUE_{letters}".strip("_")


def of(name: str, number: int) -> str:
    """The placeholder of a type's value.

    Examples:
        >>> of("KR_RRN", 2)
        '<KR_RRN_2>'
    """
    return f"<{name}_{number}>"


def names(name: str, number: int) -> tuple[str, ...]:
    """What is between the brackets, in canonical form: as it is written, and without the last gap.

    Examples:
        >>> names("KR_RRN", 2), names("IPV4", 2)
        (('KR_RRN_2', 'KR_RRN2'), ('IPV4_2',))
    """
    whole = f"{name}_{number}"
    return (whole,) if name[-1].isdigit() else (whole, f"{name}{number}")


def canonical(inside: str) -> str:
    r"""What stands between brackets, as `names` has it.

    Examples:
        >>> canonical(" Kr rrn-2"), canonical(r"EMAIL\_1")
        ('KR_RRN_2', 'EMAIL_1')
    """
    if inside[0] in _SPACES:
        inside = inside[1:]
    if inside[-1:] in {*_SPACES}:
        inside = inside[:-1]
    return _GAP.sub("_", inside).upper()


def first_begun(text: str, live: Container[str], beginnings: Container[str], begin: int = 0) -> int:
    """Where a placeholder begins that what follows `text` may complete; its length when none does.

    Args:
        text: what has arrived.
        live: canonical names that stand for something.
        beginnings: every beginning of these names, the whole ones included.
        begin: where to look from.
    """
    for start in _START.finditer(text, max(begin, len(text) - LONGEST)):
        if begins(text[start.start() :], live, beginnings):
            return start.start()
    return len(text)


def begins(text: str, live: Container[str], beginnings: Container[str]) -> bool:
    """Whether all of `text` is the beginning of a placeholder, or one whose end is not certain."""
    if text[0].isalpha():
        return bool(_UPPER.fullmatch(text)) and _beginning(text, beginnings)
    small = text.lower()
    for opening, closing in _PAIRS:
        if opening.startswith(small):
            return True
        if small.startswith(opening) and _closes(text[len(opening) :], closing, live, beginnings):
            return True
    return False


def _closes(rest: str, closing: str, live: Container[str], beginnings: Container[str]) -> bool:
    if len(rest) > _MOST + len(closing):
        return False
    if re.fullmatch(_INSIDE.replace("{2,", "{0,"), rest) and _beginning(rest, beginnings, live):
        return True
    small = rest.lower()
    return any(
        small.endswith(closing[:size]) and rest[:-size] and canonical(rest[:-size]) in live
        for size in range(1, len(closing) + (closing in _AFTER))
    )


def _beginning(inside: str, beginnings: Container[str], live: Container[str] = ()) -> bool:
    if inside[:1] and inside[0] in _SPACES:
        inside = inside[1:]
    escape = len(inside) - len(inside.rstrip("\\"))
    name = _GAP.sub("_", inside[: len(inside) - escape]).upper() + "_" * (escape > 0)
    if escape <= 2 and (not name or name in beginnings):
        return True
    return inside[-1:] in {*_SPACES} and canonical(inside) in live
