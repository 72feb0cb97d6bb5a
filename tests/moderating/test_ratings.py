from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.moderating.judging import Unreadable, question, verdict
from agentguard.moderating.ratings import flagged

OPENAI = {
    "flagged": True,
    "categories": {"harassment": True, "self-harm/intent": False},
    "category_scores": {"harassment": 0.8, "self-harm/intent": 0.45},
}


@pytest.mark.parametrize(
    ("said", "threshold", "found"),
    [
        (True, None, ["flagged"]),
        (0.5, None, ["flagged"]),
        (0.49, None, []),
        (1, 0.9, ["flagged"]),
        ({"a": 0.5, "b": True, "c": False, "d": None}, None, ["a", "b"]),
        ({"a": 0.5, "b": 0.5}, {"a": 0.4, "b": 0.6}, ["a"]),
        (["a", "b"], None, ["a", "b"]),
        (OPENAI, None, ["harassment"]),
        (OPENAI, 0.4, ["harassment", "self-harm/intent"]),
        (OPENAI, 0.9, []),
        ({"results": [OPENAI, OPENAI]}, None, ["harassment"]),
        ({"flagged": True}, None, ["flagged"]),
        ({"a name\nwith the text in it": 1.0}, None, ["flagged"]),
    ],
)
def test_each_form_is_read(said: object, threshold: Any, found: list[str]) -> None:
    """Truth values, scores, names, and what moderation endpoints return."""
    assert flagged(said, threshold) == found


@pytest.mark.parametrize(
    "said",
    [None, "toxic", b"x", object(), {"a": "high"}, [1], float("nan"), {"a": float("nan")}],
    ids=["nothing", "text", "bytes", "object", "words", "list", "nan", "nan by category"],
)
def test_other_forms_are_refused(said: object) -> None:
    """A label alone does not say whether it is good or bad."""
    with pytest.raises(TypeError, match="a classifier"):
        flagged(said)


def test_an_endpoint_without_a_result_has_not_looked() -> None:
    """An empty answer lets nothing through."""
    with pytest.raises(TypeError, match="without a result"):
        flagged({"results": []})


@given(st.text(max_size=100))
def test_no_text_is_a_verdict_by_chance(text: str) -> None:
    """What is not the object that was asked for is unreadable."""
    with pytest.raises(Unreadable):
        verdict(text, ("threat",))


@given(st.text(max_size=100))
def test_a_text_stays_in_its_place_in_the_question(text: str) -> None:
    """On one line, so that nothing in it looks like a part of the question."""
    lines = [line for line in question(text, ("threat",)).split("\n") if line.startswith("Text: ")]
    assert len(lines) == 1
