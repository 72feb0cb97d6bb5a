"""A kept stream, played again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from agentguard.engine import clock
from agentguard.engine.reply import Source
from agentguard.providers.streams import Recalled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from agentguard.engine.call import Attempt

__all__ = ["replayed"]


def replayed(
    attempt: Attempt,
    items: Sequence[Any],
    times: Sequence[float],
    pace: Literal["at once", "paced"],
) -> Source:
    """The stream of these items, as fast as it is read or at the pace at which they came.

    Args:
        attempt: whose answer it is.
        items: of the stream.
        times: seconds from the first, for each.
        pace: "at once" or "paced".
    """
    if pace == "at once":
        source = Source.of_items(attempt, items)
    elif attempt.call.runtime.is_async:
        waiting = _awaited(items, times)
        source = Source(attempt, waiting, waiting.__anext__)
    else:
        playing = _paced(items, times)
        source = Source(attempt, playing, playing.__next__)
    source.origin = Recalled()
    return source


def _paced(items: Sequence[Any], times: Sequence[float]) -> Iterator[Any]:
    began = clock.monotonic()
    for item, time in zip(items, times, strict=True):
        left = began + time - clock.monotonic()
        if left > 0:
            clock.now().sleep(left)
        yield item


async def _awaited(items: Sequence[Any], times: Sequence[float]) -> AsyncIterator[Any]:
    began = clock.monotonic()
    for item, time in zip(items, times, strict=True):
        left = began + time - clock.monotonic()
        if left > 0:
            await clock.now().asleep(left)
        yield item
