"""What the engine needs of asyncio, which is imported only where a loop runs already."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

__all__ = ["finish_later", "held", "loop_or_refuse"]

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
            async with asyncio.timeout(HELD_SECONDS):
                await pending
        except Exception as error:
            trouble("clean-up after a cancelled call", error)

    task = loop.create_task(bounded())
    held.add(task)
    task.add_done_callback(held.discard)
    return True
