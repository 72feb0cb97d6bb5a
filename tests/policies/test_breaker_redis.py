"""The breaker on pybreaker's Redis storage: a real server, real processes, real outages."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pybreaker
import pytest

from agentguard import errors, events, report
from agentguard.policies.breaker import breaker
from agentguard.testing import FakeRuntime, ScriptedModel
from tests.policies.redis_server import RedisServer

DOWN = ConnectionError("refused")
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def started() -> Iterator[RedisServer]:
    """One server for this file."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(started: RedisServer) -> Iterator[RedisServer]:
    """The server, empty and answering."""
    client = started.client()
    client.flushall()
    yield started
    client.close()


@pytest.fixture
def make(server: RedisServer) -> Iterator[Make]:
    """Make a breaker as a process of its own would: with its own client and storage."""
    clients = []

    def make(name: str = "openai", *, client: dict[str, Any] | None = None, **settings: Any) -> Any:
        clients.append(server.client(**(client or {})))
        storage = pybreaker.CircuitRedisStorage("closed", clients[-1], namespace=name)
        return breaker(state_storage=storage, **settings)

    yield make
    for each in clients:
        each.close()


def eventually(true: Callable[[], bool]) -> None:
    """Wait until something holds, far longer than it should take."""
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("never came true")


def how(ask: Callable[[], Any]) -> str:
    """Make a call and say how it went."""
    try:
        return str(ask())
    except errors.CircuitOpen:
        return "refused"
    except ConnectionError:
        return "failed"


def in_process(server: RedisServer, body: str) -> subprocess.Popen[str]:
    """Run `body` in another process, with `storage` at hand; what it prints is its result."""
    head = f"""
        import threading, redis, pybreaker
        from agentguard import errors
        from agentguard.policies.breaker import breaker
        client = redis.Redis(port={server.port})
        storage = pybreaker.CircuitRedisStorage("closed", client, namespace="openai")
        def fail():
            raise ConnectionError("refused")
    """
    code = textwrap.dedent(head) + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def printed(process: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip()


def test_what_one_process_opens_all_refuse(server: RedisServer, make: Make) -> None:
    """Failures are counted together, and an opening is seen by a process that had none."""
    ask = make(fail_max=3)(ScriptedModel("ok", repeat_last=True).sync)
    assert ask() == "ok"
    body = """
        ask = breaker(fail_max=3, state_storage=storage)(fail)
        for _ in range({}):
            try:
                ask()
            except ConnectionError:
                pass
        print(storage.state)
    """
    assert printed(in_process(server, body.format(2))) == "closed"
    assert printed(in_process(server, body.format(1))) == "open"
    eventually(lambda: how(ask) == "refused")
    with pytest.raises(errors.CircuitOpen) as caught:
        ask()
    assert 50 < caught.value.retry_after <= 61


def test_one_trial_among_processes(server: RedisServer, make: Make) -> None:
    """Of five processes with eight threads each, exactly one call reaches the provider."""
    policy = make(fail_max=1)
    assert how(policy(ScriptedModel(DOWN).sync)) == "failed"
    body = """
        refused, enough = [], threading.Semaphore(0)
        def provider():
            client.incr("provider")
            client.blpop("go", 30)
            return "back"
        ask = breaker(fail_max=1, state_storage=storage)(provider)
        def call():
            try:
                print(ask())
            except errors.CircuitOpen:
                client.incr("refused")
        client.incr("ready")
        client.blpop("start", 30)
        threads = [threading.Thread(target=call) for _ in range(8)]
        for each in threads: each.start()
        for each in threads: each.join()
    """
    processes = [in_process(server, body) for _ in range(5)]
    client = server.client()
    eventually(lambda: int(client.get("ready") or 0) == 5)
    client.set("openai:pybreaker:opened_at", int(time.time()) - 100)
    client.rpush("start", *range(5))
    eventually(lambda: int(client.get("refused") or 0) == 39)
    client.rpush("go", "now")
    assert sorted(filter(None, map(printed, processes))) == ["back"]
    assert client.get("provider") == b"1"
    assert client.get("openai:pybreaker:state") == b"closed"
    assert client.keys("*trial*") == []
    client.close()


def test_a_short_open_time_is_not_cut_by_the_storage(make: Make) -> None:
    """Where pybreaker cuts opened_at to whole seconds and lets others in early, they come later."""
    one, two = make(fail_max=1, reset_timeout=0.9), make(fail_max=1, reset_timeout=0.9)
    ask, other = one(ScriptedModel(DOWN).sync), two(lambda: "ok")
    for _ in range(3):
        opened = time.monotonic()
        how(ask)
        passed = None
        while passed is None:
            if how(other) == "ok":
                passed = time.monotonic()
            time.sleep(0.01)
        one.close()
        two.close()
        ask = one(ScriptedModel(DOWN).sync)
        eventually(lambda: one.states() == {"breaker": "closed"})
        if passed - opened > 0.3:  # not the call that still saw it closed
            assert passed - opened > 0.75
            return
    raise AssertionError("the other one never saw it open")


@pytest.mark.parametrize("then", ["closed", "open"])
def test_with_redis_down_it_does_as_chosen(server: RedisServer, make: Make, then) -> None:
    """Calls pass uncounted or are refused, one event tells of the outage, and it recovers."""
    ask = make(on_store_failure=then)(ScriptedModel("ok", repeat_last=True).sync)
    assert ask() == "ok"
    server.stop()
    try:
        expected = "ok" if then == "closed" else "refused"
        time.sleep(0.11)
        with report() as seen:
            assert [how(ask) for _ in range(20)] == [expected] * 20
            time.sleep(0.3)
            assert how(ask) == expected
        told = [e for call in seen.calls for e in call.events if isinstance(e, events.StoreFailed)]
        assert len(told) == 1
        assert told[0].store == "CircuitRedisStorage"
        assert told[0].then == ("calls pass uncounted" if then == "closed" else "calls are refused")
    finally:
        server.start()
    eventually(lambda: how(ask) == "ok")


async def test_a_frozen_redis_delays_no_call_and_never_the_loop(
    server: RedisServer, make: Make
) -> None:
    """A client without a timeout would wait for ever: calls go on, and so does the event loop."""
    ask = make()(ScriptedModel("ok", repeat_last=True).coroutine)
    assert await ask() == "ok"
    longest = 0.0
    done = asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        while not done.is_set():
            began = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - began)

    heart = asyncio.create_task(beat())
    server.freeze()
    try:
        await asyncio.sleep(0.11)
        async with asyncio.timeout(10):
            assert await asyncio.gather(*(ask() for _ in range(50))) == ["ok"] * 50
    finally:
        server.thaw()
        done.set()
        await heart
    assert longest < 5


