from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tenacity import wait_fixed

from agentguard import carry, deadline, errors, events, fallback, guard, report, retry, timeout
from agentguard.engine import clock
from agentguard.engine.chain import Policy
from agentguard.testing import FakeRuntime, ScriptedModel, Stall
from tests.policies.failures import make, notes
from tests.shapes import Harness, every_shape, stream_shapes

SOON = wait_fixed(1)


@every_shape
def test_it_bounds_a_call_without_any_timeout(harness: Harness) -> None:
    """A guard with no `timeout` in its chain keeps the block's bound."""
    subject = harness.guard(Policy(), [Stall(60), "late"])
    with FakeRuntime() as time, deadline(5):
        run = subject.call()
        assert time.now == 5
    assert isinstance(run.error, errors.DeadlineExceeded)
    assert isinstance(run.error, errors.Timeout)
    assert (run.error.bound, run.error.seconds) == ("deadline", 5)
    assert "deadline(5)" in str(run.error)
    assert [each.bound for each in run.heard(events.TimedOut)] == ["deadline"]


@every_shape
def test_what_is_in_time_is_untouched(harness: Harness) -> None:
    """The block costs a call nothing but its bound."""
    subject = harness.guard(Policy(), [Stall(4), "in time"])
    with FakeRuntime(), deadline(5):
        assert subject.call().text == "in time"


@every_shape
def test_one_point_in_time_for_several_calls(harness: Harness) -> None:
    """What the first call took the second has not."""
    subject = harness.guard(Policy(), [Stall(4), "first"], [Stall(4), "second"])
    with FakeRuntime() as time, deadline(5):
        assert subject.call().text == "first"
        assert isinstance(subject.call().error, errors.DeadlineExceeded)
        assert time.now == 5


@every_shape
def test_a_call_is_not_begun_when_it_has_passed(harness: Harness) -> None:
    """No request is made for nobody."""
    subject = harness.guard(retry(), "never")
    with FakeRuntime() as time, deadline(5):
        time.advance(6)
        run = subject.call()
    assert isinstance(run.error, errors.DeadlineExceeded)
    assert run.calls == []


@stream_shapes
def test_it_bounds_each_pull_of_a_stream(harness: Harness) -> None:
    """After the first content too; what came stands."""
    subject = harness.guard(Policy(), ["a", Stall(3), "b", Stall(3), "c"])
    with FakeRuntime() as time, deadline(5):
        run = subject.call()
        assert time.now == 5
    assert run.items == ["a", "b"]
    assert isinstance(run.error, errors.DeadlineExceeded)


def test_a_stream_keeps_it_after_the_block_was_left() -> None:
    """The scope is captured when the callable is called, and travels with the stream."""
    model = ScriptedModel(["a", Stall(9), "b"])
    with FakeRuntime():
        with deadline(5):
            stream = retry()(model.generator)("q")
        assert next(stream) == "a"
        with pytest.raises(errors.DeadlineExceeded):
            next(stream)


# nesting


@pytest.mark.parametrize(("outer", "inner", "wins"), [(5, 9, 5), (9, 5, 5), (5, 5, 5)])
@every_shape
def test_nested_deadlines_only_narrow(
    harness: Harness, outer: float, inner: float, wins: float
) -> None:
    """An inner block cannot give more time than the outer one has left."""
    subject = harness.guard(Policy(), [Stall(60), "late"])
    with FakeRuntime() as time, deadline(outer), deadline(inner):
        run = subject.call()
        assert time.now == wins
    assert isinstance(run.error, errors.DeadlineExceeded)
    assert run.error.seconds == wins


@every_shape
def test_the_outer_one_is_back_after_the_inner_block(harness: Harness) -> None:
    """Leaving a block leaves its bound."""
    subject = harness.guard(Policy(), [Stall(8), "fits into 10"])
    with FakeRuntime(), deadline(10):
        with deadline(2):
            pass
        assert subject.call().text == "fits into 10"


def test_leaving_it_lifts_the_bound() -> None:
    """Outside there is none."""
    model = ScriptedModel([Stall(60), "patience"])
    with FakeRuntime():
        with deadline(5):
            pass
        assert retry()(model.sync)("q") == "patience"


def test_one_object_may_be_entered_again() -> None:
    """It is a length of time, counted from each entering."""
    model = ScriptedModel([Stall(4), "a"], repeat_last=True)
    block = deadline(5)
    with FakeRuntime():
        for _ in range(3):
            with block:
                assert retry()(model.sync)("q") == "a"


async def test_async_with_works_too() -> None:
    """The block in its other spelling."""
    model = ScriptedModel([Stall(60), "late"])
    with FakeRuntime():
        async with deadline(5):
            with pytest.raises(errors.DeadlineExceeded):
                await retry()(model.coroutine)("q")


# with policies


@pytest.mark.parametrize(("block", "bound"), [(9, "seconds"), (3, "deadline")])
@every_shape
def test_the_narrower_of_block_and_timeout_wins(harness: Harness, block: int, bound: str) -> None:
    """And is the one that is named."""
    subject = harness.guard(timeout(5), [Stall(60), "late"])
    with FakeRuntime() as time, deadline(block):
        run = subject.call()
        assert time.now == min(5, block)
    assert isinstance(run.error, errors.Timeout)
    assert run.error.bound == bound
    assert isinstance(run.error, errors.DeadlineExceeded) == (bound == "deadline")


