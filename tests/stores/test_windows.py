"""Rolling windows: no stretch of their length ever holds more than the limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.stores.memory import MemoryLedger
from agentguard.stores.windows import rolling
from tests.stores.kit import account, take

SECONDS, CEILING = 60.0, 100


@given(
    parts=st.sampled_from([1, 2, 6, 60]),
    calls=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 60)), max_size=60),
)
def test_no_stretch_holds_more_than_the_limit(parts: int, calls: list[tuple[float, int]]):
    """Whenever calls come, those that were let through in any sixty seconds fit the limit."""
    ledger, now, passed = MemoryLedger(), 1000.0, []
    for pause, amount in calls:
        now += pause
        mine = account(window=rolling(SECONDS, now, parts))
        lease = take(ledger, mine, amount, limit=CEILING, now=now, expires=now + 5)
        if lease is not None:
            ledger.settle(lease, amount, CEILING, now)
            passed.append((now, amount))
    for begin, _ in passed:
        assert sum(n for at, n in passed if begin <= at < begin + SECONDS) <= CEILING


@pytest.mark.parametrize("parts", [1, 6, 60])
def test_room_comes_back_at_most_one_part_late(parts: int):
    """What was used at some moment is free again a window and a part later."""
    for moment in (1000.0, 1000.5, 1009.9):
        ledger = MemoryLedger()
        mine = account(window=rolling(SECONDS, moment, parts))
        ledger.settle(take(ledger, mine, 100, now=moment, expires=2000), 100, CEILING, moment)
        later = moment + SECONDS + SECONDS / parts
        assert ledger.status(account(window=rolling(SECONDS, later, parts)), later).used == 0


def test_windows_of_another_length_are_others():
    """A limit whose window was changed does not add up parts of different lengths."""
    ids = {rolling(length, 0.0, parts).id for length in (60, 3600) for parts in (6, 60)}
    assert len(ids) == 4
