"""Switches for tests: guards off, waits off, another callable under the guards."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from agentguard.engine import clock
from agentguard.engine.decorate import guarded
from agentguard.engine.scope import Block
from agentguard.engine.target import name_of
from agentguard.testing.model import ScriptedModel

if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType
    from typing import Self

    from agentguard.engine.scope import Scope
    from agentguard.engine.target import Target

__all__ = ["disabled", "no_wait", "replace"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F")


class disabled(Block):  # noqa: N801  a block reads like a verb, as contextlib.suppress does
    """Run guarded callables without their policies, and without bounds and blocks from outside.

    For a test of the function itself, where a retry would only hide its first failure. A block,
    or a decorator of a test; only calls that begin inside are meant, in whatever thread or task
    the scope reaches. Reports around them still see them, and what the engine itself knows to be
    wrong, such as a stream that is cut off, is still raised.

    Examples:
        >>> from agentguard import retry
        >>> from agentguard.testing import disabled
        >>> @retry
        ... def ask(question: str) -> str:
        ...     raise ConnectionError("reset")
        >>> with disabled():
        ...     try:
        ...         ask("?")
        ...     except ConnectionError as error:
        ...         print("once:", error)
        once: reset
    """

    def __repr__(self) -> str:
        return "disabled()"

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """The same around every call of `fn`."""
        return _inside(self, fn)

    def surround(self, outer: Scope) -> Scope:
        """Leave out what policies and blocks would do."""
        return outer.within(bypass=True, policies=(), hooks=(), deadline=None)


class no_wait:  # noqa: N801
    """Let every pause of the library return at once, for the whole process.

    For tests that want retries without their waits and do not look at time. The clocks go on as
    before, and so do time bounds: to make a `timeout`, a breaker's reset or `abandon_after` pass,
    use `FakeRuntime`. A block, or a decorator of a test.

    Examples:
        >>> from agentguard import retry
        >>> from agentguard.testing import ScriptedModel, no_wait
        >>> model = ScriptedModel(ConnectionError("reset"), "hello")
        >>> with no_wait():
        ...     retry(attempts=2)(model.sync)("hi?")
        'hello'
    """

    def __init__(self) -> None:
        self._before: list[clock.Clock] = []

    def __repr__(self) -> str:
        return "no_wait()"

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """The same around every call of `fn`."""
        return _inside(self, fn)

    def __enter__(self) -> Self:
        self._before.append(clock.use(_Waitless(clock.now())))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        clock.use(self._before.pop())


class _Waitless(clock.Clock):
    """Another clock, without its pauses."""

    def __init__(self, inner: clock.Clock) -> None:
        self._inner = inner

    def monotonic(self) -> float:
        return self._inner.monotonic()

    def time(self) -> float:
        return self._inner.time()

    def random(self) -> float:
        return self._inner.random()

    def sleep(self, seconds: float) -> None:
        return

    async def asleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(0)  # other tasks still get their turn

    def alarm(
        self, loop: asyncio.AbstractEventLoop, seconds: float, ring: Callable[[], None]
    ) -> Any:
        return self._inner.alarm(loop, seconds, ring)

    def wait(self, done: threading.Event, seconds: float | None) -> bool:
        return self._inner.wait(done, seconds)


@contextlib.contextmanager
def replace(fn: Callable[..., Any], fake: F) -> Generator[F, None, None]:
    """Put `fake` in place of what a guarded callable calls, with all its policies still around it.

    Patching the name of a guarded function would take its guards away too, and a test of what
    happens when the provider fails would test nothing.

    Args:
        fn: the guarded function; a method as `Service.ask`, for all objects, or as `service.ask`,
            for this object alone. A fake for `Service.ask` gets `self`, one for `service.ask` not.
        fake: a callable with the same arguments, or a `ScriptedModel`. It need not be of the same
            kind: under an async function a sync fake will do, under a generator a function that
            returns a list, or one answer.

    Yields:
        The fake.

    Raises:
        TypeError: `fn` is not guarded, or the fake is async and `fn` is not.

    Examples:
        >>> from agentguard import retry
        >>> from agentguard.testing import ScriptedModel, no_wait, replace
        >>> @retry(attempts=2)
        ... def ask(question: str) -> str:
        ...     return "from the provider"
        >>> with no_wait(), replace(ask, ScriptedModel(ConnectionError("reset"), "scripted")):
        ...     ask("?")
        'scripted'
        >>> ask("?")
        'from the provider'
    """
    owner = getattr(fn, "__self__", None) if inspect.ismethod(fn) else None
    target = _target(fn.__func__ if inspect.ismethod(fn) else fn)
    before = copy.copy(target)
    new = _fitting(target, fake)
    target.fn = new if owner is None else _only_for(owner, new, before.fn, target.shape)
    target.hands_back = before.hands_back
    target._endpoint = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        yield fake
    finally:
        for slot in type(target).__slots__:
            setattr(target, slot, getattr(before, slot))


def _target(fn: Any) -> Target:
    found = guarded(fn)
    if found is not None:
        return found.target
    name = name_of(fn) if callable(fn) else type(fn).__name__
    if getattr(fn, "__agentguard__", None) is not None:
        raise TypeError(
            f"another decorator stands around the guarded {name}: pass the guarded function itself, "
            f"which is {name}.__wrapped__ where that decorator uses functools.wraps"
        )
    raise TypeError(
        f"{name} is not guarded, and replace() changes what a guard stands around: pass the callable "
        "that guard(...) or a policy returned, or use monkeypatch for a function without guards"
    )


def _fitting(target: Target, fake: object) -> Callable[..., Any]:
    """The fake in the shape of what it stands for."""
    shape = "coroutine" if target.hands_back else target.shape
    if isinstance(fake, ScriptedModel):
        return fake.shape("sync" if shape == "function" else shape)
    if not callable(fake):
        raise TypeError(
            f"replace() takes a callable or a ScriptedModel, not {type(fake).__name__}: write "
            "ScriptedModel(answer)"
        )
    fn = cast("Callable[..., Any]", fake)
    is_async = inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
    if is_async and shape == "generator":
        raise TypeError(f"{target.name} is a generator and the fake is async: pass a sync fake")
    if shape == "coroutine":
        return _as_coroutine(fn)
    if shape == "generator":
        return _as_generator(fn)
    return _as_asyncgen(fn) if shape == "asyncgen" else fn


def _only_for(
    owner: object, new: Callable[..., Any], old: Callable[..., Any], shape: str
) -> Callable[..., Any]:
    """A method that is the fake for one object and itself for all others."""

    def choose(self: object, *args: Any, **kwargs: Any) -> Any:
        return new(*args, **kwargs) if self is owner else old(self, *args, **kwargs)

    fits = {"coroutine": _as_coroutine, "generator": _as_generator, "asyncgen": _as_asyncgen}
    return fits[shape](choose) if shape in fits else choose


def _as_coroutine(fake: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        answer = fake(*args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    return call


def _as_generator(fake: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        answer = fake(*args, **kwargs)
        items: Any = answer if _several(answer) else [answer]
        return cast("Any", (yield from items))

    return call


def _as_asyncgen(fake: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        answer = fake(*args, **kwargs)
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "__aiter__"):
            async with contextlib.aclosing(answer) as items:
                async for item in items:
                    yield item
        else:
            for item in answer if _several(answer) else [answer]:
                yield item

    return call


def _several(answer: object) -> bool:
    return isinstance(answer, list) or hasattr(answer, "__next__")


def _inside(block: Any, fn: Callable[P, R]) -> Callable[P, R]:
    """A function that enters `block` for each of its calls."""
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"@{block!r} would surround only the making of the generator {name_of(fn)}: write "
            f"`with {block!r}:` inside it"
        )
    if inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def waiting(*args: P.args, **kwargs: P.kwargs) -> Any:
            with block:
                return await cast("Any", fn(*args, **kwargs))

        return cast("Callable[P, R]", waiting)

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with block:
            return fn(*args, **kwargs)

    return call
