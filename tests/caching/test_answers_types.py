"""Classes that answers are made of: from return annotations, `types=`, and what becomes of them."""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, NamedTuple, NewType, TypedDict, TypeVar

import pydantic
import pytest

from agentguard.caching.answers import About, Answers, Unreadable
from agentguard.engine.target import Target
from tests.caching.pictures import picture

NOTHING = About()
T = TypeVar("T")


class Colour(Enum):
    """An Enum."""

    RED = "red"
    GREEN = ("green", 2)


class Level(IntEnum):
    """One whose members are numbers."""

    LOW = 1


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: float


@dataclasses.dataclass
class Item:
    """A dataclass inside others."""

    name: str
    colour: Colour = Colour.RED


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """A frozen one with slots, and a check that must not run again."""

    items: list[Item]
    at: Point
    level: Level = Level.LOW
    paid: bool = dataclasses.field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        ran.append(self)


ran: list[object] = []


class Answer(pydantic.BaseModel):
    """A pydantic model: an alias, a validator that is not idempotent, a private attribute."""

    model_config = pydantic.ConfigDict(extra="allow", populate_by_name=True)

    text: str = pydantic.Field(alias="Text")
    order: Order | None = None
    score: float = 0.5
    _seen: int = pydantic.PrivateAttr(default=3)

    @pydantic.field_validator("text")
    @classmethod
    def _twice(cls, text: str) -> str:
        return text + text


class Page(pydantic.BaseModel, Generic[T]):
    """A generic model."""

    of: list[T]


class Tree(pydantic.BaseModel):
    """A model that holds itself."""

    name: str
    inside: list[Tree] = []


class Row(TypedDict):
    """A dict whose values are of a class."""

    item: Item


class Name(str):
    """A text of a class of its own."""

    __slots__ = ()


Identity = NewType("Identity", Item)


def an_order() -> Order:
    """One of each."""
    return Order([Item("a"), Item("b", Colour.GREEN)], Point(1, 2.5), paid=True)


def an_answer() -> Answer:
    """With an unknown field and a private attribute that was changed."""
    answer = Answer(Text="a", order=an_order(), mood={"happy": 1})
    answer._seen = 4
    return answer


def returning(hint: object) -> Callable[..., Any]:
    """A function with this return annotation."""

    def ask() -> None:
        return None

    ask.__annotations__ = {"return": hint}
    return ask


class Asker:
    """Callables that are no functions."""

    async def method(self) -> Answer:
        """A coroutine function that is bound."""
        return an_answer()

    def __call__(self) -> Answer:
        return an_answer()


@functools.wraps(Asker.__call__)
def wrapped(*args: Any) -> Any:
    """A function whose annotation is another one's."""
    return args


HINTS: list[Any] = [
    *(Answer, list[Answer], Answer | None, dict[str, tuple[Answer, ...]], Awaitable[Answer]),
    *(Iterator[Answer], AsyncIterator[Answer], Annotated[Answer, "kept"], Page[Answer], Row),
    *(Identity, "Answer", "list[Answer] | None", "Iterator['Answer']"),
]
ANNOTATED: dict[str, Callable[..., Any]] = {
    **{str(hint).replace(f"{__name__}.", ""): returning(hint) for hint in HINTS},
    "method": Asker().method,
    "callable": Asker(),
    "partial": functools.partial(functools.partial(returning(Answer))),
    "wrapped": wrapped,
}


def knowing(*fns: Callable[..., Any], types: tuple[type, ...] = ()) -> Answers:
    """What guards these callables."""
    answers = Answers(types)
    for fn in fns:
        answers.check(Target(fn))
    return answers


def same(answers: Answers, value: Any) -> Any:
    """The value out of the bytes, compared."""
    found = answers.unpack(answers.pack(value, NOTHING)).value
    assert picture(found, private=True) == picture(value, private=True)
    return found


@pytest.mark.parametrize("fn", ANNOTATED.values(), ids=ANNOTATED.keys())
def test_the_return_annotation_says_what_classes_there_are(fn: Callable[..., Any]) -> None:
    """In every spelling, and of every kind of callable; fields lead to further classes."""
    hint = getattr(fn, "__annotations__", {}).get("return")
    kept: Any = an_order().items if hint in (Row, Identity) else an_answer()
    kept = Page[Answer](of=[kept]) if hint is Page[Answer] else kept
    assert same(knowing(fn), kept) == kept


