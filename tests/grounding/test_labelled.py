"""The labelled answers: what must be found, and what must be let through."""

from __future__ import annotations

import pytest

from benchmarks.grounding import score


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("split", ["dev", "held"])
def test_changed_facts_are_found_and_supported_answers_are_not(language: str, split: str) -> None:
    """At least 97 of 100 changed facts, in the right sentence; at most one supported answer in 20."""
    got = score(language, split)
    assert got["hits"] >= 0.97 * got["facts"]
    assert got["placed"] >= 0.97 * got["hits"]
    assert got["wrong"] <= got["good"] / 20


def test_there_are_enough_of_them() -> None:
    """Two hundred and more, a third of them unsupported at least."""
    counts = [score(language, split) for language in ("en", "ko") for split in ("dev", "held")]
    assert sum(each["facts"] + each["others"] + each["good"] for each in counts) == 266
    assert sum(each["facts"] for each in counts) > 140
