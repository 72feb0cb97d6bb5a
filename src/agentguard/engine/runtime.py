"""Everything that waits: sleep, the callable, the next chunk, a store.

In sync mode these methods block and never suspend; in async mode they await. A policy calls them
the same way in both, which is why it is written once. Bounds are kept here too: in async mode by
cancelling, in sync mode by a worker thread that the caller stops waiting for.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from agentguard import events
from agentguard.engine import clock, workers
from agentguard.engine.drive import AWAITABLE, STREAM, HandBack, hand_back
from agentguard.engine.limits import UNKEPT
from agentguard.engine.scope import current
from agentguard.engine.trouble import trouble
from agentguard.providers.shapes import is_stream

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator

    from agentguard.engine.call import Attempt, Target
    from agentguard.engine.limits import Deadline, Hung
    from agentguard.engine.reply import Source
    from agentguard.errors import Timeout

__all__ = [
    "HOLD_SECONDS",
    "PLAIN",
    "Ended",
    "Options",
    "Runtime",
    "Stopped",
    "finish_later",
    "loop_or_refuse",
]

T = TypeVar("T")

PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None), dict, list, tuple, set})
HOLD_SECONDS: Final = 10.0  # how long clean-up may go on after its caller was cancelled

held: Final[set[asyncio.Task[Any]]] = set()  # a loop keeps only weak references to its tasks


class Stopped(BaseException):
    """The callable raised StopIteration, which no coroutine may raise: carried to the boundary.

    Control flow and no failure, hence no Exception: no policy acts on it.
    """

    def __init__(self, error: StopIteration) -> None:
        super().__init__("the callable raised StopIteration")
        self.error = error


class Ended:
    """What `pull` returns after the last item, with a generator's return value."""

    __slots__ = ("value",)

    def __init__(self, value: object = None) -> None:
        self.value = value


