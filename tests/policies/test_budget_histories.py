"""Two budgets over every call, on each store: any history of calls leaves what a reference adds up."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentguard import budget, context, count_tokens, errors, fallback, guard, timeout
from agentguard.engine.loop import held
from agentguard.stores import redis_client, sqlite_file
from agentguard.stores.open import open_store
from agentguard.testing import FakeRuntime, turns
from agentguard.testing.clock import pause
from tests.engine.test_cancellation import everything_settled
from tests.policies.redis_server import RedisServer
from tests.policies.test_budget import answer

MODEL = "gpt-4o"
TOKENS, REQUESTS = 100, 30
USERS = st.sampled_from(["ann", "bob"])
histories = itertools.count()


class Account:
    """What the reference knows of one budget and unit, for one user or for all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used: Counter[int] = Counter()
        self.extra: Counter[int] = Counter()
        self.held: dict[object, tuple[int, int]] = {}

    def left(self, window: int) -> int:
        held = sum(amount for at, amount in self.held.values() if at == window)
        return self.limit + self.extra[window] - self.used[window] - held

    def hold(self, whose: object, window: int, amount: int) -> None:
        self.held[whose] = window, amount

    def settle(self, whose: object, used: int) -> None:
        window, _ = self.held.pop(whose)
        self.used[window] += used


