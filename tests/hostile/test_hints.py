"""What a message says to write can be written, and does what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import tenacity

from agentguard import events, report, retry
from agentguard.testing import FakeRuntime

KINDS = {"wait": "wait_fixed", "stop": "stop_after_attempt", "retry": "retry_if_exception_type"}


@pytest.mark.parametrize("keyword", KINDS)
def test_a_wrong_strategy_is_answered_with_one_of_its_own_kind(keyword: str) -> None:
    """`stop=wait_fixed(1)`, once advised, would stop every retry."""
    with pytest.raises(TypeError) as told:
        retry(**{keyword: 3})  # type: ignore[call-overload]
    found = re.search(r"tenacity\.(\w+)\((.*?)\)$", str(told.value).partition(", not")[0])
    assert found is not None
    assert found[1] == KINDS[keyword]
    strategy: Any = eval(found[0], {"tenacity": tenacity})
    retry(**{keyword: strategy})


@pytest.mark.parametrize("keyword", ["before_sleep", "before", "after"])
def test_tenacitys_callbacks_are_answered_with_what_there_is(keyword: str) -> None:
    """The events that a report keeps: there is no listener to pass."""
    with pytest.raises(TypeError, match=r"with report\(\) as r:.* events\.(\w+)") as told:
        retry(**{keyword: print})  # type: ignore[call-overload]
    found = re.search(r"events\.(\w+)", str(told.value))
    assert found is not None
    kind = getattr(events, found[1])

    @retry(attempts=2)
    def ask() -> str:
        raise ConnectionError("down")

    with FakeRuntime(), report() as r, pytest.raises(ConnectionError):
        ask()
    assert [each for each in r.calls[0].events if isinstance(each, kind)]