def loop_or_refuse() -> asyncio.AbstractEventLoop:
    """The running asyncio loop; under any other event loop an error that says what to do."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        other = "trio" if "trio" in sys.modules else "something other than asyncio"
        raise RuntimeError(
            f"agentguard runs async calls on asyncio, and this one runs under {other}, where its "
            "waits and time bounds would not work. Run it under asyncio (trio-asyncio does so "
            "inside trio), or guard the sync callable and call it in a thread."
        ) from None


def finish_later(pending: Awaitable[Any]) -> bool:
    """Finish `pending` in a task of its own that outlives its caller, for a bounded time.

    False when no event loop runs here: then nothing can be cancelled and the caller may await it.
    """
    asyncio = sys.modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001  documented
    if asyncio is None or loop is None:
        return False

    async def bounded() -> None:
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await pending
        except Exception as error:
            trouble("clean-up after a cancelled call", error)

    task = loop.create_task(bounded())
    held.add(task)
    task.add_done_callback(held.discard)
    return True


class Options:
    """What `guard(...)` was told beside its policies.

    Attributes:
        strict_streams: True or False overrides whether a stream must show its terminal signal.
        abandon_after: seconds after which a stream that nobody pulls is closed.
    """

    __slots__ = ("abandon_after", "strict_streams")

    def __init__(self, strict_streams: bool | None = None, abandon_after: float = 60.0) -> None:  # noqa: FBT001
        self.strict_streams = strict_streams
        self.abandon_after = abandon_after


class Runtime:
    """How one guarded call waits.

    Attributes:
        is_async: whether it runs under an event loop. A call that began as sync turns async when
            its callable hands back an awaitable.
        target: what was guarded; any other target is a foreign one.
        options: of the guard.
        open: the streams that this call has opened and not yet ended.
        ended: the call has returned; a stream that arrives later is discarded on arrival.
    """

    __slots__ = ("ended", "is_async", "open", "options", "target")

    def __init__(self, is_async: bool, target: Target, options: Options) -> None:  # noqa: FBT001
        self.is_async = is_async
        self.target = target
        self.options = options
        self.open: list[Source] | None = None
        self.ended = False

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return clock.now().monotonic()

    def time(self) -> float:
        """Seconds since the epoch."""
        return clock.now().time()

    def random(self) -> float:
        """A number in [0, 1)."""
        return clock.now().random()

    async def sleep(self, seconds: float, until: Deadline | None = None) -> None:
        """Wait, but not past `until`: then its error is raised at that moment."""
        left = seconds if until is None else min(seconds, until.at - self.monotonic())
        if left > 0:
            if self.is_async:
                await clock.now().asleep(left)
            else:
                clock.now().sleep(left)
        if until is not None and left < seconds:
            raise until.passed("the wait before another attempt")

    async def blocking(self, fn: Callable[..., T], *args: Any) -> T:
        """Call something that may block, such as a store: off the event loop in async mode."""
        if not self.is_async:
            return fn(*args)
        context = contextvars.copy_context()
        return await self._in_worker(lambda: context.run(fn, *args))

    async def invoke(self, attempt: Attempt) -> Any:
        """Call the attempt's target within the call's deadline.

        A target other than the guarded callable may differ in kind: a sync one runs in a worker of
        an async call, an async one cannot serve a sync call.
        """
        call = attempt.call
        target, deadline = call.target, call.deadline
        fn = target.fn
        foreign = fn is not self.target.fn
        if deadline is not None and deadline.at <= self.monotonic():
            raise _expired(attempt, deadline)
        try:
            if not self.is_async:
                value = self._call(attempt) if deadline is None else self._cut(attempt, deadline)
            elif target.shape == "coroutine":
                return await self._settle(fn(*call.args, **call.kwargs), attempt)
            elif foreign and not target.is_async:
                work = _inside(attempt, functools.partial(fn, *call.args, **call.kwargs))
                value = await self._in_worker(work, deadline, attempt)
            else:
                value = self._call(attempt)
        except StopIteration as stop:
            raise Stopped(stop) from None
        if type(value) in PLAIN:
            return value
        if inspect.isawaitable(value):
            if not self.is_async:
                if foreign:
                    raise _not_async(target, value)
                target.hands_back = True
                await self._turn(AWAITABLE)
            return await self._settle(value, attempt)
        if not self.is_async and is_stream(value) and not hasattr(value, "__next__"):
            await self._turn(STREAM)
        return value

    def _call(self, attempt: Attempt) -> Any:
        call = attempt.call
        outer = current.get()
        current.set(attempt)
        try:
            return call.target.fn(*call.args, **call.kwargs)
        finally:
            current.set(outer)

    def _cut(self, attempt: Attempt, deadline: Deadline) -> Any:
        """Call in a worker, which can be left behind; an awaitable is bounded when awaited."""
        call = attempt.call
        target = call.target
        if not deadline.thread or target.hands_back:
            return self._call(attempt)
        kwargs = _narrowed(target, call.kwargs, deadline.at - self.monotonic())
        work = _inside(attempt, functools.partial(target.fn, *call.args, **kwargs))
        return self._bounded(work, deadline, functools.partial(_book, attempt), attempt)

    async def _turn(self, what: HandBack) -> None:
        await hand_back(what)
        loop_or_refuse()
        self.is_async = True

    async def _settle(self, awaitable: Awaitable[T], attempt: Attempt) -> T:
        """Await what the callable returned, in the attempt's scope and within its deadline."""
        call = attempt.call
        outer = current.get()
        current.set(attempt)
        try:
            if call.deadline is None:
                return await awaitable
            return await self._alarmed(awaitable, call.deadline, attempt)
        finally:
            current.set(outer)

    async def pull(self, source: Source, step: Callable[[], Any], until: Deadline | None) -> Any:
        """The next item of a stream, or `Ended`. `step` is the iterator's next, send or throw."""
        attempt = source.attempt
        try:
            if until is not None and until.thread and not self.is_async:
                work = _inside(attempt, step, source.context)
                return self._bounded(work, until, source.left_behind, attempt)
            outer = current.get()
            current.set(attempt)
            try:
                if not self.is_async:
                    return step()
                if until is None:
                    return await step()
                return await self._alarmed(step(), until, attempt)
            finally:
                current.set(outer)
        except StopIteration as stop:
            return Ended(stop.value)
        except Stopped as stopped:
            return Ended(stopped.error.value)
        except StopAsyncIteration:
            return Ended()

    def in_worker(self, iterator: Iterator[T]) -> Callable[[], Awaitable[T | Ended]]:
        """How an async call pulls the stream of a sync target: each item in a worker."""

        def one() -> T | Ended:
            try:
                return next(iterator)
            except StopIteration as stop:
                return Ended(stop.value)

        return lambda: self._in_worker(functools.partial(contextvars.copy_context().run, one))

    async def close(self, iterator: Any) -> None:
        """Close a stream's source, by whichever method it has."""
        if getattr(iterator, "gi_running", False):
            return  # a worker left behind is inside it and closes it when it comes back
        closer = getattr(iterator, "aclose", None) if self.is_async else None
        closer = closer or getattr(iterator, "close", None)
        if closer is None:
            return
        try:
            pending = closer()
            if inspect.isawaitable(pending):
                await pending
        except Exception as error:
            trouble("closing a stream", error)

    async def _alarmed(self, awaitable: Awaitable[T], deadline: Deadline, attempt: Attempt) -> T:
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

        left = max(deadline.at - self.monotonic(), 0.0)
        alarm = clock.now().alarm(asyncio.get_running_loop(), left, ring)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if rung and task.uncancel() <= before:
                raise _expired(attempt, deadline) from None
            raise
        except Exception as error:
            if rung and task.uncancel() <= before:
                # the callable turned our cancellation into an error of its own
                raise _expired(attempt, deadline) from error
            raise
        finally:
            alarm.cancel()

    def _bounded(
        self,
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
            in_time = clock.now().wait(job.done, max(deadline.at - self.monotonic(), 0.0))
        except BaseException:  # KeyboardInterrupt: nobody waits for the worker any more
            _leave(job, hung, late)
            raise
        if not in_time and _leave(job, hung, late):
            raise _expired(attempt, deadline)
        return cast("T", _result(job))

    async def _in_worker(
        self,
        work: Callable[[], T],
        deadline: Deadline | None = None,
        attempt: Attempt | None = None,
    ) -> T:
        """Run `work` in a worker and await it; what it brings after a cancellation is discarded."""
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
                await self._alarmed(arrived, deadline, attempt)
        except BaseException:
            _leave(job, hung, functools.partial(_book, attempt))
            raise
        return cast("T", _result(job))


def _inside(
    attempt: Attempt, work: Callable[[], T], context: contextvars.Context | None = None
) -> Callable[[], T]:
    """`work` in a copy of the caller's context, or in `context`, with the attempt as its scope."""
    if context is None:
        context = contextvars.copy_context()
    context.run(current.set, attempt)
    return functools.partial(context.run, work)


def _expired(attempt: Attempt, deadline: Deadline) -> Timeout:
    attempt.call.emit(events.TimedOut, deadline.bound, deadline.seconds)
    return deadline.passed(attempt.call.target.name)


def _result(job: workers.Job) -> Any:
    if isinstance(job.error, StopIteration):
        raise Stopped(job.error)
    if job.error is not None:
        raise job.error
    return job.value


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


def _book(attempt: Attempt | None, job: workers.Job) -> None:
    """A result that came too late: nobody gets it, but what it cost is known."""
    if attempt is None or job.error is not None:
        return
    closer = getattr(job.value, "close", None)
    if is_stream(job.value) and closer is not None:
        closer()
    attempt.late(job.value)


def _narrowed(target: Target, kwargs: dict[str, Any], left: float) -> dict[str, Any]:
    """Tell a recognised SDK method about the bound too, so that a worker left behind ends soon."""
    if "timeout" in kwargs or not target.endpoint.takes_timeout:
        return kwargs
    return {**kwargs, "timeout": left}


def _not_async(target: Target, value: Any) -> TypeError:
    if inspect.iscoroutine(value):
        value.close()
    return TypeError(
        f"{target.name} is asynchronous and cannot serve a sync call: pass a sync function as the "
        "fallback of a sync function, or guard an async one"
    )
