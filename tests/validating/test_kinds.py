"""What a value must be, and the reasons why it is not, which quote nothing of it."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from typing_extensions import TypedDict  # typing has one that pydantic takes from Python 3.12 on

from agentguard.validating.kinds import Predicate, Typed, kind_of

PLANTED = "kim.minji" + "@example.com"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Person(BaseModel):
    model_config = {"extra": "forbid"}
    mail: str = Field(pattern="^[a-z]+$")
    scores: dict[str, int] = {}
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    age: int = 0

    @field_validator("age")
    @classmethod
    def adult(cls, value: int) -> int:
        if value < 18:
            raise ValueError(f"{value} is too young")
        return value


class Row(TypedDict):
    n: int


@dataclasses.dataclass
class Point:
    x: int


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("wanted", "source", "value"),
    [
        (list[int], "[1, 2]", [1, 2]),
        (Literal["yes", "no"], '"yes"', "yes"),
        (int | str, "3", 3),
        (Row, '{"n": 1}', {"n": 1}),
        (Point, '{"x": 1}', Point(1)),
        (Cat, '{"kind": "cat", "lives": 9}', Cat(kind="cat", lives=9)),
        (list[Cat], '[{"kind": "cat", "lives": 9}]', [Cat(kind="cat", lives=9)]),
        (TypeAdapter(tuple[int, int]), "[1, 2]", (1, 2)),
        (Colour, '"red"', Colour.RED),
        (Annotated[int, Field(gt=3)], "4", 4),
    ],
    ids=str,
)
def test_every_type_that_pydantic_knows_is_taken(wanted: Any, source: str, value: object) -> None:
    """Models, lists, literals, unions, typed dicts, dataclasses, enums and adapters."""
    kind = kind_of("validate_output", wanted)
    assert isinstance(kind, Typed)
    assert kind.of_json(source) == (value, ())


@pytest.mark.parametrize(
    ("wanted", "text"),
    [(str, True), (Literal["a"], True), (int | str, True), (Colour, True), (Literal[1], False),
     (Cat, False), (list[str], False), (dict[str, str], False), (Annotated[str, Field()], True)],
    ids=str,
)  # fmt: skip
def test_which_types_a_plain_text_may_be(wanted: Any, text: bool) -> None:
    """Only where the type itself may be a string is a text that is no JSON tried as one."""
    assert Typed(wanted).takes_text is text


@pytest.mark.parametrize(
    ("value", "where", "rule"),
    [
        ({"mail": PLANTED}, "mail", "string_pattern_mismatch"),
        ({"mail": "a", "scores": {PLANTED: "x"}}, "scores.*", "int_parsing"),
        ({"mail": "a", "pet": {"kind": PLANTED}}, "pet", "union_tag_invalid"),
        ({"mail": "a", PLANTED: 1}, "*", "extra_forbidden"),
        ({"mail": "a", "age": 7}, "age", "value_error"),
        ({}, "mail", "missing"),
        (PLANTED, None, "model_type"),
    ],
)
def test_reasons_quote_nothing(value: Any, where: str | None, rule: str) -> None:
    """Neither values, nor keys, nor tags, nor a validator's words are in a finding."""
    (problem,) = Typed(Person).of(value).problems
    assert (problem.finding.where, problem.finding.rule) == (where, rule)
    assert PLANTED not in repr(problem.finding)
    assert "7" not in repr(problem.finding)


def test_the_model_is_told_more() -> None:
    """What goes back to the one who said it has the validator's own words, and the keys."""
    problems = Typed(Person).of({"mail": "a", "age": 7, "scores": {"me": "x"}}).problems
    told = [each.told for each in problems]
    assert any("7 is too young" in each for each in told)
    assert any(each.startswith("scores.me:") for each in told)


def test_paths_are_spelled_as_in_python() -> None:
    """An index stands in brackets, a field behind a dot."""
    (problem,) = Typed(list[Cat]).of_json('[{"kind": "cat", "lives": "many"}]').problems
    assert problem.finding.where == "[0].lives"


def test_a_predicate_says_true_or_false() -> None:
    """A ValueError is a False; its words are for the model alone."""

    def short(text: str) -> bool:
        if len(text) > 3:
            raise ValueError(f"{text} is too long")
        return text != "no"

    kind = kind_of("validate_output", short)
    assert isinstance(kind, Predicate)
    assert kind.of("yes").problems == ()
    (said,) = kind.of("no").problems
    (raised,) = kind.of(PLANTED).problems
    assert (said.finding.rule, raised.finding.reason) == ("predicate", said.finding.reason)
    assert "short" in said.finding.reason
    assert PLANTED in raised.told
    assert PLANTED not in repr(raised.finding)


@pytest.mark.parametrize("said", [None, 1, "yes", []])
def test_a_predicate_that_says_neither_is_a_mistake(said: object) -> None:
    """What forgets to return would otherwise let all through, or nothing."""
    with pytest.raises(TypeError, match="True or False"):
        kind_of("validate_output", lambda _: said).of("x")


async def _async(_: str) -> bool:
    return True


@pytest.mark.parametrize("wanted", [_async, 3, "json", None])
def test_what_is_no_kind_is_refused(wanted: object) -> None:
    """With what may be written instead."""
    with pytest.raises(TypeError, match="takes a p"):
        kind_of("validate_output", wanted)
