"""`flush`: settle what is open before the process ends."""

from __future__ import annotations

import time

from agentguard.engine.loop import held, in_loop
from agentguard.engine.lost import lost, settle_lost

__all__ = ["flush"]


def flush(timeout: float = 5.0) -> bool:
    """Settle abandoned streams and wait for clean-up under way; call it at shutdown.

    Never needed for correctness: worker threads are daemons and do not keep a process alive.

    Args:
        timeout: seconds to wait at most.

    Returns:
        Whether everything was settled in time. On an event loop it does not wait, since the
        clean-up runs on that very loop: there write `await asyncio.to_thread(flush)`.

    Examples:
        >>> from agentguard import flush
        >>> flush()
        True
    """
    end = time.monotonic() + timeout
    settle_lost()
    while held and time.monotonic() < end and not in_loop():
        time.sleep(0.01)  # the tasks run on the loops of other threads
    return not held and not lost