def test_a_frozen_redis_does_not_hang_sync_calls(server: RedisServer, make: Make) -> None:
    """The same for threads, also where a failure has to be written."""
    model = ScriptedModel("ok", DOWN, DOWN, "ok", repeat_last=True)
    ask = make()(model.sync)
    assert ask() == "ok"
    server.freeze()
    try:
        began = time.monotonic()
        assert [how(ask) for _ in range(4)] == ["failed", "failed", "ok", "ok"]
        assert time.monotonic() - began < 10
    finally:
        server.thaw()


async def test_a_cancelled_trial_gives_its_lease_back(server: RedisServer, make: Make) -> None:
    """So that another process may try at once."""
    policy = make(fail_max=1)
    entered = asyncio.Event()
    actions = ["fail", "hang"]

    @policy
    async def ask() -> str:
        if actions.pop(0) == "fail":
            raise DOWN
        entered.set()
        await asyncio.Event().wait()
        return "never"

    with pytest.raises(ConnectionError):
        await ask()
    client = server.client()
    await asyncio.to_thread(policy.open, 1e-6)
    trial = asyncio.create_task(ask())
    async with asyncio.timeout(10):
        await entered.wait()
    assert client.keys("*trial*") == [b"openai:pybreaker:trial:0"]
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    for _ in range(200):
        if not client.keys("*trial*"):
            break
        await asyncio.sleep(0.02)
    assert client.keys("*trial*") == []
    client.close()


def test_an_expired_lease_is_not_anothers_to_delete(server: RedisServer, make: Make) -> None:
    """The trial that comes back late leaves the lease of the next one alone."""
    policy = make(fail_max=1)
    client = server.client()
    held = threading.Event()
    actions = ["fail", "hang"]

    @policy
    def ask() -> str:
        if actions.pop(0) == "fail":
            raise DOWN
        client.set("openai:pybreaker:trial:0", "somebody else's")
        held.set()
        return "back"

    how(ask)
    policy.open(1e-6)
    assert how(ask) == "back"
    assert client.get("openai:pybreaker:trial:0") == b"somebody else's"
    client.close()


