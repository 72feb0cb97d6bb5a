"""Nothing stays behind: no objects, no threads, no cyclic garbage, no open streams."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from agentguard import Policy, context, errors, fallback, guard, observe, retry, timeout
from agentguard.engine import loop as engine_loop
from agentguard.engine import streams
from agentguard.engine.lost import lost, settle_lost
from agentguard.testing import FakeRuntime
from tests.engine.kit import (
    SHAPES,
    STREAMS,
    AsyncSdkStream,
    SdkStream,
    Steps,
    Through,
    Upper,
    Watch,
    begin,
    callables,
    close,
    no_collector,
    settle,
    use,
)


class Tally(Policy):
    """Counts outcomes without keeping them."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}

    async def around(self, call, next):
        return await observe(next(call), self.count)

    def count(self, outcome):
        self.kinds[outcome.kind] = self.kinds.get(outcome.kind, 0) + 1


def usual(*extra: Policy) -> guard:
    """What people put around a call."""
    return guard(*extra, fallback(lambda _="": "b"), retry(budget=None))


def objects() -> int:
    """How many objects the collector knows."""
    settle()
    gc.collect()
    return len(gc.get_objects())


async def several(use_it: Callable[[], Any], times: int) -> None:
    """Use it many times, letting the loop run."""
    for _ in range(times):
        await use_it()
    for _ in range(5):
        await asyncio.sleep(0)


# --- garbage ----------------------------------------------------------------------------------


def garbage(work: Callable[[], object]) -> int:
    """How much cyclic garbage `work` makes, once everything is warm."""
    work()
    work()
    streams.reap(0.0)
    with no_collector():
        for _ in range(3):
            work()
        streams.reap(0.0)
        return gc.collect()


SYNC = [
    name for name in SHAPES if not any(word in name for word in ("async", "coroutine", "await"))
]


@pytest.mark.parametrize("shape", SYNC)
def test_no_cyclic_garbage_in_sync_calls(shape):
    """A call that succeeds leaves nothing to the collector, in any sync shape."""
    fn = usual(Tally())(callables("a", "b")[shape])

    def work():
        answer = fn()
        if hasattr(type(answer), "__next__"):
            list(answer)

    assert garbage(work) == 0


@pytest.mark.parametrize("shape", [name for name in SHAPES if name not in SYNC])
def test_no_cyclic_garbage_in_async_calls(shape):
    """Nor does one in any async shape."""
    fn = guard(Tally(), retry(budget=None))(callables("a", "b")[shape])
    loop = asyncio.new_event_loop()
    try:
        assert garbage(lambda: loop.run_until_complete(use(fn))) == 0
    finally:
        loop.close()


def test_no_cyclic_garbage_in_nested_calls():
    """Nor does a guarded call inside a guarded call, with context and steps."""
    inner = usual(Tally())(lambda: "a")
    outer = guard(Tally(), Steps(Upper))(inner)

    @usual()
    def twice(_=""):
        return inner() + outer()

    def work():
        with context(user="u"):
            twice()

    assert garbage(work) == 0


def test_no_cyclic_garbage_from_streams_closed_early():
    """Nor does a stream that is closed early, or dropped."""
    fn = usual(Tally())(lambda _="": SdkStream("a", "b"))

    def closes():
        stream = fn()
        next(stream)
        stream.close()

    def drops():
        next(fn())
        settle_lost()

    assert garbage(closes) == 0
    assert garbage(drops) == 0


# --- objects and threads ----------------------------------------------------------------------


