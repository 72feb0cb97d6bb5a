from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentguard.retrying.backoff import FIRST, LONGEST, delay

chances = st.floats(0, 1, exclude_max=True, allow_subnormal=False)


@given(failures=st.integers(1, 10_000), chance=chances)
def test_every_wait_lies_between_zero_and_the_cap(failures: int, chance: float) -> None:
    """Full jitter draws from the whole interval below the exponential step, never above the cap."""
    step = min(LONGEST, FIRST * 2 ** min(failures - 1, 64))
    assert 0 <= delay(failures, chance) <= step


@given(failures=st.integers(1, 1000), chance=chances)
def test_the_bound_doubles_until_the_cap(failures: int, chance: float) -> None:
    """One more failure doubles the interval, until it is the cap's."""
    now, later = delay(failures, chance), delay(failures + 1, chance)
    assert now <= later <= 2 * now
    if FIRST * 2 ** (failures) <= LONGEST:
        assert later == 2 * now


@given(failures=st.integers(1, 1000), low=chances, high=chances)
def test_chance_spreads_evenly(failures: int, low: float, high: float) -> None:
    """The wait is proportional to chance: uniform chance gives uniform waits."""
    assert delay(failures, low) * high == delay(failures, high) * low or (
        abs(delay(failures, low) * high - delay(failures, high) * low) < 1e-9
    )


def test_the_first_intervals_are_those_documented() -> None:
    """0.5 s, 1 s, 2 s ... capped at 20 s, however many failures there were."""
    bounds = [delay(n, 1.0) for n in range(1, 9)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert delay(10**9, 1.0) == 20.0
