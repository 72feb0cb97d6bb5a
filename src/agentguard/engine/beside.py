"""A check that runs beside the call it is about: it costs no time unless it takes longer.

The answer is handed on when the check has passed. One that does not pass cancels the call where it
can be cancelled, in async mode; in sync mode what the call brings is let go of.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any, TypeVar

from agentguard.engine import clock, workers
from agentguard.engine.drive import drive
from agentguard.engine.loop import loop_or_refuse
from agentguard.engine.runtime import Runtime

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply

__all__ = ["beside"]

T = TypeVar("T")


async def beside(
    call: Call,
    next: Next,
    check: Callable[[Runtime], Coroutine[Any, Any, T]],
    stops: Callable[[T], bool],
) -> tuple[Reply | None, T]:
    """Make the call while `check` runs, and wait for both.

    An exception of the check ends the call as well; one of the call is raised when the check has
    passed. Nothing of the check is left behind: it ends, or is cancelled; only a worker whose
    caller was interrupted, or whose deadline passed, finishes what it is in.

    Args:
        call: the call.
        next: the chain inside.
        check: runs with the runtime given, through which alone it waits.
        stops: whether what the check has found ends the call.

    Returns:
        The reply, None where the check has ended the call, and what the check has found.
    """
    if call.runtime.is_async:
        return await _Tasks(call, check, stops).both(next)
    runtime = call.runtime  # the check keeps its mode, should the call turn async meanwhile
    context = contextvars.copy_context()
    coro = check(Runtime(False, runtime.target, runtime.options))
    wakes: list[Callable[[], object]] = []  # whoever waits for it on a loop

    def ended(_: workers.Job) -> None:
        for wake in wakes:
            wake()

    job = workers.start(lambda: context.run(drive, coro), ended)
    reply = failure = None
    try:
        reply = await next(call)
    except Exception as error:
        failure = error
    except BaseException:
        job.abandon(lambda _: None)
        raise
    try:
        found: T = await _outcome(call, job, wakes)
    except Exception:
        if reply is not None:
            await reply.discard()
        raise
    if stops(found):
        if reply is not None:
            await reply.discard()
        return None, found
    if failure is not None:
        raise failure
    return reply, found


async def _outcome(call: Call, job: workers.Job, wakes: list[Callable[[], object]]) -> Any:
    """What a worker brings, within the deadline."""
    left = _left(call)
    try:
        if call.runtime.is_async:  # since the callable handed back an awaitable
            in_time = await _ended(job, wakes, left)
        else:
            in_time = clock.now().wait(job.done, left)
    except BaseException:
        job.abandon(lambda _: None)
        raise
    if not in_time and call.deadline is not None and job.abandon(lambda _: None):
        raise _late(call)
    error, job.error = job.error, None
    if error is None:
        return job.value
    try:
        raise error
    finally:
        del error


async def _ended(job: workers.Job, wakes: list[Callable[[], object]], left: float | None) -> bool:
    import asyncio

    loop = loop_or_refuse()
    ended = asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(ended.set)

    wakes.append(wake)
    if job.done.is_set():
        return True
    try:
        async with asyncio.timeout(left):
            await ended.wait()
    except TimeoutError:
        return job.done.is_set()
    return True


class _Tasks:
    """The call in its caller's task, the check in one of its own."""

    __slots__ = ("_call", "_calling", "_check", "_stopped", "_stops", "_task")

    def __init__(
        self,
        call: Call,
        check: Callable[[Runtime], Coroutine[Any, Any, Any]],
        stops: Callable[[Any], bool],
    ) -> None:
        import asyncio

        loop = loop_or_refuse()
        task = asyncio.current_task()
        if task is None:
            name = call.target.name
            raise RuntimeError(f"{name} has a check beside it and was awaited outside of a task")
        self._call = call
        self._stops = stops
        self._task = task
        self._calling = True
        self._stopped = False
        self._check: asyncio.Task[Any] = loop.create_task(check(call.runtime))
        self._check.add_done_callback(self._checked)

    def _checked(self, check: asyncio.Task[Any]) -> None:
        if not self._calling or check.cancelled():
            return
        if check.exception() is not None or self._stops(check.result()):
            self._stopped = True
            self._task.cancel()

    async def both(self, next: Next) -> tuple[Reply | None, Any]:
        import asyncio

        before = self._task.cancelling()
        reply = failure = None
        try:
            reply = await next(self._call)
        except asyncio.CancelledError:
            if not self._stopped or self._task.uncancel() > before:  # by somebody else, too
                await self._end()
                raise
        except GeneratorExit:  # nothing can be awaited
            self._calling = False
            self._check.cancel()
            raise
        except Exception as error:
            failure = error
        except BaseException:
            await self._end()
            raise
        self._calling = False
        if self._stopped and self._task.cancelling() > before:
            self._task.uncancel()  # it was swallowed on its way
        try:
            found = await self._found(before)
        except Exception:
            if reply is not None:
                await reply.discard()
            raise
        if self._stops(found):
            if reply is not None:
                await reply.discard()
            return None, found
        if failure is not None:
            raise failure
        return reply, found

    async def _found(self, before: int) -> Any:
        import asyncio

        try:
            async with asyncio.timeout(_left(self._call)):
                found = await self._check
        except TimeoutError:
            if self._check.cancelled():
                raise _late(self._call) from None
            raise
        if self._task.cancelling() > before:
            raise asyncio.CancelledError  # the check has swallowed what was meant for its caller
        return found

    async def _end(self) -> None:
        """Cancel the check; it is over when this returns."""
        import asyncio

        self._calling = False
        self._check.cancel()
        await asyncio.wait([self._check])
        if not self._check.cancelled():
            self._check.exception()  # looked at, so that asyncio does not tell of it


def _left(call: Call) -> float | None:
    return None if call.deadline is None else call.deadline.at - call.runtime.monotonic()


def _late(call: Call) -> Exception:
    if call.deadline is None:
        raise AssertionError("only a deadline ends the wait")
    return call.deadline.passed(f"the check beside {call.target.name}")
