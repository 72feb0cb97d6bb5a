"""Score detectors of personal data on labelled texts: found, mistaken, masked, untouched.

A finding is right if its type is compatible with the label's and the two overlap by half of their
union. A stray or wrongly typed finding counts as a mistake, unless it lies in an optional span, on
a value that was found already, or outside what the text is labelled for. `masked` asks less: of all
findings together, whatever their type, do they cover nine in ten of the value's letters and digits?
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.pii.values import TYPES as KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.pii.corpus import Record

TYPES = tuple(dict.fromkeys(KINDS.values()))
COMPATIBLE = {
    "JWT": {"SECRET"},
    "PRIVATE_KEY": {"SECRET"},
    "KR_FRN": {"KR_RRN"},
    "SECRET": {"JWT", "URL_CREDENTIALS"},
    "URL_CREDENTIALS": {"SECRET", "URL"},
}
"""By label: what a finding may be called besides."""
BULK = "clean_corpus"
"""Lock files, drawings, telemetry: these count towards what was touched and nothing else."""

SCHEME = re.compile(r"[A-Za-z][\w+.-]*://$")
AUTHORITY = re.compile(r"@[\w.:\[\]-]*")
REST = re.compile(r"""@[^\s"'<>`)\]]*""")
EXTENSION = re.compile(r"[\s,;]*(?:ext\.?|x|#)\s*\d+$", re.IGNORECASE)


class Span(NamedTuple):
    """A stretch of text, in code points, and what it is called."""

    start: int
    end: int
    type: str


Finder = "Callable[[str], Iterable[tuple[int, int, str]]]"


@dataclass
class Tally:
    """What was right, wrong, missed and masked."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    masked: int = 0

    @property
    def gold(self) -> int:
        """How many there were."""
        return self.right + self.missed

    @property
    def precision(self) -> float | None:
        """The share of findings that are right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        """The share of labels that were found."""
        return self.right / self.gold if self.gold else None

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        if not self.right:
            return 0.0
        return 2 * self.right / (2 * self.right + self.wrong + self.missed)

    @property
    def share_masked(self) -> float:
        """The share of labels that are covered."""
        return self.masked / self.gold if self.gold else 0.0


@dataclass
class Score:
    """Tallies by type and of all, and what happened to the negatives."""

    types: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    tags: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    every: Tally = field(default_factory=Tally)
    negatives: int = 0
    touched: int = 0
    mistakes: list[tuple[str, str, str, str]] = field(default_factory=list)
    """What was missed or is wrong: which of both, type, name of the text, value."""

    @property
    def macro(self) -> float:
        """The mean F1 of the types that were there."""
        there = [tally.f1 for tally in self.types.values() if tally.gold]
        return sum(there) / len(there)

    @property
    def share_touched(self) -> float:
        """The share of negatives in which something was found."""
        return self.touched / self.negatives if self.negatives else 0.0


def extents(text: str, gold: Span) -> list[tuple[int, int]]:
    """Return what else is as right as the label: a password alone, a whole URL, no extension."""
    start, end, kind = gold
    found = [(start, end)]
    if kind == "URL_CREDENTIALS":
        passwords = [colon + 1] if (colon := text.find(":", start, end)) >= 0 else []
        scheme = SCHEME.search(text[max(0, start - 30) : start])
        url = start - len(scheme[0]) if scheme else start
        rest = REST.match(text, end)
        host = AUTHORITY.match(text, end)
        ends = [rest.end() if rest else end, host.end() if host else end]
        found += [(first, last) for first in (url, start, *passwords) for last in ends]
        found += [(password, end) for password in passwords]
        found += [(url, end), (url, end + 1), (start, end + 1)]
    elif kind == "SECRET" and text.startswith("http", start):
        if (services := text.find("/services/", start + 1, end)) >= 0:
            found += [(services + 10, end), (services + 1, end)]
            found.append((text.rfind("/", start, end) + 1, end))
    elif kind == "PHONE" and (extension := EXTENSION.search(text[start:end])):
        found.append((start, start + extension.start()))
    return found


