"""Exceptions that resist being written on still come out, and notes say all that was tried."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from agentguard import fallback, guard, retry
from agentguard.testing import FakeRuntime


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Recursive(Exception):
    """As SDK errors do that hand unknown attributes on to a response they have not got yet."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name) if name.startswith("__") else RuntimeError(name)


def frozen() -> Exception:
    """Forbids attributes."""
    return Frozen(3)


def oddly_noted() -> Exception:
    """Has a note that is no text."""
    error = ValueError("x")
    error.__notes__ = [3]  # type: ignore[list-item]
    return error


def recursive() -> Exception:
    """Raises from its attributes."""
    return Recursive("x")


@pytest.mark.parametrize("make", [frozen, oddly_noted, recursive])
@pytest.mark.parametrize("policy", ["retry", "fallback"])
def test_an_exception_that_cannot_be_noted_comes_out_itself(make: Any, policy: str) -> None:
    """A frozen dataclass, odd notes or hostile attributes never replace the provider's error."""
    error = make()

    def ask() -> str:
        raise error

    safe = retry(attempts=2, on=Exception)(ask) if policy == "retry" else fallback(ask)(ask)
    with FakeRuntime(), pytest.raises(type(error)) as told:
        safe()
    assert told.value is error


def test_the_note_of_an_outer_retry_keeps_what_the_inner_one_tried() -> None:
    """Three requests were made: the note must not speak of one attempt alone."""

    @retry(attempts=3)
    def ask() -> str:
        raise ConnectionError("down")

    @guard(retry(attempts=2))
    def agent() -> str:
        return ask()

    with FakeRuntime(), pytest.raises(ConnectionError) as told:
        agent()
    (note,) = told.value.__notes__
    assert note.startswith("agentguard: 3 attempts in ")
    assert 'nested="multiply"' in note