def test_half_open_calls_are_counted_among_processes(server: RedisServer, make: Make) -> None:
    """Two permits are two, whoever holds them."""
    release = threading.Event()
    entered = threading.Semaphore(0)

    def provider() -> str:
        entered.release()
        release.wait(20)
        return "back"

    policies = [make(fail_max=1, half_open_calls=2) for _ in range(3)]
    how(policies[0](ScriptedModel(DOWN).sync))
    client = server.client()
    client.set("openai:pybreaker:opened_at", int(time.time()) - 100)
    client.close()
    time.sleep(0.11)
    answers: list[str] = []

    def call(ask: Callable[[], Any]) -> None:
        answers.append(how(ask))

    threads = [
        threading.Thread(target=call, args=(ask,))
        for ask in [policy(provider) for policy in policies]
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    assert entered.acquire(timeout=10)
    assert entered.acquire(timeout=10)
    eventually(lambda: answers.count("refused") == 10)
    release.set()
    for each in threads:
        each.join(20)
    assert answers.count("back") == 2


def test_a_storage_for_each_circuit(server: RedisServer) -> None:
    """A function of the name makes one for each key."""
    client = server.client()

    def storage(name: str) -> pybreaker.CircuitRedisStorage:
        return pybreaker.CircuitRedisStorage("closed", client, namespace=name)

    policy = breaker(fail_max=1, state_storage=storage, name="chat", key=lambda call: call.args[0])
    ask = policy(lambda key: (_ for _ in ()).throw(DOWN) if key == "eu" else "ok")
    assert how(lambda: ask("us")) == "ok"
    with contextlib.suppress(ConnectionError):
        next(ask("eu"))
    assert client.get("chat us:pybreaker:state") == b"closed"
    client.close()


def test_a_storage_that_cannot_be_made_is_a_failed_store(server: RedisServer) -> None:
    """With Redis down its constructor raises: calls pass, and it is made once that is possible."""
    client = server.client()
    made = []

    def storage(name: str) -> pybreaker.CircuitRedisStorage:
        made.append(threading.current_thread())
        return pybreaker.CircuitRedisStorage("closed", client, namespace=name)

    ask = breaker(state_storage=storage)(ScriptedModel("ok", repeat_last=True, name="m").coroutine)

    async def call() -> str:
        return str(await ask())

    server.stop()
    try:
        assert asyncio.run(call()) == "ok"
    finally:
        server.start()
    eventually(lambda: asyncio.run(call()) == "ok" and client.get("m:pybreaker:state") is not None)
    assert threading.current_thread() not in made
    client.close()


def test_virtual_time_rules_a_circuit_in_redis_too(make: Make) -> None:
    """The open time is computed from the library's clock, whatever the server's says."""
    policy = make(fail_max=1, reset_timeout=60)
    ask = policy(ScriptedModel(DOWN, "back").sync)
    with FakeRuntime() as clock:
        assert [how(ask), how(ask)] == ["failed", "refused"]
        clock.advance(59)
        assert how(ask) == "refused"
        clock.advance(1)
        assert how(ask) == "back"
    assert policy.states() == {"breaker": "closed"}


def test_a_client_that_decodes_works_too(server: RedisServer, make: Make) -> None:
    """A client with decode_responses=True, on which pybreaker's own breaker fails."""
    policy = make(fail_max=2, client={"decode_responses": True})
    ask = policy(ScriptedModel(DOWN, DOWN).sync)
    assert [how(ask) for _ in range(3)] == ["failed", "failed", "refused"]


def test_a_success_with_nothing_to_reset_asks_redis_at_most_ten_times_a_second(
    server: RedisServer, make: Make
) -> None:
    """A cached state costs one command in 0.1 s; in pybreaker each call costs two."""
    ask = make()(ScriptedModel("ok", repeat_last=True).sync)
    ask()
    client = server.client()
    before, began = client.info()["total_commands_processed"], time.monotonic()
    for _ in range(500):
        ask()
    commands = client.info()["total_commands_processed"] - before
    assert commands <= 5 + 10 * (time.monotonic() - began)
    client.close()


def test_rates_are_counted_in_each_process(make: Make) -> None:
    """What another process saw fail does not enter this one's window; its opening does."""
    one = make(failure_rate=0.5, minimum_calls=4)
    two = make(failure_rate=0.5, minimum_calls=4)
    ill, well = one(ScriptedModel(DOWN, repeat_last=True).sync), two(lambda: "ok")
    assert [how(ill) for _ in range(3)] == ["failed"] * 3
    assert [how(well) for _ in range(4)] == ["ok"] * 4
    how(ill)
    eventually(lambda: how(well) == "refused")


def test_explain_says_where_the_state_lives(make: Make) -> None:
    """In Redis, the rates in this process."""
    place = dict(make().explain())["state"]
    assert place == "CircuitRedisStorage; rates in this process"
