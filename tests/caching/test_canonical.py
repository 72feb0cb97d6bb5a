"""One form for what is the same, different ones for what is not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
import pathlib
import subprocess
import sys
import threading
import types
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr, SecretStr

from agentguard.caching.canonical import NoForm, packed

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, categories=None))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.uuids()
)
KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.binary()
TREES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def plain(value: Any) -> Any:
    """The value as a text that says type and content of everything in it, order of dicts apart."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{plain(k)}:{plain(v)}" for k, v in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(plain, value)) + "]"
    return f"{type(value).__name__}({value!r})"


@given(TREES, TREES)
def test_two_values_share_a_form_only_when_they_are_the_same(one: Any, other: Any) -> None:
    """Equal forms and equal contents, types included, are one and the same."""
    assert (packed(one) == packed(other)) == (plain(one) == plain(other))


@given(st.dictionaries(st.text(), ATOMS), st.randoms())
def test_the_order_of_a_dict_does_not_matter(value: dict[str, Any], random: Any) -> None:
    """Whichever way a dict was filled."""
    items = [*value.items()]
    random.shuffle(items)
    assert packed(dict(items)) == packed(value)


@given(st.sets(st.text() | st.integers() | st.tuples(st.text(), st.integers())), st.randoms())
def test_the_order_of_a_set_does_not_matter(value: set[Any], random: Any) -> None:
    """Sets iterate differently in each process."""
    items = [*value]
    random.shuffle(items)
    assert packed(set(items)) == packed(value)


def test_every_process_makes_the_same_form() -> None:
    """Whatever the seed of the hashes."""
    program = (
        "from agentguard.caching.canonical import packed; import datetime, enum\n"
        "print(packed({'b': {1, 'x', (2, 3)}, 'a': [datetime.date(2026, 1, 2), 1.5, None],"
        " 3: frozenset('abcdef')}).hex())"
    )
    forms = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(forms) == 1


class Colour(enum.Enum):
    """An ordinary enumeration."""

    RED = "red"


class Word(enum.StrEnum):
    """One whose members are texts."""

    RED = "red"


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: int


class Text(str):
    """A text by inheritance."""

    __slots__ = ()


@dataclasses.dataclass
class Turn:
    """A dataclass."""

    role: str
    text: str = ""


@dataclasses.dataclass
class Other:
    """Another one with the same fields."""

    role: str
    text: str = ""


class Model(BaseModel):
    """A model of pydantic's."""

    text: str
    style: str = "short"
    _tongue: str = PrivateAttr("en")


