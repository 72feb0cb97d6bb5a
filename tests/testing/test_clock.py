"""FakeRuntime: virtual time for sync code, tasks and workers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import threading
from typing import Any

import pytest

from agentguard import deadline, fallback, guard, report, retry, timeout
from agentguard.engine import clock
from agentguard.errors import DeadlineExceeded, Timeout
from agentguard.testing import FakeRuntime, ScriptedModel, Stall, StandStill
from agentguard.testing.clock import pause


def test_a_sync_sleep_takes_no_time_and_is_noted() -> None:
    """Sleeping moves both clocks by exactly as much, and is listed in `slept`."""
    with FakeRuntime(start=1000.0) as time:
        clock.now().sleep(3600)
        assert (time.now, clock.now().monotonic(), clock.now().time()) == (3600, 3600, 4600)
        assert time.slept == [3600]


def test_the_clock_before_comes_back() -> None:
    """Leaving the block puts the clock in use that was there before, nested ones too."""
    before = clock.now()
    with FakeRuntime() as outer:
        with FakeRuntime() as inner:
            clock.now().sleep(5)
        assert clock.now() is outer
        assert (outer.now, inner.now) == (0, 5)
    assert clock.now() is before


def test_it_is_used_once() -> None:
    """A second `with` would start with the first one's time: it is refused."""
    time = FakeRuntime()
    with time:
        pass
    with pytest.raises(RuntimeError, match="used once"), time:
        pass


def test_the_wall_clock_starts_where_it_is_told() -> None:
    """`start` is an aware datetime or seconds since the epoch."""
    moment = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    assert FakeRuntime(start=moment).time() == moment.timestamp()
    assert FakeRuntime().time() == dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()


def test_chance_comes_from_the_seed() -> None:
    """The waits of a retry are the same for the same seed, and others for another."""

    def waits(seed: int) -> list[float]:
        with FakeRuntime(seed) as time:
            with pytest.raises(ConnectionError):
                retry(attempts=4)(ScriptedModel(ConnectionError(), repeat_last=True).sync)()
            return time.slept

    assert waits(1) == waits(1) != waits(2)
    assert len(waits(1)) == 3


@pytest.mark.parametrize(("stall", "end"), [(10, 10), (30, 30), (60, 30)])
@pytest.mark.parametrize("shape", ["sync", "coroutine", "generator", "asyncgen"])
def test_a_bound_passes_exactly_when_it_should(shape: str, stall: float, end: float) -> None:
    """Work of 60 s passes a bound of 30 s at 30; work of 10 s, or of 30 s, is in time."""
    fn = guard(timeout(30))(ScriptedModel([Stall(stall), "ok"]).shape(shape))

    async def consume() -> Any:
        answer = fn("hi")
        return await answer if shape == "coroutine" else [item async for item in answer]

    with FakeRuntime() as time:
        try:
            if shape in {"coroutine", "asyncgen"}:
                asyncio.run(consume())
            else:
                list(fn("hi"))
        except Timeout:
            assert stall == 60
        else:
            assert stall != 60
        assert time.now == end


def test_an_abandoned_worker_does_not_move_time() -> None:
    """A worker whose caller gave up wakes when its time comes, and never makes it come."""
    model = ScriptedModel([Stall(100), "late"], [Stall(1), "ok"])
    with FakeRuntime() as time, report() as told:
        ask = guard(timeout(30))(model.sync)
        with pytest.raises(Timeout):
            ask()
        assert ask() == "ok"
        assert time.now == 31
        clock.now().sleep(200)
        assert time.now == 231
    assert len(told.calls) == 2


def test_a_bound_inside_a_bound_in_workers() -> None:
    """A worker that waits for another worker holds no time either."""
    inner = guard(timeout(50))(ScriptedModel([Stall(20), "in"], [Stall(60), "never"]).sync)

    def call() -> Any:
        return inner()

    outer = guard(timeout(30))(call)
    with FakeRuntime() as time:
        assert outer() == "in"
        assert time.now == 20
        with pytest.raises(Timeout) as caught:
            outer()
        assert (caught.value.seconds, time.now) == (30, 50)


