from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.circuit.rules import Rules
from agentguard.circuit.window import Counts


def rules(failure=None, slow=None, minimum=1, growth=1.0, longest=600.0):
    """Rules, with only what a test is about."""
    return Rules(failure, slow, 2.0 if slow else None, 100, minimum, growth, longest)


@pytest.mark.parametrize(
    ("failures", "broken"), [(4, False), (5, True), (6, True)], ids=["below", "at", "above"]
)
def test_a_rate_that_is_reached_opens(failures, broken) -> None:
    """At exactly the rate the circuit opens."""
    assert bool(rules(failure=0.5).broken(Counts(10, failures, 0))) is broken


def test_no_rate_is_judged_on_too_few_calls() -> None:
    """Below `minimum_calls` even nothing but failures is no rate."""
    assert rules(failure=0.5, minimum=10).broken(Counts(9, 9, 9)) is None


def test_slow_calls_have_a_rate_of_their_own() -> None:
    """Slow calls open a circuit that has no failures, and the reason says what slow means."""
    reason = rules(slow=0.5).broken(Counts(4, 0, 2))
    assert reason == "2 of the latest 4 calls took 2 s or longer to begin"


def test_the_provider_knows_best_how_long() -> None:
    """A Retry-After takes the place of reset_timeout, shorter or longer, up to the maximum."""
    one = rules(longest=100)
    assert one.open_seconds(60, 0, 7.5) == 7.5
    assert one.open_seconds(60, 3, 90) == 90
    assert one.open_seconds(60, 0, 3600) == 100
    assert one.open_seconds(60, 0, 0) == 60


@given(openings=st.integers(0, 5000), growth=st.floats(1, 10), base=st.floats(0.1, 1000))
def test_the_open_time_grows_up_to_its_maximum(openings, growth, base) -> None:
    """It never shrinks with more openings, and ends at the maximum whatever the numbers are."""
    one = rules(growth=growth, longest=300)
    seconds, later = (one.open_seconds(base, n, None) for n in (openings, openings + 1))
    assert base <= seconds <= later <= max(300, base)
