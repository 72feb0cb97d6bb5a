"""What is set around each step of an attempt's target, and never around whoever reads its stream.

A step is the call itself, every pull of the stream that came of it, and its closing. Between them a
generator's reader sees what it had set itself.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentguard.engine.call import Attempt

    Enter = Callable[[], Callable[[], object]]

__all__ = ["awaited_within", "within"]

T = TypeVar("T")

_step: Final[ContextVar[object]] = ContextVar("agentguard step", default=None)


def within(attempt: Attempt, fn: Callable[..., Any], *, waits: bool = False) -> Callable[..., Any]:
    """`fn`, or where something surrounds the attempt's steps, `fn` inside of that.

    Args:
        attempt: whose step `fn` is.
        fn: any callable.
        waits: whether what it returns is awaited at once, which then is a part of the step.
    """
    if attempt.around is None:
        return fn
    around = attempt.around

    def step(*args: Any, **kwargs: Any) -> Any:
        if waits:
            return awaited_within(attempt, fn(*args, **kwargs))
        leave = _enter(around)
        try:
            return fn(*args, **kwargs)
        finally:
            leave()

    return step


async def awaited_within(attempt: Attempt, awaitable: Awaitable[T]) -> T:
    """Await inside of what surrounds the attempt's steps."""
    leave = _enter(attempt.around or ())
    try:
        return await awaitable
    finally:
        leave()


def _enter(around: Sequence[Enter]) -> Callable[[], None]:
    """Enter all; what this returns leaves them, last first.

    It does nothing in another Context: a suspended call that the collector closes would otherwise
    change what is set for whoever runs just then.
    """
    outer, here = _step.get(), object()
    _step.set(here)
    leaves = [each for enter in around if (each := _trying(enter)) is not None]

    def leave() -> None:
        if _step.get() is here:
            _step.set(outer)
            for each in reversed(leaves):
                _trying(each)

    return leave


def _trying(fn: Callable[[], T]) -> T | None:
    try:
        return fn()
    except Exception as error:
        trouble("what surrounds an attempt", error)
        return None