class Under:
    """One stream under way."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.told = 0
        self.sent: list[str] = []
        self.stream: Any = None


class Histories(RuleBasedStateMachine):
    """Streams that begin, end, break off, fall back, are cancelled, late or cut, of two users.

    The outer budget counts the tokens of all; the inner one tokens and requests of each user.
    """

    store: Any

    def __init__(self) -> None:
        super().__init__()
        self.time = FakeRuntime()
        self.time.__enter__()
        number = next(histories)
        common: dict[str, Any] = {"per": "minute", "store": self.store, "lease": 1e6, "expect": 5}
        self.outer = budget(output_tokens=TOKENS, name=f"all {number}", **common)
        self.inner = budget(
            output_tokens=TOKENS * 2 // 3,
            requests=REQUESTS,
            by="user",
            name=f"each {number}",
            **common,
        )
        self.all = Account(TOKENS)
        self.tokens = {user: Account(TOKENS * 2 // 3) for user in ("ann", "bob")}
        self.requests = {user: Account(REQUESTS) for user in ("ann", "bob")}
        self.under_way: list[Under] = []

    def teardown(self) -> None:
        for each in self.under_way:
            each.stream.close()
        self.time.__exit__(None, None, None)

    @property
    def window(self) -> int:
        return int(self.time.time() // 60)

    def fits(self, user: str, size: int) -> int:
        """What the provider will be told, as both budgets see it; 0 for a refusal."""
        if self.requests[user].left(self.window) < 1:
            return 0
        left = self.all.left(self.window), self.tokens[user].left(self.window)
        return max(min(size, *left), 0)

    def take(self, whose: object, user: str, size: int) -> None:
        """Both budgets set their part aside; the outer is asked first, and sees no later cap."""
        outer = min(size, self.all.left(self.window))
        inner = min(outer, self.tokens[user].left(self.window))
        self.all.hold(whose, self.window, outer)
        self.tokens[user].hold(whose, self.window, inner)
        self.requests[user].hold(whose, self.window, 1)

    def book(self, whose: object, user: str, used: int) -> None:
        self.all.settle(whose, used)
        self.tokens[user].settle(whose, used)
        self.requests[user].settle(whose, 1)

    def guarded(self, fn: Any, *inside: Any) -> Any:
        return guard(self.outer, self.inner, *inside, abandon_after=1e9)(fn)

    def streaming(self, under: Under, *, fails: bool = False) -> Any:
        def ask(*, model: str, max_tokens: int) -> Iterator[Any]:
            if fails:
                raise ConnectionError
            under.told = max_tokens
            for _ in range(max_tokens):
                under.sent.append(" a")
                yield {"model": model, "choices": [{"delta": {"content": " a"}}]}
            usage = {"prompt_tokens": 0, "completion_tokens": max_tokens}
            choice = {"delta": {}, "finish_reason": "stop"}
            yield {"model": model, "choices": [choice], "usage": usage}

        return ask

    @rule(size=st.integers(1, 60), user=USERS, falls=st.booleans())
    def begin(self, size: int, user: str, falls: bool) -> None:
        """A stream whose caller bounds it, perhaps of a fallback's, is let through if it fits."""
        under, expected = Under(user), self.fits(user, size)
        inside = [fallback(self.streaming(under))] if falls else []
        with context(user=user):
            stream = self.guarded(self.streaming(under, fails=falls), *inside)(
                model=MODEL, max_tokens=size
            )
            if falls and expected:
                self.requests[user].used[self.window] += 1  # the primary was asked
                expected = self.fits(user, size)
            if not expected:
                with pytest.raises((errors.BudgetExceeded, ConnectionError)):
                    next(stream)
                assert not under.sent
                return
            self.take(under, user, size)
            next(stream)
        assert under.told == expected
        under.stream = stream
        self.under_way.append(under)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), more=st.integers(0, 5))
    def leave(self, data: st.DataObject, more: int) -> None:
        """One of them is abandoned: what has arrived is estimated."""
        under = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        for _ in range(min(more, under.told - len(under.sent))):
            next(under.stream)
        under.stream.close()
        self.book(under, under.user, int(count_tokens("".join(under.sent), MODEL)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """One of them ends and is booked where it began."""
        under = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        list(under.stream)
        self.book(under, under.user, under.told)

    @rule(user=USERS, size=st.integers(1, 60))
    def pour(self, user: str, size: int) -> None:
        """A stream that nothing bounds sets more aside as it comes, and is cut where there is none."""
        sent: list[str] = []

        def ask(*, model: str) -> Iterator[Any]:
            for _ in range(size):
                sent.append(" a")
                yield {"model": model, "choices": [{"delta": {"content": " a"}}]}
            usage = {"prompt_tokens": 0, "completion_tokens": size}
            choice = {"delta": {}, "finish_reason": "stop"}
            yield {"model": model, "choices": [choice], "usage": usage}

        expected, room = self.fits(user, 5), self.fits(user, 10**6)
        with context(user=user):
            stream = self.guarded(ask)(model=MODEL)
            try:
                list(stream)
            except errors.BudgetExceeded:
                assert not expected or room <= size + 2
            else:
                assert size <= room
                assert len(sent) == size
        used = int(count_tokens("".join(sent), MODEL)) if sent else 0
        if expected:
            self.take(sent.append, user, 5)
            self.book(sent.append, user, used)

    @rule(user=USERS, size=st.integers(1, 30))
    def cancel(self, user: str, size: int) -> None:
        """A call that is cancelled is charged with all that was set aside for it."""

        async def ask(*, model: str, max_tokens: int) -> Any:
            began.set()
            await asyncio.Event().wait()

        async def scene() -> None:
            task = asyncio.create_task(self.guarded(ask)(model=MODEL, max_tokens=size))
            waiting = asyncio.create_task(began.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            task.cancel()
            await asyncio.wait({task})
            refused.append(not task.cancelled())
            if refused[0]:
                assert isinstance(task.exception(), errors.BudgetExceeded)
            end = time.monotonic() + 20  # real time: a store is really asked
            while held and time.monotonic() < end:
                await everything_settled()

        expected = self.fits(user, size)
        began, refused = asyncio.Event(), list[bool]()
        with context(user=user):
            asyncio.run(scene())
        assert refused == [not expected]
        if expected:
            whose = object()
            self.take(whose, user, size)
            outer, inner = self.all.held[whose][1], self.tokens[user].held[whose][1]
            self.all.settle(whose, outer)
            self.tokens[user].settle(whose, inner)
            self.requests[user].settle(whose, 1)
            self.eventually_agrees()

    @rule(user=USERS, size=st.integers(1, 30))
    def late(self, user: str, size: int) -> None:
        """A call that ran out of time keeps what was set aside until its worker comes back."""

        def ask(*, model: str, max_tokens: int) -> Any:
            told.append(max_tokens)
            pause(2)
            return answer(0, max_tokens, model)

        told: list[int] = []
        expected = self.fits(user, size)
        if expected:
            self.take(told.append, user, size)
        wanted = errors.Timeout if expected else errors.BudgetExceeded
        with context(user=user):
            try:
                self.guarded(ask, timeout(1))(model=MODEL, max_tokens=size)
            except wanted:
                self.agrees()
            else:
                assert (
                    expected
                )  # on a busy machine the worker may be in time: no other test's matter
        self.time.advance(3)
        if expected:
            assert told == [expected]
            self.book(told.append, user, expected)
            self.eventually_agrees()

    def eventually_agrees(self) -> None:
        """A worker that nobody waits for books in its own time."""
        for _ in range(100):
            with contextlib.suppress(AssertionError):
                return self.agrees()
            threading.Event().wait(0.005)
        return self.agrees()

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def later(self, seconds: int) -> None:
        """Time passes."""
        self.time.advance(seconds)

    @rule(amount=st.integers(1, 20), user=USERS)
    def grant(self, amount: int, user: str) -> None:
        """More for this window."""
        self.inner.grant(user, output_tokens=amount)
        self.tokens[user].extra[self.window] += amount

    @invariant()
    def agrees(self) -> None:
        """The policies tell what the reference has added up, and it is within the limits."""
        window = self.window
        pairs = [(self.outer.status()["output_tokens"], self.all)]
        for user in ("ann", "bob"):
            standing = self.inner.status(user)
            pairs += [
                (standing["output_tokens"], self.tokens[user]),
                (standing["requests"], self.requests[user]),
            ]
        for told, known in pairs:
            limit = known.limit + known.extra[window]
            assert (told.used, told.limit) == (known.used[window], limit)
            assert told.used + told.reserved == limit - known.left(window) <= limit


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A store that waits for long: a busy machine must not fail what is not about bounds of time."""
    monkeypatch.setattr(sqlite_file, "WITHIN", 30.0)
    monkeypatch.setattr(redis_client, "WITHIN", 30.0)
    monkeypatch.setattr(redis_client, "_SOCKET", 30.0)
    monkeypatch.setattr(turns, "_TICK", 3.0)  # a store is really asked, while time holds still
    server = RedisServer() if request.param == "redis" else None
    if server is not None:
        server.start()
        ledger = open_store(f"redis://127.0.0.1:{server.port}/0")
    else:
        url = f"sqlite:///{tmp_path / 'budgets.db'}" if request.param == "sqlite" else None
        ledger = open_store(url)
    yield ledger
    ledger.close()
    if server is not None:
        server.stop()


def run(store: Any, examples: int) -> None:
    """Run that many histories on one store."""
    machine = type("OnStore", (Histories,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=examples < 100,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_histories(store: Any) -> None:
    """Any history of calls leaves both budgets as the reference says."""
    run(store, 15)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_histories(store: Any) -> None:
    """The same, longer and at random."""
    run(store, 200)
