"""One breaker under threads, tasks, event loops, cancellation and the collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentguard import errors
from agentguard.policies.breaker import breaker
from agentguard.testing import FakeRuntime

DOWN = ConnectionError("refused")
CALLERS = 50


class Provider:
    """Fails while it is down, and lets nobody leave before `release`."""

    def __init__(self) -> None:
        self.down = True
        self.inside = 0
        self.released = threading.Event()
        self._lock = threading.Lock()

    def _enter(self) -> None:
        with self._lock:
            self.inside += 1
        if self.down:
            raise DOWN

    def sync(self) -> str:
        self._enter()
        assert self.released.wait(20)
        return "back"

    async def coroutine(self) -> str:
        self._enter()
        assert await asyncio.to_thread(self.released.wait, 20)
        return "back"


class Tally:
    """How calls went, and when all but the trials are refused."""

    def __init__(self, provider: Provider, passing: int) -> None:
        self.provider, self.refusals = provider, CALLERS - passing
        self.answers: list[str] = []
        self._lock = threading.Lock()

    def add(self, answer: str) -> None:
        with self._lock:
            self.answers.append(answer)
            if self.answers.count("refused") >= self.refusals:
                self.provider.released.set()

    def sync(self, ask) -> None:
        try:
            self.add(ask())
        except errors.CircuitOpen:
            self.add("refused")

    async def task(self, ask) -> None:
        try:
            self.add(await ask())
        except errors.CircuitOpen:
            self.add("refused")


def opened(permits: int):
    """A breaker on one circuit for a sync and an async function, open, and due for a trial."""
    policy = breaker(fail_max=1, half_open_calls=permits, key=lambda call: "one")
    provider = Provider()
    ask, task = policy(provider.sync), policy(provider.coroutine)
    with pytest.raises(ConnectionError):
        ask()
    provider.down, provider.inside = False, 0
    policy.open(1e-6)
    return policy, provider, ask, task


@pytest.mark.parametrize("permits", [1, 3])
@pytest.mark.parametrize("callers", ["threads", "tasks", "mixed"])
def test_of_fifty_callers_exactly_the_permitted_number_passes(permits, callers) -> None:
    """At half-open, whoever they are: threads, tasks of one loop, or both at once."""
    policy, provider, ask, task = opened(permits)
    tally = Tally(provider, permits)
    in_threads = {"threads": CALLERS, "tasks": 0, "mixed": CALLERS // 2}[callers]

    async def tasks() -> None:
        await asyncio.gather(*(tally.task(task) for _ in range(CALLERS - in_threads)))

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        for _ in range(in_threads):
            pool.submit(tally.sync, ask)
        pool.submit(asyncio.run, tasks())
    assert provider.inside == permits
    assert tally.answers.count("back") == permits
    assert policy.states() == {"one": "closed"}


def test_one_policy_under_32_threads_and_4_event_loops() -> None:
    """Whatever they do at once, its books stay consistent and no permit is lost."""
    policy = breaker(fail_max=3, reset_timeout=0.002, half_open_calls=2, key=lambda call: "one")
    made = threading.local()

    def number() -> int:
        made.count = getattr(made, "count", 0) + 1
        return made.count

    def act(n: int) -> str:
        if n % 3:
            raise DOWN
        return "ok"

    async def coroutine(n: int) -> str:
        await asyncio.sleep(0)
        return act(n)

    def generator(n: int):
        yield "first"
        yield act(n)

    async def asyncgen(n: int):
        yield "first"
        yield act(n)

    sync, task, stream, atream = map(policy, (act, coroutine, generator, asyncgen))
    odd: list[BaseException] = []
    expected = (ConnectionError, errors.CircuitOpen)

    def thread() -> None:
        for _ in range(60):
            try:
                with contextlib.suppress(*expected):
                    sync(number())
                with contextlib.suppress(*expected):
                    for _ in stream(number()):
                        if number() % 5 == 0:
                            break
            except BaseException as error:
                odd.append(error)

    async def job() -> None:
        for _ in range(10):
            try:
                with contextlib.suppress(*expected):
                    await task(number())
                with contextlib.suppress(*expected):
                    async for _ in atream(number()):
                        pass
            except BaseException as error:
                odd.append(error)

    async def loop() -> None:
        await asyncio.gather(*(job() for _ in range(10)))

    threads = [threading.Thread(target=thread) for _ in range(32)]
    threads += [threading.Thread(target=asyncio.run, args=(loop(),)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert odd == []
    gc.collect()
    sync_ok = policy(lambda n: "ok")
    deadline = threading.Event()
    for _ in range(500):
        with contextlib.suppress(errors.CircuitOpen):
            sync_ok(1)
        if policy.states() == {"one": "closed"}:
            break
        deadline.wait(0.01)
    (circuit,) = policy._circuits.all()
    assert circuit.gate.state == circuit.breaker.current_state == "closed"
    assert not circuit.gate.trials


class Collecting:
    """A lock inside which the collector runs each time, as it may in any lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        gc.collect(0)

    def __exit__(self, *_: object) -> None:
        gc.collect(0)
        self._lock.release()


