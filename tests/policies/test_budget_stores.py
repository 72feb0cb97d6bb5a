"""budget() on SQLite and a real Redis: threads and loops race, the server dies and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentguard import budget, context, errors, events, report
from agentguard.policies.budget import Budget
from agentguard.stores import redis_client, sqlite_file
from agentguard.stores.open import open_store
from tests.policies.redis_server import RedisServer
from tests.policies.test_budget import answer, chunks


@pytest.fixture(scope="module")
def started() -> Iterator[RedisServer]:
    """One server for this file."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(started: RedisServer) -> RedisServer:
    """The server, empty and answering."""
    client = started.client()
    client.flushall()
    client.close()
    return started


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not fail what is not about bounds of time."""
    monkeypatch.setattr(sqlite_file, "WITHIN", 30.0)
    monkeypatch.setattr(redis_client, "WITHIN", 30.0)
    monkeypatch.setattr(redis_client, "_SOCKET", 30.0)


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path, patient: None) -> Iterator[Any]:
    """A store, closed at the end."""
    if request.param == "redis":
        ledger = open_store(f"redis://127.0.0.1:{request.getfixturevalue('server').port}/0")
    else:
        ledger = open_store(f"sqlite:///{tmp_path / 'budgets.db'}")
    yield ledger
    ledger.close()


def made(store: Any, **settings: Any) -> Budget:
    """A policy as another process would make it."""
    return budget(name="support", store=store, **settings)


def test_threads_and_loops_race_to_the_last_unit(store: Any) -> None:
    """Sync threads and event loops over two policies of one name: exactly the limit passes."""
    first, second = made(store, requests=60), made(store, requests=60)

    @first
    def ask() -> Any:
        return answer()

    @second
    async def aask() -> Any:
        await asyncio.sleep(0)
        return answer()

    def sync() -> int:
        passed = 0
        for _ in range(10):
            try:
                ask()
            except errors.BudgetExceeded:
                continue
            passed += 1
        return passed

    async def many() -> int:
        done = await asyncio.gather(*(aask() for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in done} <= {dict, errors.BudgetExceeded}
        return sum(isinstance(each, dict) for each in done)

    with ThreadPoolExecutor(8) as pool:
        racing = [pool.submit(sync) for _ in range(6)]
        racing += [pool.submit(lambda: asyncio.run(many())) for _ in range(2)]
        passed = sum(each.result() for each in racing)
    assert passed == 60
    standing = first.status()["requests"]
    assert (standing.used, standing.reserved, standing.left) == (60, 0, 0)


def test_streams_set_more_aside_in_the_store(store: Any) -> None:
    """Beyond what was expected, and are cut where there is no more."""
    policy = made(store, output_tokens=330, expect=5)

    @policy
    async def ask() -> Any:
        for chunk in chunks(["one two three "] * 70, output_tokens=211):
            yield chunk

    async def use() -> list[Any]:
        return [each async for each in ask()]

    assert len(asyncio.run(use())) == 72
    with pytest.raises(errors.BudgetExceeded) as caught:
        asyncio.run(use())
    assert errors.partial(caught.value).text.startswith("one two three")  # type: ignore[union-attr]
    standing = policy.status()["output_tokens"]
    assert standing.reserved == 0
    assert 290 <= standing.used <= 330


def test_thresholds_and_keys(store: Any) -> None:
    """Told once, by whichever policy books what reaches it."""
    told: list[Any] = []
    settings: dict[str, Any] = {"requests": 4, "by": "user", "on_threshold": told.append}
    policies = [made(store, **settings) for _ in range(2)]
    with context(user="ann"):
        for turn in range(4):
            policies[turn % 2](answer)()
        with pytest.raises(errors.BudgetExceeded):
            policies[0](answer)()
        policies[0].grant("ann", requests=1)
        policies[1](answer)()
        policies[1].reset("ann")
        policies[0](answer)()
    assert [(each.percent, each.key) for each in told] == [
        (50, "ann"),
        (80, "ann"),
        (100, "ann"),
    ]


@pytest.mark.parametrize("then", ["refuse", "pass"])
def test_redis_dies_and_comes_back(server: RedisServer, then: Any) -> None:
    """Refused, or let through uncounted, at once and with an event; counted again afterwards."""
    url = f"redis://127.0.0.1:{server.port}/0"
    policy = budget(requests=100, name="n", store=url, on_store_failure=then)
    ask = policy(lambda: answer())  # noqa: PLW0108
    ask()
    server.stop()
    with report() as told:
        for _ in range(3):
            if then == "pass":
                ask()
            else:
                with pytest.raises(errors.BudgetExceeded, match="cannot reach its store"):
                    ask()
    failures = [e for c in told.calls for e in c.events if isinstance(e, events.StoreFailed)]
    assert len(failures) == 3
    assert str(server.port) not in repr(policy)
    server.start()
    deadline = time.monotonic() + 10
    while True:
        try:
            ask()
        except errors.BudgetExceeded:
            assert time.monotonic() < deadline
            continue
        if policy.status()["requests"].used:
            break
    policy.ledger.close()
