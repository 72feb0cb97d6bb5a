"""Whether the beginnings of one target's prompts stay the same, and where they do not.

Kept are digests that hold for this process alone, never texts.
"""

from __future__ import annotations

import itertools
import threading
from array import array
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Look", "Prefixes", "Trace", "of_text", "of_tools", "span"]

_REMEMBERED: Final = 64
"""Different beginnings of one part: a function may be called with many prompts in turn."""

_TRACED: Final = 8
_WINDOW: Final = 4
_MANY: Final = 3
"""So many of the last calls must each have changed what an earlier one began with."""

_STEPS: Final = (*[16] * 64, *[64] * 112, *[512] * 240)
"""Characters a chunk, fine where prompts begin."""

_STARTS: Final = (0, *itertools.accumulate(_STEPS))
_ENDING: Final = 32


class Trace(NamedTuple):
    """A part of a prompt by digests.

    Attributes:
        chunks: of it, in order.
        ending: of its end, or of all its chunks in any order.
    """

    chunks: Sequence[int]
    ending: int

    def shared(self, other: Trace) -> int:
        """How many chunks both begin with."""
        pairs = enumerate(zip(self.chunks, other.chunks, strict=False))
        shorter = min(len(self.chunks), len(other.chunks))
        return next((index for index, (mine, its) in pairs if mine != its), shorter)


class Look(NamedTuple):
    """What was found out about a part of a prompt.

    Attributes:
        known: it was seen before.
        changing: nearly every call lately came with another variant of it.
        chunk: the first that differs from the variant that is most alike, or None.
        ending: both end alike, or have the same chunks in another order.
    """

    known: bool
    changing: bool = False
    chunk: int | None = None
    ending: bool = False


_KNOWN: Final = Look(known=True)


class Prefixes:
    """The beginnings of one target's prompts, part by part."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[str, _Part] = {}

    def look(self, name: str, digest: int, trace: Callable[[], Trace]) -> Look:
        """Compare a part of a prompt with what came before, and remember it.

        Args:
            name: of the part.
            digest: of all of it.
            trace: makes its trace, where it is needed.
        """
        with self._lock:
            part = self._parts.get(name)
            if part is None:
                part = self._parts[name] = _Part()
            if part.knows(digest):
                return _KNOWN
        made = trace()
        with self._lock:
            return part.add(digest, made)


class _Part:
    def __init__(self) -> None:
        self._seen: dict[int, None] = {}
        self._traces: deque[Trace] = deque(maxlen=_TRACED)
        self._window: deque[bool] = deque(maxlen=_WINDOW)

    def knows(self, digest: int) -> bool:
        if digest not in self._seen:
            return False
        self._seen[digest] = self._seen.pop(digest)  # the last that goes
        self._window.append(False)
        return True

    def add(self, digest: int, made: Trace) -> Look:
        if self.knows(digest):  # another thread was quicker
            return _KNOWN
        alike = max(self._traces, key=made.shared, default=None)
        chunk = None if alike is None else made.shared(alike)
        ending = any(made.ending == trace.ending for trace in self._traces)
        variant = bool(chunk) or ending
        self._window.append(variant)
        self._traces.append(made)
        self._seen[digest] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return Look(
            known=False,
            changing=variant and sum(self._window) >= _MANY,
            chunk=chunk if variant else None,
            ending=ending,
        )


def of_text(text: str) -> Trace:
    """The trace of a text.

    Args:
        text: of a part of a prompt.
    """
    pieces = (text[start:stop] for start, stop in itertools.pairwise(_STARTS) if start < len(text))
    return Trace(array("q", map(hash, pieces)), hash(text[-_ENDING:]))


def of_tools(digests: Iterable[int]) -> Trace:
    """The trace of tools.

    Args:
        digests: of each.
    """
    chunks = array("q", digests)
    return Trace(chunks, hash(frozenset(chunks)))


def span(chunk: int) -> tuple[int, int]:
    """Where in a text a chunk begins and ends.

    Args:
        chunk: its number.
    """
    last = len(_STARTS) - 1
    return _STARTS[min(chunk, last)], _STARTS[min(chunk + 1, last)]
