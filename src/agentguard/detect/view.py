r"""A text as a detector reads it: full-width letters, invisible characters and escapes hide nothing.

A full-width digit becomes a digit, a zero-width space disappears, a dash of any kind becomes a hyphen, and the
escapes of JSON and Markdown (`\u0030`, `\-`, `\n`) become what they stand for.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["ODD", "PLAIN", "View", "view"]

_HIDDEN: Final = (
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
)
_DASHES: Final = "\u2010-\u2015\u2212\ufe58\ufe63\u30fc\u2500"
_SPACES: Final = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_WIDE: Final = "\uff01-\uff5e"
_DIGITS: Final = "\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u2460-\u2468"
_FOLDED: Final = re.compile(
    rf"(?P<hidden>[{_HIDDEN}]+)"
    rf"|(?P<other>[{_DASHES}{_SPACES}{_WIDE}{_DIGITS}\u2024\u2027\u00b7\u318d\u30fb])"
    r"|\\u(?P<code>[0-9A-Fa-f]{4})"
    r"|\\(?P<escaped>[nrt\"'/\\\-._@*()\[\]+#])"
)
ODD: Final = rf"[\\{_HIDDEN}{_DASHES}{_SPACES}{_WIDE}{_DIGITS}" + "\u2024\u2027\u00b7\u318d\u30fb]"
"""A character that is read as another one, or as none."""
PLAIN: Final = re.compile(ODD)
_UNDERLINED: Final = re.compile(
    r"(?<![0-9A-Za-z_.\-+/=~])_{1,3}(?=[0-9+(])"
    r"|(?<=[0-9])_{1,3}(?=[\s,;:!?()\[\]{}'\"<>|]|\.?(?:\s|\Z)|[가-힣])"
)
_LETTERS: Final = {"n": "\n", "r": "\n", "t": "\t"}


class View(NamedTuple):
    """A text as it is read, and where each of its characters stands in the original.

    Attributes:
        text: as it is read.
        starts: where each character begins in the original; None where the two are the same.
        ends: where each ends.
    """

    text: str
    starts: list[int] | None
    ends: list[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that a part of `text` stands for."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def view(text: str) -> View:
    r"""How a detector reads `text`.

    Examples:
        >>> view("\uff10\uff11\uff10\u200b-1234").text
        '010-1234'
    """
    if "_" in text:  # around a number it is emphasis, or a form's line
        text = _UNDERLINED.sub(lambda found: " " * len(found[0]), text)
    if PLAIN.search(text) is None:
        return View(text, None, None)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for found in _FOLDED.finditer(text):
        start, end = found.span()
        if start > at:
            pieces.append(text[at:start])
            starts.extend(range(at, start))
            ends.extend(range(at + 1, start + 1))
        at = end
        if found.lastgroup == "hidden":
            continue
        pieces.append(_read(found))
        starts.append(start)
        ends.append(end)
    pieces.append(text[at:])
    starts.extend(range(at, len(text)))
    ends.extend(range(at + 1, len(text) + 1))
    return View("".join(pieces), starts, ends)


def _read(found: re.Match[str]) -> str:
    code, escaped = found["code"], found["escaped"]
    if code is not None:
        letter = chr(int(code, 16))
        return "?" if "\ud800" <= letter <= "\udfff" else _letter(letter)
    if escaped is not None:
        return _LETTERS.get(escaped, escaped)
    return _letter(found["other"])


def _letter(letter: str) -> str:
    code = ord(letter)
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    if code < 0x80:
        return letter
    if letter.isdigit():
        import unicodedata

        return str(unicodedata.digit(letter, 0))
    if letter.isspace():
        return " "
    if letter in "\u2024\u2027\u00b7\u318d\u30fb":
        return "."
    return "-" if _DASH.match(letter) else letter


_DASH: Final = re.compile(rf"[{_DASHES}]")
