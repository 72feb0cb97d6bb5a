"""What only a server can do: hang, refuse, be elsewhere, be a cluster."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agentguard.engine import workers
from agentguard.stores.ledger import GRACE, Status, StoreUnavailable, Use, Wish
from agentguard.stores.open import open_store
from agentguard.stores.redis import RedisLedger
from tests.policies.redis_server import RedisServer
from tests.stores.kit import DAY, LIMIT, SECRET, account, take


def url(server: RedisServer, password: str = SECRET) -> str:
    """Its address, with the password in it."""
    return f"redis://:{password}@127.0.0.1:{server.port}/0"


@pytest.fixture(params=["url", "client"])
def ledger(request: pytest.FixtureRequest, own: RedisServer) -> Iterator[RedisLedger]:
    """A ledger of its own client, or on one that would wait for ever and retries."""
    if request.param == "url":
        ledger = open_store(url(own))
        yield ledger
        ledger.close()
        return
    client = redis.Redis(port=own.port, password=SECRET, retry=Retry(NoBackoff(), 2))
    yield open_store(client)
    client.close()


def told(error: BaseException | None) -> str:
    """All that a log would show of an error and its causes."""
    text = ""
    while error is not None:
        text += f"{error!r} {error} {getattr(error, '__notes__', '')}"
        error = error.__cause__
    return text


def eventually(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def settled(ledger: RedisLedger) -> None:
    """Wait for the thread that hung."""
    if ledger._redis._stuck is not None:
        assert ledger._redis._stuck.done.wait(30)


def test_a_server_that_is_down_is_said(own: RedisServer, ledger: RedisLedger):
    """A refused connection is one type of error, which names the place and no password."""
    own.stop()
    with pytest.raises(StoreUnavailable, match="Redis at ") as raised:
        take(ledger, account("alice"), 100)
    assert str(own.port) in str(raised.value)
    assert SECRET not in told(raised.value)
    assert "alice" not in told(raised.value)
    assert SECRET not in repr(ledger) + ledger.place


def test_a_server_that_hangs_is_not_waited_for(own: RedisServer, ledger: RedisLedger):
    """Also through a client that would wait for ever; when it answers again all goes on."""
    ledger.settle(take(ledger, account(), 100), 100, LIMIT, 1)
    own.freeze()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            take(ledger, account(), 100, lost="refund")
    own.thaw()
    settled(ledger)
    # What the server was asked while it hung it may have done: a lease that nobody has, until it expires.
    assert take(ledger, account(), LIMIT - 100, now=60, expires=120)


def test_a_reservation_that_was_given_up_is_given_back(own: RedisServer):
    """A server that reserves after nobody waits for the answer: the room is free again."""
    client = redis.Redis(port=own.port, password=SECRET)
    ledger = open_store(client)
    take(ledger, account(), 100)
    own.freeze()
    with pytest.raises(StoreUnavailable, match=r"no answer within 0\.2 s"):
        take(ledger, account(), 500)
    own.thaw()
    settled(ledger)
    # The thread that hung gives it back after it was done.
    eventually(lambda: ledger.status(account(), 0) == Status(0, 100, 0))
    client.close()


def test_an_interrupted_caller_leaves_no_reservation(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C while it waits: what was reserved for it is given back when the answer comes."""
    client = server.client()
    ledger = open_store(client)
    ledger.status(account(), 0)
    jobs: list[workers.Job] = []
    go, start = threading.Event(), workers.start

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    def started(work: Any) -> workers.Job:
        job = start(lambda: (go.wait(), work())[1])
        jobs.append(job)
        job.done = Interrupted()
        return job

    with monkeypatch.context() as patched:
        patched.setattr(workers, "start", started)
        with pytest.raises(KeyboardInterrupt):
            take(ledger, account(), 100)
    go.set()
    eventually(jobs[0].done.is_set)
    assert jobs[0].value[0][0] == 1
    eventually(lambda: ledger.status(account(), 0).reserved == 0)
    assert ledger.status(account(), 0) == Status(0, 0, 0)
    client.close()


