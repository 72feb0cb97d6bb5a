"""A text taken apart once: its placeholders, and its words with what each does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.caching.semantic import english, korean
from agentguard.caching.semantic.numbers import in_digits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ASKING", "Reading"]

_PLACEHOLDER: Final = re.compile(r"<[A-Z_]+_\d+>")
_TOKEN: Final = re.compile(
    r"(?P<number>\d+(?:[.:/,]\d+)*)|(?P<hangul>[가-힣]+)|(?P<latin>[^\W\d_가-힣]+[+#]*)"
    r"|(?P<sign>[+*\u00d7\u00f7^=<>\u2212/](?=\s?\d)|(?<![^\W\d_])-(?=\s?\d))|(?P<end>[.?!\n])"
)
_GLUED: Final = re.compile(
    r"(?<![가-힣])(?:(몇)(?=[가-힣])|([안못])(?=[되됩돼된될됐하해한할했합]))"
)
_NAME: Final = re.compile(r"(?<=[^\s.?!\"'])\s+[\"'(]?([A-Z][\w'+#]*)")
_LONGEST: Final = 40
"""Characters beyond which a word is no word, and stands for itself."""
_QUOTES: Final = "'\"\u2019\u201d)\u300d\u300f"

_WHY: Final = frozenset({english.canonical("why"), korean.canonical("왜")})
ASKING: Final = _WHY.union(
    map(english.canonical, ("who", "when", "where")),
    map(korean.canonical, ("누구", "언제", "어디")),
)
"""Words whose place says nothing: they open a question or close it."""


class _Word(NamedTuple):
    """One word.

    Attributes:
        form: what stands for it and all that mean the same.
        weight: "hard", "soft", "frame", "not" before what it denies, or "nothing" behind it.
        opens: the part that it gives to the next word.
        part: the part that it has by its particle.
    """

    form: str
    weight: str
    opens: str | None = None
    part: str | None = None


class Reading:
    """A text and what is compared of it.

    Attributes:
        text: as it was.
        placeholders: of masking, in their order.
        words: what has to be in the other text too, in its order, each once.
        soft: what may be missing in the other text.
        roles: of words that a preposition or particle gives a part: (part, word).
        negations: how often the text says not.
    """

    __slots__ = ("negations", "placeholders", "roles", "soft", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.placeholders: list[str] = _PLACEHOLDER.findall(text)
        self.words: dict[str, None] = {}
        self.soft: dict[str, None] = {}
        self.roles: set[tuple[str, str]] = set()
        self.negations = 0
        self._read(text)
        if self.negations:  # "it does not work" asks why
            for why in _WHY & self.words.keys():
                del self.words[why]
                self.soft[why] = None

    def _read(self, text: str) -> None:
        opened: str | None = None
        last: str | None = None
        for word in _words(text):
            if word is None:
                opened = None
                continue
            opened = word.opens or opened
            if word.weight in {"not", "nothing"}:
                self.negations += 1
            if word.weight == "nothing" and last is not None:
                self.roles.add(("not", last))
            elif word.part is not None and (word.form or last):
                self.roles.add((word.part, word.form or last or ""))
            if word.weight == "soft":
                self._soft(word.form, opened, last)
                opened = None if opened == "not" else opened
            elif word.weight == "hard":
                self.words[word.form] = None
                if opened is not None:
                    self.roles.add((opened, word.form))
                opened, last = None, word.form

    def _soft(self, form: str, opened: str | None, last: str | None) -> None:
        self.soft[form] = None
        if opened == "not" and form != "can":
            self.roles.add((opened, form))
        if form in korean.AROUND and last is not None:
            self.roles.add((form, last))


def _words(text: str) -> Iterator[_Word | None]:
    """The words, and None where a sentence ends."""
    names = {name.lower() for name in _NAME.findall(text)} - {"i", "i'm", "i've", "i'd", "i'll"}
    plain = english.plain(in_digits(_PLACEHOLDER.sub("'", text)))
    plain = _GLUED.sub(r"\1\2 ", plain)
    end: int = -1
    before: str | None = None
    for found in _TOKEN.finditer(plain):
        kind, start, token = found.lastgroup, found.start(), found[0]
        if kind == "end":
            yield None
        elif kind in {"number", "sign"} or len(token) > _LONGEST:
            yield _Word(token, "hard")
        elif kind == "latin":
            yield _latin(token, named=token in names)
        else:
            joined = start == end and before in {"number", "latin"}
            counts = before == "number" and start <= end + 1
            quoted = start > 0 and plain[start - 1] in _QUOTES
            yield _hangul(token, attached=joined or counts or quoted)
        end, before = found.end(), kind


def _latin(token: str, *, named: bool) -> _Word:
    form = korean.class_of(english.canonical(token))
    if named:
        return _Word(form, "hard")
    opens = token if token in english.ROLES else None
    if token in english.NEGATIONS:
        return _Word(form, "not", "not")
    if token in english.FRAME:
        return _Word(form, "frame", opens)
    soft = token in english.SOFT or form in _SOFT
    return _Word(form, "soft" if soft else "hard", opens)


def _hangul(token: str, *, attached: bool) -> _Word:
    form = korean.canonical(token, attached=attached)
    if not form:
        return _Word("", "frame", part=korean.PARTS.get(token))
    if form in {"안", "못"}:
        return _Word(form, "not", "not")
    if form in korean.NEGATIONS or token in korean.DONT:
        return _Word(form, "nothing")
    if form in korean.FRAME:
        return _Word(form, "frame")
    if form in korean.SOFT:
        return _Word(form, "soft")
    return _Word(form, "hard", part=korean.role_of(token))


_SOFT: Final = frozenset(map(english.canonical, english.SOFT))
