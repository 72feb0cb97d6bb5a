"""The values of a text, from the detectors that are built in and from others; any may fail."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from agentguard.detect import Found
from agentguard.detect import known as types
from agentguard.errors import MaskingFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agentguard.detect import Detector

    Known = Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]]
    OnError = Callable[[MaskingFailed], object]

__all__ = ["Finder", "Part", "Search"]

Part = tuple[str, list[Found]]
"""A part of a text, and what is in it; places are counted from its beginning."""


class Finder:
    """Finds values: all settings of a masker that are about finding them."""

    __slots__ = ("_detectors", "_entities", "_on_error")

    def __init__(
        self,
        entities: Iterable[str] | None,
        detectors: Iterable[Detector],
        known: Known | None,
        on_error: OnError | None,
    ) -> None:
        given: Any = entities
        self._entities = types(given if given is None or isinstance(given, str) else {*given})
        self._detectors = tuple(map(_checked, detectors))
        self._on_error = on_error
        if known:
            from agentguard.detect.exact import Exact

            self._detectors = (*self._detectors, Exact(_pairs(known)))

    def within(self, known: Known, on_error: OnError | None) -> Finder:
        """The same, which also knows these values, and tells `on_error` of what fails."""
        return Finder(self._entities, self._detectors, known, on_error or self._on_error)

    def parts(self, text: str, label: str | None = None) -> Iterator[Part]:
        """A text in parts, with what is in each.

        Args:
            text: the whole.
            label: the name of the field that it stands in. It is read like a word before the text.
        """
        before = f"{label}: " if label else ""
        skip = len(before)
        for part, found in self.search().whole(before + text):
            if skip >= len(part):
                skip -= len(part)
                continue
            moved = [
                each._replace(start=each.start - skip, end=each.end - skip)
                for each in found
                if each.start >= skip
            ]
            yield part[skip:], moved
            skip = 0

    def rules_out(self, texts: Iterable[tuple[str, str | None]]) -> bool:
        """Whether one look for signs is enough to know that nothing is in texts: most have none.

        Args:
            texts: each whole, and the name of the field that it stands in.
        """
        if self._detectors:
            return False
        try:
            lines = [f"{label}: {text}" if label else text for text, label in texts]
            return bool(_scan().rules_out(lines))
        except Exception:
            return False  # a search fails in the same way, and tells of it

    def search(self) -> Search:
        """A search of one text that arrives in pieces."""
        return Search(self._entities, self._detectors, self._on_error)

    def __repr__(self) -> str:
        kinds = "all" if self._entities is None else ", ".join(sorted(self._entities))
        return f"{kinds}; {len(self._detectors)} more detectors" if self._detectors else kinds


class Search:
    """A search of one text that arrives in pieces: what fails in it is told without the text."""

    __slots__ = ("_entities", "_guarded", "_on_error", "_pending", "_scan")

    def __init__(
        self,
        entities: frozenset[str] | None,
        detectors: tuple[Detector, ...],
        on_error: OnError | None,
    ) -> None:
        self._entities = entities
        self._guarded = [_Guarded(each, on_error) for each in detectors]
        self._on_error = on_error
        self._pending = ""
        self._begin()

    def feed(self, text: str) -> Iterator[Part]:
        """Take the next piece: the parts that are now decided."""
        if self._on_error is not None:
            self._pending += text
        yield from self._told(self._scan.feed(text))

    def whole(self, text: str) -> Iterator[Part]:
        """A text that is complete, in parts."""
        self._pending = text
        yield from self._told(self._scan.whole(text))

    def flush(self) -> Iterator[Part]:
        """The text is complete: the parts that are left."""
        yield from self._told(self._scan.flush())

    def _begin(self) -> None:
        self._scan = _scan().Scan(self._entities, self._guarded)

    def _told(self, parts: Iterator[Part]) -> Iterator[Part]:
        failed = ""
        try:
            for part in parts:
                self._pending = self._pending[len(part[0]) :]
                yield part
        except MaskingFailed:
            raise
        except Exception as error:
            failed = type(error).__name__
        if failed:  # raised out here an error has no context, which would quote the text
            failure = MaskingFailed("what is built in to detect personal data", failed)
            if self._on_error is None:
                raise failure
            self._on_error(failure)
            rest, self._pending = self._pending, ""
            self._begin()
            yield rest, []


@functools.cache  # an import statement takes as long as the rest of looking for signs
def _scan() -> Any:
    return importlib.import_module("agentguard.detect.scan")


class _Guarded:
    """A detector whose failure is told without its message, which may quote the text."""

    __slots__ = ("_detector", "_on_error")

    def __init__(self, detector: Detector, on_error: OnError | None) -> None:
        self._detector = detector
        self._on_error = on_error

    def find(self, text: str, /) -> list[Found]:
        """What the detector finds; nothing where it fails and that is to be borne."""
        try:
            return [Found(*each) for each in self._detector.find(text)]
        except Exception as error:
            failed = type(error).__name__
        failure = MaskingFailed(f"the detector {type(self._detector).__name__}", failed)
        if self._on_error is None:
            raise failure
        self._on_error(failure)
        return []


def _pairs(known: Known) -> Iterator[tuple[str, str]]:
    given: Any = known
    if isinstance(given, str):
        raise TypeError('known= takes a dict, as in {"name": "Kim Minsu"}, not a text')
    for kind, value in given.items() if hasattr(given, "items") else given:
        for each in [value] if isinstance(value, str) else value:
            if not isinstance(each, str):
                raise TypeError(
                    f"known= takes texts, or lists of them: that of {kind!r} is {type(each).__name__}"
                )
            yield kind, each


def _checked(detector: Any) -> Detector:
    named = isinstance(detector, (type, str, bytes))  # a text, too, has a method find
    if named or not callable(getattr(detector, "find", None)):
        name = detector.__name__ if isinstance(detector, type) else type(detector).__name__
        raise TypeError(
            f"detectors= takes objects with a method find(text) that returns Found, not {name}; "
            "for a pattern write agentguard.detect.Pattern(type, pattern)"
        )
    found: Detector = detector
    return found
