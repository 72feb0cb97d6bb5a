"""Answers as bytes and back: plain values, what is said about the call, streams of text."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.caching.answers import About, Answers
from agentguard.providers.usage import Usage
from tests.caching.pictures import picture

NOTHING = About()
ABOUT = About("gpt-4o-mini", Usage(12, 3, 4, 5, 1, 2), "openai", "https://api.openai.com", "flex")

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
atoms = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary())
hashable = st.one_of(st.integers(), texts, st.tuples(st.integers(), texts), st.binary())
values = st.recursive(
    st.one_of(
        atoms,
        st.decimals(),
        st.datetimes(timezones=st.none() | st.just(dt.UTC)),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.uuids(),
        st.sets(hashable),
        st.frozensets(hashable),
        st.lists(st.floats(), min_size=16, max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(texts, inner),
        st.dictionaries(hashable, inner),
    ),
    max_leaves=12,
)


def back(value: Any, about: About = NOTHING) -> Any:
    """The value out of the bytes, in another process so to speak."""
    packed = Answers().pack(value, about)
    assert type(packed) is bytes
    found = Answers().unpack(packed)
    assert not found.streamed
    assert found.about == about
    return found.value


@given(values)
def test_every_plain_value_comes_back_as_it_was(value: Any) -> None:
    """Exactly: type by type, NaN, -0.0, lone surrogates, keys of any kind."""
    assert picture(back(value)) == picture(value)
    assert picture(back([value], ABOUT)) == picture([value])


@given(texts)
def test_text_comes_back(text: str) -> None:
    """With and without something known about the call."""
    assert back(text) == back(text, ABOUT) == text


@given(st.lists(values, max_size=4), st.lists(st.floats(0, 1e6), max_size=4))
def test_a_stream_comes_back(items: list[Any], times: list[float]) -> None:
    """Its items exactly, its times to the millisecond, long or short."""
    times = [*times, *[0.0] * len(items)][: len(items)]
    for many in (1, 40):
        packed = Answers().pack_stream(items * many, times * many, ABOUT)
        found = Answers().unpack(packed)
        assert found.streamed
        assert found.value is None
        assert found.about == ABOUT
        assert picture(found.items) == picture(items * many)
        assert found.times == pytest.approx(times * many, abs=0.000_6)


def test_a_text_stream_costs_little_beside_its_text() -> None:
    """A stream of words is not much longer than the words."""
    words = [f"word{number} " for number in range(500)]
    packed = Answers().pack_stream(words, [0.013 * n for n in range(500)], NOTHING)
    assert len(packed) < len("".join(words))


def test_a_vector_costs_half_of_its_digits() -> None:
    """1,536 numbers as an embedding has them."""
    vector = [math.sin(number) for number in range(1536)]
    packed = Answers().pack(vector, NOTHING)
    assert len(packed) < 0.6 * len(str(vector))
    assert Answers().unpack(packed).value == vector


def test_what_a_caller_changes_is_his_own() -> None:
    """The next one gets the answer as it was stored."""
    answers = Answers()
    given: dict[str, Any] = {"words": ["a"]}
    packed = answers.pack(given, NOTHING)
    given["words"].append("b")
    answers.unpack(packed).value["words"].append("c")
    assert answers.unpack(packed).value == {"words": ["a"]}


@pytest.mark.parametrize("about", [ABOUT, About("m"), About(usage=Usage(1, 1)), NOTHING], ids=str)
def test_what_is_known_about_the_call_comes_back(about: About) -> None:
    """All of it or nothing."""
    assert Answers().unpack(Answers().pack("text", about)).about == about


def test_nothing_shows_an_answer() -> None:
    """Neither what unpacking returns nor what packs."""
    answers = Answers()
    found = answers.unpack(answers.pack("swordfish", ABOUT))
    assert "swordfish" not in repr(found) + repr(answers)
    assert repr(found) == "<packed answer>"
    assert repr(answers.unpack(answers.pack_stream([], [], ABOUT))) == "<packed stream>"


class Odd:
    """A class that nobody can store."""

    def __repr__(self) -> str:
        return "swordfish"


def holding_itself() -> list[Any]:
    """A list in itself."""
    found: list[Any] = []
    found.append(found)
    return found


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    return [] if depth == 0 else [nested(depth - 1)]


UNSUPPORTED: dict[str, tuple[Callable[[], Any], str]] = {
    "object": (Odd, "test_answers.Odd, which cannot be stored"),
    "inside": (lambda: {"secret swordfish": [Odd()]}, "Return one of these"),
    "generator": (lambda: (n for n in ()), "builtins.generator"),
    "module": (lambda: math, "builtins.module"),
    "itself": (holding_itself, "holds itself"),
    "digits": (lambda: 10**5000, "4,300 digits"),
    "complex": (lambda: 1j, "builtins.complex"),
    "bytearray": (lambda: bytearray(b"x"), "builtins.bytearray"),
}


@pytest.mark.parametrize(("make", "said"), UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_what_cannot_be_stored_says_what_to_do(make: Callable[[], Any], said: str) -> None:
    """A TypeError at the first store, which quotes nothing of the value."""
    for pack in (
        lambda: Answers().pack(make(), NOTHING),
        lambda: Answers().pack_stream([make()], [0.0], NOTHING),
    ):
        with pytest.raises(TypeError, match=said) as caught:
            pack()
        assert "swordfish" not in str(caught.value)


def test_plain_types_that_are_not_text_or_json_come_back() -> None:
    """One of each, by hand."""
    value = {
        "when": dt.datetime(2026, 1, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=9))),
        "how much": Decimal("1.10"),
        "id": uuid.UUID(int=7),
        "": {1: (2, {3})},
        "half": "\ud83d",
        "long": dt.timedelta(days=-1, microseconds=3),
    }
    assert picture(back(value)) == picture(value)