def test_nobody_follows_a_request_that_hangs(own: RedisServer, monkeypatch: pytest.MonkeyPatch):
    """While one request hangs the others fail at once: threads do not pile up."""
    client = redis.Redis(port=own.port, password=SECRET)
    ledger = open_store(client)
    ledger.status(account(), 0)
    started: list[object] = []
    start = workers.start
    monkeypatch.setattr(workers, "start", lambda work: started.append(work) or start(work))
    own.freeze()
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            ledger.status(account(), 0)
    own.thaw()
    settled(ledger)
    assert len(started) == 1
    client.close()


def test_a_wrong_password_is_not_repeated(own: RedisServer):
    """The error says what failed and shows no password, neither the right one nor the wrong one."""
    ledger = open_store(url(own, "letmein"))
    with pytest.raises(StoreUnavailable, match="AuthenticationError") as raised:
        take(ledger, account(), 100)
    assert "letmein" not in told(raised.value) + repr(ledger)
    ledger.close()


def test_a_full_server_refuses(own: RedisServer, ledger: RedisLedger):
    """A server that may not grow is down for us, and does not grant."""
    own.client(password=SECRET).config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
        take(ledger, account(), 100)


def test_a_restarted_server_gets_the_script_again(own: RedisServer, ledger: RedisLedger):
    """It has forgotten script and accounts; the first operation brings the script."""
    take(ledger, account(), 100)
    own.stop()
    own.start()
    assert ledger.status(account(), 0) == Status(0, 0, 0)


