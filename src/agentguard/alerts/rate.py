"""How often the same thing is told: once in a while, with a count of what was left out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from agentguard.stores.forks import survive

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Rate"]

_MOST: Final = 1024
"""Subjects that are remembered; the one that was told of longest ago goes first."""


class Rate:
    """Lets one through in so many seconds, for each subject.

    Attributes:
        suppressed: how many were held back so far.
        lock: held for a few lines, and by a thread that forks.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._last: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        self.suppressed = 0
        self.lock = threading.Lock()
        survive(self)

    def take(self, subject: Hashable, now: float) -> int | None:
        """How many were held back since the last that was let through; None to hold this one back.

        Examples:
            >>> rate = Rate(60)
            >>> [rate.take("a", now) for now in (0, 1, 2, 60, 61)]
            [0, None, None, 2, None]
        """
        with self.lock:
            told = self._last.get(subject)
            if told is not None and now - told[0] < self._every:
                self._last[subject] = (told[0], told[1] + 1)
                self.suppressed += 1
                return None
            self._last[subject] = (now, 0)
            self._last.move_to_end(subject)
            if len(self._last) > _MOST:
                self._last.popitem(last=False)
            return 0 if told is None else told[1]

    def before_fork(self) -> None:
        """Nothing is half done."""

    def in_child(self) -> None:
        """The child goes on with what its parent knows."""
