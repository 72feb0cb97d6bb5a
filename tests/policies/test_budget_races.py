"""budget() raced to the last cent by processes that are killed, and over a Redis that is."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentguard import errors
from agentguard.stores.ledger import Status, StoreUnavailable
from tests.policies.budget_racer import LONGEST, NANO_A_TOKEN, answering, race_budget
from tests.policies.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
CALL = 2 * LONGEST * NANO_A_TOKEN
"""Nano-dollars: no call sets more aside."""


def noon() -> str:
    """A time zone in which no day ends during the test."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


def durable(folder: Path) -> RedisServer:
    """A server that a kill costs nothing it has answered."""
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder))
    server.start()
    return server


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that processes share."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'budgets.db'}"
        return
    server = durable(tmp_path)
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


def spent(journal: Path) -> int:
    """What the provider would have billed."""
    return sum(map(int, journal.read_text().split())) if journal.exists() else 0


def stands(store: str, usd: str, tz: str) -> Status:
    """How the budget stands once all leases are over, however busy the store was until now."""
    policy = race_budget(store, usd, tz, 1.0)
    account = policy.account("", "usd", time.time())
    try:
        for _ in range(100):
            with contextlib.suppress(StoreUnavailable):
                return policy.ledger.status(account, time.time() + 3600)
        raise AssertionError("the store never answered")
    finally:
        policy.ledger.close()


@pytest.mark.parametrize(
    ("processes", "threads", "kills", "calls"),
    [
        pytest.param(3, 4, 2, 200, id="small"),
        pytest.param(8, 16, 25, 8000, id="large", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(600)
def test_processes_race_to_the_last_cent_and_are_killed(
    store: str, tmp_path: Path, processes: int, threads: int, kills: int, calls: int
) -> None:
    """Whoever is killed wherever: what was billed is booked, the limit holds, nothing stays reserved."""
    journal, tz, chance = tmp_path / "journal", noon(), random.Random()
    limit = calls * (5 + LONGEST // 2) * NANO_A_TOKEN // 2
    usd = str(limit / 1e9)

    def start() -> subprocess.Popen[bytes]:
        words = (store, usd, tz, str(threads), "2.0", str(journal))
        return subprocess.Popen(
            [sys.executable, "-m", "tests.policies.budget_racer", *words],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )

    told = b""
    running = [start() for _ in range(processes)]
    for killed in range(kills):
        while spent(journal) < limit * (killed + 1) / (kills + 5) / 2:
            time.sleep(chance.uniform(0.001, 0.02))
        victim = running.pop(chance.randrange(len(running)))
        assert victim.poll() is None, "it was not killed while it raced"
        victim.send_signal(signal.SIGKILL)
        told += victim.communicate()[1]
        running.append(start())
    for each in running:
        told += each.communicate()[1]
        assert each.returncode == 0, told.decode()
    assert b"Traceback" not in told, told.decode()
    status = stands(store, usd, tz)
    sys.stdout.write(f"\n{status}, billed for certain {spent(journal)} of {limit}\n")  # shown by -s
    assert spent(journal) <= status.used <= limit
    assert status.reserved == 0
    assert limit - status.used < CALL  # they did race to the end


@pytest.mark.parametrize(
    "outages", [pytest.param(2, id="small"), pytest.param(15, id="large", marks=pytest.mark.long)]
)
@pytest.mark.timeout(300)
def test_redis_is_stopped_and_restarted_under_load(tmp_path: Path, outages: int) -> None:
    """Calls are refused while it is away and go on when it is back; what was billed is booked."""
    server, tz = durable(tmp_path), noon()
    store = f"redis://127.0.0.1:{server.port}/0"
    policy = race_budget(store, "9000", tz, 2.0)
    billed: list[int] = []
    refused: list[errors.BudgetExceeded] = []
    wrong: list[BaseException] = []
    over = threading.Event()
    calls = answering(policy, billed.append)

    def run(call: Any) -> None:
        while not over.is_set():
            try:
                call()
            except errors.BudgetExceeded as error:
                refused.append(error)
                time.sleep(0.01)
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=run, args=[calls[n % len(calls)]]) for n in range(8)]
    for each in threads:
        each.start()
    served: list[int] = []
    for _ in range(outages):
        time.sleep(0.3)
        server.stop()
        time.sleep(0.2)
        server.start()
        served.append(len(billed))
    deadline = time.monotonic() + 20
    while len(billed) <= served[-1] and time.monotonic() < deadline:
        time.sleep(0.01)
    over.set()
    for each in threads:
        each.join()
    policy.ledger.close()
    status = stands(store, "9000", tz)
    server.stop()
    sys.stdout.write(f"\n{len(billed)} calls, {len(refused)} refused, {status}\n")
    assert not wrong
    assert refused, "there was no outage"
    assert {error.limit for error in refused} == {None}, "only the store was in the way"
    assert len(billed) > served[-1], "it did not go on"
    assert status.reserved == 0
    # A call whose booking or whose answer was lost is charged with what it set aside.
    assert sum(billed) <= status.used <= sum(billed) + CALL * (len(refused) + 8 * outages)
