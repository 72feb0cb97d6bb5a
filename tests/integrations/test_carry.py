"""`carry` takes the scope into threads, executors, loops and other processes."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import pickle
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from agentguard import carry, context, deadline, errors, guard, report, retry
from agentguard.testing import FakeRuntime
from tests.integrations.crossing import (
    METHODS,
    ask,
    ask_in_time,
    carries_on,
    here,
    wait,
)


@pytest.fixture(scope="module", params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """Run one worker process, started by each method, that no scope surrounds."""
    start = multiprocessing.get_context(request.param)
    with ProcessPoolExecutor(1, mp_context=start) as running:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks with threads
            assert running.submit(here).result(60)["tags"] == {}
        yield running


def test_the_scope_crosses_into_a_process(pool: ProcessPoolExecutor):
    """Tags and the deadline arrive in another process; those who listen stay behind."""
    with context(user="u", tenant="t"), deadline(60), report() as seen:
        there = pool.submit(carry(ask), "?").result(60)
    assert there["pid"] != os.getpid()
    assert there["tags"] == {"user": "u", "tenant": "t"}
    assert 0 < there["left"] <= 30, "the attempt's own timeout narrows it"
    assert there["listeners"] == 0
    assert seen.calls == []


def test_a_process_keeps_nothing(pool: ProcessPoolExecutor):
    """What comes next to the same worker is surrounded by nothing of what was carried before."""
    with context(user="u"), deadline(60):
        assert pool.submit(carry(here)).result(60)["tags"] == {"user": "u"}
    after = pool.submit(here).result(60)
    assert (after["tags"], after["left"]) == ({}, None)


def test_a_deadline_that_is_over_is_over_there(pool: ProcessPoolExecutor):
    """A guarded call in another process is refused when the sender's time is used up."""
    with deadline(0):
        late = pool.submit(carry(ask_in_time))
    with pytest.raises(errors.DeadlineExceeded) as caught:
        late.result(60)
    assert (caught.value.bound, caught.value.seconds) == ("deadline", 0.0)


def test_a_map_over_a_pool(pool: ProcessPoolExecutor):
    """`map` sends the same carried function many times."""
    with context(user="u"):
        answers = list(pool.map(carry(ask), ["a", "b", "c"]))
    assert [each["tags"] for each in answers] == [{"user": "u"}] * 3


def test_carried_from_inside_an_attempt(pool: ProcessPoolExecutor):
    """Work that a guarded function sends to a process keeps its tags and its time bound."""

    @guard(retry(attempts=1))
    def outer():
        return pool.submit(carry(here)).result(60)

    with context(user="u"), deadline(60):
        there = outer()
    assert there["tags"] == {"user": "u"}
    assert there["left"] > 0
    assert there["inside"] is False, "it is nobody's child there"


@pytest.mark.parametrize("method", METHODS)
def test_multiprocessing(method: str):
    """`multiprocessing.Process` and `Pool` take what `carry` returns."""
    start = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with context(user="u"), start.Pool(1) as workers:
            there = workers.apply_async(carry(ask), ("?",)).get(60)
            process = start.Process(target=carry(here))
            process.start()
            process.join(60)
    assert there["tags"] == {"user": "u"}
    assert process.exitcode == 0


def test_there_it_is_a_scope_like_any_other():
    """Blocks inside what was carried add to it and narrow it, and are left again."""
    with context(user="u"), deadline(60):
        copy = pickle.loads(pickle.dumps(carry(carries_on)))
    there = copy()
    assert there["tags"] == {"user": "u", "step": "inner"}
    assert there["left"] <= 5
    assert here()["tags"] == {}


def test_the_deadline_crosses_as_a_date():
    """The time that a pickle spends on its way counts."""
    with FakeRuntime() as time:
        with deadline(20):
            sent = pickle.dumps(carry(here))
        time.advance(15)
        arrived = pickle.loads(sent)
        assert arrived()["left"] == pytest.approx(5)
        time.advance(6)
        assert arrived()["left"] == pytest.approx(-1)


