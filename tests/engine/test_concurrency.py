"""One guard serves threads, tasks and event loops at once, without mixing them."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentguard import Policy, context, errors, guard, observe, report, retry, timeout
from agentguard.engine import streams
from agentguard.engine.lost import settle_lost
from tests.engine.kit import Steps, Through, Upper, callables, use


class Count(Policy):
    """Counts begun and ended calls under a lock, and what tags they had."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begun = 0
        self.ended: dict[str, int] = {}
        self.mixed = 0

    async def around(self, call, next):
        with self.lock:
            self.begun += 1
            self.mixed += call.args and call.scope.tags.get("name") != call.args[0]
        return await observe(next(call), self.end)

    def end(self, outcome):
        with self.lock:
            self.ended[outcome.kind] = self.ended.get(outcome.kind, 0) + 1


def crowd(threads: int, loops: int, calls: int) -> None:
    """Use one guard from threads and event loops at once, in several shapes."""
    count = Count()
    shared = guard(count, Steps(Upper), retry(budget=None))
    wrong = []

    def unary(name):
        return name

    def stream(name):
        yield from name

    async def coroutine(name):
        await asyncio.sleep(0)
        return name

    async def asyncgen(name):
        for letter in name:
            await asyncio.sleep(0)
            yield letter

    fns = [shared(each) for each in (unary, stream)]
    afns = [shared(each) for each in (coroutine, asyncgen)]
    gate = threading.Barrier(threads + loops)

    def sync_work(number):
        gate.wait(60)
        for turn in range(calls):
            name = f"t{number}-{turn}"
            with context(name=name):
                for fn in fns:
                    wrong.extend([name] * ("".join(fn(name)) != name.upper()))
                next(fns[1](name))  # dropped: settled by whoever calls next

    async def async_work(number):
        async def one(turn):
            name = f"l{number}-{turn}"
            with context(name=name):
                for fn in afns:
                    wrong.extend([name] * ("".join(await use(fn, name)) != name.upper()))
                await anext(afns[1](name))  # dropped: settled on this loop

        for begin in range(0, calls, 10):
            await asyncio.gather(*(one(begin + n) for n in range(10)))
        for _ in range(50):
            await asyncio.sleep(0)

    def loop_work(number):
        gate.wait(60)
        asyncio.run(async_work(number))

    pool = [threading.Thread(target=sync_work, args=(n,)) for n in range(threads)]
    pool += [threading.Thread(target=loop_work, args=(n,)) for n in range(loops)]
    for each in pool:
        each.start()
    for each in pool:
        each.join(300)
    gc.collect()
    settle_lost()
    total = (threads + loops) * calls
    assert wrong == []
    assert count.mixed == 0
    assert count.begun == total * 3
    assert count.ended == {"completed": total * 2, "abandoned": total}
    streams.reap(0.0)


def test_threads_and_loops_at_once():
    """Every answer belongs to its question, every outcome is told once, dropped streams included."""
    crowd(threads=32, loops=4, calls=20)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_threads_and_loops_for_long():
    """The same for longer."""
    crowd(threads=32, loops=4, calls=1000)


def test_bounded_calls_in_many_threads():
    """Calls in worker threads give each caller its own answer or error."""

    @timeout(30)
    def ask(number):
        if number % 3 == 0:
            raise KeyError(number)
        return number

    def work(number):
        try:
            return ask(number)
        except KeyError as error:
            return -error.args[0]

    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(work, range(300)))
    assert got == [-n if n % 3 == 0 else n for n in range(300)]


def test_hung_workers_are_bounded():
    """Beyond `max_abandoned` calls are refused; when a worker comes back there is room again."""
    go_on = threading.Event()
    bound = timeout(0.02, max_abandoned=2)

    @bound
    def ask(hang):
        if hang:
            go_on.wait(30)
        return "a"

    for _ in range(2):
        with pytest.raises(errors.Timeout):
            ask(True)
    with pytest.raises(errors.Overloaded):
        ask(False)
    go_on.set()
    for _ in range(3000):
        if len(bound.hung) == 0:
            break
        threading.Event().wait(0.01)
    assert ask(False) == "a"


def test_a_stream_handed_from_thread_to_thread():
    """A stream may be read by one thread after another."""
    stream = Through()(callables(*"abcdefgh")["generator"])()
    got = []
    for _ in range(8):
        thread = threading.Thread(target=lambda: got.append(next(stream)))
        thread.start()
        thread.join(30)
    assert got == list("abcdefgh")
    assert list(stream) == []


def test_a_stream_that_many_threads_pull():
    """Threads that pull one stream at once get each item once, or are refused."""
    letters = [chr(97 + n % 26) + str(n) for n in range(400)]
    stream = Through()(callables(*letters)["generator"])()
    got, refused = [], []

    def work():
        while True:
            try:
                got.append(next(stream))
            except StopIteration:
                return
            except RuntimeError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(got) == sorted(letters)


def test_one_function_in_several_loops_one_after_the_other():
    """A guarded coroutine function knows nothing of the loop it ran in before."""
    ask = guard(retry(), timeout(30))(callables("a")["coroutine"])
    for _ in range(5):
        assert asyncio.run(use(ask)) == ["a"]


async def test_a_sync_call_inside_a_running_loop():
    """A sync guarded call works where a loop runs, in its thread, between awaits."""
    ask = guard(retry(), timeout(30))(lambda: "a")
    assert ask() == "a"
    assert list(retry(callables("a")["generator"])()) == ["a"]


async def test_nested_loops_in_threads():
    """A guarded sync function that runs a loop of its own around guarded calls, off the loop."""
    inner = retry(callables("a")["coroutine"])

    @timeout(30)
    def outer():
        return asyncio.run(use(inner))

    with report() as r:
        assert await asyncio.to_thread(outer) == ["a"]
    assert len(r.calls) == 1
    assert len(r.calls[0].children) == 1


async def test_late_readers_of_an_async_stream_on_another_loop():
    """An async stream belongs to its loop: dropping it elsewhere closes it there."""
    ended = []

    class Hear(Policy):
        async def around(self, call, next):
            return await observe(
                next(call), lambda o: ended.append((o.kind, threading.get_ident()))
            )

    stream = Hear()(callables("a", "b")["asyncgen"])()
    await anext(stream)
    holder = [stream]
    del stream

    def drop():
        holder.clear()
        retry(lambda: "a")()  # a call in this thread must not close it here

    await asyncio.to_thread(drop)
    for _ in range(20):
        await asyncio.sleep(0)
    assert ended == [("abandoned", threading.get_ident())]
