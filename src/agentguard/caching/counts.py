"""How often a cache answered: `cache_info()`."""

from __future__ import annotations

import threading
from typing import NamedTuple

__all__ = ["CacheInfo", "Counts"]


class CacheInfo(NamedTuple):
    """How a cache stands: the counts of this process, and what its store holds.

    Attributes:
        hits: answers from the cache, all kinds of them.
        misses: calls that asked.
        stale: hits after the answer's time.
        joined: hits that waited for the same call, which was under way.
        alike: hits for a question asked before in other words.
        skipped: answers that were not kept: cut, filtered, a fallback's.
        entries: that are kept now, in the store's whole space.
        bytes: that they take.
    """

    hits: int
    misses: int
    stale: int
    joined: int
    alike: int
    skipped: int
    entries: int
    bytes: int


class Counts:
    """The counts of one cache."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._hits: dict[str, int] = {}
            self._misses = self._skipped = 0

    def hit(self, how: str) -> None:
        """An answer was there."""
        with self._lock:
            self._hits[how] = self._hits.get(how, 0) + 1

    def missed(self) -> None:
        """One had to ask."""
        with self._lock:
            self._misses += 1

    def skipped(self) -> None:
        """An answer was not kept."""
        with self._lock:
            self._skipped += 1

    def info(self, entries: int, size: int) -> CacheInfo:
        """All of it, with what the store holds."""
        with self._lock:
            hits = self._hits
            return CacheInfo(
                hits=sum(hits.values()),
                misses=self._misses,
                stale=hits.get("stale", 0),
                joined=hits.get("joined", 0),
                alike=hits.get("alike", 0),
                skipped=self._skipped,
                entries=entries,
                bytes=size,
            )
