from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.circuit.window import SLICES, CountWindow, TimeWindow, window_maker

votes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
timed = st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(size=st.integers(1, 10), seen=votes)
def test_a_count_window_holds_exactly_the_latest_calls(size, seen) -> None:
    """The counts are those of the latest `size` calls, and of nothing before them."""
    window = CountWindow(size)
    for done, (failed, slow) in enumerate(seen, 1):
        counts = window.record(0.0, failed=failed, slow=slow)
        latest = seen[:done][-size:]
        assert counts.calls == len(latest)
        assert counts.failures == sum(f for f, _ in latest)
        assert counts.slow == sum(s for _, s in latest)


@given(seconds=st.floats(1, 20), seen=timed)
def test_a_time_window_forgets_within_one_slice_of_its_length(seconds, seen) -> None:
    """Every call of the latest seconds less a slice is in it, and none older than its length."""
    window, now, calls = TimeWindow(seconds), 0.0, []
    for wait, failed, slow in seen:
        now += wait
        counts = window.record(now, failed=failed, slow=slow)
        calls.append((now, failed))
        slice_ = seconds / SLICES
        sure = [f for at, f in calls if at > now - seconds + slice_ + 1e-6]
        most = [f for at, f in calls if at >= now - seconds - 1e-6]
        assert len(sure) <= counts.calls <= len(most)
        assert sum(sure) <= counts.failures <= sum(most)


def test_a_time_window_keeps_no_more_than_its_slices() -> None:
    """Its size depends on its slices, not on the load."""
    window = TimeWindow(10)
    for number in range(10_000):
        window.record(number / 100, failed=False, slow=False)
    assert len(window._slices) <= SLICES


def test_clearing_forgets_everything() -> None:
    """After `clear` the next call is the only one."""
    for window in (CountWindow(3), TimeWindow(3)):
        window.record(0, failed=True, slow=True)
        window.clear()
        assert window.record(0, failed=False, slow=False) == (1, 0, 0)


@pytest.mark.parametrize(
    ("spelled", "kind", "size"),
    [
        (50, CountWindow, 50),
        ("60s", TimeWindow, 60),
        ("1.5m", TimeWindow, 90),
        ("2h", TimeWindow, 7200),
        ("500ms", TimeWindow, 0.5),
        (timedelta(minutes=2), TimeWindow, 120),
    ],
)
def test_a_number_is_calls_and_a_time_names_its_unit(spelled, kind, size) -> None:
    """`window=100` counts calls, `window="60s"` and timedeltas are times."""
    window = window_maker(spelled)()
    assert type(window) is kind
    assert (window.size if kind is CountWindow else window.seconds) == size


@pytest.mark.parametrize("wrong", [60.0, "60", "a minute", None, True, 0, -1, "0s", timedelta(0)])
def test_an_unclear_window_is_refused(wrong) -> None:
    """A bare float could be calls or seconds: it and other riddles are refused with an example."""
    with pytest.raises((TypeError, ValueError), match=r"breaker\(window=\)"):
        window_maker(wrong)