def core(text: str, gold: Span) -> set[int]:
    """Return the letters and digits that have to be covered."""
    start, end, kind = gold
    if kind == "URL_CREDENTIALS":
        start = text.find(":", start, end) + 1 or start
    elif kind == "SECRET" and text.startswith("http", start):
        start = text.rfind("/", start, end) + 1
    return {at for at in range(start, end) if text[at].isalnum()}


def common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Count the characters that both hold."""
    return min(one[1], other[1]) - max(one[0], other[0])


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return the intersection over the union."""
    both = common(one, other)
    return both / (max(one[1], other[1]) - min(one[0], other[0])) if both > 0 else 0.0


def pair(text: str, golds: list[Span], found: list[Span]) -> dict[int, int]:
    """Give each label the finding that fits best, each finding to one label; by their indexes."""
    fits: list[tuple[float, bool, int, int]] = []
    for at, gold in enumerate(golds):
        right = extents(text, gold)
        names = {gold.type} | COMPATIBLE.get(gold.type, set())
        for index, each in enumerate(found):
            if each.type in names:
                best = max(overlap(each, extent) for extent in right)
                if best >= 0.5:
                    fits.append((best, each.type == gold.type, at, index))
    pairs: dict[int, int] = {}
    for _, _, at, index in sorted(fits, reverse=True):
        if at not in pairs and index not in pairs.values():
            pairs[at] = index
    return pairs


def forgiven(
    each: Span, touched: list[int], pairs: dict[int, int], golds: list[Span], record: Record
) -> bool:
    """Tell whether a finding without a label is no mistake."""
    if any(at in pairs for at in touched):
        return True  # a second opinion on a value that was found
    for start, end, _ in record.get("optional", ()):
        if 2 * common(each, (start, end)) >= min(each.end - each.start, end - start):
            return True
    if not touched and each.type not in record.get("scope", TYPES):
        return True
    return each.type == "EMAIL" and any(  # the `password@host` of a URL
        gold.type == "URL_CREDENTIALS" and common(each, (gold.start, gold.end + 1)) > 0
        for gold in golds
    )


def score(
    find: Callable[[str], Iterable[tuple[int, int, str]]], records: Iterable[Record]
) -> Score:
    """Run a detector over labelled texts; its types must be those of the labels, or `OTHER`."""
    result = Score()
    for record in records:
        _score_one(result, find, record)
    return result


def _score_one(result: Score, find: Any, record: Record) -> None:
    text, tags = record["text"], record.get("tags") or ()
    found = sorted({Span(*each) for each in find(text) if each[1] > each[0]})
    golds = [Span(*span) for span in record["spans"]]
    covered = {at for each in found for at in range(max(0, each.start), min(len(text), each.end))}
    pairs = pair(text, golds, found)

    def tallies(kind: str) -> list[Tally]:
        return [result.types[kind], result.every, *(result.tags[tag] for tag in tags)]

    for at, gold in enumerate(golds):
        value = core(text, gold)
        masked = bool(value) and len(value & covered) >= 0.9 * len(value)
        for tally in tallies(gold.type):
            tally.masked += masked
            tally.right += at in pairs
            tally.missed += at not in pairs
        if at not in pairs:
            result.mistakes.append(("missed", gold.type, record["id"], text[gold.start : gold.end]))
    for index, each in enumerate(found):
        if index in pairs.values() or each.type not in TYPES:
            continue
        touched = [at for at, gold in enumerate(golds) if common(each, gold) > 0]
        if forgiven(each, touched, pairs, golds, record) or record["suite"] == BULK:
            continue
        for tally in tallies(each.type):
            tally.wrong += 1
        result.mistakes.append(("wrong", each.type, record["id"], text[each.start : each.end]))
    if record.get("neg"):
        result.negatives += 1
        result.touched += any(each.type in TYPES for each in found)
