"""Races to the last unit: threads, processes, processes that are killed, a server that is."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.stores.ledger import Ledger, StoreUnavailable
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.open import open_store
from tests.policies.redis_server import RedisServer
from tests.stores import racer
from tests.stores.kit import DAY, LIMIT, Handles, account, take

ROOT = Path(__file__).parents[2]
RACE = account("all", racer.WINDOW, "usd")._replace(budget="race")


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that processes share; Redis keeps on disk whatever it has answered."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'budgets.db'}"
        return
    server = durable(tmp_path)
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture
def _eager() -> Iterator[None]:
    """Let threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def durable(folder: Path) -> RedisServer:
    """A server that a kill costs nothing it has answered."""
    return RedisServer("--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder))


def spent(journal: Path) -> int:
    """What racers wrote down before they settled it."""
    return sum(int(line.split()[0]) for line in journal.read_text().splitlines())


def stands(store: str):
    """The account once all leases are over, however busy the store was until now."""
    ledger = open_store(store)
    try:
        for _ in range(100):
            with contextlib.suppress(StoreUnavailable):
                return ledger.status(RACE, time.time() + 3600)
        raise AssertionError("the store never answered")
    finally:
        ledger.close()


def race(store: str, journal: Path, *, processes: int, threads: int, kills: int, limit: int):
    """Let processes race, replace those that are killed, and return how the account stands."""

    def start() -> subprocess.Popen[bytes]:
        words = (store, limit, threads, 50, 2.0, journal, "charge")
        return subprocess.Popen(
            [sys.executable, "-m", "tests.stores.racer", *map(str, words)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )

    chance, errors = random.Random(), b""
    running = [start() for _ in range(processes)]
    for killed in range(kills):
        while not journal.exists() or spent(journal) < limit * (killed + 1) / (kills + 5):
            time.sleep(chance.uniform(0.001, 0.02))
        victim = running.pop(chance.randrange(len(running)))
        assert victim.poll() is None, "it was not killed while it raced"
        victim.send_signal(signal.SIGKILL)
        errors += victim.communicate()[1]
        running.append(start())
    for each in running:
        errors += each.communicate()[1]
    assert not errors, errors.decode()
    return stands(store)


@pytest.mark.usefixtures("_eager")
def test_threads_race_to_the_last_unit(handles: Handles):
    """Of sixteen threads exactly as many get a unit as there are units."""
    limit, granted = 100, []
    start = threading.Barrier(16)

    def run() -> None:
        ledger = handles()
        start.wait()
        refused = 0
        while refused < 2:
            try:
                lease = take(ledger, account(), 1, limit=limit)
            except StoreUnavailable:  # a busy machine
                continue
            if lease is None:
                refused += 1
                continue
            granted.append(lease)
            while True:
                with contextlib.suppress(StoreUnavailable):
                    ledger.settle(lease, 1, limit, 1)
                    break

    threads = [threading.Thread(target=run) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    status = handles().status(account(), 1)
    assert status.used + status.reserved == limit
    assert len(granted) + status.reserved == limit


@pytest.mark.parametrize(
    ("processes", "threads", "kills", "limit"),
    [
        pytest.param(3, 4, 2, 10_000, id="small"),
        pytest.param(8, 16, 25, 400_000, id="large", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(600)
def test_processes_race_and_are_killed(
    shared: str,
    tmp_path: Path,
    processes: int,
    threads: int,
    kills: int,
    limit: int,
):
    """Whoever is killed wherever: what was spent is booked, the limit holds, and nothing stays reserved."""
    journal = tmp_path / "journal"
    status = race(shared, journal, processes=processes, threads=threads, kills=kills, limit=limit)
    sys.stdout.write(
        f"\n{status}, for certain spent {spent(journal)} of {limit}\n"
    )  # figures, shown by -s
    assert spent(journal) <= status.used <= limit
    assert status.reserved == 0
    assert status.used > limit - 50  # they did race to the end


@pytest.mark.parametrize(
    "outages", [pytest.param(2, id="small"), pytest.param(15, id="large", marks=pytest.mark.long)]
)
@pytest.mark.timeout(300)
def test_redis_is_killed_and_restarted_under_load(tmp_path: Path, outages: int):
    """Outages surface as one type of error, nothing is granted twice, and what was settled stays."""
    server = durable(tmp_path)
    server.start()
    ledger = open_store(f"redis://127.0.0.1:{server.port}/0")
    limit, lost, wrong, spent, over = 10_000_000, [], [], [], threading.Event()

    def run() -> None:
        while not over.is_set():
            lease, now = RACE.lease(), time.time()
            try:
                if not ledger.reserve(lease, 3, limit, now, now + 5, "charge").granted:
                    wrong.append("refused")
            except StoreUnavailable as error:
                lost.append(error)
                continue
            except Exception as error:
                wrong.append(error)
                continue
            spent.append(lease)
            while True:
                try:
                    ledger.settle(lease, 2, limit, now)
                except StoreUnavailable as error:
                    lost.append(error)
                    time.sleep(0.01)
                else:
                    break

    threads = [threading.Thread(target=run) for _ in range(8)]
    for each in threads:
        each.start()
    for _ in range(outages):
        time.sleep(0.3)
        server.stop()
        time.sleep(0.2)
        server.start()
    time.sleep(0.3)
    over.set()
    for each in threads:
        each.join()
    ledger.close()
    status = stands(f"redis://127.0.0.1:{server.port}/0")
    server.stop()
    sys.stdout.write(f"{len(spent)} settled, {len(lost)} errors, {status}\n")
    assert lost, "there was no outage"
    assert not wrong
    assert status.reserved == 0
    # A reservation whose answer was lost is charged when it expires: never less than was spent.
    assert 2 * len(spent) <= status.used <= 2 * len(spent) + 3 * len(lost)


@pytest.mark.usefixtures("_eager")
def test_memory_is_raced_by_many_threads_that_die():
    """Threads that never settle leave leases that expire, and the limit holds all the while."""
    ledger: Ledger = MemoryLedger()
    over = []

    def run(die: bool) -> None:
        for _ in range(1000):
            lease = take(ledger, account(window=DAY), 7, limit=LIMIT, expires=60)
            standing = ledger.status(account(window=DAY), 1)
            if standing.used + standing.reserved > LIMIT:
                over.append(standing)
            if lease is not None and not die:
                ledger.settle(lease, 1, LIMIT, 1)

    threads = [threading.Thread(target=run, args=[number < 2]) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not over
    end = ledger.status(account(window=DAY), 61)
    assert end.reserved == 0
    assert LIMIT - 7 < end.used <= LIMIT