UTC = dt.UTC
DIFFERENT: dict[str, Any] = {
    "text": "1",
    "int": 1,
    "float": 1.0,
    "true": True,
    "bytes": b"1",
    "bytearray": bytearray(b"1"),
    "memoryview": memoryview(b"1"),
    "huge": 10**400,
    "infinity": math.inf,
    "minus zero": -0.0,
    "zero": 0.0,
    "surrogate": "\ud800",
    "escaped": "\\ud800",
    "none": None,
    "word none": "None",
    "list": [1],
    "set": {1},
    "text key": {"1": 1},
    "int key": {1: 1},
    "true key": {True: 2},
    "empty dict": {},
    "empty list": [],
    "enum": Colour.RED,
    "text enum": Word.RED,
    "its value": "red",
    "named tuple": Point(1, 2),
    "tuple": (1, 2),
    "range": range(1, 2),
    "slice": slice(1, 2),
    "subclass of str": Text("1"),
    "dataclass": Turn("user"),
    "other dataclass": Other("user"),
    "its fields": {"role": "user", "text": ""},
    "what imitates it": ["tests.caching.test_canonical.Turn", {"role": "user", "text": ""}],
    "model": Model(text="a"),
    "model's fields": {"text": "a", "style": "short"},
    "secret": SecretStr("abc"),
    "date": dt.date(2026, 1, 1),
    "naive": dt.datetime(2026, 1, 1),  # noqa: DTZ001  what is under test
    "aware": dt.datetime(2026, 1, 1, tzinfo=UTC),
    "folded": dt.datetime(2026, 1, 1, fold=1),  # noqa: DTZ001
    "time": dt.time(0, 0),
    "span": dt.timedelta(1),
    "decimal": decimal.Decimal(1),
    "decimal with a place": decimal.Decimal("1.0"),
    "fraction": fractions.Fraction(1),
    "uuid": uuid.UUID(int=1),
    "path": pathlib.PurePosixPath("1"),
    "complex": 1 + 0j,
    "ellipsis": ...,
    "class": Turn,
    "other class": Other,
    "model class": Model,
    "generic": list[int],
    "other generic": list[str],
    "union": int | None,
    "proxy": types.MappingProxyType({"1": 1}),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_has_forms_that_differ(name: str) -> None:
    """No value of one kind passes for one of another."""
    mine = packed(DIFFERENT[name])
    same = [other for other, value in DIFFERENT.items() if packed(value) == mine]
    assert same == [name]


def test_a_default_that_is_given_is_the_same_as_one_left_out() -> None:
    """For dataclasses and pydantic's models alike."""
    assert packed(Model(text="a")) == packed(Model(text="a", style="short"))
    assert packed(Turn("user")) == packed(Turn("user", ""))


def test_private_attributes_of_a_model_count() -> None:
    """As they do for pydantic's own comparison."""
    changed = Model(text="a")
    changed._tongue = "ko"
    assert packed(changed) != packed(Model(text="a"))


def test_a_secret_is_not_in_a_form() -> None:
    """Nor is a digest of it."""
    assert packed({"key": SecretStr("abc")}) == packed({"key": SecretStr("xyz")})


def test_what_a_class_declares_as_its_form_is_its_form() -> None:
    """By `__cache_key__`."""

    class Bot:
        def __init__(self, name: str) -> None:
            self.name, self.lock = name, threading.Lock()

        def __cache_key__(self) -> str:
            return self.name

    assert packed(Bot("a")) == packed(Bot("a")) != packed(Bot("b"))


class Holder:
    """An object of a class that says nothing of its form."""

    def __init__(self) -> None:
        self.secret = "do not show this"


@pytest.mark.parametrize(
    "value",
    [object(), threading.Lock(), Holder(), iter([]), (i for i in ()), sys.stdout],
    ids=["object", "lock", "instance", "iterator", "generator", "file"],
)
def test_what_has_no_form_is_refused_without_showing_it(value: Any) -> None:
    """The message names the type, never the value."""
    for nested in (value, [{"a": value}], Turn(value)):
        with pytest.raises(NoForm, match="has no canonical form") as caught:
            packed(nested)
        assert "do not show" not in str(caught.value)
        assert type(value).__qualname__ in str(caught.value)


def test_what_contains_itself_is_refused() -> None:
    """And so is what is nested too deeply."""
    cyclic: list[Any] = []
    cyclic.append({"a": cyclic})
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (cyclic, deep):
        with pytest.raises(NoForm, match="contains itself, or is nested too deeply"):
            packed(value)
    while deep:  # a long chain of lists is taken apart by hand
        deep = deep.pop()


def test_functions_differ_by_what_they_do_and_say() -> None:
    """Code, constants, free values, text and annotations."""

    def make(word: str) -> Any:
        def tool(x: int) -> str:
            """A tool."""
            return word * x

        return tool

    def again(word: str) -> Any:
        def tool(x: int) -> str:
            """Another tool."""
            return word * x

        return tool

    assert packed(make("a")) == packed(make("a"))
    assert len({packed(make("a")), packed(make("b")), packed(again("a"))}) == 3
    with pytest.raises(NoForm):
        packed(make(threading.Lock()))  # type: ignore[arg-type]
