"""A text as its reader takes it: disguises of its letters undone, each character's place known."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["View", "folded", "plain", "readings", "unleeted"]

_ODD: Final = re.compile("[^\x00-\x7f\u3000-\u3163\u4e00-\u9fff\uac00-\ud7a3]+")
"""What may be a disguise. Hangul, Chinese, kana and ASCII are what they look like."""

_SYLLABLE: Final = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?")

_ALIKE: Final[dict[int, str]] = {
    **dict(
        zip(
            map(ord, "\u0430\u0432\u0441\u0501\u0435\u0451\u0261\u04bb\u0456\u0458"),
            "abcdeeghij",
            strict=True,
        )
    ),
    **dict(
        zip(
            map(ord, "\u043a\u043c\u043e\u0440\u051b\u0433\u0455\u0442\u0443\u0475"),
            "kmopqrstyv",
            strict=True,
        )
    ),
    **dict(
        zip(
            map(ord, "\u0461\u0445\u03b1\u03b2\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf"),
            "wxabenikvo",
            strict=True,
        )
    ),
    **dict(zip(map(ord, "\u03c1\u03c4\u03c5\u03c7"), "ptux", strict=True)),
}
"""Cyrillic, Greek and other letters that look like Latin ones."""

_SPACED: Final = re.compile(r"(?<!\w)\w(?:[^\w\n]{1,3}\w(?!\w)){2,}")
_BETWEEN: Final = re.compile(r"[^\w\n]{1,3}")
_SPACES: Final = re.compile(r"[^\S\n]{2,}")
_AGAIN: Final = re.compile(r"(?<=([a-z]))\1{2,}")
_JAMO: Final = re.compile("[ㄱ-ㅎ][ㅏ-ㅣ](?:[ㄱ-ㅎ](?![ㅏ-ㅣ]))?")
_NOISE: Final = re.compile(
    r"(?<=[가-힣ㄱ-ㅣ])(?:[^\w\s]{1,3}|[^\w\s]?[\d_][^\w\s]?)(?=[가-힣ㄱ-ㅣ])"
)
_LEETED: Final = re.compile(r"[a-z][0134578@$!|]|[0134578@$!|][a-z]")
_LEET: Final = str.maketrans("0134578@$!|", "oieastbasil")

_INITIALS: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_FINALS: Final = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"


class View:
    """A text that was made of another one.

    Attributes:
        text: the new text.
        at: for each of its characters, and for its end, the place in the first one; None where they
            are the same.
    """

    __slots__ = ("at", "text")

    def __init__(self, text: str, at: list[int] | None = None) -> None:
        self.text = text
        self.at = at

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a piece of this text stands in the first one."""
        return (start, end) if self.at is None else (self.at[start], self.at[end])

    def edited(self, edits: Iterable[tuple[int, int, str]]) -> View:
        """With some pieces replaced, in order: (start, end, by what)."""
        at = self.at
        texts: list[str] = []
        places: list[int] = []
        last = 0
        for start, end, new in edits:
            texts += (self.text[last:start], new)
            places += range(last, start) if at is None else at[last:start]
            places += [start if at is None else at[start]] * len(new)
            last = end
        if not texts:
            return self
        texts.append(self.text[last:])
        places += range(last, len(self.text) + 1) if at is None else at[last:]
        return View("".join(texts), places)


def folded(text: str) -> View:
    """In lower case, with what is invisible left out and look-alike characters as what they look like.

    Examples:
        >>> folded("\uff28e\u200bllo").text
        'hello'
    """
    lower = text.lower()
    if len(lower) != len(text):  # a letter that becomes two
        lower = "".join(low if len(low := each.lower()) == 1 else each for each in text)
    if lower.isascii():
        return View(lower)
    return View(lower).edited(
        (found.start() + shift, found.start() + shift + size, new)
        for found in _ODD.finditer(lower)
        for shift, size, new in _seen(found[0])
    )


def readings(text: str) -> list[View]:
    """The ways in which a text may be read: one, unless letters are spaced out or written as digits."""
    view = folded(text)
    found = [plain(view)]
    if _SPACED.search(view.text):
        found.append(plain(_unspaced(view)))
    return found + [other for each in found if (other := unleeted(each)) is not None]


def plain(view: View) -> View:
    """With letters joined that were stretched, taken apart or had signs put between."""
    if "  " in view.text:
        view = view.edited((*found.span(), " ") for found in _SPACES.finditer(view.text))
    if _AGAIN.search(view.text):
        view = view.edited((*found.span(), "") for found in _AGAIN.finditer(view.text))
    if view.text.isascii():
        return view
    if _JAMO.search(view.text):
        view = view.edited(
            (*found.span(), _joined(found[0])) for found in _JAMO.finditer(view.text)
        )
    if _NOISE.search(view.text):
        view = view.edited((*found.span(), "") for found in _NOISE.finditer(view.text))
    return view


def _unspaced(view: View) -> View:
    """With letters joined that were spaced out; two spaces stand between words."""
    return view.edited(
        (found.start() + gap.start(), found.start() + gap.end(), "")
        for found in _SPACED.finditer(view.text)
        for gap in _BETWEEN.finditer(found[0])
        if gap[0].count(" ") < 2
    )


def unleeted(view: View) -> View | None:
    """With digits and signs read as the letters they stand for; None where none stand by a letter.

    Examples:
        >>> unleeted(folded("k1ll 4ll")).text
        'kill all'
    """
    if not _LEETED.search(view.text):
        return None
    return View(view.text.translate(_LEET), view.at)


def _seen(run: str) -> Iterable[tuple[int, int, str]]:
    """What each odd character of a run is read as, where it is not itself: (place, length, new)."""
    place = 0
    while place < len(run):
        syllable = _SYLLABLE.match(run, place)
        if syllable is not None:
            yield place, len(syllable[0]), unicodedata.normalize("NFC", syllable[0])
            place = syllable.end()
            continue
        new = _read(run[place])
        if new != run[place]:
            yield place, 1, new
        place += 1


@functools.lru_cache(maxsize=4096)
def _read(char: str) -> str:
    if ord(char) in _ALIKE:
        return _ALIKE[ord(char)]
    if (
        unicodedata.category(char) in {"Cf", "Mn", "Me", "Co", "Cs"}
        or char in "\u115f\u1160\u3164\uffa0"
    ):
        return ""
    taken_apart = unicodedata.normalize("NFKD", char)
    if taken_apart[0].isascii():
        return "".join(each for each in taken_apart if each.isascii()).lower()
    if "\uffa1" <= char <= "\uffdc":  # half-width jamo
        return unicodedata.normalize("NFKC", char)
    composed = unicodedata.normalize("NFKC", char)
    return composed if len(composed) == 1 else char


def _joined(jamo: str) -> str:
    """One syllable of the letters it was taken apart into."""
    initial = _INITIALS.find(jamo[0])
    if initial < 0:
        return jamo
    final = _FINALS.find(jamo[2]) + 1 if len(jamo) > 2 else 0
    code = 0xAC00 + (initial * 21 + ord(jamo[1]) - ord("ㅏ")) * 28 + final
    tail = jamo[2] if len(jamo) > 2 and not final else ""
    return chr(code) + tail
