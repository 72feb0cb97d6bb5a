"""budget() against a reference that adds up, over stores and windows, and what late answers do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentguard import budget, errors, fallback, guard, retry, timeout
from agentguard.budgeting.period import Period
from agentguard.policies.budget import Budget
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.open import open_store
from agentguard.testing import FakeRuntime
from tests.policies.test_budget import answer

LIMIT = 100


class Machine(RuleBasedStateMachine):
    """Calls of known size, begun and ended in any order, one process, one clock.

    The reference: what is used and what is under way never exceed the limit together; a call is
    let through exactly if its size fits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.time = FakeRuntime()
        self.time.__enter__()
        self.policy = budget(output_tokens=LIMIT, per="minute")
        self.under_way: list[tuple[Any, int, float]] = []
        self.used: dict[float, int] = {}
        self.extra: dict[float, int] = {}

    def teardown(self) -> None:
        for stream, _, _ in self.under_way:
            stream.close()
        self.time.__exit__(None, None, None)

    @property
    def window(self) -> float:
        return self.time.time() // 60

    def limit(self) -> int:
        return LIMIT + self.extra.get(self.window, 0)

    def taken(self) -> int:
        held = sum(size for _, size, window in self.under_way if window == self.window)
        return self.used.get(self.window, 0) + held

    @rule(size=st.integers(1, 60), model=st.sampled_from(["a", "b"]))
    def begin(self, size: int, model: str) -> None:
        """A stream whose caller bounds it; it is let through, if need be with a smaller bound."""

        @guard(self.policy, abandon_after=1e9)
        def ask(*, model: str, max_tokens: int) -> Any:
            told.append(max_tokens)
            yield {"model": model, "choices": [{"delta": {"content": "x"}}]}
            usage = {"prompt_tokens": 0, "completion_tokens": max_tokens}
            yield {
                "model": model,
                "choices": [{"delta": {}, "finish_reason": "stop"}],
                "usage": usage,
            }

        told: list[int] = []
        stream = ask(model=model, max_tokens=size)
        left = self.limit() - self.taken()
        if left < 1:
            with pytest.raises(errors.BudgetExceeded) as caught:
                next(stream)
            assert (caught.value.used, caught.value.limit) == (self.taken(), self.limit())
            assert told == []
            return
        next(stream)
        assert told == [min(size, left)]
        self.under_way.append((stream, told[0], self.window))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """One of them ends and is booked where it began."""
        at = data.draw(st.integers(0, len(self.under_way) - 1))
        stream, size, window = self.under_way.pop(at)
        list(stream)
        self.used[window] = self.used.get(window, 0) + size

    @rule()
    def fail(self) -> None:
        """A failure before any work costs nothing."""

        @self.policy
        def ask(*, max_tokens: int) -> Any:
            raise ConnectionError

        with pytest.raises((ConnectionError, errors.BudgetExceeded)):
            ask(max_tokens=1)

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def later(self, seconds: int) -> None:
        """Time passes."""
        self.time.advance(seconds)

    @rule(amount=st.integers(1, 20))
    def grant(self, amount: int) -> None:
        """More for this window."""
        self.policy.grant(output_tokens=amount)
        self.extra[self.window] = self.extra.get(self.window, 0) + amount

    @invariant()
    def agrees(self) -> None:
        """The policy tells what the reference has added up, and it is within the limit."""
        standing = self.policy.status()["output_tokens"]
        used = self.used.get(self.window, 0)
        assert standing.used == used
        assert standing.used + standing.reserved == self.taken() <= self.limit()
        assert standing.limit == self.limit()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def at(text: str) -> float:
    """Seconds since the epoch of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("per", "zone", "now", "name", "ends"),
    [
        ("minute", "UTC", "2026-11-22T10:20:30", "minute 2026-11-22T10:20Z", "2026-11-22T10:21"),
        ("hour", "Asia/Kolkata", "2026-11-22T10:20", "hour 2026-11-22T09:30Z", "2026-11-22T10:30"),
        ("day", "Asia/Seoul", "2026-11-22T14:59", "day 2026-11-22 Asia/Seoul", "2026-11-22T15:00"),
        ("day", "Asia/Seoul", "2026-11-22T15:00", "day 2026-11-23 Asia/Seoul", "2026-11-23T15:00"),
        ("week", "UTC", "2026-11-22T23:59", "week 2026-11-16 UTC", "2026-11-23T00:00"),
        ("month", "UTC", "2026-12-31T23:59", "month 2026-12 UTC", "2027-01-01T00:00"),
        (
            "day",
            "America/New_York",  # clocks are put back: a day of 25 hours
            "2026-11-01T12:00",
            "day 2026-11-01 America/New_York",
            "2026-11-02T05:00",
        ),
    ],
)
def test_calendar_windows(per: str, zone: str, now: str, name: str, ends: str) -> None:
    """Named by their beginning, ending where the zone's calendar says."""
    period = Period(per, zone)
    window = period.window(at(now))
    assert (window.id, window.ends) == (name, at(ends))
    assert period.window(at(ends) - 0.001) is window
    assert period.window(at(ends)).id != name
    assert period.renews(at(now)) == at(ends) - at(now)
    assert Period(per, ZoneInfo(zone)).window(at(now)).ends == at(ends)


