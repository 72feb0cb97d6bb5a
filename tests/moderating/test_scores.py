from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentguard.moderating.rules import find
from agentguard.screening.rules import screen

DATA = Path(__file__).parents[1] / "data"


def rows_of(subject: str, language: str | None = None) -> list[dict[str, Any]]:
    """Return the labelled texts of a set."""
    files = [f"{language}.jsonl"] if language else ["en.jsonl", "ko.jsonl"]
    lines = [
        line
        for file in files
        for line in (DATA / subject / file).read_text(encoding="utf-8").splitlines()
    ]
    return [json.loads(line) for line in lines]


def is_found(subject: str, row: dict[str, Any]) -> bool:
    """Tell whether the rules find anything."""
    if subject == "moderation":
        return bool(find(row["text"]))
    return bool(screen(row["text"], trusted=row["source"] == "user"))


@pytest.mark.parametrize("subject", ["moderation", "injection"])
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    ("splits", "recall", "wrong"),
    [(("dev", "held", "test"), 0.93, 0.02), (("fresh",), 0.40, 0.13)],
    ids=["seen", "fresh"],
)
def test_the_rules_find_what_they_found(
    subject: str, language: str, splits: tuple[str, ...], recall: float, wrong: float
) -> None:
    """At least this share of bad texts, at most that share of harmless ones."""
    rows = [row for row in rows_of(subject, language) if row["split"] in splits]
    bad = [is_found(subject, row) for row in rows if row["bad"]]
    fine = [is_found(subject, row) for row in rows if not row["bad"]]
    assert sum(bad) / len(bad) >= recall
    assert sum(fine) / len(fine) <= wrong


@pytest.mark.parametrize("subject", ["moderation", "injection"])
def test_the_sets_are_large_and_hard_enough(subject: str) -> None:
    """Two hundred texts, four in ten of them harmless, none twice."""
    rows = rows_of(subject)
    assert len(rows) >= 200
    assert sum(not row["bad"] for row in rows) >= 0.4 * len(rows)
    assert len({row["text"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "kind", ["profanity", "hate", "threat", "self_harm", "sexual_minors", "illicit"]
)
def test_what_is_found_has_the_right_category(kind: str) -> None:
    """Of what is found nine in ten are found as what they are."""
    rows = [
        row for row in rows_of("moderation") if row["kind"] == kind and is_found("moderation", row)
    ]
    right = [kind in {hit.category for hit in find(row["text"])} for row in rows]
    assert sum(right) >= 0.9 * len(right)
