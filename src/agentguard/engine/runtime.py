"""Everything that waits: sleep, the callable, the next chunk, a store.

In sync mode these methods block and never suspend; in async mode they await. A policy calls them
the same way in both, which is why it is written once.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from agentguard.engine import clock
from agentguard.engine.bounds import (
    GRACE,
    alarmed,
    book,
    bounded,
    expired,
    in_worker,
    inside,
    narrowed,
)
from agentguard.engine.drive import AWAITABLE, STREAM, Ended, HandBack, Stopped, hand_back
from agentguard.engine.loop import loop_or_refuse
from agentguard.engine.scope import current, restore
from agentguard.engine.surround import awaited_within, within
from agentguard.engine.trouble import trouble
from agentguard.providers.shapes import is_stream
from agentguard.providers.streams import closer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentguard.engine.call import Attempt
    from agentguard.engine.chain import Policy
    from agentguard.engine.limits import Deadline
    from agentguard.engine.reply import Source
    from agentguard.engine.target import Target

__all__ = ["PLAIN", "Options", "Runtime"]

T = TypeVar("T")

PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None), dict, list, tuple, set})


class Options:
    """What `guard(...)` was told beside its policies.

    Attributes:
        strict_streams: True or False overrides whether a stream must show its terminal signal.
        abandon_after: seconds after which a stream that nobody pulls is closed.
        policies: of the guard, outermost first.
        on_blind: "warn" or "raise" where no model call was seen by a policy that needs to.
    """

    __slots__ = ("abandon_after", "on_blind", "policies", "strict_streams")

    def __init__(
        self,
        strict_streams: bool | None = None,  # noqa: FBT001
        abandon_after: float = 60.0,
        policies: Sequence[Policy] = (),
        on_blind: Literal["warn", "raise"] = "warn",
    ) -> None:
        self.strict_streams = strict_streams
        self.abandon_after = abandon_after
        self.policies = policies
        self.on_blind: Literal["warn", "raise"] = on_blind


class Runtime:
    """How one guarded call waits.

    Attributes:
        is_async: whether it runs under an event loop. A call that began as sync turns async when
            its callable hands back an awaitable.
        target: what was guarded; any other target is a foreign one.
        options: of the guard.
        open: the streams that this call has opened and not yet ended.
        ended: the call has returned; a stream that arrives later is discarded on arrival.
        acted: the name of a tool that ran inside this call, which must not be replayed, or None.
    """

    __slots__ = ("acted", "ended", "is_async", "open", "options", "target")

    def __init__(self, is_async: bool, target: Target, options: Options) -> None:  # noqa: FBT001
        self.is_async = is_async
        self.target = target
        self.options = options
        self.open: list[Source] | None = None
        self.ended = False
        self.acted: str | None = None

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return clock.monotonic()

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
        return await in_worker(lambda: context.run(fn, *args))

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
            raise expired(attempt, deadline)
        try:
            if not self.is_async:
                value = self._call(attempt) if deadline is None else self._cut(attempt, deadline)
            elif target.shape == "coroutine":
                return await self._settle(attempt)
            elif foreign and not (target.is_async or target.hands_back):
                step = within(attempt, fn)
                work = inside(attempt, functools.partial(step, *call.args, **call.kwargs))
                value = await in_worker(work, deadline, attempt)
            else:
                value = self._call(attempt)
        except StopIteration as stop:
            raise Stopped(stop) from None
        if type(value) in PLAIN:
            return value
        if inspect.isawaitable(value):
            if not self.is_async:
                if foreign and not self.target.hands_back:
                    raise _not_async(target, value)
                target.hands_back = True
                await self.turn(AWAITABLE, value)
            return await self._settle(attempt, value)
        if not self.is_async and is_stream(value) and not hasattr(value, "__next__"):
            await self.turn(STREAM, value)
        return value

    def _call(self, attempt: Attempt, kwargs: dict[str, Any] | None = None) -> Any:
        call = attempt.call
        kwargs = call.kwargs if kwargs is None else kwargs
        outer = current.get()
        current.set(attempt)
        try:
            if attempt.around is not None:
                return within(attempt, call.target.fn)(*call.args, **kwargs)
            return call.target.fn(*call.args, **kwargs)
        finally:
            current.set(outer)

    def _cut(self, attempt: Attempt, deadline: Deadline) -> Any:
        """Call in a worker, which can be left behind; an awaitable is bounded when awaited."""
        call = attempt.call
        target = call.target
        if target.hands_back:
            return self._call(attempt)
        left = deadline.at - self.monotonic()
        if call.expects_stream:
            left = max(left, deadline.lull)  # an SDK's timeout is for every silence alike
        if not deadline.thread:
            return self._call(attempt, narrowed(target, call.kwargs, left))
        kwargs = narrowed(target, call.kwargs, left + GRACE)  # a worker left behind ends soon
        step = within(attempt, target.fn)
        work = inside(attempt, functools.partial(step, *call.args, **kwargs))
        return bounded(work, deadline, functools.partial(book, attempt), attempt)

    async def turn(self, what: HandBack, value: object = None) -> None:
        """Go on under the caller's event loop, who gets an awaitable or an async stream instead.

        Args:
            what: `AWAITABLE` or `STREAM`.
            value: what the callable handed back, where there is something.
        """
        await hand_back(what)
        try:
            loop_or_refuse()
        except RuntimeError:
            if inspect.iscoroutine(value):
                value.close()  # nobody will await it
            raise
        self.is_async = True

    async def _settle(self, attempt: Attempt, awaitable: Awaitable[Any] | None = None) -> Any:
        """Await a coroutine function, or what another callable returned, within the deadline."""
        call = attempt.call
        outer = current.get()
        current.set(attempt)
        try:
            if awaitable is None:
                awaitable = cast("Awaitable[Any]", call.target.fn(*call.args, **call.kwargs))
            if attempt.around is not None:
                awaitable = awaited_within(attempt, awaitable)
            if call.deadline is None:
                return await awaitable
            return await alarmed(awaitable, call.deadline, attempt)
        finally:
            restore(attempt, outer)

    def pull(self, source: Source, step: Callable[[], Any], until: Deadline | None) -> Any:
        """The next item of a stream, or `Ended`; in async mode what to await for it.

        `step` is the iterator's next, send or throw.
        """
        if self.is_async:
            return self._pulled(source.attempt, step, until)
        attempt = source.attempt
        outer = current.get()
        current.set(attempt)
        try:
            if until is None or not until.thread:
                return step()
            work = inside(attempt, step, source.context)
            return bounded(work, until, source.left_behind, attempt)
        except StopIteration as stop:
            return Ended(stop.value)
        except Stopped as stopped:
            return Ended(stopped.error.value)
        finally:
            current.set(outer)

    async def _pulled(
        self, attempt: Attempt, step: Callable[[], Any], until: Deadline | None
    ) -> Any:
        outer = current.get()
        current.set(attempt)
        try:
            return await (step() if until is None else alarmed(step(), until, attempt))
        except StopAsyncIteration:
            return Ended()
        finally:
            restore(attempt, outer)

    def in_worker(self, source: Source) -> Callable[[], Awaitable[Any]]:
        """How an async call pulls the stream of a sync target: each item in a worker."""
        step = source.step

        def one() -> Any:
            try:
                return step()
            except StopIteration as stop:
                return Ended(stop.value)

        return lambda: in_worker(
            functools.partial(contextvars.copy_context().run, one), late=source.left_behind
        )

    async def close(self, iterator: Any) -> None:
        """Close a stream's source, by whichever method it has."""
        if getattr(iterator, "gi_running", False) or getattr(iterator, "ag_running", False):
            return  # whoever is inside, a reader or a worker left behind, closes it when it is out
        closer = closer_of(iterator, is_async=self.is_async)
        if closer is None:
            return
        try:
            pending = closer()
            if inspect.isawaitable(pending):
                await pending
        except Exception as error:
            trouble("closing a stream", error)


def _not_async(target: Target, value: Any) -> TypeError:
    if inspect.iscoroutine(value):
        value.close()
    return TypeError(
        f"{target.name} is asynchronous and cannot serve a sync call: pass a sync function as the "
        "fallback of a sync function, or guard an async one"
    )