@pytest.mark.parametrize("per", ["60s", timedelta(minutes=1)], ids=["text", "timedelta"])
def test_rolling_windows(per: Any) -> None:
    """What was used a minute ago counts no more, what was used since does."""
    policy = budget(requests=2, per=per)
    ask = policy(lambda: answer())  # noqa: PLW0108
    with FakeRuntime() as time:
        ask()
        time.advance(40)
        ask()
        with pytest.raises(errors.BudgetExceeded) as caught:
            ask()
        assert caught.value.retry_after is not None
        time.advance(22)
        ask()
        with pytest.raises(errors.BudgetExceeded):
            ask()


@pytest.mark.parametrize("place", ["sqlite", "memory"])
def test_a_store_is_shared_under_a_name(tmp_path: Any, place: str) -> None:
    """Two policies of one name spend from the same budget, of another name they do not."""
    store: Any = f"sqlite:///{tmp_path / 'b.db'}" if place == "sqlite" else MemoryLedger()

    def made(name: str) -> Budget:
        return budget(requests=2, name=name, store=store)

    made("one")(answer)()
    made("one")(answer)()
    with pytest.raises(errors.BudgetExceeded):
        made("one")(answer)()
    made("two")(answer)()
    assert made("one").status()["requests"].used == 2


async def test_a_store_is_never_called_on_the_loop(tmp_path: Any) -> None:
    """It may block: an async call asks it from a worker thread."""
    threads: set[int] = set()

    class Watched(MemoryLedger):
        remote = True

        def reserve_all(self, *args: Any) -> Any:
            threads.add(threading.get_ident())
            return super().reserve_all(*args)

        def settle_all(self, *args: Any) -> Any:
            threads.add(threading.get_ident())
            return super().settle_all(*args)

    policy = budget(tokens=1000, name="n", store=Watched())

    @policy
    async def ask() -> Any:
        return answer()

    await ask()
    assert threads
    assert threading.get_ident() not in threads
    assert policy.used == 110
    open_store().close()


def test_a_late_answer_is_booked() -> None:
    """A sync call that ran out of time leaves a worker; what it brings is paid for exactly."""
    policy = budget(tokens=10_000, expect=500)
    go = threading.Event()

    def ask() -> Any:
        go.wait(10)
        return answer()

    with pytest.raises(errors.Timeout):
        guard(policy, timeout(0.05))(ask)()
    assert policy.status()["tokens"].reserved > 0
    go.set()
    for _ in range(500):
        if policy.used:
            break
        threading.Event().wait(0.01)
    standing = policy.status()["tokens"]
    assert (standing.used, standing.reserved) == (110, 0)


@pytest.mark.parametrize(("lost", "used"), [("charge", 500), ("refund", 0)])
def test_what_never_comes_back_expires(lost: Any, used: int) -> None:
    """The lease of a call that was given up is charged or refunded."""
    policy = budget(output_tokens=10_000, expect=500, lost=lost, lease=60)
    go = threading.Event()

    def ask() -> Any:
        go.wait(30)
        raise ConnectionError

    try:
        with pytest.raises(errors.Timeout):
            guard(policy, timeout(0.05))(ask)()
        with FakeRuntime() as time:
            time.advance(3600 * 24 * 365 * 100)
            standing = policy.status()["output_tokens"]
        assert (standing.used, standing.reserved) == (used, 0)
    finally:
        go.set()


def test_a_long_stream_renews_its_lease() -> None:
    """It is not taken for a dead holder's."""
    renewed: list[float] = []

    class Watched(MemoryLedger):
        def renew(self, lease: Any, now: float, expires: float) -> bool:
            renewed.append(expires - now)
            return super().renew(lease, now, expires)

    policy = budget(output_tokens=1000, name="n", store=Watched(), lease=60)
    with FakeRuntime() as time:

        @policy
        def ask() -> Any:
            for _ in range(10):
                time.advance(25)
                yield {"model": "gpt-4o", "choices": [{"delta": {"content": "x"}}]}
            yield {
                "model": "gpt-4o",
                "choices": [{"delta": {}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 10},
            }

        list(ask())
        assert policy.used == 10
    assert len(renewed) >= 4
    assert set(renewed) == {60}


def test_budget_inside_fallback_is_an_unsafe_order() -> None:
    """Its targets would spend unseen."""
    policies = fallback(lambda: answer()), budget(requests=1)  # noqa: PLW0108
    with pytest.raises(ValueError, match="budget inside fallback"):
        guard(*policies, strict=True)
    assert [each.name for each in guard(retry()).with_(budget(requests=1)).policies] == [
        "budget",
        "retry",
    ]
