"""What a placeholder looks like, and in which spellings a model gives it back.

A placeholder is written `<EMAIL_1>`. Models change it: its case, its separators, its brackets,
which they escape, widen or leave out. `spelled` finds these spellings, and `Live` tells whether the
end of a text may still become one of them.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST", "Live", "canonical", "mentions", "names", "numbered", "of", "spelled", "word"]

# What opens a placeholder, and what then closes it. Where one pair is part of another it is later.
_PAIRS: Final = (
    (r"\u003c", r"\u003e"),
    (r"\<", r"\>"),
    ("<", ">"),
    ("&lt;", "&gt;"),
    ("&lt;", ">"),  # enough for HTML
    (r"\u003c", ">"),
    ("%3c", "%3e"),
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
_BESIDE: Final = 16  # numbers are shorter, and so is what opens or closes
LONGEST: Final = _MOST + 2 * 6
"""No spelling of a placeholder has more characters."""

_GAP: Final = re.compile(rf"\\{{0,2}}_|[{_SPACES}-]")  # Markdown escapes `_`, JSON the escape
_APART: Final = re.compile(r"[^A-Z0-9]+")
_INSIDE: Final = rf"([A-Za-z0-9_\\{_SPACES}-]{{2,{_MOST}}}?)"
_WORD: Final = "A-Za-z0-9_"
_BEFORE: Final = {"[": rf"(?<![{_WORD})\]])"}  # `users[email_1]` is code
_AFTER: Final = {"]": r"(?!\()"}  # `[EMAIL_1](mailto:...)` is a link


@functools.cache
def spelled() -> re.Pattern[str]:
    """Whatever may be a placeholder; the group that took part has what is inside the brackets."""
    bracketed = (
        _BEFORE.get(opening, "")
        + f"(?i:{re.escape(opening)}){_INSIDE}(?i:{re.escape(closing)})"
        + _AFTER.get(closing, "")
        for opening, closing in _PAIRS
    )
    # Without brackets only as it was written: `email_1` may be a variable, `$EMAIL_1` is one.
    name = r"([A-Z][A-Z0-9]*(?:\\{0,2}_[A-Z0-9]+)*\\{0,2}_[0-9]{1,9})"
    bare = f"(?<![{_WORD}$]){name}(?![{_WORD}])"
    return re.compile("|".join((*bracketed, bare)), re.ASCII)


@functools.cache
def numbered() -> re.Pattern[str]:
    """A bracket, a type and a number, whatever follows."""
    opening = "|".join(
        dict.fromkeys(_BEFORE.get(opening, "") + re.escape(opening) for opening, _ in _PAIRS)
    )
    gap = rf"(?:\\{{0,2}}_|[{_SPACES}-])"
    kind = rf"[A-Za-z][A-Za-z0-9]*(?:{gap}[A-Za-z][A-Za-z0-9]*)*"
    return re.compile(rf"(?i:{opening})[{_SPACES}]?({kind}){gap}([0-9]+)", re.ASCII)


@functools.cache
def _mentioned(name: str) -> re.Pattern[bytes]:
    gap = rb"\\{0,2}(?:[_ -]|\xc2\xa0)"
    return re.compile(
        gap.join(map(str.encode, name.lower().split("_"))) + b"(?:" + gap + b")?[0-9]"
    )


def mentions(text: str, kinds: Iterable[str]) -> set[str]:
    """Placeholders of some types that a text contains, in canonical form, and perhaps a few more.

    It costs little where there are none: bytes are made small and searched many times faster than
    a text is in any case of its letters.
    """
    raw = text.encode(errors="surrogatepass")
    small = raw.lower()
    found: set[str] = set()
    for kind in kinds:
        if kind.lower().encode().split(b"_", 1)[0] not in small:
            continue
        for place in _mentioned(kind).finditer(small):
            around = raw[max(0, place.start() - 4 * _BESIDE) : place.end() + 4 * _BESIDE]
            near = around.decode(errors="ignore")
            at = 0  # one candidate may hide in another that is none
            while (each := spelled().search(near, at)) is not None:
                found.add(canonical(each[each.lastindex or 0]))
                at = each.start() + 1
    return found


_PART: Final = re.compile(_INSIDE.replace("{2,", "{0,"))
_START: Final = re.compile(
    rf"[<&%\\\uff1c\u3008\u27e8\uff3b]|(?<![{_WORD})\]])\[|(?<![{_WORD}$])[A-Z]"
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


class Live:
    """Placeholders that stand for something. Only ever grows: it is read without a lock.

    Attributes:
        values: by canonical name.
        kinds: their types, as they stand in placeholders.
    """

    __slots__ = ("_beginnings", "_written", "kinds", "values")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.kinds: set[str] = set()
        self._written: set[str] = set()  # beginnings of names as they are written
        self._beginnings: set[str] = set()  # those of all their names

    def add(self, name: str, number: int, value: str) -> None:
        """From now on this placeholder stands for `value`."""
        self.kinds.add(name)
        for beginnings, inside in zip(
            (self._written, self._beginnings), names(name, number), strict=False
        ):
            beginnings.update(inside[:size] for size in range(1, len(inside) + 1))
        for inside in names(name, number):
            self.values[inside] = value

    def first_begun(self, text: str, begin: int) -> int:
        """Where a placeholder begins that what follows `text` may complete; its length for nowhere.

        Args:
            text: what has arrived.
            begin: where to look from.
        """
        for start in _START.finditer(text, max(begin, len(text) - LONGEST)):
            if self._begins(text[start.start() :]):
                return start.start()
        return len(text)

    def _begins(self, text: str) -> bool:
        """Whether all of `text` is the beginning of a placeholder, or one whose end is not certain."""
        if text[0].isalpha():
            return bool(_UPPER.fullmatch(text)) and self._inside(text, bare=True)
        small = text.lower()
        return any(
            opening.startswith(small)
            or (small.startswith(opening) and self._closes(text[len(opening) :], closing))
            for opening, closing in _PAIRS
        )

    def _closes(self, rest: str, closing: str) -> bool:
        if _PART.fullmatch(rest) and self._inside(rest):
            return True
        small = rest.lower()
        return any(
            small.endswith(closing[:size])
            and len(rest) > size
            and canonical(rest[:-size]) in self.values
            for size in range(1, len(closing) + (closing in _AFTER))
        )

    def _inside(self, text: str, *, bare: bool = False) -> bool:
        text = text[1:] if text[:1] and text[0] in _SPACES else text
        name = text.rstrip("\\")
        escapes = len(text) - len(name)
        name = _GAP.sub("_", name).upper() + "_" * (escapes > 0)
        if escapes > 2:
            return False
        if not name or name in self._written:
            return True
        if bare:
            return False
        return name in self._beginnings or (name[-1] == "_" and canonical(text) in self.values)
