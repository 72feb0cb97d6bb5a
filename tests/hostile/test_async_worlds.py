"""Guards among the other things that cancel, shield and schedule: asyncio's own, and anyio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from agentguard import Policy, breaker, errors, guard, observe, report, retry, timeout

GUARDS = guard(retry(attempts=2, wait=lambda _: 0), breaker(), timeout(5))


@GUARDS
async def hangs() -> str:
    """A call that never ends."""
    await asyncio.sleep(60)
    return "never"


@GUARDS
async def quick() -> str:
    """A call that ends."""
    await asyncio.sleep(0.001)
    return "42"


async def test_a_task_group_that_fails_cancels_guarded_calls() -> None:
    """They are cancelled as bare ones, and counted by no breaker."""
    tasks: list[asyncio.Task[str]] = []
    with report() as r, pytest.raises(ExceptionGroup, match="unhandled"):
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(hangs()), group.create_task(hangs())]
            await asyncio.sleep(0.01)
            raise ValueError("stop")
    assert all(task.cancelled() for task in tasks)
    assert [call.outcome for call in r.calls] == ["abandoned", "abandoned"]


async def test_bounds_of_asyncio_around_a_guarded_call_are_its_own() -> None:
    """`asyncio.timeout` and `wait_for` raise their error, not ours, and no cancellation is left."""
    with pytest.raises(TimeoutError) as told:
        async with asyncio.timeout(0.01):
            await hangs()
    assert not isinstance(told.value, errors.GuardError)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hangs(), 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_shielded_call_goes_on() -> None:
    """`asyncio.shield` protects a guarded call as any other."""
    task = asyncio.ensure_future(quick())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0)
    assert await task == "42"


async def test_our_bound_ends_a_task_group_inside() -> None:
    """One Timeout comes out, and the tasks of the group are gone."""

    @timeout(0.02)
    async def fan_out() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))

    @timeout(0.02)
    async def anyio_fan_out() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)

    for each in (fan_out, anyio_fan_out):
        with pytest.raises(errors.Timeout):
            await each()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_level_cancellation_settles_calls_and_streams() -> None:
    """In anyio a scope cancels at every await anew: hooks still finish, and the stream is closed."""
    heard: list[str] = []
    closed: list[str] = []

    class Watch(Policy):
        async def around(self, call: Any, next: Any) -> Any:
            return await observe(next(call), self.ended)

        async def ended(self, outcome: Any) -> None:
            await asyncio.sleep(0.001)
            heard.append(outcome.kind)

    @Watch()
    async def ask() -> None:
        await asyncio.sleep(60)

    @Watch()
    async def tell() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.001)
        finally:
            closed.append("closed")

    async def read() -> None:
        async for _ in tell():
            pass

    with anyio.move_on_after(0.02) as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(read)
    assert scope.cancelled_caught
    await asyncio.sleep(0.05)
    assert heard == ["abandoned", "abandoned"]
    assert closed == ["closed"]


if sys.version_info >= (3, 12):

    async def test_eager_tasks_run_guarded_calls() -> None:
        """A call that ends within its task's first step, and one that does not."""
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)

        @GUARDS
        async def instant() -> str:
            return "42"

        tasks = [asyncio.create_task(each()) for each in (instant, quick)]
        assert await asyncio.gather(*tasks) == ["42", "42"]


async def test_a_task_or_future_is_answered_with_its_result() -> None:
    """A plain function may return any awaitable; one that needs its loop asks for thread=False."""

    @guard(retry(), timeout(0.02, thread=False))
    def begin(seconds: float) -> Any:
        return asyncio.ensure_future(asyncio.sleep(seconds, "42"))

    assert await begin(0) == "42"
    with pytest.raises(errors.Timeout):
        await timeout(0.02, thread=False)(lambda: asyncio.ensure_future(asyncio.sleep(60)))()


@pytest.mark.xfail(
    strict=True,
    raises=RuntimeError,
    reason="a bound runs an unknown plain function in a worker, which has no event loop",
)
async def test_a_bound_around_a_function_that_returns_a_task() -> None:
    """It works bare, and it works under every policy but timeout."""

    @timeout(5)
    def begin() -> Any:
        answer = asyncio.get_running_loop().create_future()
        answer.set_result("42")
        return answer

    assert await begin() == "42"
