"""What a newcomer runs into who knows the documentation and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from agentguard import breaker, deadline, fallback, guard, retry
from agentguard.testing import FakeRuntime


def down(question: str) -> str:
    """A provider in an outage."""
    raise ConnectionError(question)


def backup(question: str) -> str:
    """A fallback target."""
    return f"backup: {question}"


def test_a_backup_answers_at_once_while_the_circuit_is_open() -> None:
    """A deadline has a retry wait for a circuit, but not while a fallback stands by."""
    ask = guard(fallback(backup), retry(), breaker(fail_max=1, reset_timeout=20))(down)
    with FakeRuntime() as time:
        ask("opens the circuit")
        began = time.now
        with deadline(25):
            assert ask("?") == "backup: ?"
        assert time.now == began


def test_a_backup_for_other_failures_does_not_spare_the_wait() -> None:
    """A fallback that has no answer to an open circuit leaves the retry as it is."""
    ask = guard(
        fallback(backup, on="context_length"), retry(), breaker(fail_max=1, reset_timeout=20)
    )(down)
    with FakeRuntime() as time, deadline(25), pytest.raises(ConnectionError):
        ask("?")
    assert time.now >= 20


def test_targets_in_a_list_are_refused_with_what_to_write() -> None:
    """As a `fallbacks=[...]` of other libraries would have them."""
    with pytest.raises(TypeError, match=r"one by one: fallback\(first, second\)"):
        fallback([backup, backup])  # type: ignore[arg-type]


def test_a_fixed_answer_is_told_from_a_model() -> None:
    """A string may be meant as either."""
    with pytest.raises(TypeError, match="for a fixed answer"):
        fallback("I cannot answer at the moment.")  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", [{"window": "60s"}, {"minimum_calls": 20}])
def test_a_window_that_would_do_nothing_is_refused(setting: dict[str, Any]) -> None:
    """`fail_max` counts failures in a row: it has no window, and silence would hide that."""
    with pytest.raises(TypeError, match="failure_rate="):
        breaker(fail_max=5, **setting)
    breaker(slow_call=5, **setting)
    breaker(failure_rate=0.5, **setting)
