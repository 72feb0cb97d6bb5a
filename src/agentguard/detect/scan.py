"""A text searched as it comes, in parts that nothing which follows can change."""

from __future__ import annotations

import bisect
import time
from typing import TYPE_CHECKING, Final

from agentguard.detect import cuts
from agentguard.detect.builtin import finders
from agentguard.detect.found import Found
from agentguard.detect.sieve import stretches
from agentguard.detect.view import view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentguard.detect.found import Detector

__all__ = ["Scan", "rules_out"]

_CONTEXT: Final = cuts.BEFORE + 32
"""Characters of the original: what is invisible among them leaves enough to look at."""

Part = tuple[str, list[Found]]
"""A part of the text, and what is in it; places are counted from its beginning."""


def rules_out(texts: Sequence[str]) -> bool:
    """Whether nothing that is built in finds anything in these texts, by their signs alone.

    Args:
        texts: each whole. Of a long one it is not known.
    """
    # A sign stands in a line: those of several texts are looked for at once.
    lines = "\n".join(texts)
    if len(lines) <= cuts.LONGEST:
        return not stretches(lines)
    return all(len(text) <= cuts.LONGEST and not stretches(text) for text in texts)


class Scan:
    """Searches one text, which may come in pieces.

    However it is cut into pieces, the same is found. Between two parts of a long text the
    interpreter is let go of.

    Args:
        entities: which of the types that are built in; None for all.
        detectors: others. With one a text is cut between lines only, and each is given a line.
    """

    __slots__ = ("_before", "_cut", "_detectors", "_finders", "_rest")

    def __init__(
        self, entities: frozenset[str] | None = None, detectors: Sequence[Detector] = ()
    ) -> None:
        self._finders = finders(entities)
        self._detectors = detectors
        self._cut = cuts.line if detectors else cuts.last
        self._rest = ""
        self._before = ""

    def feed(self, text: str) -> Iterator[Part]:
        """Take the next piece: the parts that are now decided."""
        rest = self._rest + text if self._rest else text
        at = 0
        while at < len(rest):
            block = rest[at : at + 2 * cuts.LONGEST]
            end = self._cut(block, cuts.LONGEST)
            if end == 0:
                if len(block) <= cuts.LONGEST:
                    break
                end = cuts.LONGEST
            yield self._search(block[:end])
            at += end
        self._rest = rest[at:]

    def whole(self, text: str) -> Iterator[Part]:
        """A text that is complete: the same is found as when it comes in pieces."""
        if len(text) <= cuts.LONGEST:
            if text:
                yield self._search(text)
            return
        yield from self.feed(text)
        yield from self.flush()

    def flush(self) -> Iterator[Part]:
        """The text is complete: what was left."""
        rest, self._rest = self._rest, ""
        if rest:
            yield self._search(rest)
        self._before = ""

    def _search(self, part: str) -> Part:
        text, ours = self._before + part, len(self._before)
        found = [
            Found(start - ours, end - ours, kind, confidence)
            for start, end, kind, confidence in self._searched(text)
            if start >= ours
        ]
        for detector in self._detectors:
            found.extend(_by_lines(detector, part))
        self._before = text[-_CONTEXT:]
        if len(part) > cuts.LONGEST // 2:
            time.sleep(0)  # whoever waits for the interpreter gets it
        return part, resolved(found)

    def _searched(self, text: str) -> Iterator[Found]:
        """What the detectors that are built in find, of all lines that hold a sign at once."""
        lines = stretches(text)
        if not lines:
            return
        firsts = [max(0, low - _CONTEXT) for low, _ in lines]
        seen = view(
            "".join(text[first:high] for first, (_, high) in zip(firsts, lines, strict=True))
        )
        # Where each stretch begins in what the detectors get, to find the way back.
        places = [0]
        for first, (_, high) in zip(firsts, lines, strict=True):
            places.append(places[-1] + high - first)
        for find in self._finders:
            for start, end, kind, confidence in find(seen.text):
                begin, stop = seen.span(start, end)
                at = bisect.bisect(places, begin) - 1
                moved = firsts[at] - places[at]
                if begin + moved >= lines[at][0]:
                    yield Found(begin + moved, stop + moved, kind, confidence)


def _by_lines(detector: Detector, part: str) -> Iterator[Found]:
    at = 0
    for each in part.splitlines(keepends=True):
        for start, end, kind, confidence in detector.find(each):
            if 0 <= start < end <= len(each):
                yield Found(at + start, at + end, kind, confidence)
        at += len(each)


def resolved(found: Iterable[Found]) -> list[Found]:
    """Of those that overlap the surer one, of equals the longer one; in order."""
    ranked = sorted(found, key=lambda each: (-each.confidence, each.start - each.end, each.start))
    kept: list[Found] = []  # in order, so that only its neighbours can overlap one more
    for each in ranked:
        place = bisect.bisect(kept, each)
        before, behind = kept[place - 1 : place], kept[place : place + 1]
        if all(one.end <= each.start for one in before) and all(
            each.end <= one.start for one in behind
        ):
            kept.insert(place, each)
    return kept
