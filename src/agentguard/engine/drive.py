"""Run the engine's coroutines without an event loop, and hand them to one when they need it.

A policy is one coroutine. For a sync caller it is driven by a single `send(None)`: everything that
waits goes through `call.runtime`, which blocks in sync mode, so the coroutine never suspends. The
one thing it may yield is a `HandBack`: the callable turned out to be asynchronous although its
flags said otherwise. The same started coroutine is then finished under the caller's event loop.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["AWAITABLE", "STREAM", "Ended", "HandBack", "Stopped", "drive", "hand_back", "resume"]


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


class HandBack:
    """What a sync-driven coroutine yields when only an event loop can finish it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


AWAITABLE: Final = HandBack("awaitable")
STREAM: Final = HandBack("stream")


@types.coroutine
def hand_back(what: HandBack) -> Generator[HandBack, None, None]:
    """Suspend towards the sync driver: go on only under an event loop."""
    yield what


@types.coroutine
def resume(started: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Finish a coroutine that already ran up to its `hand_back`."""
    # `await` refuses a suspended coroutine ("is being awaited already"); `yield from` does not.
    return (yield from cast("Generator[Any, Any, Any]", started))


def drive(
    coro: Coroutine[Any, Any, Any],
    turn: Callable[[HandBack, Coroutine[Any, Any, Any]], Any] | None = None,
) -> Any:
    """Run `coro` to its end on this thread; `turn(what, coro)` takes over when it hands back."""
    try:
        signal = coro.send(None)
    except StopIteration as stop:
        return stop.value
    if isinstance(signal, HandBack) and turn is not None:
        return turn(signal, coro)
    coro.close()
    raise RuntimeError(
        "a policy awaited something of its own in a sync call; whatever waits must go through "
        "call.runtime (sleep, blocking), which blocks in sync calls and awaits in async ones"
    )