def test_a_deadline_is_kept_without_any_timeout() -> None:
    """`deadline` ends a sync call and an async one at its moment."""
    with FakeRuntime() as time:
        with pytest.raises(DeadlineExceeded), deadline(5):
            retry(ScriptedModel([Stall(60), "never"]).sync)()
        assert time.now == 5

        async def call() -> None:
            with deadline(7):
                await retry(ScriptedModel([Stall(60), "never"]).coroutine)()

        with pytest.raises(DeadlineExceeded):
            asyncio.run(call())
        assert time.now == 12


def test_time_jumps_to_whoever_wakes_first() -> None:
    """Tasks wake in the order of their times, those of one moment in the order they began."""
    order: list[tuple[int, float]] = []

    async def sleeper(number: int, seconds: float) -> None:
        await clock.now().asleep(seconds)
        order.append((number, time.now))

    async def main() -> None:
        await asyncio.gather(*(sleeper(n, s) for n, s in enumerate([3, 1, 2, 1, 0.5])))

    with FakeRuntime() as time:
        asyncio.run(main())
    assert order == [(4, 0.5), (1, 1), (3, 1), (2, 2), (0, 3)]


def test_time_waits_for_whatever_can_run() -> None:
    """A task that yields many times is run to its end before time moves."""

    async def main() -> None:
        async def busy() -> float:
            for _ in range(500):
                await asyncio.sleep(0)
            return time.now

        sleeping = asyncio.ensure_future(clock.now().asleep(10))
        assert await busy() == 0
        await sleeping
        assert time.now == 10

    with FakeRuntime() as time:
        asyncio.run(main())


def test_the_loops_own_timers_are_virtual() -> None:
    """asyncio.sleep, asyncio.timeout and wait_for take virtual time, in order with our own."""

    async def main() -> list[str]:
        order: list[str] = []

        async def ours() -> None:
            await clock.now().asleep(20)
            order.append(f"ours at {time.now:g}")

        async def asyncios() -> None:
            await asyncio.sleep(30)
            order.append(f"asyncio's at {round(time.now, 1):g}")  # begun in real time

        await asyncio.gather(asyncios(), ours())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 100)
        order.append(f"bound at {round(time.now, 1):g}")
        return order

    with FakeRuntime() as time:
        assert asyncio.run(main()) == ["ours at 20", "asyncio's at 30", "bound at 130"]


