"""`flush`: settle what is open before the process ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

from agentguard.engine.loop import held, in_loop
from agentguard.engine.lost import lost, settle_lost

if TYPE_CHECKING:
    from collections.abc import Hashable

    class Waiting(Hashable, Protocol):
        """What holds items that are still to be sent: see `exporters.outbox`."""

        def flush(self, timeout: float) -> bool:
            """Deliver what waits, for at most `timeout` seconds; whether that was all."""
            ...


__all__ = ["flush", "waiting"]

waiting: Final[WeakSet[Waiting]] = WeakSet()
"""Whoever has to be drained before the process ends."""


def flush(timeout: float = 5.0) -> bool:
    """Settle abandoned streams, wait for clean-up under way, and send what exporters hold.

    Call it at shutdown. Never needed for correctness: worker threads are daemons and do not keep a
    process alive.

    Args:
        timeout: seconds to wait at most.

    Returns:
        Whether everything was settled and sent in time. On an event loop it does not wait, since
        the clean-up runs on that very loop: there write `await asyncio.to_thread(flush)`.

    Examples:
        >>> from agentguard import flush
        >>> flush()
        True
    """
    end = time.monotonic() + timeout
    settle_lost()
    while held and time.monotonic() < end and not in_loop():
        time.sleep(0.01)  # the tasks run on the loops of other threads
    unsent = _unsent([*waiting], end)
    if unsent and time.monotonic() < end:
        unsent = _unsent(unsent, end)  # one that is slow gets what the others have left
    return not held and not lost and not unsent


def _unsent(exporters: list[Waiting], end: float) -> list[Waiting]:
    """Those that are not done in their share of the time: one that hangs takes none of the others'."""
    found: list[Waiting] = []
    for number, each in enumerate(exporters):
        share = (end - time.monotonic()) / (len(exporters) - number)
        if not each.flush(0 if in_loop() else share):
            found.append(each)
    return found
