"""What the engine needs of asyncio, which is imported only where a loop runs already."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

__all__ = ["finish_later", "held", "in_loop", "kept", "loop_or_refuse"]

HELD_SECONDS: Final = 10.0  # how long clean-up may go on after its caller was cancelled

held: Final[set[asyncio.Task[Any]]] = set()
"""Clean-up under way: a loop itself keeps only weak references to its tasks."""


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


def in_loop() -> bool:
    """Whether an asyncio loop runs on this thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  documented


def finish_later(pending: Awaitable[Any]) -> bool:
    """Finish `pending` in a task of its own that outlives its caller, for a bounded time.

    False when no event loop runs here: then nothing can be cancelled and the caller may await it.
    """
    if not in_loop():
        return False
    _give_up_later(_begun(pending))
    return True


async def kept(pending: Awaitable[Any]) -> None:
    """Await `pending`, on the loop; when this caller is cancelled meanwhile, it goes on by itself."""
    import asyncio

    task = _begun(pending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        _give_up_later(task)
        raise


def _begun(pending: Awaitable[Any]) -> asyncio.Task[None]:
    import asyncio

    begun = False

    async def logged() -> None:
        nonlocal begun
        begun = True
        try:
            await pending
        except Exception as error:
            trouble("clean-up after a call", error)

    def ended(task: asyncio.Task[None]) -> None:
        held.discard(task)
        if not begun:  # asyncio.run cancels at its end what has not taken its first step, too
            _give_up_later(_begun(pending))

    task = asyncio.get_running_loop().create_task(logged())
    held.add(task)
    task.add_done_callback(ended)
    return task


def _give_up_later(task: asyncio.Task[None]) -> None:
    def give_up() -> None:
        task.cancel()
        trouble("clean-up after a cancelled call", TimeoutError(f"took over {HELD_SECONDS:g} s"))

    alarm = task.get_loop().call_later(HELD_SECONDS, give_up)
    task.add_done_callback(lambda _: alarm.cancel())