def test_an_operation_is_one_round_trip(server: RedisServer):
    """Each operation is one command once the script is known."""
    client = server.client()
    ledger = open_store(client)
    lease = take(ledger, account(), 100)
    commands = functools.partial(client.info, "commandstats")
    before = commands()
    assert take(ledger, account(), 100)
    ledger.settle(lease, 100, LIMIT, 1, (10,))
    ledger.status(account(), 1)
    after = commands()
    sent = {
        name: figures["calls"] - before.get(name, {"calls": 0})["calls"]
        for name, figures in after.items()
        if name in {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_multi", "cmdstat_script"}
    }
    assert sent["cmdstat_evalsha"] == 3
    assert sum(sent.values()) == 3
    client.close()


def test_all_units_of_a_budget_are_one_round_trip(server: RedisServer):
    """Three limits are reserved by one command and settled by one, in one slot of a cluster."""
    client = server.client(decode_responses=True)
    ledger = open_store(client)
    accounts = [account(unit=unit) for unit in ("usd", "tokens", "requests")]
    take(ledger, accounts[0], 1)  # the script is known from now on
    client.config_resetstat()
    wishes = [Wish(each.lease(), 100, LIMIT) for each in accounts]
    assert all(each.granted for each in ledger.reserve_all(wishes, 0, 60, "charge"))
    ledger.settle_all([Use(each.lease, 90, LIMIT, (50,)) for each in wishes], 1)
    calls = client.info("commandstats")
    assert calls["cmdstat_evalsha"]["calls"] == 2
    assert {key.partition("}")[0] for key in client.scan_iter()} == {
        f"agentguard:budget:{{{accounts[0].owner}"
    }
    assert accounts[0].owner != account("bob").owner
    client.close()


def test_an_account_is_one_key_that_expires(server: RedisServer):
    """One key with a hash tag and no user's name, kept for the window, its leases and a minute."""
    client = server.client(decode_responses=True)
    ledger = open_store(client)  # such clients answer in text
    alice = account("alice@example.com", DAY._replace(ends=100.0))
    lease = take(ledger, alice, 100, expires=60.0)
    (key,) = client.keys()
    assert key.startswith("agentguard:budget:{")
    assert key == f"agentguard:budget:{{{alice.owner}}}:{alice.digest}"
    assert "alice" not in str(client.hgetall(key)) + key
    assert client.hget(key, "of") == "support tokens day 2026-11-22"
    assert 100 < client.ttl(key) <= 100 + GRACE
    ledger.renew(lease, 10.0, 500.0)
    assert 400 < client.ttl(key) <= 490 + GRACE
    ledger.settle(lease, 100, LIMIT, 1, (10,))
    assert ledger.status(alice, 1) == Status(100, 0, 0)
    client.close()


def test_asking_writes_nothing(server: RedisServer):
    """The status of an account that nobody has used, and a refusal, leave no key."""
    client = server.client()
    ledger = open_store(client)
    assert ledger.status(account(), 0) == Status(0, 0, 0)
    assert take(ledger, account(), 5, limit=4) is None
    assert client.dbsize() == 0
    client.close()


def test_parts_that_left_a_rolling_window_are_deleted(server: RedisServer):
    """The key of a busy rolling window does not grow."""
    from agentguard.stores.windows import rolling

    client = server.client(decode_responses=True)
    ledger = open_store(client)
    for now in range(0, 1000, 10):
        alice = account(window=rolling(60, float(now), parts=6))
        lease = take(ledger, alice, 1, now=now, expires=now + 30)
        if now % 20:  # the others die
            ledger.settle(lease, 1, LIMIT, now)
    (key,) = client.keys()
    names = [name for name in client.hgetall(key) if ":" in name]
    assert len(names) < 2 * 7 + 3
    client.close()


@pytest.mark.parametrize(
    "kept", [b"PEXPIREAT", b"keeps", b"lease:"], ids=["most", "half", "little"]
)
def test_half_an_operation_that_a_killed_server_brings_back_is_put_right(
    tmp_path: Path, request: pytest.FixtureRequest, kept: bytes
):
    """Redis 7.0 keeps the torn end of its file, and runs it at the restart after the next one."""
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    request.addfinalizer(server.stop)
    server.start()
    client = server.client()
    ledger = open_store(client)
    assert take(ledger, account(), 300)
    assert take(ledger, account(), 300)
    server.stop()
    (log,) = tmp_path.glob("appendonlydir/*.incr.aof")
    written = log.read_bytes()
    log.write_bytes(written[: written.rindex(kept) + 3])
    server.start()
    assert take(ledger, account(), 400)
    server.stop()
    server.start()
    assert ledger.status(account(), 0).used == 0
    after = ledger.status(account(), 60)
    assert after.reserved == 0
    assert after.used >= 700
    assert take(ledger, account(), LIMIT - 699, now=60, expires=120) is None
    client.close()


def test_a_cluster_works(cluster: RedisServer):
    """`redis.RedisCluster` finds the node of each account and runs the script there."""
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.port)
    ledger = open_store(client)
    for user in "abcdefgh":
        lease = take(ledger, account(user), 700)
        assert take(ledger, account(user), 301) is None
        assert ledger.settle(lease, 100, LIMIT, 1).used == 100
    assert "password" not in repr(ledger)
    client.close()


def test_an_async_client_is_refused(server: RedisServer):
    """The sync client serves both; the message says so."""
    client = redis.asyncio.Redis(port=server.port)
    with pytest.raises(TypeError, match=r"takes the sync redis\.Redis"):
        open_store(client)
    asyncio.run(client.aclose())


def test_a_missing_package_is_named():
    """Without redis-py the line that installs it is the message."""
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from agentguard.stores.open import open_store\n"
        "open_store('redis://localhost')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'agentguard-decorators[redis]'" in run.stderr


def test_threads_share_a_ledger(server: RedisServer):
    """Threads that ask at the same time get answers of their own."""
    client = server.client()
    ledger = open_store(client)
    wrong: list[object] = []

    def run(number: int) -> None:
        mine = account(f"user {number}")
        for count in range(1, 30):
            lease = take(ledger, mine, number, limit=10_000)
            used = ledger.settle(lease, number, 10_000, 1).used
            if used != count * number:
                wrong.append((number, used))

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
    client.close()