def test_a_tag_that_cannot_be_pickled_stays_behind():
    """A tag that pickle refuses is told of, and the others cross."""
    with context(user="u", lock=threading.Lock()):
        carried = carry(here)
    assert carried()["tags"].keys() == {"user", "lock"}, "threads share it"
    with pytest.warns(UserWarning, match=r"context\(lock=\.\.\.\) is a lock"):
        sent = pickle.dumps(carried)
    assert pickle.loads(sent)()["tags"] == {"user": "u"}


def test_carried_twice():
    """The innermost scope counts: it is that of where the function was carried last."""
    with context(user="first"):
        once = carry(here)
    with context(user="second"):
        twice = carry(once)
    assert twice()["tags"] == {"user": "first"}
    assert pickle.loads(pickle.dumps(twice))()["tags"] == {"user": "first"}


@pytest.mark.parametrize("fn", [here, wait, ask], ids=lambda fn: fn.__name__)
def test_it_passes_for_the_function(fn):
    """Signature, names, module and kind are the function's own, also after a pickle."""
    for carried in (carry(fn), pickle.loads(pickle.dumps(carry(fn)))):
        assert inspect.signature(carried) == inspect.signature(fn)
        assert carried.__name__ == fn.__name__
        assert carried.__module__ == fn.__module__
        assert carried.__doc__ == fn.__doc__
        assert inspect.iscoroutinefunction(carried) == inspect.iscoroutinefunction(fn)
        assert inspect.unwrap(carried) is inspect.unwrap(fn)


async def test_coroutines_in_another_loop():
    """A carried coroutine function keeps its scope in a loop that another thread runs."""
    with context(user="u"):
        carried = carry(wait)
    assert (await asyncio.to_thread(asyncio.run, carried()))["tags"] == {"user": "u"}
    assert (await asyncio.create_task(carried()))["tags"] == {"user": "u"}
    assert here()["tags"] == {}


def test_threads_at_once():
    """One carried function called by many threads gives each the scope, and leaves none behind."""
    with context(user="u"), ThreadPoolExecutor(8) as threads:
        carried = carry(ask)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(carried, ["?"] * 200))
        left = list(threads.map(lambda _: here(), range(16)))
    assert all(each["tags"] == {"user": "u"} for each in answers)
    assert all(each["tags"] == {} for each in left)


def test_methods_partials_and_objects():
    """Whatever can be called can be carried, and a carried function binds as a method does."""
    import functools

    class Thing:
        def method(self):
            return here()["tags"]

        def __call__(self):
            return here()["tags"]

    with context(user="u"):
        carried = [carry(Thing().method), carry(functools.partial(Thing.method, Thing()))]
        carried.append(carry(Thing()))
        Thing.bound = carry(Thing.method)
    carried.append(Thing().bound)
    assert [each() for each in carried] == [{"user": "u"}] * 4


def test_the_result_of_a_call_is_refused():
    """`carry(fn())` is a slip that would fail only in the thread."""
    with pytest.raises(TypeError, match=r"carry\(fn\), not carry\(fn\(\)\)"):
        carry(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ["generator", "asyncgen"])
def test_a_bare_generator_function_is_refused(shape: str):
    """The body of a generator would run outside the scope, so that `carry` refuses it."""

    def generator():
        yield 1

    async def asyncgen():
        yield 1

    fn = {"generator": generator, "asyncgen": asyncgen}[shape]
    with pytest.raises(TypeError, match="guard the generator function"):
        carry(fn)
    carry(guard(retry())(fn))


def test_a_carried_generator_keeps_its_scope():
    """A guarded generator function that is carried belongs to the scope it was carried in."""

    @guard(retry(attempts=1))
    def tell():
        yield here()["tags"]

    with context(user="u"):
        carried = carry(tell)
    assert list(carried()) == [{"user": "u"}]


def _submits(executor: Executor) -> None:
    assert executor.submit(carry(here)).result(60)["tags"] == {"user": "u"}


def test_a_report_hears_of_threads():
    """Into a thread the listeners come along: a report shows what was called there."""
    with ThreadPoolExecutor(1) as threads, context(user="u"), report() as seen:
        _submits(threads)
        threads.submit(carry(ask), "?").result(60)
    assert [call.tags for call in seen.calls] == [{"user": "u"}]
