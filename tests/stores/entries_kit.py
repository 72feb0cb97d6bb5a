"""What the tests of stores of answers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentguard.stores.entries import Entries, Entry

NOW = 1_764_000_000.0

Open = Callable[[], Entries]
"""Opens one and the same store, as another process would."""


def entry(
    value: bytes = b"42",
    *,
    stored: float = NOW,
    fresh: float = 600,
    keeps: float = 900,
    took: float = 1.5,
    tags: Sequence[str] = (),
) -> Entry:
    """An entry that was stored `NOW`; `fresh` and `keeps` are seconds from then."""
    return Entry(value, stored, NOW + fresh, NOW + keeps, took, tuple(tags))
