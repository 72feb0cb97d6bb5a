"""When the items of a stream came: what a report draws, however long the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentguard.engine import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.engine.call import Attempt

__all__ = ["Arrivals", "note_arrivals"]

_MOST: Final = 512


class Arrivals:
    """The times at which items came, in seconds since their attempt began.

    At most some hundreds are kept: of a longer stream every second, every fourth ... item.

    Attributes:
        count: of all items that came.
    """

    __slots__ = ("_stride", "_times", "count")

    def __init__(self) -> None:
        self.count = 0
        self._stride = 1
        self._times: list[float] = []

    def add(self, seconds: float) -> None:
        """One more item came."""
        if self.count % self._stride == 0:
            if len(self._times) == _MOST:
                self._times = self._times[::2]
                self._stride *= 2
            if self.count % self._stride == 0:
                self._times.append(seconds)
        self.count += 1

    def __iter__(self) -> Iterator[float]:
        return iter(self._times)

    def __len__(self) -> int:
        return len(self._times)

    def __repr__(self) -> str:
        return f"<{self.count} arrivals>"


def note_arrivals(attempt: Attempt) -> None:
    """Have its record's `arrivals` kept: a hook for `Scope.hooks`, however many reports add it."""
    if attempt.items is None or _note not in attempt.items:
        attempt.on_item(_note)


def _note(attempt: Attempt, item: object) -> None:  # noqa: ARG001  see `Attempt.on_item`
    record = attempt.record
    if record is not None:
        if record.arrivals is None:
            record.arrivals = Arrivals()
        record.arrivals.add(clock.monotonic() - attempt.started)
