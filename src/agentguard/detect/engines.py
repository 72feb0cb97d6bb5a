"""Names and addresses, which no rule finds, by engines that are installed beside the library."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentguard.detect.found import Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["KoPii", "Presidio"]


class KoPii:
    """Finds Korean names and addresses with ko-pii: rules and dictionaries, no model.

    Args:
        labels: which of its labels to ask for, and what they are called here.
        least: what it is less sure of is not reported, from 0 to 1.

    Raises:
        ImportError: ko-pii is not installed.

    Examples:
        >>> from agentguard import detect
        >>> detect.find("홍길동 고객님 계신가요?", detectors=[detect.KoPii()])[0].type
        'name'
    """

    def __init__(self, labels: Mapping[str, str] | None = None, *, least: float = 0.5) -> None:
        try:
            self._engine: Any = importlib.import_module("ko_pii")
        except ImportError as error:
            raise ImportError(
                "KoPii needs ko-pii: pip install 'agentguard-decorators[pii-ko]'"
            ) from error
        self._labels = dict(labels or {"PERSON": "name", "ADDRESS": "address"})
        self._least = least

    def __repr__(self) -> str:
        return f"KoPii({self._labels!r})"

    def find(self, text: str, /) -> Iterator[Found]:
        """Find names and addresses in a line."""
        for each in self._engine.detect_all(text, include=self._labels):
            if each.confidence >= self._least:
                kind = self._labels[each.label]
                yield Found(each.start, each.end, kind, float(each.confidence))


class Presidio:
    """Finds what an `AnalyzerEngine` of Presidio finds: names, places, and what it is taught.

    The engine is the application's own: made without arguments it downloads a model of 500 MB,
    so that choice is not made here.

    Args:
        engine: the `presidio_analyzer.AnalyzerEngine`, with its model.
        entities: which entities to ask for, and what they are called here.
        language: of the texts, as the engine knows it.
        least: what it is less sure of is not reported, from 0 to 1.

    Raises:
        TypeError: the engine is none.

    Examples:
        >>> from presidio_analyzer import AnalyzerEngine  # doctest: +SKIP
        >>> people = Presidio(AnalyzerEngine(nlp_engine=mine))  # doctest: +SKIP
        >>> detect.find("Jane Doe called.", detectors=[people])  # doctest: +SKIP
        [Found(start=0, end=8, type='name', confidence=0.85)]
    """

    def __init__(
        self,
        engine: Any,
        entities: Mapping[str, str] | None = None,
        *,
        language: str = "en",
        least: float = 0.4,
    ) -> None:
        if not callable(getattr(engine, "analyze", None)):
            raise TypeError(
                f"Presidio(engine) is an AnalyzerEngine with its model, not {type(engine).__name__}"
            )
        self._engine = engine
        self._entities = dict(entities or {"PERSON": "name", "LOCATION": "address"})
        self._language = language
        self._least = least

    def __repr__(self) -> str:
        return f"Presidio({self._entities!r}, language={self._language!r})"

    def find(self, text: str, /) -> Iterator[Found]:
        """Find what the engine finds in a line."""
        for each in self._engine.analyze(
            text,
            language=self._language,
            entities=list(self._entities),
            score_threshold=self._least,
        ):
            yield Found(each.start, each.end, self._entities[each.entity_type], float(each.score))
