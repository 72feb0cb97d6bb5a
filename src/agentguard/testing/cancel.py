"""Cancel a coroutine wherever it can be cancelled."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.loop import held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

__all__ = ["cancel_everywhere"]

_MOST: Final = 1000  # suspensions; a coroutine with more would never come to an end here
_ROUNDS: Final = 200  # of the event loop, for clean-up that outlives the cancelled task


async def cancel_everywhere(
    make: Callable[[], Coroutine[Any, Any, Any]],
    check: Callable[[], Awaitable[None] | None] | None = None,
) -> int:
    """Run a coroutine again and again, and cancel it at its first suspension, its second, ...

    Cancellation arrives wherever code awaits, and what leaks does so at one of these places only.
    Ends with the run that completes before its turn to be cancelled.

    Args:
        make: makes a fresh coroutine for each run.
        check: called after each run, clean-up included; may be a coroutine function. It raises
            for what was not released.

    Returns:
        How many places it was cancelled at.

    Raises:
        AssertionError: a cancellation was swallowed, or came out as another exception.

    Examples:
        >>> import asyncio
        >>> from agentguard.testing import cancel_everywhere
        >>> async def work() -> None:
        ...     await asyncio.sleep(0)
        ...     await asyncio.sleep(0)
        >>> asyncio.run(cancel_everywhere(work))
        2
    """
    for place in range(1, _MOST):
        cancelled = await _cancelled_at(place, make())
        for _ in range(_ROUNDS):
            if not held:
                break
            await _turn()
        pending = None if check is None else check()
        if inspect.isawaitable(pending):
            await pending
        if not cancelled:
            return place - 1
    raise AssertionError(f"the coroutine was suspended {_MOST} times and did not come to an end")


async def _turn() -> None:
    import asyncio

    await asyncio.sleep(0)


async def _cancelled_at(place: int, coro: Coroutine[Any, Any, Any]) -> bool:
    """Whether it got as far as its suspension number `place`, where it was cancelled."""
    import asyncio

    run = _Run(coro, place)
    try:
        await asyncio.create_task(run.whole())
    except asyncio.CancelledError:
        if run.seen >= place:
            return True
        raise
    except BaseException as error:
        if run.seen >= place:
            raise AssertionError(
                f"cancelled at its suspension number {place}, it raised {type(error).__name__} in "
                "place of CancelledError"
            ) from error
        raise
    if run.seen >= place:
        raise AssertionError(f"the cancellation at suspension number {place} was swallowed")
    return False


class _Run:
    """One run of a coroutine, cancelled by its own task at one suspension."""

    def __init__(self, coro: Coroutine[Any, Any, Any], place: int) -> None:
        self.coro = coro
        self.place = place
        self.seen = 0

    async def whole(self) -> Any:
        return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        import asyncio

        task = asyncio.current_task()
        resume: Callable[[Any], Any] = self.coro.send
        value: Any = None
        while True:
            try:
                waits_for = resume(value)
            except StopIteration as stop:
                return stop.value
            self.seen += 1
            if self.seen == self.place and task is not None:
                task.cancel()  # within its own step: it reaches whatever the task waits for next
            try:
                value, resume = (yield waits_for), self.coro.send
            except BaseException as error:
                value, resume = error, self.coro.throw
