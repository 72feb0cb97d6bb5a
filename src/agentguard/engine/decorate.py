"""`guard`: from policies and any callable to a callable of the same shape."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from agentguard import events
from agentguard.engine import arguments, clock
from agentguard.engine.call import Call, Outcome, announce
from agentguard.engine.chain import Policy, invoke, link
from agentguard.engine.drive import AWAITABLE, HandBack, Stopped, drive, resume
from agentguard.engine.generators import GeneratorFunction, copy_names, coroutine_function
from agentguard.engine.loop import finish_later, in_loop, loop_or_refuse
from agentguard.engine.lost import lost, put_aside, settle_lost
from agentguard.engine.order import place, unsafe
from agentguard.engine.records import CallRecord
from agentguard.engine.refuse import refuse
from agentguard.engine.reply import Reply
from agentguard.engine.runtime import Options, Runtime
from agentguard.engine.scope import surrounding
from agentguard.engine.spelling import Bare
from agentguard.engine.streams import (
    AsyncStream,
    GuardedAsyncGenerator,
    GuardedGenerator,
    Stream,
    watch,
)
from agentguard.engine.target import Target
from agentguard.providers.failures import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agentguard.engine.reply import Source
    from agentguard.engine.scope import Scope

__all__ = ["Guarded", "guard", "guarded"]

P = ParamSpec("P")
R = TypeVar("R")


class guard:  # noqa: N801  reads like a verb where it is used
    """Put policies around whatever calls a model, outermost first.

    The result is called exactly as before: same signature, same shape (function, coroutine
    function, generator, async generator, a function that returns an SDK's stream), same exceptions.
    One guard can decorate many callables; they share the state of its policies.

    Args:
        *policies: outermost first: `guard(fallback(...), retry(), breaker(), timeout(30))` is
            `fallback(retry(breaker(timeout(call))))`.
        strict: refuse an order of policies that is known to be unsafe, instead of warning.
        strict_streams: whether a stream that ends without its provider's terminal signal is cut
            (`errors.StreamTruncated`). By default this is so for providers that always send one,
            and learned for servers that speak OpenAI's chat protocol.
        abandon_after: seconds after which a stream that nobody reads is closed and settled.

    Raises:
        TypeError: at once, for what cannot be guarded, saying what to write instead.

    Examples:
        >>> from agentguard import guard, retry, timeout
        >>> safe = guard(retry(attempts=3), timeout(30))
        >>> @safe
        ... def ask(question: str) -> str:
        ...     return "42"
        >>> ask("?")
        '42'
    """

    def __init__(
        self,
        *policies: Policy,
        strict: bool = False,
        strict_streams: bool | None = None,
        abandon_after: float = 60.0,
    ) -> None:
        _check(policies)
        if not policies:
            raise TypeError("guard() needs at least one policy, as in guard(retry(), timeout(30))")
        arguments.seconds("guard", "abandon_after", abandon_after)
        self.policies = policies
        self.strict = strict
        self.options = Options(strict_streams, abandon_after, policies)
        self.told = strict or strict_streams is not None or abandon_after != 60.0
        for reason in unsafe(policies):
            if strict:
                raise ValueError(reason)
            warnings.warn(reason, stacklevel=_level())

    def with_(self, policy: Policy) -> guard:
        """The same guard with `policy` in place of the one of its name, or else where it belongs."""
        same = sum(each.name == policy.name for each in self.policies)
        if same > 1:
            raise ValueError(
                f"this guard has {same} policies named {policy.name!r}, and with_() cannot know which "
                "one is meant: write the whole guard(...) anew"
            )
        if same:
            return self._of(
                *(policy if each.name == policy.name else each for each in self.policies)
            )
        at = place(policy, self.policies)
        return self._of(*self.policies[:at], policy, *self.policies[at:])

    def without(self, *names: str) -> guard:
        """The same guard but for the policies of these names."""
        known = [policy.name for policy in self.policies]
        for name in names:
            if name not in known:
                raise ValueError(f"this guard has no {name!r}; it has {', '.join(known)}")
        return self._of(*(policy for policy in self.policies if policy.name not in names))

    def _of(self, *policies: Policy) -> guard:
        return guard(
            *policies,
            strict=self.strict,
            strict_streams=self.options.strict_streams,
            abandon_after=self.options.abandon_after,
        )

    def __repr__(self) -> str:
        return f"guard({', '.join(map(repr, self.policies))})"

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """Guard `fn`; on a function that is guarded already, put these policies around its own."""
        inner = guarded(fn)
        if inner is not None:
            told = self if self.told else inner.guard
            outer = told._of(*self.policies, *inner.guard.policies)  # noqa: SLF001
            return cast("Callable[P, R]", Guarded(outer, inner.target.fn).wrapper)
        refuse(fn)
        return cast("Callable[P, R]", Guarded(self, fn).wrapper)


def guarded(fn: object) -> Guarded | None:
    """What is known of a guarded callable; None for any other.

    Another library's decorator may have copied our attribute: only the very wrapper counts.
    """
    found = getattr(fn, "__agentguard__", None)
    return found if isinstance(found, Guarded) and found.wrapper is fn else None


class Guarded:
    """One guarded callable: its guard, its target, and the wrapper that users call."""

    __slots__ = ("chain", "guard", "options", "target", "wrapper")

    def __init__(self, guard: guard, fn: Callable[..., Any]) -> None:
        self.guard = guard
        self.options = guard.options
        self.target = Target(fn)
        self.chain = link(guard.policies)
        for policy in guard.policies:
            policy.check(self.target)
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
        chain = self.chain
        if scope.bypass:
            chain = invoke
        elif scope.policies:
            chain = link((*scope.policies, *self.guard.policies))
        record = _begin(self.target.name, scope) if scope.listeners else None
        call = Call(
            self.target, args, kwargs, runtime, scope, scope.deadline, 1, 0.0, scope.hooks, record
        )
        reply: Reply | None = None
        try:
            answer = cast("object", await chain(call))
            if not isinstance(answer, Reply):
                raise TypeError(_no_reply(answer))
            reply = answer
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
        enter, options, target = self.enter, self.options, self.target

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
            return given(reply) if type(reply) is Reply else reply

        return call

    async def _awaited(self, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call whose caller awaits it, also when a policy refuses it or another target answers."""
        if "trio" in sys.modules:
            loop_or_refuse()
        return given(
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


def _begin(name: str, scope: Scope) -> CallRecord:
    parent = None if scope.attempt is None else scope.attempt.call.record
    record = CallRecord(name, clock.monotonic(), scope.tags, parent)
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
        await reply.source.watched_by(functools.partial(_write, call, reply))


def _write(call: Call, reply: Reply | None, outcome: Outcome) -> None:
    record = call.record
    if record is None:
        return
    record.outcome = outcome.kind
    record.duration = call.runtime.monotonic() - record.started
    if outcome.error is not None:
        record.kind = classify(outcome.error).kind
    if reply is not None:
        attempt = reply.attempt
        record.served_by, record.model = attempt.call.target.name, attempt.model
        if attempt.first is not None:
            record.first_token = attempt.started + attempt.first - record.started
    call.emit(events.CallEnded)


def _level() -> int:
    """For a warning: how many frames up the user's own line is, past ours."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith("agentguard."):
        level, frame = level + 1, frame.f_back
    return level


def _no_reply(answer: object) -> str:
    if inspect.iscoroutine(answer):
        answer.close()
    return (
        f"a policy's around() returned a {type(answer).__name__} instead of a Reply: it ends with "
        "`return await next(call)`, or with a reply that it got from there"
    )


def _check(policies: tuple[object, ...]) -> None:
    for each in policies:
        if not isinstance(each, Policy):
            raise TypeError(_not_a_policy(each))


def _not_a_policy(value: Any) -> str:
    if isinstance(value, Bare):
        return f"guard() takes policies: write {value.name}() with parentheses, not {value.name}"
    name = getattr(value, "__name__", None)
    if name is None:
        return f"guard() takes policies such as retry(), not {type(value).__name__}"
    return (
        f"guard() takes policies, and {name} is none: write @guard(retry(), ...) above a function, "
        f"or guard(retry(), ...)({name})"
    )
