from __future__ import annotations

from typing import Any

import pytest

from agentguard import deadline, describe, timeout
from agentguard.policies.timeout import Timeout


def ask(question: str) -> str:
    """Answer, as a model would."""
    return "42"


@pytest.mark.parametrize("keyword", [keyword for keyword in Timeout.spellings if keyword])
def test_a_foreign_keyword_is_told_its_spelling_here(keyword: str) -> None:
    """Keywords of pybreaker, httpx and other timeouts fail where they are written."""
    with pytest.raises(TypeError) as told:
        timeout(**{keyword: 3})
    assert f"timeout() has no {keyword}=" in str(told.value)
    assert Timeout.spellings[keyword] in str(told.value)


@pytest.mark.parametrize(
    ("args", "settings", "says"),
    [
        (("30",), {}, "seconds"),
        ((0,), {}, "seconds"),
        ((-1,), {}, "seconds"),
        ((True,), {}, "seconds"),
        ((float("nan"),), {}, "seconds"),
        ((30, 60), {}, r"timeout\(30\)"),
        ((), {"total": 0}, "total"),
        ((), {"first_token": "1"}, "first_token"),
        ((), {"idle": -2}, "idle"),
        ((), {"max_abandoned": 0}, "max_abandoned"),
        ((), {"max_abandoned": 1.5}, "max_abandoned"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_written(
    args: tuple[Any, ...], settings: dict[str, Any], says: str
) -> None:
    """The message names the argument and its unit."""
    with pytest.raises((TypeError, ValueError), match=says):
        timeout(*args, **settings)


def test_a_bare_decorator_has_the_default() -> None:
    """`@timeout` is 60 s, for the call and for each silence."""
    (policy,) = describe(timeout(ask))["policies"]
    assert (policy["seconds"], policy["idle"], policy["total"]) == (60.0, 60.0, None)
    assert timeout(ask)("?") == "42"


def test_one_bound_alone_sets_no_other() -> None:
    """`timeout(total=9)` says nothing of silences."""
    (policy,) = describe(timeout(total=9)(ask))["policies"]
    assert (policy["seconds"], policy["idle"], policy["total"]) == (None, None, 9)


def test_repr_is_what_was_written() -> None:
    """A guard prints as its source."""
    assert repr(timeout(30, total=90)) == "timeout(30, total=90)"


def test_a_block_is_refused_and_says_what_to_write() -> None:
    """`with timeout(30):` is what `deadline` is for."""
    with pytest.raises(TypeError, match="Decorate the function"), timeout(30):  # type: ignore[attr-defined]
        pass


@pytest.mark.parametrize("seconds", ["30", None, True, float("nan")])
def test_a_wrong_deadline_is_refused(seconds: Any) -> None:
    """Before the block is entered."""
    with pytest.raises((TypeError, ValueError), match="seconds"):
        deadline(seconds)


def test_deadline_prints_as_written() -> None:
    """For logs."""
    assert repr(deadline(20)) == "deadline(20)"