@pytest.mark.parametrize(
    "value",
    [
        an_answer(),
        an_order(),
        Item("a"),
        Colour.RED,
        Colour.GREEN,
        Level.LOW,
        Point(1, 2),
        Name("n"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_types_says_what_classes_there_are(value: Any) -> None:
    """Each kind of class, alone and in containers."""
    answers = Answers(types=[type(value)])
    assert same(answers, value) == value
    assert same(answers, {"a": [value, (value,)], "b": {"": value}})
    packed = answers.pack_stream([value] * 3, [0, 1, 2], NOTHING)
    assert answers.unpack(packed).items == [value] * 3


def test_nothing_of_the_class_runs_again() -> None:
    """No `__post_init__` and no validator: what it had made of the values would change."""
    answers = Answers(types=[Answer])
    packed = answers.pack(an_answer(), NOTHING)
    del ran[:]
    found = answers.unpack(packed).value
    assert found.text == "aa"
    assert found._seen == 4
    assert found.mood == {"happy": 1}
    assert found.model_fields_set == {"text", "order", "mood"}
    assert not ran


def test_a_model_that_holds_itself() -> None:
    """The annotation is followed once."""
    same(Answers(types=[Tree]), Tree(name="a", inside=[Tree(name="b")]))


def test_a_local_class_is_found_by_a_string_annotation() -> None:
    """The function sees it, so it can be found."""

    @dataclasses.dataclass
    class Local:
        word: str

    def ask() -> Local:
        return Local("a")

    same(knowing(ask), Local("a"))


def test_a_class_that_is_defined_below_the_function_is_found() -> None:
    """The annotation is read when a class is missed, not when the function is decorated."""
    module = types.ModuleType("a_module_of_a_test")
    sys.modules[module.__name__] = module
    before = "from __future__ import annotations\ndef ask() -> Later: ...\n"
    after = "import dataclasses\n@dataclasses.dataclass\nclass Later:\n    word: str\n"
    try:
        exec(before, vars(module))
        answers = knowing(module.ask)
        answers.pack({"a": 1}, NOTHING)
        exec(after, vars(module))
        same(answers, module.Later("a"))
    finally:
        del sys.modules[module.__name__]


def test_a_subclass_must_be_known_too() -> None:
    """What is written is `-> Item`, and what came is more than that."""

    @dataclasses.dataclass
    class Special(Item):
        more: int = 0

    with pytest.raises(TypeError, match=r"pass cache\(..., types=\[.*Special\]\)"):
        Answers(types=[Item]).pack(Special("a"), NOTHING)
    same(Answers(types=[Item, Special]), Special("a"))


@pytest.mark.parametrize("kind", [int, object, list[int], "Answer", type("Plain", (), {})], ids=str)
def test_types_takes_classes_that_can_be_stored(kind: Any) -> None:
    """Anything else is refused at once."""
    with pytest.raises(TypeError, match="types= takes dataclasses, pydantic models"):
        Answers(types=[kind])


def test_an_unknown_class_is_unreadable() -> None:
    """Its name is looked up among what is known, and imported from nowhere."""
    packed = Answers(types=[Item]).pack(Item("a"), NOTHING)
    with pytest.raises(Unreadable):
        Answers().unpack(packed)


def twins(one: str, other: str) -> tuple[Any, Any]:
    """Two states of one class, before and after an edit."""
    made = []
    for fields in (one, other):
        space: dict[str, Any] = {
            "__name__": __name__,
            "pydantic": pydantic,
            "dataclasses": dataclasses,
        }
        exec(fields, space)
        made.append(space["Kind"])
    return made[0], made[1]


CHANGED = {
    "dataclass-type": ("word: str = ''", "word: int = 0"),
    "dataclass-new": ("word: str = ''", "word: str = ''\n    more: int = 1"),
    "dataclass-gone": ("word: str = ''\n    more: int = 1", "word: str = ''"),
}


@pytest.mark.parametrize("fields", CHANGED.values(), ids=CHANGED.keys())
@pytest.mark.parametrize(
    "base", ["@dataclasses.dataclass\nclass Kind:", "class Kind(pydantic.BaseModel):"]
)
def test_a_class_that_has_changed_is_unreadable(base: str, fields: tuple[str, str]) -> None:
    """What was stored is of another shape: the cache asks anew."""
    before, after = twins(*(f"{base}\n    {each}\n" for each in fields))
    packed = Answers(types=[before]).pack(before(), NOTHING)
    with pytest.raises(Unreadable):
        Answers(types=[after]).unpack(packed)
    again, _ = twins(f"{base}\n    {fields[0]}\n", "class Kind: ...")
    assert type(Answers(types=[again]).unpack(packed).value) is again


def test_an_enum_whose_members_have_changed_is_unreadable() -> None:
    """A member's value is part of what it is."""
    before, after = (Enum("Kind", {"A": value}, module=__name__) for value in (1, 2))
    packed = Answers(types=[before]).pack(before.A, NOTHING)
    with pytest.raises(Unreadable):
        Answers(types=[after]).unpack(packed)


def test_what_was_cached_on_an_object_is_left_out() -> None:
    """`functools.cached_property` is worked out again."""

    @dataclasses.dataclass
    class Lazy:
        word: str

        @functools.cached_property
        def checked(self) -> object:
            return object()

    lazy = Lazy("a")
    assert lazy.checked is lazy.checked
    found = same(Answers(types=[Lazy]), lazy)
    assert "checked" not in vars(found)


def test_attributes_that_post_init_made_come_back() -> None:
    """They are part of the object although they are no fields."""

    @dataclasses.dataclass
    class Counted:
        words: dataclasses.InitVar[list[str]]
        first: str = ""

        def __post_init__(self, words: list[str]) -> None:
            self.first, self.count = words[0], len(words)

    answers = Answers(types=[Counted])
    found = answers.unpack(answers.pack(Counted(["a", "b"]), NOTHING)).value
    assert (found.first, found.count) == ("a", 2)


def test_a_class_of_texts_with_attributes_is_refused() -> None:
    """They would be lost."""

    class Marked(str):
        """One that takes attributes."""

        __slots__ = ("__dict__",)

    marked = Marked("a")
    same(Answers(types=[Marked]), marked)
    marked.by = "me"
    with pytest.raises(TypeError, match="attributes of its own"):
        Answers(types=[Marked]).pack(marked, NOTHING)
