"""Wherever a cancellation strikes, a budget is settled: nothing stays set aside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentguard import budget, fallback, guard, retry, timeout
from agentguard.policies.budget import Budget
from agentguard.stores.memory import MemoryLedger
from tests.engine.kit import AsyncSdkStream
from tests.engine.test_cancellation import cancelled_at, everything_settled
from tests.policies.test_budget import answer, chunks


class Remote(MemoryLedger):
    """Must not be called on an event loop, so that each operation is an await."""

    remote = True


async def unary(policy: Budget) -> Any:
    """One call."""

    async def ask() -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer()

    return await guard(policy, timeout(30))(ask)()


async def retried(policy: Budget) -> Any:
    """Two attempts."""
    calls: list[int] = []

    async def ask() -> dict[str, Any]:
        await asyncio.sleep(0)
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError
        return answer()

    return await guard(policy, retry(wait=lambda _: 1e-6, budget=None))(ask)()


async def fallen_back(policy: Budget) -> Any:
    """A sync target in a worker."""

    async def ask() -> dict[str, Any]:
        await asyncio.sleep(0)
        raise ConnectionError

    return await guard(policy, fallback(lambda: answer()))(ask)()  # noqa: PLW0108


async def streamed(policy: Budget) -> Any:
    """A stream that becomes longer than expected."""

    async def ask() -> Any:
        await asyncio.sleep(0)
        return AsyncSdkStream(*chunks(["one two three "] * 20, output_tokens=90))

    return [each async for each in await guard(policy)(ask)()]


async def nested(policy: Budget) -> Any:
    """An agent that makes two calls."""

    async def ask() -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer()

    inner = guard(retry(budget=None))(ask)

    async def agent() -> str:
        await inner()
        await asyncio.sleep(0)
        await inner()
        return "done"

    return await guard(policy)(agent)()


SCENES = [unary, retried, fallen_back, streamed, nested]


async def used(scene: Any, policy: Budget, number: int) -> tuple[bool, int]:
    """Whether it was cancelled at this await, and how many there were."""
    seen: list[int] = []

    async def use() -> None:
        await cancelled_at(scene(policy), number, seen)

    task = asyncio.create_task(use())
    cancelled = False
    try:
        await task
    except asyncio.CancelledError:
        cancelled = True
    del task
    await everything_settled()
    for _ in range(100):
        if not any(each.reserved for each in policy.status().values()):
            break
        await asyncio.sleep(0.01)  # a worker of a cancelled caller is still inside the store
    return cancelled, len(seen)


@pytest.mark.parametrize("remote", [False, True], ids=["memory", "remote"])
@pytest.mark.parametrize("scene", SCENES, ids=[each.__name__ for each in SCENES])
async def test_cancelled_at_every_await(scene, remote):
    """Nothing stays set aside, and no more is used than without the cancellation."""

    def policy(lost: Any = "refund") -> Budget:
        store = {"store": Remote(), "name": "n"} if remote else {}
        return budget(tokens=100_000, requests=10, expect=50, lost=lost, **store)

    whole = policy()
    _, awaits = await used(scene, whole, 0)
    assert awaits
    most = {unit: each.used for unit, each in whole.status().items()}
    for number in range(1, awaits + 1):
        tried = policy()
        cancelled, _ = await used(scene, tried, number)
        assert cancelled, number
        for unit, each in tried.status().items():
            assert each.reserved == 0, (number, unit)
            assert each.used <= most[unit], (number, unit)


async def test_a_cancelled_call_is_charged_by_default():
    """The provider may have worked for it."""
    for lost, expected in (("charge", 50), ("refund", 0)):
        policy = budget(output_tokens=1000, expect=50, lost=lost)  # type: ignore[arg-type]

        began = asyncio.Event()

        async def ask(began: asyncio.Event = began) -> dict[str, Any]:
            began.set()
            await asyncio.sleep(30)
            return answer()

        task = asyncio.create_task(guard(policy)(ask)())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert policy.used == expected
