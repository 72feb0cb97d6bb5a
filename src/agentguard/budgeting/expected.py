"""How long a model's answers have been lately."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

__all__ = ["FIRST", "Expected"]

FIRST: Final = 2048
"""Tokens, while too few answers have been seen."""

_ENOUGH: Final = 20
_RECENT: Final = 256
_EVERY: Final = 16
_MODELS: Final = 1024


class _Lengths:
    __slots__ = ("p99", "recent", "since")

    def __init__(self) -> None:
        self.recent: deque[int] = deque(maxlen=_RECENT)
        self.since = 0
        self.p99 = FIRST


class Expected:
    """The 99th percentile of recent answers, for each model.

    Examples:
        >>> expected = Expected()
        >>> expected.tokens("m")
        2048
        >>> for length in range(1, 101):
        ...     expected.learn("m", length)
        >>> expected.tokens("m") in range(90, 101)
        True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str | None, _Lengths] = {}

    def tokens(self, model: str | None) -> int:
        """How long its next answer will be, at most one time in a hundred longer."""
        known = self._models.get(model)
        return FIRST if known is None else known.p99

    def learn(self, model: str | None, tokens: int) -> None:
        """An answer has been so long."""
        known = self._models.get(model)
        if known is None:
            with self._lock:
                if len(self._models) >= _MODELS:
                    self._models.clear()
                known = self._models.setdefault(model, _Lengths())
        known.recent.append(tokens)
        known.since += 1
        if known.since >= _EVERY and len(known.recent) >= _ENOUGH:
            with self._lock:
                known.since = 0
                lengths = sorted(known.recent.copy())  # a copy is made at once, whoever appends
                known.p99 = max(lengths[min(len(lengths) * 99 // 100, len(lengths) - 1)], 1)