def test_the_collector_may_run_inside_every_lock() -> None:
    """With abandoned streams in reference cycles all around, nothing deadlocks or is lost."""
    policy = breaker(
        fail_max=2, reset_timeout=0.001, failure_rate=0.5, minimum_calls=2, key=lambda call: "one"
    )

    def stream(fails: bool):
        yield "first"
        if fails:
            raise DOWN
        yield "second"

    ask = policy(stream)
    list(ask(False))
    (circuit,) = policy._circuits.all()
    circuit._lock = policy._circuits._lock = Collecting()

    def abandon() -> None:
        for number in range(60):
            with contextlib.suppress(ConnectionError, errors.CircuitOpen):
                held = ask(number % 2 == 0)
                cycle = [held]
                cycle.append(cycle)  # only the collector frees it
                next(held)
                if number % 4 == 0:
                    list(held)
                policy.states()

    threads = [threading.Thread(target=abandon) for _ in range(4)]
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
    finally:
        gc.set_threshold(*before)
    assert not any(each.is_alive() for each in threads)
    gc.collect()
    policy.open(1e-6)
    assert list(ask(False)) == ["first", "second"]
    assert not circuit.gate.trials


async def test_a_cancelled_trial_gives_its_permit_back() -> None:
    """Cancellation at half-open is neutral, and the next caller gets the trial."""
    policy = breaker(fail_max=1)
    entered = asyncio.Event()
    actions = ["fail", "hang", "answer"]

    @policy
    async def ask() -> str:
        action = actions.pop(0)
        if action == "fail":
            raise DOWN
        if action == "hang":
            entered.set()
            await asyncio.Event().wait()
        return "back"

    with pytest.raises(ConnectionError):
        await ask()
    policy.open(1e-6)
    trial = asyncio.create_task(ask())
    await entered.wait()
    with pytest.raises(errors.CircuitOpen, match="trial calls are under way"):
        await ask()
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    assert await ask() == "back"
    assert list(policy.states().values()) == ["closed"]


async def test_a_cancelled_async_stream_at_half_open_is_neutral() -> None:
    """The same for a stream whose reader is cancelled between two items."""
    policy = breaker(fail_max=1)
    fails, hangs = [True], asyncio.Event()

    @policy
    async def ask():
        if fails:
            fails.clear()
            raise DOWN
        yield "first"
        await hangs.wait()

    with pytest.raises(ConnectionError):
        await anext(ask())
    policy.open(1e-6)
    stream = ask()
    assert await anext(stream) == "first"
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    hangs.set()
    assert [item async for item in ask()] == ["first"]
    assert list(policy.states().values()) == ["closed"]


async def test_async_calls_begun_before_a_transition_do_not_vote() -> None:
    """Tasks that end after the circuit has closed again neither open it nor count."""
    policy = breaker(fail_max=2)
    release = asyncio.Event()

    @policy
    async def ask(action: str) -> str:
        if action == "late":
            await release.wait()
            raise DOWN
        if action == "fail":
            raise DOWN
        return "ok"

    late = [asyncio.create_task(ask("late")) for _ in range(5)]
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await ask("fail")
    policy.open(1e-6)
    assert await ask("ok") == "ok"
    release.set()
    assert all(isinstance(e, OSError) for e in await asyncio.gather(*late, return_exceptions=True))
    assert list(policy.states().values()) == ["closed"]


def test_a_hung_trial_does_not_keep_the_circuit_half_open() -> None:
    """After trial_lease seconds another caller gets its turn."""
    policy = breaker(fail_max=1, trial_lease=20)
    actions = ["fail", "hang", "answer"]

    @policy
    def ask():
        action = actions.pop(0)
        if action == "fail":
            raise DOWN
        yield "first"
        yield "second"

    with FakeRuntime() as time:
        with pytest.raises(ConnectionError):
            list(ask())
        time.advance(60)
        hung = ask()
        next(hung)
        with pytest.raises(errors.CircuitOpen) as caught:
            list(ask())
        assert 0 < caught.value.retry_after <= 20
        time.advance(20)
        assert list(ask()) == ["first", "second"]
    assert list(policy.states().values()) == ["closed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_inherit_a_held_lock() -> None:
    """A child forked while another thread holds the lock can still make calls."""
    policy = breaker(fail_max=1)

    @policy
    def ask(fails: bool) -> str:
        if fails:
            raise DOWN
        return "ok"

    ask(False)
    (circuit,) = policy._circuits.all()
    with circuit._lock, policy._circuits._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside other threads
        child = os.fork()
        if child == 0:
            with contextlib.suppress(ConnectionError):
                ask(True)
            try:
                ask(False)
            except errors.CircuitOpen:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert ask(False) == "ok"