def test_a_loop_goes_back_to_real_time() -> None:
    """Leaving the block inside a running loop leaves its clock as it was."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with FakeRuntime():
            await clock.now().asleep(1000)
            await asyncio.sleep(1000)
        assert "time" not in vars(loop)
        assert "call_at" not in vars(loop)
        async with asyncio.timeout(10):
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_two_loops_share_one_time() -> None:
    """Loops in two threads see the same time, and it waits for both."""
    woken: list[tuple[str, float]] = []
    both = threading.Barrier(2)

    def run(name: str, seconds: float) -> None:
        async def main() -> None:
            clock.now().monotonic()
            both.wait()
            for _ in range(3):
                await clock.now().asleep(seconds)
                woken.append((name, time.now))

        asyncio.run(main())

    with FakeRuntime() as time:
        threads = [threading.Thread(target=run, args=each) for each in [("a", 2), ("b", 3)]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)
    assert sorted(at for name, at in woken if name == "a") == [2, 4, 6]
    assert sorted(at for name, at in woken if name == "b") == [3, 6, 9]


def test_a_worker_that_sleeps_lets_its_loop_s_tasks_go_on() -> None:
    """A sync target in a worker and tasks of the loop take turns in the order of their times."""
    order: list[str] = []

    def work() -> str:
        pause(5)
        order.append(f"worker at {time.now:g}")
        return "done"

    async def main() -> None:
        async def fails() -> str:
            raise ConnectionError("reset")

        async def ticks() -> None:
            for _ in range(3):
                await clock.now().asleep(2)
                order.append(f"task at {time.now:g}")

        answer, _ = await asyncio.gather(guard(fallback(work))(fails)(), ticks())
        assert answer == "done"

    with FakeRuntime() as time:
        asyncio.run(main())
    assert order == ["task at 2", "task at 4", "worker at 5", "task at 6"]


def _story() -> list[Any]:
    """Many tasks, retries and bounds with random waits: what happened, and when."""
    seen: list[Any] = []

    async def one(number: int) -> None:
        draw = random.Random(number)
        script = [ConnectionError(), [Stall(draw.random() * 9), "a"]] * 3
        ask = guard(retry(attempts=3), timeout(3))(
            ScriptedModel(*script[draw.randrange(2) :]).coroutine
        )
        try:
            await ask()
        except Exception as error:
            seen.append((number, type(error).__name__, time.now))
        else:
            seen.append((number, "ok", time.now))

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(12)))

    with FakeRuntime(7) as time:
        asyncio.run(main())
    return seen


def test_two_hundred_runs_tell_the_same_story() -> None:
    """The same test gives the same order and the same times in every run."""
    first = _story()
    assert len({outcome for _, outcome, _ in first}) > 1
    assert all(_story() == first for _ in range(200))


def test_bounds_in_workers_tell_the_same_story() -> None:
    """Sync calls in workers, too: 200 calls that pass their bound or do not, as they must."""
    draw = random.Random(3)
    stalls = [draw.choice([1, 29, 30, 31, 90]) for _ in range(200)]
    with FakeRuntime() as time:
        for stall in stalls:
            before = time.now
            ask = guard(timeout(30, max_abandoned=200))(ScriptedModel([Stall(stall), "ok"]).sync)
            try:
                assert ask() == "ok"
                assert stall <= 30
            except Timeout:
                assert stall > 30
            assert time.now - before == min(stall, 30)


def test_advance_wakes_in_order() -> None:
    """`advance` lets time pass from outside, to each that falls due in turn."""
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.now().asleep(seconds)
        woken.append((name, time.now))

    async def main() -> None:
        tasks = [asyncio.ensure_future(sleeper(n, s)) for n, s in [("b", 20), ("a", 10)]]
        await asyncio.sleep(0)
        time.advance(15)
        assert time.now == 15
        await asyncio.gather(*tasks)

    with FakeRuntime() as time:
        asyncio.run(main())
    assert woken == [("a", 15), ("b", 20)]


def test_a_stream_left_alone_is_closed_when_its_time_is_up() -> None:
    """`abandon_after` is virtual: nobody reads for longer, and the stream is closed."""
    model = ScriptedModel(["a", "b"], repeat_last=True)
    with FakeRuntime() as time:
        stream = guard(retry(), abandon_after=60)(model.returns_stream)()
        assert next(stream) == "a"
        time.advance(60)
        assert model.closed == 0
        time.advance(1)
        assert model.closed == 1
        with pytest.raises(Timeout, match="nobody read"):
            next(stream)


def test_an_async_stream_left_alone_is_closed_too() -> None:
    """The same for a stream of an event loop, while its task sleeps."""
    model = ScriptedModel(["a", "b"])

    async def main() -> None:
        stream = guard(retry(), abandon_after=60)(model.asyncgen)()
        assert await anext(stream) == "a"
        await clock.now().asleep(61)
        assert model.closed == 1
        with pytest.raises(Timeout, match="nobody read"):
            await anext(stream)

    with FakeRuntime():
        asyncio.run(main())


def test_a_worker_that_waits_for_real_cannot_hang_unseen() -> None:
    """Virtual time that cannot go on says so after its patience, and names the place."""
    release = threading.Event()

    def stuck_for_real() -> None:
        release.wait(30)

    try:
        with pytest.raises(StandStill, match="stuck_for_real"), FakeRuntime(patience=0.2):
            guard(timeout(30))(stuck_for_real)()
    finally:
        release.set()


def test_a_task_that_waits_while_another_spins_cannot_hang_unseen() -> None:
    """A loop that never comes to rest holds time, and its sleepers are told."""
    ended: list[str] = []

    async def main() -> None:
        async def spin() -> None:
            while not ended:  # noqa: ASYNC110  never resting is the point
                await asyncio.sleep(0)

        spinning = asyncio.ensure_future(spin())
        try:
            await clock.now().asleep(1)
        finally:
            ended.append("now")
            await spinning

    with (
        pytest.raises(StandStill, match="never comes to rest"),
        FakeRuntime(patience=0.2),
    ):
        asyncio.run(main())


def test_no_guard_hides_a_stand_still() -> None:
    """It is no Exception, and leaving the block raises it even if it was caught inside."""
    release = threading.Event()
    try:
        with (
            pytest.raises(StandStill),
            FakeRuntime(patience=0.2),
            contextlib.suppress(BaseException),
        ):
            guard(timeout(30))(lambda: release.wait(30))()
    finally:
        release.set()
    assert not issubclass(StandStill, Exception)


def test_leaving_frees_the_workers_that_still_sleep() -> None:
    """A worker left behind does not sleep on in a time that is over."""
    freed = threading.Event()

    def work() -> None:
        try:
            pause(10_000)
        finally:
            freed.set()

    with FakeRuntime(), pytest.raises(Timeout):
        guard(timeout(1))(work)()
    assert freed.wait(5)


def test_threads_of_the_test_s_own_all_get_through() -> None:
    """32 threads with retries and bounds end, whatever the order of their sleeps."""
    model = ScriptedModel(*([ConnectionError(), [Stall(2), "ok"]] * 200), repeat_last=True)
    ask = guard(retry(attempts=6, budget=None), timeout(30))(model.sync)
    got: list[object] = []

    def work() -> None:
        for _ in range(3):
            try:
                got.append(ask())
            except Exception as error:
                got.append(error)

    with FakeRuntime():
        threads = [threading.Thread(target=work) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert len(got) == 96


def test_real_sockets_are_given_time() -> None:
    """A loop with a connection open is idle only after a real moment without I/O."""

    async def main() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"pong\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def ask() -> str:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"ping\n")
            answer = await reader.readline()
            writer.close()
            return answer.decode().strip()

        async with server:
            return await guard(timeout(30))(ask)()

    with FakeRuntime() as time:
        assert asyncio.run(main()) == "pong"
        assert time.now == 0


def test_a_server_that_never_answers_passes_the_bound() -> None:
    """Nothing comes from the socket for a real moment: time moves on to the bound."""

    async def main() -> None:
        silent = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await silent.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def ask() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await reader.readline()
            finally:
                writer.close()

        async with server:
            with pytest.raises(Timeout):
                await guard(timeout(30))(ask)()
            silent.set()
            await asyncio.sleep(0)

    with FakeRuntime(settle=0.05) as time:
        asyncio.run(main())
        assert time.now == 30


def test_times_nest_within_a_running_loop() -> None:
    """An inner virtual time gives the loop back to the outer one."""

    async def main() -> None:
        with FakeRuntime() as outer:
            await clock.now().asleep(5)
            with FakeRuntime() as inner:
                await clock.now().asleep(100)
                await asyncio.sleep(100)
                assert (outer.now, inner.now) == (5, 200)
            await asyncio.sleep(5)
            assert outer.now == 10

    asyncio.run(main())


def test_bounds_that_did_not_pass_are_not_kept() -> None:
    """Ten thousand calls in time leave no heap of their bounds."""
    with FakeRuntime() as time:
        ask = guard(timeout(30))(ScriptedModel("ok", repeat_last=True).coroutine)

        async def main() -> None:
            for _ in range(10_000):
                await ask()

        asyncio.run(main())
        assert len(time._turns._timers) < 600


def test_a_bound_that_passes_for_want_of_time_is_a_stand_still() -> None:
    """A Timeout that only came because a worker waits for real does not pass for an expected one."""
    release = threading.Event()

    async def fails() -> str:
        raise ConnectionError("reset")

    def stuck() -> str:
        release.wait(30)
        return "late"

    try:
        with pytest.raises(StandStill), FakeRuntime(patience=0.2):
            asyncio.run(guard(timeout(30), fallback(stuck))(fails)())
    finally:
        release.set()
