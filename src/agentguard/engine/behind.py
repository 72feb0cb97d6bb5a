"""Work that nobody waits for."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine import workers
from agentguard.engine.drive import drive
from agentguard.engine.loop import loop_or_refuse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

__all__ = ["behind"]

_under_way: Final[set[asyncio.Task[None]]] = set()
"""A loop itself keeps only weak references to its tasks."""


def behind(work: Coroutine[Any, Any, None], *, is_async: bool) -> None:
    """Do `work` behind its caller's back: in a task of his loop, or in a worker.

    It may take as long as it takes, and must not raise.
    """
    if not is_async:
        context = contextvars.copy_context()
        workers.start(lambda: context.run(drive, work))
        return
    task = loop_or_refuse().create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
