"""How often the same thing is told: nothing is lost from the count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentguard.alerts.rate import Rate

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=60)


@given(STEPS)
def test_whatever_is_held_back_is_counted(steps: list[tuple[str, int]]) -> None:
    """One in 60 seconds of each subject; the counts add up to what was held back."""
    rate, now = Rate(60), 0
    last: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for subject, pause in steps:
        now += pause
        due = subject not in last or now - last[subject] >= 60
        found = rate.take(subject, now)
        if due:
            assert found == waiting.pop(subject, 0)
            last[subject] = now
        else:
            assert found is None
            waiting[subject] = waiting.get(subject, 0) + 1
    assert rate.suppressed >= sum(waiting.values())


def test_subjects_are_bounded() -> None:
    """The one that was told of longest ago is forgotten first."""
    rate = Rate(60)
    for number in range(1025):
        assert rate.take(number, 0) == 0
    assert rate.take(1, 1) is None
    assert rate.take(0, 1) == 0
