"""Where policies stand among each other."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard import Policy, breaker, fallback, guard, retry, timeout


def names(chain: guard) -> list[str]:
    """The policies of a guard, outermost first."""
    return [policy.name for policy in chain.policies]


def backup() -> str:
    """Answer in place of the primary."""
    return "backup"


class Mine(Policy):
    """A policy whose place nobody knows."""


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ([retry(), timeout(1)], breaker(), ["retry", "breaker", "timeout"]),
        ([retry(), timeout(1)], fallback(backup), ["fallback", "retry", "timeout"]),
        ([fallback(backup), timeout(1)], retry(), ["fallback", "retry", "timeout"]),
        ([fallback(backup), retry()], timeout(1), ["fallback", "retry", "timeout"]),
        ([retry(), timeout(1)], Mine(), ["retry", "timeout", "mine"]),
    ],
)
def test_a_policy_is_added_where_it_belongs(
    before: list[Policy], added: Any, after: list[str]
) -> None:
    """`with_` keeps the canonical order; what has no place in it comes innermost."""
    assert names(guard(*before).with_(added)) == after


def test_a_policy_of_the_same_name_is_replaced_where_it_stands() -> None:
    """`with_` exchanges the settings of a policy without moving it."""
    chain = guard(timeout(9), retry()).with_(timeout(3))
    assert repr(chain) == "guard(timeout(3), retry())"
