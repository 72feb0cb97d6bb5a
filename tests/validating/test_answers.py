"""Any answer is judged without a crash, and whatever passes really fits."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentguard.providers.shapes import Reading, shape_of
from agentguard.validating.answers import Wanted
from agentguard.validating.kinds import Typed

WORDS = ("length", "stop", "max_tokens", None, "?")


class City(BaseModel):
    name: str
    people: int


WANTED = Wanted(Typed(City), parse=True)
NOISE = st.text('{}[]":,\\ `\nabc0123456789\ud800é', max_size=60)


@given(text=NOISE, reason=st.sampled_from(WORDS))
def test_noise_is_refused_with_a_reason(text: str, reason: str | None) -> None:
    """No text of such pieces is a city, and none breaks the judge."""
    assert WANTED.judge([text], reason=reason).problems


@given(
    before=st.text(st.characters(exclude_characters='{}[]"'), max_size=20),
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    people=st.integers(-(10**18), 10**18),
    after=NOISE,
)
def test_the_object_is_found_or_nothing_is(before: str, name: str, people: int, after: str) -> None:
    """With noise behind it, it is that object, or refused for what the noise looks like."""
    source = json.dumps({"name": name, "people": people}, ensure_ascii=False)
    judged = WANTED.judge([f"{before}{source}{after}"])
    if not judged.problems:
        assert judged.value == City(name=name, people=people)
    else:
        assert [each.finding.rule for each in judged.problems] == ["truncated"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
ITEMS = st.one_of(
    VALUES,
    st.builds(lambda content: {"choices": [{"message": {"content": content}}]}, VALUES),
    st.builds(lambda calls: {"choices": [{"delta": {"tool_calls": calls}}]}, VALUES),
    st.builds(lambda parts: {"candidates": [{"content": {"parts": parts}}]}, VALUES),
    st.builds(lambda output: {"object": "response", "output": output}, VALUES),
    st.builds(lambda content: {"type": "message", "content": content}, VALUES),
)


@given(item=ITEMS)
def test_answers_that_are_none_are_refused(item: Any) -> None:
    """Also where somebody's proxy made something strange of a protocol."""
    try:
        shape_of(item).read(item, Reading())
    except (AttributeError, TypeError):
        assume(False)  # the engine has raised before any judge is asked
    judged = WANTED.judge([item])
    assert judged.problems or isinstance(judged.value, City)
