"""The breaker beside pybreaker: the same terms, states, storages and listeners, not its defects."""

from __future__ import annotations

import asyncio
import threading
import time as real_time

import hypothesis.strategies as st
import pybreaker
import pytest
import time_machine
from hypothesis import given, settings

from agentguard import errors
from agentguard.policies.breaker import breaker
from agentguard.testing import FakeRuntime, ScriptedModel

DOWN = ConnectionError("refused")


class Log(pybreaker.CircuitBreakerListener):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def before_call(self, cb, func, *args, **kwargs) -> None:
        self.heard.append(("before", args))

    def failure(self, cb, exc) -> None:
        self.heard.append(("failure", str(exc)))

    def success(self, cb) -> None:
        self.heard.append("success")

    def state_change(self, cb, old_state, new_state) -> None:
        self.heard.append((old_state.name, new_state.name))


def outcome(call) -> str:
    """Run one call and say how it went."""
    try:
        call()
    except pybreaker.CircuitBreakerError:
        return "refused"
    except ConnectionError:
        return "failed"
    return "ok"


@given(
    steps=st.lists(st.sampled_from(["ok", "fail", "wait 20", "wait 61"]), max_size=40),
    fail_max=st.integers(1, 4),
    threshold=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_one_call_at_a_time_it_does_what_pybreaker_does(steps, fail_max, threshold) -> None:
    """Same outcome, state, counters and listener calls after each of any sequence of calls."""
    theirs_log, ours_log = Log(), Log()
    terms = {"fail_max": fail_max, "reset_timeout": 60, "success_threshold": threshold}
    theirs = pybreaker.CircuitBreaker(
        **terms, listeners=[theirs_log], throw_new_error_on_trip=False
    )
    storage = pybreaker.CircuitMemoryStorage("closed")
    ours = breaker(**terms, listeners=[ours_log], state_storage=storage)
    now = 1_800_000_000.0
    fails = False

    def call() -> None:
        if fails:
            raise ConnectionError("refused")

    guarded = ours(call)
    with (
        FakeRuntime(start=now) as fake,
        time_machine.travel(now, tick=False) as travel,
    ):
        for step in steps:
            if step.startswith("wait"):
                seconds = float(step.split()[1])
                fake.advance(seconds)
                travel.shift(seconds)
                continue
            fails = step == "fail"
            assert outcome(guarded) == outcome(lambda: theirs.call(call))
            assert storage.state == theirs.current_state
            assert (storage.counter, storage.success_counter) == (
                theirs.fail_counter,
                theirs.success_counter,
            )
    transitions = [each for each in ours_log.heard if isinstance(each, tuple)]
    assert sorted(map(str, ours_log.heard)) == sorted(map(str, theirs_log.heard))
    assert [t for t in theirs_log.heard if isinstance(t, tuple) and t[0] in states] == [
        t for t in transitions if t[0] in states
    ]


states = {"closed", "open", "half-open"}


def test_threads_run_side_by_side() -> None:
    """Nothing is held while the function runs, unlike in pybreaker: eight calls are inside at once."""
    inside = threading.Barrier(8, timeout=10)
    ask = breaker()(inside.wait)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not inside.broken
    assert not any(thread.is_alive() for thread in threads)


def test_failures_of_async_functions_count() -> None:
    """In pybreaker the coroutine object is a success, and it never opens."""
    policy = breaker(fail_max=2)
    ask = policy(ScriptedModel(DOWN, repeat_last=True).coroutine)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            asyncio.run(ask())
    with pytest.raises(errors.CircuitOpen):
        asyncio.run(ask())


def test_a_break_out_of_a_generator_is_no_failure() -> None:
    """In pybreaker it is: it counts GeneratorExit."""
    policy = breaker(fail_max=2)
    ask = policy(ScriptedModel(["a", "b"], repeat_last=True).generator)
    for _ in range(4):
        for _ in ask():
            break
    assert list(policy.states().values()) == ["closed"]


@pytest.mark.parametrize("exit_", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exit_comes_out_as_it_is_and_is_no_failure(exit_) -> None:
    """In pybreaker its own error takes its place, and the circuit opens."""
    policy = breaker(fail_max=1)

    def ask() -> None:
        raise exit_

    with pytest.raises(exit_):
        policy(ask)()
    assert list(policy.states().values()) == ["closed"]


def test_the_tripping_call_raises_the_providers_own_error() -> None:
    """In pybreaker its own takes its place, by default."""
    ask = breaker(fail_max=1)(ScriptedModel(DOWN).sync)
    with pytest.raises(ConnectionError) as caught:
        ask()
    assert caught.value is DOWN


def test_an_excluded_error_closes_nothing() -> None:
    """In pybreaker it is a success, which closes a half-open circuit."""
    policy = breaker(fail_max=1, exclude=[KeyError])
    ask = policy(ScriptedModel(DOWN, KeyError("x")).sync)
    with FakeRuntime() as time:
        with pytest.raises(ConnectionError):
            ask()
        time.advance(60)
        with pytest.raises(KeyError):
            ask()
    assert list(policy.states().values()) == ["half-open"]


def test_success_in_a_closed_circuit_enters_no_pybreaker_code_and_no_lock(monkeypatch) -> None:
    """With nothing to reset there is nothing to tell it."""
    import sys

    policy = breaker()
    ask = policy(ScriptedModel("ok", repeat_last=True).sync)
    ask()
    entered = []

    def trace(frame, event, arg) -> None:
        if event == "call" and "pybreaker" in frame.f_code.co_filename:
            entered.append(frame.f_code.co_qualname)

    class Alarm:
        def __enter__(self) -> None:
            entered.append("lock")

        def __exit__(self, *_: object) -> None:
            """Nothing."""

    (circuit,) = policy._circuits.all()
    monkeypatch.setattr(circuit, "_lock", Alarm())
    sys.setprofile(trace)
    try:
        ask()
    finally:
        sys.setprofile(None)
    assert entered == []


def test_an_existing_breaker_is_used_as_it_is() -> None:
    """Its settings, storage, listeners and exclusions hold; both sides see each other's moves."""
    log = Log()
    cb = pybreaker.CircuitBreaker(
        fail_max=2, reset_timeout=30, exclude=[KeyError], listeners=[log], name="theirs"
    )
    policy = breaker(cb)
    ask = policy(ScriptedModel(DOWN, KeyError("x"), DOWN, "back").sync)
    with FakeRuntime() as time:
        for error in (ConnectionError, KeyError, ConnectionError):
            with pytest.raises(error):
                ask("hi")
        assert cb.current_state == cb.state.name == "open"
        with pytest.raises(errors.CircuitOpen, match="'theirs'"):
            ask("hi")
        time.advance(30)
        assert ask("hi") == "back"
    assert cb.current_state == "closed"
    assert [each for each in log.heard if each[0] in states] == [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "closed"),
    ]
    assert log.heard.count(("before", ("hi",))) == 4


def test_an_existing_breaker_moved_by_hand_is_followed_at_once() -> None:
    """`cb.open()` refuses our calls and `cb.close()` lets them pass, without waiting for a read."""
    cb = pybreaker.CircuitBreaker()
    policy = breaker(cb)
    ask = policy(lambda: "ok")
    assert ask() == "ok"
    cb.open()
    with pytest.raises(errors.CircuitOpen):
        ask()
    cb.close()
    assert ask() == "ok"
    policy.open()
    with pytest.raises(pybreaker.CircuitBreakerError):
        cb.call(lambda: "x")


def test_a_shared_memory_storage_is_followed() -> None:
    """Two policies on one storage: what one opens, the other refuses within 0.1 s."""
    storage = pybreaker.CircuitMemoryStorage("closed")
    one = breaker(fail_max=1, state_storage=storage)(ScriptedModel(DOWN).sync)
    two = breaker(fail_max=1, state_storage=storage)(lambda: "ok")
    with FakeRuntime() as time:
        assert two() == "ok"
        with pytest.raises(ConnectionError):
            one()
        time.advance(0.11)
        with pytest.raises(errors.CircuitOpen):
            two()


def test_an_existing_breaker_is_not_decorated() -> None:
    """It is callable, and yet a setting."""
    assert breaker(pybreaker.CircuitBreaker()).name == "breaker"


@pytest.mark.parametrize(
    "settings_",
    [
        {"fail_max": 3},
        {"reset_timeout": 5},
        {"success_threshold": 2},
        {"exclude": [KeyError]},
        {"listeners": [Log()]},
        {"state_storage": pybreaker.CircuitMemoryStorage("closed")},
        {"name": "x"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_beside_an_existing_breaker_are_refused(settings_) -> None:
    """They would be lost silently."""
    with pytest.raises(TypeError, match=f"brings its own {next(iter(settings_))}"):
        breaker(pybreaker.CircuitBreaker(), **settings_)


def test_a_listener_that_raises_breaks_nothing(caplog) -> None:
    """In pybreaker the storage would stay closed for ever; here the others are told too."""

    class Bad(pybreaker.CircuitBreakerListener):
        def state_change(self, cb, old_state, new_state) -> None:
            raise RuntimeError("from a listener")

    for make in (
        lambda *listeners: breaker(fail_max=1, listeners=listeners),
        lambda *listeners: breaker(pybreaker.CircuitBreaker(1, listeners=listeners)),
    ):
        log = Log()
        policy = make(Bad(), log)
        ask = policy(ScriptedModel(DOWN).sync)
        with pytest.raises(ConnectionError):
            ask()
        assert ("closed", "open") in log.heard
        assert list(policy.states().values()) == ["open"]
        with pytest.raises(errors.CircuitOpen):
            ask()
    assert "the listener" in caplog.text


def test_a_listener_may_call_the_breaker() -> None:
    """From its own thread and from another one that it waits for: no lock is held meanwhile."""
    done = []

    class Nosy(pybreaker.CircuitBreakerListener):
        def state_change(self, cb, old_state, new_state) -> None:
            done.append(outcome(other))
            thread = threading.Thread(target=lambda: done.append(outcome(ask)))
            thread.start()
            thread.join(10)
            policy.states()
            assert not thread.is_alive()

    policy = breaker(fail_max=1, listeners=[Nosy()], key=lambda call: call.target.name)
    ask = policy(ScriptedModel(DOWN, name="ask").sync)
    other = policy(ScriptedModel("ok", name="other").sync)
    with pytest.raises(ConnectionError):
        ask()
    assert done == ["ok", "refused"]


def test_listeners_of_an_async_call_do_not_block_its_loop() -> None:
    """They run in a worker: the loop goes on meanwhile."""
    threads = []

    class Where(pybreaker.CircuitBreakerListener):
        def state_change(self, cb, old_state, new_state) -> None:
            threads.append(threading.current_thread())
            real_time.sleep(0.01)

    ask = breaker(fail_max=1, listeners=[Where()])(ScriptedModel(DOWN).coroutine)
    with pytest.raises(ConnectionError):
        asyncio.run(ask())
    assert threads
    assert threading.current_thread() not in threads
