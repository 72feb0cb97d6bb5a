from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from agentguard.caching.semantic.encoder import ENCODER
from agentguard.caching.semantic.semantic import DEFAULT
from agentguard.caching.semantic.veto import Reading, differs

DATA = Path(__file__).parents[2] / "data" / "semantic"
LANGUAGES = ("en", "ko")


class Score(NamedTuple):
    recall: float
    precision: float
    refused: float


def pairs(language: str, *splits: str) -> list[Any]:
    """Return the pairs of some splits."""
    lines = (DATA / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [pair for line in lines if (pair := json.loads(line))["split"] in splits]


def is_one(a: str, b: str) -> bool:
    """Tell whether the default takes two questions for one."""
    near = float(np.dot(ENCODER(a), ENCODER(b))) >= DEFAULT
    return near and differs(Reading(a), Reading(b)) is None


def score(found: list[Any]) -> Score:
    """Return the figures of a list of pairs."""
    served = [pair["same"] for pair in found if is_one(pair["a"], pair["b"])]
    same = sum(pair["same"] for pair in found)
    wrong = len(served) - sum(served)
    return Score(sum(served) / same, sum(served) / len(served), 1 - wrong / (len(found) - same))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_data_has_what_was_asked_for(language):
    """There are at least 200 pairs a language of both sorts, in many domains, none of them twice."""
    found = pairs(language, "dev", "test", "held", "fresh")
    assert len({(pair["a"], pair["b"]) for pair in found}) == len(found) >= 200
    assert sum(pair["same"] for pair in found) >= 100
    assert sum(not pair["same"] for pair in found) >= 100
    assert len({pair["domain"] for pair in found}) >= 10


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", ["dev", "test", "held"])
def test_what_it_was_made_for_is_served_and_nothing_else(language, split):
    """Precision is 0.98 and recall 0.7 or better on each split that the veto was mended by."""
    found = score(pairs(language, split))
    assert found.precision >= 0.98
    assert found.refused >= 0.98
    assert found.recall >= 0.7


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_holds_over_all_pairs(language):
    """With the pairs for which no word was added, precision stays at 0.98 and recall at 0.7."""
    found = score(pairs(language, "dev", "test", "held", "fresh"))
    assert found.precision >= 0.98
    assert found.refused >= 0.98
    assert found.recall >= 0.7


@pytest.mark.parametrize("language", LANGUAGES)
def test_unseen_questions_are_served_less_but_not_wrongly(language):
    """On pairs for which no word was added, hard negatives are refused, paraphrases missed more."""
    found = score(pairs(language, "fresh"))
    assert found.refused >= 0.95
    assert found.recall >= 0.6


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_of_different_pairs_are_different(language):
    """Of all questions put against all others, only true paraphrases across pairs are taken for one."""
    found = pairs(language, "test", "fresh")
    texts = [(number, text) for number, pair in enumerate(found) for text in (pair["a"], pair["b"])]
    vectors = np.stack([ENCODER(text) for _, text in texts])
    readings = [Reading(text) for _, text in texts]
    near = np.argwhere(np.triu(vectors @ vectors.T >= DEFAULT, 1))
    wrong = {
        frozenset((texts[i][1], texts[j][1]))
        for i, j in near
        if texts[i][0] != texts[j][0] and differs(readings[i], readings[j]) is None
    }
    assert {pair for pair in wrong if len(pair) > 1} <= {
        frozenset(("3만 5천원을 송금해줘.", "3만 5천원을 송금하고 싶어요.")),
        frozenset(("3만 5천원을 송금해줘.", "35,000원 송금하고 싶어요.")),
    }
