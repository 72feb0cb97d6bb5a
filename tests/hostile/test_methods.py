"""Guarded methods in the classes that people write, whatever makes their classes."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import pickle
import types
from collections.abc import AsyncIterator, Iterator

import pydantic
import pytest

from agentguard import describe, guard, report, retry, timeout

GUARDS = guard(retry(attempts=2), timeout(30))


class Model(pydantic.BaseModel):
    """As LangChain's chat models are."""

    text: str = "42"

    @GUARDS
    def ask(self) -> str:
        return self.text

    @GUARDS
    def tell(self) -> Iterator[str]:
        yield self.text

    @GUARDS
    async def atell(self) -> AsyncIterator[str]:
        yield self.text


@dataclasses.dataclass(slots=True)
class Slotted:
    """No dictionary."""

    text: str = "42"

    @GUARDS
    def ask(self) -> str:
        return self.text

    @GUARDS
    def tell(self) -> Iterator[str]:
        yield self.text


class Chosen(enum.Enum):
    """Its members are strings, its methods are not members."""

    FIRST = "42"

    @property
    def text(self) -> str:
        return str(self.value)

    @GUARDS
    def ask(self) -> str:
        return self.text

    @GUARDS
    def tell(self) -> Iterator[str]:
        yield self.text


@pytest.mark.parametrize(
    "owner", [Model(), Slotted(), Chosen.FIRST], ids=["pydantic", "slots", "enum"]
)
def test_methods_of_every_kind_of_class(owner: Model | Slotted | Chosen) -> None:
    """Plain and generator methods are methods, and no field or member is made of them."""
    assert owner.ask() == "42"
    assert list(owner.tell()) == ["42"]
    assert describe(owner.tell)["shape"] == "generator"


async def test_async_generator_methods_of_a_pydantic_model() -> None:
    """The same for the third shape of method."""
    assert [piece async for piece in Model().atell()] == ["42"]
    assert set(Model.model_fields) == {"text"}
    assert list(Chosen) == [Chosen.FIRST]


@GUARDS
def tell(text: str = "42") -> Iterator[str]:
    """A stream."""
    yield text


def test_a_guarded_generator_function_passes_for_a_function() -> None:
    """For `isinstance`, `inspect`, pickle and functools alike."""
    assert isinstance(tell, types.FunctionType)
    assert inspect.isfunction(tell)
    assert inspect.isgeneratorfunction(tell)
    assert list(inspect.signature(tell).parameters) == ["text"]
    assert pickle.loads(pickle.dumps(tell)) is tell
    assert list(functools.partial(tell, "x")()) == ["x"]
    assert list(retry(tell)()) == ["42"]


class Base:
    """A guarded method."""

    @GUARDS
    def tell(self) -> Iterator[str]:
        yield "base"


class Derived(Base):
    """A guarded method around the inherited one."""

    @GUARDS
    def tell(self) -> Iterator[str]:
        yield from super().tell()
        yield "derived"


def test_a_guarded_method_calls_the_one_it_overrides() -> None:
    """Each is a call of its own, the inner one a child in the report."""
    with report() as r:
        assert list(Derived().tell()) == ["base", "derived"]
    (call,) = r.calls
    assert [child.name for child in call.children] == ["Base.tell"]