def soak(work: Callable[[int], None], times: int) -> None:
    """Assert that `times` more repetitions keep no objects and no threads."""
    work(max(times // 100, 20))
    before, threads = objects(), threading.active_count()
    work(times)
    assert objects() - before < times * 0.01 + 60
    assert threading.active_count() <= threads


def sync_calls(times: int) -> None:
    """Make sync calls of several kinds."""
    tally = Tally()
    ask = usual(tally)(lambda _="": "a")
    ask_stream = usual(tally)(callables("a", "b")["generator"])
    fails = guard(tally, retry(attempts=1))(callables(KeyError())["function"])
    for _ in range(times // 4):
        ask()
        list(ask_stream())
        with pytest.raises(KeyError):
            fails()
        with context(user="u"):
            ask()
    assert tally.kinds == {"completed": times // 4 * 3, "failed": times // 4}


def async_calls(times: int) -> None:
    """Make async calls of several kinds."""
    tally = Tally()
    ask = guard(tally, retry(budget=None), timeout(30))(callables("a")["coroutine"])
    ask_stream = guard(tally, timeout(30))(callables("a", "b")["asyncgen"])

    async def main():
        for _ in range(times // 2):
            await ask()
            await use(ask_stream)

    asyncio.run(main())
    assert tally.kinds == {"completed": times // 2 * 2}


def abandoned_streams(times: int) -> None:
    """Drop sync streams in the middle."""
    tally = Tally()
    made = weakref.WeakSet()

    def ask(_=""):
        stream = SdkStream("a", "b")
        made.add(stream)
        return stream

    fn = usual(tally)(ask)
    for _ in range(times):
        next(fn())
    settle()
    assert tally.kinds == {"abandoned": times}
    assert len(made) == 0
    assert not lost


def abandoned_async_streams(times: int) -> None:
    """Drop async streams in the middle."""
    tally = Tally()
    open_now = 0

    async def ask():
        nonlocal open_now
        open_now += 1
        try:
            yield "a"
            yield "b"
        finally:
            open_now -= 1

    fn = guard(tally)(ask)

    async def main():
        for _ in range(times):
            await anext(fn())
        for _ in range(100):
            await asyncio.sleep(0)
        settle()
        for _ in range(100):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert tally.kinds == {"abandoned": times}
    assert open_now == 0
    assert not engine_loop.held


@pytest.mark.parametrize("work", [sync_calls, async_calls])
def test_calls_leave_nothing(work):
    """Thousands of calls keep no object and no thread."""
    soak(work, 20_000 if work is sync_calls else 4_000)


@pytest.mark.parametrize("work", [abandoned_streams, abandoned_async_streams])
def test_abandoned_streams_leave_nothing(work):
    """Hundreds of abandoned streams keep no object, no thread and no open stream."""
    soak(work, 500)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("work", [sync_calls, async_calls])
def test_a_million_calls_leave_nothing(work):
    """A million calls keep no object and no thread."""
    soak(work, 1_000_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("work", [abandoned_streams, abandoned_async_streams])
def test_ten_thousand_abandoned_streams_leave_nothing(work):
    """Ten thousand abandoned streams keep no object, no thread and no open stream."""
    soak(work, 10_000)


def test_threads_of_bounded_calls_are_reused():
    """Calls in worker threads, one after the other, share a worker."""
    ask = timeout(30)(lambda: "a")
    ask()
    before = threading.active_count()
    for _ in range(200):
        ask()
    assert threading.active_count() <= before + 1


# --- streams that nobody reads ----------------------------------------------------------------


def test_dropped_streams_are_settled_before_the_next_call():
    """A sync stream that was let go of is closed before any guarded call begins."""
    watch = Watch()
    made = []

    def ask():
        made.append(SdkStream("a", "b"))
        return made[-1]

    next(watch(ask)())
    assert watch.kinds == []
    Through()(lambda: "a")()
    assert watch.kinds == ["abandoned"]
    assert made[0].closed == 1


async def test_dropped_async_streams_are_settled_on_their_loop():
    """An async stream that was let go of is closed on its own loop, without a further call."""
    watch = Watch()
    made = []

    async def ask():
        made.append(AsyncSdkStream("a", "b"))
        return made[-1]

    stream = await watch(ask)()
    await anext(stream)
    thread = threading.Thread(target=lambda stream: None, args=(stream,))
    thread.start()
    thread.join(30)
    del stream, thread
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)
    assert watch.kinds == ["abandoned"]
    assert made[0].closed == 1


@pytest.mark.parametrize("shape", ["generator", "returns a sync stream"])
def test_the_collector_inside_a_lock(shape):
    """Dead streams in cycles, found by the collector inside the very lock a hook wants: no deadlock."""
    lock = threading.Lock()
    told = []

    class Locked(Policy):
        async def around(self, call, next):
            return await observe(next(call), self.hook)

        def hook(self, outcome):
            with lock:
                told.append(outcome.kind)

    fn = Locked()(callables("a", "b")[shape])
    for _ in range(5):
        stream = fn()
        next(stream)
        ring: list[Any] = [stream]
        ring.append(ring)
        del stream, ring
    with lock:
        gc.collect()
        assert told == []
    fn().close()
    settle()
    assert told[:5] == ["abandoned"] * 5


@pytest.mark.parametrize("shape", [name for name in STREAMS if "async" in name])
async def test_the_collector_inside_a_lock_of_an_async_stream(shape):
    """The same for async streams, begun or not."""
    lock = threading.Lock()
    told = []

    class Locked(Policy):
        async def around(self, call, next):
            return await observe(next(call), self.hook)

        def hook(self, outcome):
            with lock:
                told.append(outcome.kind)

    fn = Locked()(callables("a", "b")[shape])
    for _ in range(5):
        stream, _ = await begin(fn)
        ring: list[Any] = [stream]
        ring.append(ring)
        del stream, ring
    with lock:
        gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)
    settle()
    for _ in range(20):
        await asyncio.sleep(0)
    assert told == ["abandoned"] * 5


def test_a_suspended_call_found_by_the_collector():
    """A call whose loop is gone, closed by the collector inside the lock its hook wants."""
    lock = threading.Lock()
    told = []

    class Locked(Policy):
        async def around(self, call, next):
            return await observe(next(call), self.hook)

        def hook(self, outcome):
            assert lock.acquire(timeout=0.2), "the collector ran a hook inside the lock"
            told.append(outcome.kind)
            lock.release()

    async def hangs():
        await asyncio.get_running_loop().create_future()

    fn = Locked()(hangs)
    loop = asyncio.new_event_loop()
    pending = fn()

    loop.call_soon(pending.send, None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    ring: list[Any] = [pending]
    ring.append(ring)
    del pending, ring
    with lock:
        gc.collect()
    Through()(lambda: "a")()
    assert told == ["abandoned"]


async def test_a_handed_back_stream_never_begun():
    """A sync function's async stream that nobody reads is let go without a hook in the collector."""
    lock = threading.Lock()
    told = []

    class Locked(Policy):
        async def around(self, call, next):
            return await observe(next(call), self.hook)

        def hook(self, outcome):
            assert lock.acquire(timeout=0.2), "the collector ran a hook inside the lock"
            told.append(outcome.kind)
            lock.release()

    stream = Locked()(lambda: AsyncSdkStream("a"))()
    ring: list[Any] = [stream]
    ring.append(ring)
    del stream, ring
    with lock:
        gc.collect()
    Through()(lambda: "a")()
    assert told == ["abandoned"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_a_stream_left_alone_is_closed(shape):
    """Nobody pulls it for `abandon_after` seconds: it is closed; who comes back is told so."""
    watch = Watch()
    with FakeRuntime() as time:
        stream, _ = await begin(guard(watch, abandon_after=60)(callables("a", "b", "c")[shape]))
        streams.reap(time.monotonic())
        assert watch.kinds == []
        time.advance(59)
        streams.reap(time.monotonic())
        assert watch.kinds == []
        time.advance(2)
        streams.reap(time.monotonic())
        for _ in range(5):
            await asyncio.sleep(0)
        assert watch.kinds == ["abandoned"]
        with pytest.raises(errors.Timeout, match="abandon_after"):
            if hasattr(stream, "__anext__"):
                await anext(stream)
            else:
                next(stream)
        await close(stream)
    assert watch.kinds == ["abandoned"]


def test_a_stream_that_is_read_now_and_then_stays_open():
    """The time counts from the last pull."""
    watch = Watch()
    with FakeRuntime() as time:
        stream = guard(watch, abandon_after=60)(callables("a", "b", "c")["generator"])()
        for item in "abc":
            assert next(stream) == item
            time.advance(50)
            streams.reap(time.monotonic())
        assert list(stream) == []
    assert watch.kinds == ["completed"]


def test_a_slow_pull_is_not_an_idle_consumer():
    """While the provider is slow the consumer is there: the stream is not taken from it."""
    watch = Watch()
    with FakeRuntime() as time:

        @guard(watch, abandon_after=60)
        def ask():
            yield "a"
            time.advance(100)
            streams.reap(time.monotonic())
            yield "b"

        assert list(ask()) == ["a", "b"]
    assert watch.kinds == ["completed"]


def test_a_generator_not_begun_is_not_reaped():
    """A generator that was never begun holds nothing and may wait for ever."""
    with FakeRuntime() as time:
        stream = guard(Through(), abandon_after=60)(callables("a")["generator"])()
        time.advance(1000)
        streams.reap(time.monotonic())
        assert list(stream) == ["a"]


def test_the_reaper_runs_by_itself(monkeypatch):
    """A thread of the engine closes what nobody reads, and ends when no stream is open."""
    monkeypatch.setattr(streams, "_reaper", None)
    monkeypatch.setattr(streams, "_REAPER_SECONDS", 0.01)
    watch, told = Watch(), threading.Event()

    class Tell(Policy):
        async def around(self, call, next):
            return await observe(next(call), lambda _: told.set())

    stream = guard(watch, Tell(), abandon_after=0.02)(callables("a", "b")["generator"])()
    next(stream)
    reaper = streams._reaper
    assert told.wait(30)
    reaper.join(30)
    assert not reaper.is_alive()
    assert watch.kinds == ["abandoned"]
    with pytest.raises(errors.Timeout):
        next(stream)


# --- loops that are gone ----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [name for name in STREAMS if "async" in name])
def test_streams_whose_loop_was_closed(shape):
    """A stream dropped after its loop was closed is settled before the next call, without noise."""
    watch = Watch()
    fn = watch(callables("a", "b")[shape])

    async def open_one():
        return (await begin(fn))[0]

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(open_one())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    del stream
    gc.collect()
    Through()(lambda: "a")()
    assert watch.kinds == ["abandoned"]


def test_streams_whose_loop_was_run_by_asyncio_run():
    """asyncio.run closes the user's generator itself; the account is settled once."""
    watch = Watch()
    kept: list[Any] = []

    @watch
    async def ask():
        yield "a"
        yield "b"

    async def main():
        stream = ask()
        await anext(stream)
        kept.append(stream)

    asyncio.run(main())
    kept.clear()
    settle()
    assert len(watch.kinds) == 1


def test_reaping_when_the_loop_is_closed():
    """A stream that is still held when its loop is closed is settled by the reaper."""
    watch = Watch()
    fn = guard(watch, abandon_after=60)(callables("a", "b")["returns an async stream"])

    async def open_one():
        return (await begin(fn))[0]

    with FakeRuntime() as time:
        loop = asyncio.new_event_loop()
        stream = loop.run_until_complete(open_one())
        loop.close()
        time.advance(100)
        streams.reap(time.monotonic())
    assert watch.kinds == ["abandoned"]
    assert "ended" in repr(stream)