@every_shape
def test_it_bounds_the_waits_of_a_retry(harness: Harness) -> None:
    """A wait that would pass it is not begun: the failure comes out at once, noted."""
    failures = [make("server") for _ in range(3)]
    subject = harness.guard(retry(wait=wait_fixed(3)), *failures)
    with FakeRuntime() as time, deadline(5):
        run = subject.call()
        assert time.now == 3
    assert run.error is failures[1]
    assert "would pass the deadline bound" in notes(failures[1])[0]


@every_shape
def test_it_is_never_retried(harness: Harness) -> None:
    """Not even by `on=`: it bounds the retry itself."""
    subject = harness.guard(
        retry(on=(TimeoutError, "timeout"), wait=wait_fixed(0)), [Stall(60)], "never"
    )
    with FakeRuntime(), deadline(5):
        run = subject.call()
    assert isinstance(run.error, errors.DeadlineExceeded)
    assert len(run.calls) == 1


@pytest.mark.parametrize("shape", ["sync", "generator", "returns_stream"])
def test_a_deadline_inside_the_callable_is_an_attempts(shape: str) -> None:
    """A block within the guarded function bounds that attempt: the retry outside may act on it."""
    nested = guard(Policy())(lambda: clock.now().sleep(60))

    def ask(*_: Any) -> str:
        with deadline(5):
            nested()
        return "never"

    run = Harness(shape).run(retry(wait=SOON), ask, "answer")
    assert run.text == "answer"
    assert run.now == 6


def test_a_deadline_inside_an_async_callable_is_an_attempts() -> None:
    """The same in async code."""
    model = ScriptedModel([Stall(60)], "answer")
    nested = guard(Policy())(model.coroutine)

    @retry(wait=SOON)
    async def ask() -> Any:
        with deadline(5):
            return await nested("q")

    with FakeRuntime() as time:
        assert asyncio.run(ask()) == "answer"
        assert time.now == 6


@every_shape
def test_a_fallback_has_what_is_left(harness: Harness) -> None:
    """The primary used 4 of 10 s; a target that needs 7 does not fit."""
    backup = harness.target([Stall(7), "late"])

    def slow(*_: Any) -> list[Any]:
        return [Stall(4), make("server")]

    subject = harness.guard(fallback(backup), slow)
    with FakeRuntime() as time, deadline(10):
        run = subject.call()
        assert time.now == 10
    assert run.error is not None
    assert "backup failed (DeadlineExceeded" in notes(run.error)[0]


# nested calls, threads, tasks


@pytest.mark.parametrize("guards", [timeout(5), timeout(5, total=9)], ids=["seconds", "total"])
def test_a_timeout_is_the_deadline_of_calls_made_inside(guards: Policy) -> None:
    """A guarded call made within an attempt has the time that attempt has left."""
    model = ScriptedModel([Stall(60), "late"])
    inner = guard(retry(), timeout(30))(model.sync)

    @guards
    def outer() -> Any:
        clock.now().sleep(2)
        return inner("q")

    with FakeRuntime() as time, report() as r:
        with pytest.raises(errors.Timeout) as told:
            outer()
        assert time.now == 5
    assert told.value.seconds == 5
    assert len(model.calls) == 1
    assert r.calls[0].outcome == "failed"


def test_a_thread_of_the_users_own_needs_carry() -> None:
    """Context variables do not cross into threads: `carry` takes the deadline along."""
    seen: list[Any] = []

    class Look(Policy):
        async def around(self, call: Any, next: Any) -> Any:
            seen.append(None if call.deadline is None else call.deadline.seconds)
            return await next(call)

    ask = guard(Look())(lambda: "answer")
    with deadline(50), ThreadPoolExecutor(1) as pool:
        pool.submit(ask).result()
        pool.submit(carry(ask)).result()
    assert seen == [None, 50]


def test_tasks_started_inside_share_it() -> None:
    """`gather` under one block: all end at its point in time."""
    model = ScriptedModel([Stall(60)], repeat_last=True)
    ask = retry()(model.coroutine)

    async def main() -> list[Any]:
        with deadline(5):
            return await asyncio.gather(*(ask("q") for _ in range(8)), return_exceptions=True)

    with FakeRuntime() as time:
        got = asyncio.run(main())
        assert time.now == 5
    assert [type(each) for each in got] == [errors.DeadlineExceeded] * 8


def test_other_threads_are_not_bounded() -> None:
    """A block in one thread is nothing to another."""
    seen: list[bool] = []
    with deadline(50):
        thread = threading.Thread(target=lambda: seen.append(_bound() is None))
        thread.start()
        thread.join(10)
        assert _bound() is not None
    assert seen == [True]
    assert _bound() is None


def _bound() -> Any:
    from agentguard.engine.scope import surrounding

    return surrounding().deadline


def test_its_error_travels() -> None:
    """Pickled for a task queue, with what a web handler needs."""
    import pickle

    error = errors.DeadlineExceeded("cut", bound="deadline", seconds=5)
    back = pickle.loads(pickle.dumps(error))
    assert (back.bound, back.seconds, back.kind) == ("deadline", 5, "timeout")
    assert (back.http_status, str(back)) == (504, "cut")


@pytest.mark.parametrize("left", [0, -1.5])
def test_no_time_left_is_a_deadline_that_has_passed(left: float) -> None:
    """The time that remains of a request may be used up: a call then fails as any late one does."""
    model = ScriptedModel("never")
    with pytest.raises(errors.DeadlineExceeded), deadline(left):
        retry()(model.sync)()
    assert model.calls == []


def test_a_deadline_that_is_no_number_is_refused() -> None:
    """Words and NaN say nothing about time."""
    with pytest.raises(TypeError, match="number of seconds"):
        deadline("20")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="deadline"):
        deadline(float("nan"))
