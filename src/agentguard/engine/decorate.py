"""One guarded callable: from its guard and any callable to a callable of the same shape."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, cast

from agentguard import events
from agentguard.engine import clock
from agentguard.engine.call import Call, Outcome, announce
from agentguard.engine.chain import Policy, invoke, link
from agentguard.engine.drive import AWAITABLE, HandBack, Stopped, drive, resume
from agentguard.engine.generators import GeneratorFunction, copy_names, coroutine_function
from agentguard.engine.loop import finish_later, in_loop, loop_or_refuse
from agentguard.engine.lost import lost, put_aside, settle_lost
from agentguard.engine.records import CallRecord
from agentguard.engine.reply import Reply, observe
from agentguard.engine.runtime import Runtime
from agentguard.engine.scope import OUTERMOST, listening, surrounding
from agentguard.engine.sight import Sight, refuse_blind
from agentguard.engine.streams import (
    AsyncStream,
    GuardedAsyncGenerator,
    GuardedGenerator,
    Stream,
    watch,
)
from agentguard.engine.switches import put_in_force
from agentguard.engine.target import Target
from agentguard.providers.failures import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agentguard.engine.chain import Next
    from agentguard.engine.guard import guard
    from agentguard.engine.reply import Source
    from agentguard.engine.scope import Scope

__all__ = ["Guarded", "guarded"]


def guarded(fn: object) -> Guarded | None:
    """What is known of a guarded callable; None for any other.

    Another library's decorator may have copied our attribute: only the very wrapper counts.
    """
    found = getattr(fn, "__agentguard__", None)
    return found if isinstance(found, Guarded) and found.wrapper is fn else None


class Guarded:
    """One guarded callable: its guard, its target, and the wrapper that users call.

    `give` makes of a reply what the caller gets: by default the value, or a guarded stream.
    """

    __slots__ = (
        "chain",
        "deliveries",
        "give",
        "guard",
        "hearing",
        "listened",
        "needs_model",
        "options",
        "target",
        "wrapper",
    )

    def __init__(
        self,
        guard: guard,
        fn: Callable[..., Any],
        name: str | None = None,
        *,
        tool: bool = False,
        give: Callable[[Reply], Any] | None = None,
    ) -> None:
        self.guard = guard
        self.give = give or given
        self.options = guard.options
        self.target = Target(fn, name, tool=tool)
        self.chain = link(guard.policies)
        self.needs_model = any(policy.needs_model for policy in guard.policies)
        self.deliveries = [
            policy.deliver
            for policy in reversed(guard.policies)
            if type(policy).deliver is not Policy.deliver
        ]
        self.hearing = [each for each in guard.policies if type(each).hear is not Policy.hear]
        self.listened = listening(OUTERMOST, self.hearing)  # most calls are made in no block at all
        for policy in guard.policies:
            policy.check(self.target)
            put_in_force(policy)
        self.wrapper = self._wrap(fn)
        self.wrapper.__agentguard__ = self  # type: ignore[attr-defined]

    def _wrap(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        shape = self.target.shape
        if shape == "function":
            wrapper = self._function()
        elif shape == "coroutine":
            wrapper = self._coroutine()
        else:
            start = self._generator if shape == "generator" else self._asyncgen
            return GeneratorFunction(fn, start, shape)
        copy_names(wrapper, fn)
        return wrapper

    async def enter(
        self, runtime: Runtime, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Reply:
        """One guarded call, from its beginning to its answer."""
        chain, needs_model, policies = self.chain, self.needs_model, self.guard.policies
        if scope.bypass:
            chain, needs_model, policies = invoke, False, ()
        else:
            if self.hearing:
                scope = self.listened if scope is OUTERMOST else listening(scope, self.hearing)
            if scope.policies:
                policies = (*scope.policies, *policies)
                chain = link(policies)
                needs_model = needs_model or any(each.needs_model for each in scope.policies)
        if needs_model and self.target.tool:
            needs_model = False  # a tool asks no model
        record = _begin(self.target.name, scope, policies) if scope.listeners else None
        call = Call(
            self.target, args, kwargs, runtime, scope, scope.deadline, 1, 0.0, scope.hooks, record
        )
        reply: Reply | None = None
        try:
            pending = _seeing(call, chain) if needs_model else chain(call)
            answer = cast("object", await pending)
            if not isinstance(answer, Reply):
                raise TypeError(_no_reply(answer))
            reply = answer
            if self.deliveries and not scope.bypass:
                for deliver in self.deliveries:
                    reply = await deliver(call, reply)
            runtime.ended = True
            if runtime.open is not None or record is not None:
                await _hand_over(call, reply)
        except GeneratorExit as error:
            put_aside(functools.partial(_leave, call, reply, error))
            raise
        except BaseException as error:
            await _leave(call, reply, error)
            raise
        return reply

    def _function(self) -> Callable[..., Any]:
        enter, give, options, target = self.enter, self.give, self.options, self.target

        known = target.hands_back  # before any call: a method of an async SDK client

        def call(*args: Any, **kwargs: Any) -> Any:
            if lost:
                settle_lost()
            if target.hands_back and (known or in_loop()):
                return self._awaited(surrounding(), args, kwargs)
            runtime = Runtime(False, target, options)
            try:
                reply = drive(enter(runtime, surrounding(), args, kwargs), _turn)
            except Stopped as stopped:
                raise stopped.error from None
            return give(reply) if type(reply) is Reply else reply

        return call

    async def _awaited(self, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call whose caller awaits it, also when a policy refuses it or another target answers."""
        if "trio" in sys.modules:
            loop_or_refuse()
        return self.give(
            await self.enter(Runtime(True, self.target, self.options), scope, args, kwargs)
        )

    def _coroutine(self) -> Callable[..., Any]:
        name = self.target.name

        def call(*args: Any, **kwargs: Any) -> Any:
            if lost:
                settle_lost()
            answer: Any = self._awaited(surrounding(), args, kwargs)
            answer.__qualname__ = name  # what tracebacks and the repr of a task show
            return answer

        return coroutine_function(call)

    def _generator(
        self, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> GuardedGenerator:
        runtime = Runtime(False, self.target, self.options)
        return GuardedGenerator(begin=lambda: self.enter(runtime, scope, args, kwargs))

    def _asyncgen(
        self, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> GuardedAsyncGenerator:
        runtime = Runtime(True, self.target, self.options)
        return GuardedAsyncGenerator(begin=lambda: self.enter(runtime, scope, args, kwargs))


def given(reply: Reply) -> Any:
    """What the caller gets: the value, or the stream in the caller's colour."""
    source = reply.source
    if source is None:
        return reply.value
    watch(source)
    if source.runtime.is_async:
        return AsyncStream(source)
    source.attempt.call.runtime.is_async = False  # read without a loop from here on, hooks too
    return Stream(source)


def _turn(what: HandBack, coro: Coroutine[Any, Any, Reply]) -> Any:
    """A sync call turned out to be asynchronous: what its caller holds instead of the answer."""

    async def finish() -> Reply:
        return cast("Reply", await resume(coro))

    async def answer() -> Any:
        return given(await finish())

    return answer() if what is AWAITABLE else AsyncStream(begin=finish)


async def _seeing(call: Call, chain: Next) -> Reply:
    """The call, watched for policies that need to see which model it asks."""
    refuse_blind(call)
    sight = Sight(call)
    reply = await observe(chain(call.on_attempt(sight.look)), sight.judge)
    if reply.source is None:
        refuse_blind(call)
    return reply


def _begin(name: str, scope: Scope, policies: tuple[Policy, ...]) -> CallRecord:
    parent = None if scope.attempt is None else scope.attempt.call.record
    record = CallRecord(name, clock.monotonic(), scope.tags, parent, policies)
    if scope.attempt is not None:
        record.inside = scope.attempt.record
    announce(scope, record, events.CallStarted(record))
    return record


async def _leave(call: Call, reply: Reply | None, error: BaseException) -> None:
    """An exception comes out of the call: nothing stays open behind it."""
    runtime = call.runtime
    runtime.ended = True
    sources = [*(runtime.open or ())]
    if reply is not None and reply.source is not None:
        sources.append(reply.source)
    try:
        await _close(sources, wait=isinstance(error, Exception))
    finally:
        if call.record is not None:
            _write(call, None, Outcome.of(error))


async def _close(sources: list[Source], *, wait: bool = True) -> None:
    """Close all of them, also when the caller is cancelled meanwhile."""
    cancelled: BaseException | None = None
    for source in sources:
        closing = source.close()
        try:
            if wait or not finish_later(closing):
                await closing
        except BaseException as error:
            cancelled, wait = cancelled or error, False
    if cancelled is not None:
        raise cancelled


async def _hand_over(call: Call, reply: Reply) -> None:
    """The call returns: nothing stays open but the stream that its caller gets."""
    await _close([each for each in call.runtime.open or () if each is not reply.source])
    if call.record is None:
        return
    if reply.source is None:
        _write(call, reply, Outcome("completed", None, reply.attempt))
    else:
        call.record.streamed = True
        await reply.source.watched_by(functools.partial(_write, call, reply))


def _write(call: Call, reply: Reply | None, outcome: Outcome) -> None:
    record = call.record
    if record is None:
        return
    record.outcome = outcome.kind
    record.duration = call.runtime.monotonic() - record.started
    if outcome.error is not None:
        record.kind, record.error = classify(outcome.error).kind, type(outcome.error).__name__
    if reply is not None:
        attempt = reply.attempt
        record.served_by, record.model = attempt.call.target.name, attempt.model
        if attempt.first is not None:
            record.first_token = attempt.started + attempt.first - record.started
    call.emit(events.CallEnded)


def _no_reply(answer: object) -> str:
    if inspect.iscoroutine(answer):
        answer.close()
    return (
        f"a policy's around() returned a {type(answer).__name__} instead of a Reply: it ends with "
        "`return await next(call)`, or with a reply that it got from there"
    )
