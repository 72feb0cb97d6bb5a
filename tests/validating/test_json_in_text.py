"""Which JSON is found in what a model wrote, and that finding it takes no more than linear work."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.validating import json_in_text
from agentguard.validating.json_in_text import json_in

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    LEAVES | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4) | st.lists(JSON, max_size=4)
PROSE = st.text(st.characters(exclude_characters="[]{}"), max_size=20)


@given(value=JSON, indent=st.sampled_from([None, 2]), ascii_=st.booleans())
def test_all_json_is_whole(value: Any, indent: int | None, ascii_: bool) -> None:
    """Whatever the standard library writes is recognised as JSON and nothing else."""
    source = json.dumps(value, indent=indent, ensure_ascii=ascii_)
    found = json_in(source)
    assert found.whole
    assert [json.loads(each) for each in found.values] == [value]


@given(text=st.text('{}[]",:\\ \n0123456789.eE+-truefalsn`ax', max_size=40))
@settings(max_examples=500)
def test_only_json_is_whole(text: str) -> None:
    """A text is whole exactly where the standard library reads it, and every value found is JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    found = json_in(text)
    for each in found.values:
        json.loads(each, parse_constant=refuse)
    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return
    assert found.whole


@given(before=PROSE, value=OBJECTS, after=PROSE)
def test_prose_around_a_value_is_let_go(before: str, value: Any, after: str) -> None:
    """One object with prose before and behind it is found, and nothing else."""
    source = json.dumps(value)
    assert json_in(f"{before} {source} {after}").values == [source]


@given(before=PROSE, value=JSON, tag=st.sampled_from(["", "json", "JSON", "json5", "c++"]))
def test_a_fence_is_taken_off(before: str, value: Any, tag: str) -> None:
    """What stands in a fence is found, be the fence closed, left open, or in prose."""
    source = json.dumps(value, indent=1)
    for text in (f"```{tag}\n{source}\n```", f"```{tag}\r\n{source}", f"~~~{tag}\n{source}\n~~~\n"):
        assert json_in(text).values == [source], text
    if isinstance(value, (dict, list)):
        assert json_in(f"{before}\n```{tag}\n{source}\n```\nBye").values == [source]


@given(value=st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=4), data=st.data())
def test_a_value_that_is_cut_off_is_never_taken_in_part(
    value: dict[str, Any], data: st.DataObject
) -> None:
    """Of an object cut anywhere inside nothing is found, inner objects least of all."""
    source = json.dumps(value)
    cut = data.draw(st.integers(2, len(source) - 1))  # a bracket alone may be prose
    found = json_in(source[:cut])
    assert found.values == []
    assert found.unfinished


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("the set {a, b} and {c}", []),
        ('as in [1], it is {"n": 2}', ["[1]", '{"n": 2}']),
        ('f(x) = {x | x > 0}; {see [this]} {"n": 1}', ['{"n": 1}']),
        ('{"a": 1} then {"a": 2}', ['{"a": 1}', '{"a": 2}']),
        ("{'a': 1}", []),
        ('{"a": 1,}', []),
        ('{"a": NaN}', []),
        ('{"a": 01}', []),
        ('["tab\there"]', []),
        ('he said "{" and left', []),
        ("\ufeff{}", ["{}"]),
        ("", []),
        ("42", ["42"]),
        ("it is 42", []),
        ('결과는 다음과 같습니다: {"도시": "서울"}입니다.', ['{"도시": "서울"}']),
    ],
)
def test_what_is_found(text: str, values: list[str]) -> None:
    """Values are found where they stand; what only looks like one is not."""
    assert json_in(text).values == values


@pytest.mark.parametrize(
    "piece",
    ["[", "{", '{"', '{"\\"', '["a",', "[1,", "```\n", "{}", '{"a":', '["', '["\\', '{"a\\"',
     "1", "[1", "[ ", '["x\n', "[[1]", '{"a":{}', "\\", '"'],
)  # fmt: skip
def test_work_is_linear(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a beginning is repeated, the characters looked at grow as the text does."""

    class Counting:
        """A pattern that adds up the characters that its matches cover."""

        def __init__(self, pattern: re.Pattern[str]) -> None:
            self.pattern = pattern

        def match(self, text: str, at: int = 0) -> re.Match[str] | None:
            found = self.pattern.match(text, at)
            steps[0] += 1 + (found.end() - at if found else 0)
            return found

        def search(self, text: str, at: int) -> re.Match[str] | None:
            found = self.pattern.search(text, at)
            steps[0] += 1 + (found.end() if found else len(text)) - at
            return found

    steps = [0]
    for name in ("_SPACE", "_SCALAR", "_OPENING", "_STOPPED"):
        monkeypatch.setattr(json_in_text, name, Counting(getattr(json_in_text, name)))
    took = []
    for size in (2_000, 4_000, 16_000):
        steps[0] = 0
        json_in((piece * size)[:size])
        took.append(steps[0])
    assert took[1] <= 2.2 * took[0] + 1000
    assert took[2] <= 4.4 * took[1] + 1000


def test_what_is_nested_too_deep_is_no_value() -> None:
    """Depth has a bound, so that no text exhausts a stack."""
    assert json_in("[" * 200 + "]" * 200).whole
    assert json_in("[" * 100_000 + "]" * 100_000).values == []
