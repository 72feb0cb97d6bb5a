"""Under trio async calls are refused with an error that says what to do; sync calls work."""

from __future__ import annotations

import pytest

from agentguard import guard, retry, timeout
from tests.engine.kit import Watch, callables, settle

trio = pytest.importorskip("trio")

ASYNC = (
    "coroutine",
    "asyncgen",
    "returns an async generator",
    "lambda of an awaitable",
    "partial of async",
    "async method",
)


@pytest.mark.parametrize("shape", ASYNC)
def test_async_calls_are_refused(shape):
    """Every async shape is refused at its first await, before its target did anything."""
    reached = []
    watch = Watch()
    inner = callables("a", "b")[shape]

    if shape in {"coroutine", "asyncgen"}:

        class Reached(type(watch)):
            async def around(self, call, next):
                reached.append(1)
                return await super().around(call, next)

        watch = Reached()
    fn = guard(watch, retry())(inner)

    async def main():
        answer = fn()
        if hasattr(answer, "__anext__"):
            async for _ in answer:
                pass
        else:
            await answer

    with pytest.raises(RuntimeError, match="asyncio") as caught:
        trio.run(main)
    assert "trio" in str(caught.value)
    assert reached == []
    settle()
    assert "completed" not in watch.kinds


def test_sync_calls_work():
    """Sync calls work inside trio and in its threads."""
    ask = guard(retry(), timeout(30))(lambda: "a")
    stream = retry(callables("a", "b")["generator"])

    async def main():
        assert ask() == "a"
        assert list(stream()) == ["a", "b"]
        return await trio.to_thread.run_sync(ask)

    assert trio.run(main) == "a"
