"""Numbers without an end: what means "no bound" elsewhere must not break calls here."""

from __future__ import annotations

import math
import time

import pytest

from agentguard import deadline, retry, timeout
from agentguard.engine.clock import Clock


def slowly() -> str:
    """A call of a model."""
    time.sleep(0.02)  # longer than a worker takes to be waited for
    return "42"


@pytest.mark.parametrize("seconds", [math.inf, 1e10, 1e300])
def test_a_bound_may_be_as_long_as_you_like(seconds: float) -> None:
    """A huge or infinite bound is no bound, in sync calls too."""
    assert timeout(seconds)(slowly)() == "42"
    with deadline(seconds):
        assert retry(slowly)() == "42"

    @timeout(idle=seconds)
    def tell():
        yield slowly()
        yield slowly()

    assert list(tell()) == ["42", "42"]


def test_a_wait_longer_than_the_system_can_count_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """time.sleep refuses what does not fit its counter: the longest it takes is long enough."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    Clock().sleep(1e300)
    assert slept[0] < 1e10
