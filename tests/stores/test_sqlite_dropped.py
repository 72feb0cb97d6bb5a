"""A store that nobody closes."""

from __future__ import annotations

import gc
import sqlite3
from pathlib import Path

import pytest

from agentguard import cache


def test_a_file_that_is_dropped_is_closed(tmp_path: Path) -> None:
    """A policy holds it, and policies are not closed."""
    policy = cache(store=f"sqlite:///{tmp_path}/answers.db", name="n")
    assert policy.cache_info().entries == 0
    db = policy.entries._reader._db  # type: ignore[attr-defined]
    assert db is not None
    del policy
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")
