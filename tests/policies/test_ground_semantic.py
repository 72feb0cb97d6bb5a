"""ground(semantic=True): sentences without facts are compared by what they mean."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard import errors, events, ground, guard
from tests.shapes import Harness, every_shape, unary_shapes

SOURCES = ["The ferry costs 38 euros."]


def findings(error: BaseException | None) -> list[Any]:
    """The findings of a refusal."""
    assert isinstance(error, errors.OutputRejected)
    return list(error.findings)


def embed(text: str) -> list[float]:
    """Two directions: of ferries and of all else."""
    return [1.0, 0.1] if "ferry" in text.lower() else [0.0, 1.0]


@every_shape
def test_sentences_without_facts_are_compared_by_meaning(harness: Harness) -> None:
    """One that is near to no sentence of the sources is found; greetings and questions are not."""
    text = "Hello and welcome there! The ferry is cheap. Bananas are rather yellow. Anything else today?"
    policy = ground(["The ferry runs."], semantic=True, embed=embed, hold="all")
    subject = harness.guard(policy, list(text) if harness.streams else text)
    (found,) = findings(subject.call("the ferry").error)
    assert found.where == "sentence 3"
    assert found.reason == "what it says is in no source"


@unary_shapes
def test_an_encoder_that_fails_refuses_or_is_told_of(harness: Harness) -> None:
    """As a judge that fails."""

    def broken(text: str) -> list[float]:
        raise RuntimeError(text)

    policy = ground(SOURCES, semantic=True, embed=broken)
    assert findings(harness.run(policy, "Bananas are yellow today.").error)
    policy = ground(SOURCES, semantic=True, embed=broken, on_error="open")
    run = harness.run(policy, "Bananas are yellow today.")
    assert run.text
    assert [each.check for each in run.heard(events.CheckFailed)] == ["semantic"]


def test_the_extra_compares_across_languages() -> None:
    """A Korean sentence rests on an English source, and one about something else does not."""

    @ground(["Dogs may travel free of charge on the ferry."], semantic=True)
    def ask(question: str) -> str:
        return question

    with pytest.raises(errors.OutputRejected):
        guard(ground(["Dogs may travel free of charge."], semantic=True))(
            lambda: "이 약은 술과 함께 먹어도 안전합니다."
        )()
    assert ask("강아지는 배에 무료로 탈 수 있습니다.")
