"""Keeping a bound of time: by cancelling in async mode, by leaving a worker behind in sync mode."""

from __future__ import annotations

import contextvars
import functools
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from agentguard import events
from agentguard.engine import clock, workers
from agentguard.engine.drive import Stopped
from agentguard.engine.limits import UNKEPT
from agentguard.engine.loop import loop_or_refuse
from agentguard.engine.scope import current
from agentguard.engine.trouble import trouble
from agentguard.providers.shapes import is_stream

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from agentguard.engine.call import Attempt
    from agentguard.engine.limits import Deadline, Hung
    from agentguard.engine.target import Target
    from agentguard.errors import Timeout

__all__ = ["GRACE", "alarmed", "book", "bounded", "expired", "in_worker", "inside", "narrowed"]

T = TypeVar("T")

GRACE: Final = 0.25
"""Seconds that an SDK is told beyond the bound, so that the guard's own error comes first."""


async def alarmed(awaitable: Awaitable[T], deadline: Deadline, attempt: Attempt) -> T:
    """Await until `deadline`, then cancel; as asyncio.timeout does, on the library's clock."""
    import asyncio

    task = asyncio.current_task()
    if task is None:
        name = attempt.call.target.name
        raise RuntimeError(f"{name} has a time bound and was awaited outside of a task")
    rung = False
    before = task.cancelling()

    def ring() -> None:
        nonlocal rung
        rung = True
        task.cancel()

    left = max(deadline.at - clock.monotonic(), 0.0)
    alarm = clock.now().alarm(asyncio.get_running_loop(), left, ring)
    try:
        value = await awaitable
        if rung:  # the callable swallowed our cancellation and answered all the same
            task.uncancel()
        return value
    except asyncio.CancelledError:
        if rung and task.uncancel() <= before:
            raise expired(attempt, deadline) from None
        raise
    except Exception as error:
        if rung and task.uncancel() <= before:
            # the callable turned our cancellation into an error of its own
            raise expired(attempt, deadline) from error
        raise
    finally:
        alarm.cancel()


def bounded(
    work: Callable[[], T],
    deadline: Deadline,
    late: Callable[[workers.Job], None],
    attempt: Attempt,
) -> T:
    """Run `work` in a worker and stop waiting for it at `deadline`."""
    hung = deadline.hung
    hung.admit()
    job = workers.start(work)
    try:
        in_time = clock.now().wait(job.done, max(deadline.at - clock.monotonic(), 0.0))
    except BaseException:  # KeyboardInterrupt: nobody waits for the worker any more
        if not _leave(job, hung, late):
            late(job)
        raise
    if not in_time and _leave(job, hung, late):
        raise expired(attempt, deadline)
    return cast("T", _result(job))


async def in_worker(
    work: Callable[[], T],
    deadline: Deadline | None = None,
    attempt: Attempt | None = None,
    late: Callable[[workers.Job], None] | None = None,
) -> T:
    """Run `work` in a worker and await it; what it brings after a cancellation goes to `late`."""
    loop = loop_or_refuse()
    arrived: asyncio.Future[None] = loop.create_future()

    def arrive() -> None:
        if not arrived.done():
            arrived.set_result(None)

    def wake(_: workers.Job) -> None:
        try:
            loop.call_soon_threadsafe(arrive)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody waits any more

    hung = UNKEPT if deadline is None else deadline.hung
    hung.admit()
    job = workers.start(work, wake)
    try:
        if deadline is None or attempt is None:
            await arrived
        else:
            await alarmed(arrived, deadline, attempt)
    except BaseException:
        late = late or functools.partial(book, attempt)
        if not _leave(job, hung, late):
            late(job)
        raise
    return cast("T", _result(job))


def inside(
    attempt: Attempt, work: Callable[[], T], context: contextvars.Context | None = None
) -> Callable[[], T]:
    """`work` in a copy of the caller's context, or in `context`, with the attempt as its scope."""
    if context is None:
        context = contextvars.copy_context()
    context.run(current.set, attempt)
    return functools.partial(context.run, work)


def expired(attempt: Attempt, deadline: Deadline) -> Timeout:
    """The error of a bound that passed, which the listeners have been told of."""
    attempt.call.emit(events.TimedOut, deadline.bound, deadline.seconds)
    return deadline.passed(attempt.call.target.name)


def _result(job: workers.Job) -> Any:
    error, job.error = job.error, None  # else the traceback holds the job, and the job the error
    if error is None:
        return job.value
    try:
        if isinstance(error, StopIteration):
            raise Stopped(error)
        raise error
    finally:
        del error


def _leave(job: workers.Job, hung: Hung, late: Callable[[workers.Job], None]) -> bool:
    """Stop waiting for a worker; False when it came back at this very moment."""

    def back(job: workers.Job) -> None:
        hung.remove(job)
        late(job)

    hung.add(job)
    if job.abandon(back):
        return True
    hung.remove(job)
    return False


def book(attempt: Attempt | None, job: workers.Job) -> None:
    """A result that came too late: nobody gets it, but what it cost is known."""
    if attempt is None or job.error is not None:
        return
    closer = getattr(job.value, "close", None)
    if is_stream(job.value) and closer is not None:
        try:
            closer()
        except Exception as error:
            trouble("closing a stream that came too late", error)
    attempt.late(job.value)


def narrowed(target: Target, kwargs: dict[str, Any], left: float) -> dict[str, Any]:
    """Tell a recognised SDK method how many seconds are left, as its own `timeout=`."""
    endpoint = target.endpoint
    if "timeout" in kwargs or not endpoint.takes_timeout:
        return kwargs
    # The client's own timeout may be tighter: it is never lengthened.
    told = left if endpoint.timeout is None else min(left, endpoint.timeout)
    return kwargs if told == inf else {**kwargs, "timeout": told}
