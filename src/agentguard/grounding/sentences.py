"""A text in sentences, English and Korean, with list markers left out and code left alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.caching.semantic.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Sentence", "Splitter", "sentences", "settled"]


class Sentence(NamedTuple):
    """One sentence of a text.

    Attributes:
        number: from 1, in the order of the text.
        start: where it begins in the text; its list marker stands before.
        end: where it ends.
        heading: whether it is a heading, in which every word may be capitalised.
    """

    number: int
    start: int
    end: int
    heading: bool = False


_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKER: Final = re.compile(
    r"[ \t]*(?:(?:[-*+•·▪◦–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z]\)|>+|#{1,6}|\[\^?\d{1,2}\]:?)[ \t]+|[①-⑳][ \t]*){0,4}"  # noqa: RUF001
)
_LISTED: Final = re.compile(r"[ \t]*(?:[-*+•·▪◦>#|①-⑳]|\(?\d{1,3}[.)][ \t])")
_HEADING: Final = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\*\*[^*]{1,120}\*\*:?[ \t]*$)")
_RULE: Final = re.compile(r"[ \t]*[-|:=*_+ \t]{3,}$")
_STOP: Final = re.compile(
    r"[.!?。！？…]{1,9}[\"”’'」』)\]*_]{0,4}(?:\[\^?\d{1,2}\]){0,4}(?=\s|[가-힣]|$)"  # noqa: RUF001
)
_WORD_BEFORE: Final = re.compile(r"[^\s(\"'“‘]{1,12}$")  # noqa: RUF001
_ON: Final = re.compile(r"\s*(?:[a-z]|(?:이?라[고며는]|이?란|하고|고|며)(?![가-힣]{3}))")
_CAPITAL: Final = re.compile(
    r"\s*(?:The|This|That|These|It|Its|In|On|He|She|They|We|You|A|An|But|And|However|For|At|If|As|There)\b"
)

_NEVER: Final = frozenset(
    listed(
        "mr mrs ms dr prof rev gen sen rep gov st mt no nos vs cf fig figs eq sec vol pp ed eds approx ca "
        "e.g i.e eg ie jan feb mar apr jun jul aug sep sept oct nov dec al viz"
    )
)
"""Abbreviations that something follows."""

_SELDOM: Final = frozenset(
    listed("u.s u.k u.n e.u d.c etc inc ltd corp co a.m p.m jr sr ph.d m.d b.a")
)
"""Abbreviations that may end a sentence: they do before a word that begins one."""

_QUOTES: Final = {'"': '"', "“": "”", "「": "」", "『": "』"}
_LONGEST_QUOTE: Final = 500
_WRAPPED: Final = 60
"""Characters from which on a line without an end of sentence may go on in the next."""


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text.

    A line ends a sentence, unless the next goes on in lower case or it looks wrapped. Numbers with
    a decimal point, abbreviations, initials and what is quoted are not cut.

    Examples:
        >>> text = "Dr. Kim paid $3.50. 두 번째 문장입니다."
        >>> [text[each.start : each.end] for each in sentences(text)]
        ['Dr. Kim paid $3.50.', '두 번째 문장입니다.']
    """
    return list(Splitter().over(text))


class Splitter:
    """Cuts a text into sentences; `fence` is the mark of the code block it is in, between pieces."""

    def __init__(self) -> None:
        self.fence = ""
        self.count = 0

    def over(self, text: str) -> Iterator[Sentence]:
        """The sentences of a piece that begins where a sentence may begin."""
        for start, end, heading in self._blocks(text):
            for first, last in _cut(text, start, end):
                self.count += 1
                yield Sentence(self.count, first, last, heading)

    def _blocks(self, text: str) -> Iterator[tuple[int, int, bool]]:
        """Stretches of prose in which no line begins a sentence."""
        begun, stop, heading = -1, 0, False
        position = 0
        for line in text.splitlines(keepends=True):
            start, position = position, position + len(line)
            fence = _FENCE.match(line)
            bare = line.strip()
            code = bool(self.fence)
            if fence is not None:
                if not self.fence:
                    self.fence, code = fence[1], True
                elif fence[1].startswith(self.fence) and bare == fence[1]:
                    self.fence = ""
            if begun >= 0 and (code or not _goes_on(text, begun, stop, line, heading=heading)):
                yield begun, stop, heading
                begun = -1
            if code or not bare or _RULE.match(bare):
                continue
            if begun < 0:
                marker = _MARKER.match(line)
                begun = start + (marker.end() if marker else 0)
                heading = _HEADING.match(line) is not None
            stop = start + len(line.rstrip())
            if begun >= stop:  # a marker alone
                begun = -1
        if begun >= 0:
            yield begun, stop, heading


