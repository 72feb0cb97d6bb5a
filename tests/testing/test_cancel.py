"""cancel_everywhere."""

from __future__ import annotations

import asyncio

import pytest

from agentguard import guard, retry, timeout
from agentguard.testing import FakeRuntime, ScriptedModel, Stall, cancel_everywhere


async def three() -> str:
    """Suspend three times, in three ways."""
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future
    async with asyncio.timeout(10):
        await asyncio.sleep(0.001)
    return "done"


async def test_every_suspension_is_cancelled_once() -> None:
    """One run for each suspension, and one that completes."""
    runs = []

    async def counted() -> None:
        runs.append("run")
        await three()

    assert await cancel_everywhere(counted) == 3
    assert len(runs) == 4


async def test_a_coroutine_that_never_waits_cannot_be_cancelled() -> None:
    """Nothing suspends: there is no place."""

    async def straight() -> None:
        return

    assert await cancel_everywhere(straight) == 0


async def test_the_check_runs_after_each_run() -> None:
    """Plain or asynchronous; what it raises comes out."""
    open_now = 0

    async def leaks() -> None:
        nonlocal open_now
        open_now += 1
        await three()
        open_now -= 1

    async def check() -> None:
        await asyncio.sleep(0)
        assert open_now == 0, "left open"

    with pytest.raises(AssertionError, match="left open"):
        await cancel_everywhere(leaks, check)


async def test_a_swallowed_cancellation_is_found() -> None:
    """With the number of the suspension."""

    async def swallows() -> None:
        await asyncio.sleep(0)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return

    with pytest.raises(AssertionError, match="suspension number 2 was swallowed"):
        await cancel_everywhere(swallows)


async def test_another_exception_in_its_place_is_found() -> None:
    """A cancellation that becomes an error is lost for whoever cancelled."""

    async def turns() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise ValueError("cancelled") from None

    with pytest.raises(AssertionError, match="raised ValueError in"):
        await cancel_everywhere(turns)


async def test_errors_of_its_own_come_out() -> None:
    """A coroutine that fails without being cancelled fails the test as it is."""

    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await cancel_everywhere(fails)


@pytest.mark.parametrize("shape", ["coroutine", "asyncgen", "returns_async_stream"])
async def test_guarded_calls_leave_nothing_open(shape: str) -> None:
    """Retries and bounds, cancelled at every await: each stream is closed exactly once."""
    models: list[ScriptedModel] = []

    async def call() -> None:
        model = ScriptedModel(ConnectionError(), [Stall(1), "a", Stall(2), "b"])
        models.append(model)
        answer = guard(retry(attempts=3), timeout(30))(model.shape(shape))("hi")
        if shape != "asyncgen":
            answer = await answer
        if shape != "coroutine":
            async for _ in answer:
                pass

    def check() -> None:
        assert models[-1].opened == models[-1].ended + models[-1].closed

    with FakeRuntime():
        assert await cancel_everywhere(call, check) == 3