def _goes_on(text: str, begun: int, stop: int, line: str, *, heading: bool) -> bool:
    """Whether a line belongs to the sentence that the lines before have begun."""
    bare = line.strip()
    if heading or not bare or _LISTED.match(line) or _RULE.match(bare):
        return False
    if text[stop - 1] in ".!?。！？:|…" or text[begun] == "|":  # noqa: RUF001
        return bare[0].islower()
    last = text.rfind("\n", begun, stop) + 1 or begun
    return bare[0].islower() or stop - last >= _WRAPPED


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences of one stretch of prose."""
    position, begun, unclosed = start, start, ""
    quote = re.compile(r"[\"“「『]|" + _STOP.pattern)
    while position < end:
        found = quote.search(text, position, end)
        if found is None:
            break
        closing = _QUOTES.get(found[0])
        if closing is not None:
            position = found.end()
            if closing not in unclosed:
                at = text.find(closing, position, min(end, position + _LONGEST_QUOTE))
                if at < 0:
                    unclosed += closing
                elif text[at - 1] in ".!?。！？…" and at > position:  # noqa: RUF001
                    position = at - 1  # the stop before the closing mark is looked at
                else:
                    position = at + 1
            continue
        position = found.end()
        if _ends(text, begun, found.start(), found.end(), end):
            yield begun, found.end()
            begun = position
            while begun < end and text[begun].isspace():
                begun += 1
            marker = _MARKER.match(text, begun, end)
            begun = position = marker.end() if marker else begun
    if begun < end:
        yield begun, end


def _ends(text: str, begun: int, dot: int, after: int, end: int) -> bool:
    """Whether the stop at `dot` ends the sentence."""
    if text[after:end].isspace() or after >= end:
        return True
    if _ON.match(text, after, min(end, after + 20)):
        return False
    if text[dot] != "." or after > dot + 1:
        return True
    before = _WORD_BEFORE.search(text[max(begun, dot - 12) : dot])
    word = before[0] if before is not None else ""
    known = word.lower().lstrip("([")
    if known in _NEVER or (len(word) == 1 and word.isascii() and word.isupper()):
        return False
    if known in _SELDOM or (len(word) > 1 and re.fullmatch(r"(?:[A-Za-z]\.){1,4}[A-Za-z]", word)):
        return _CAPITAL.match(text, after, end) is not None
    if word.isdigit() and len(word) <= 2:  # a number in a list within a line
        place = dot - len(word)
        return place > begun and text[begun:place].rstrip()[-1:] not in {":", ";", ",", ""}
    return True


_BEGUN: Final = re.compile(r"\S+\s+\S")
_LONG: Final = 80


def settled(text: str) -> int:
    """Up to where a text that is still growing is made of whole sentences, whatever follows.

    Examples:
        >>> settled("It is open. The door is red. A")
        11
    """
    if _FENCE.search(text) is not None:  # what is code depends on the line that closes it
        return _settled_lines(text)
    found = sentences(text)
    until = _open(text, max(text.rfind("\n") + 1, len(text) - _LONGEST_QUOTE))
    for each in reversed(found[:-1]):
        if each.end <= until and (
            _BEGUN.search(text, each.end) is not None or len(text) - each.end >= _LONG
        ):
            return each.end
    return 0


def _open(text: str, start: int) -> int:
    """Where a quotation begins that may still be closed; the end of the text where none does."""
    places = [len(text)]
    if text.count('"', start) % 2:
        places.append(text.rfind('"'))
    for mark, closing in _QUOTES.items():
        at = text.rfind(mark, start)
        if mark != '"' and at >= 0 and closing not in text[at:]:
            places.append(at)
    return min(places)


def _settled_lines(text: str) -> int:
    """Whole paragraphs, outside of code that is not closed."""
    splitter, position, safe = Splitter(), 0, 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        list(splitter.over(line))
        if not splitter.fence and line.isspace():
            safe = position
    return safe
