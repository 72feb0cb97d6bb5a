"""The nearest vectors, exactly: one matrix a group and one product a search.

At the sizes a cache has, a matrix product beats every approximate index and is never wrong.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from agentguard.stores.forks import survive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]

__all__ = ["Index", "Near"]

_FIRST: Final = 1
"""Rows that a new group has room for: most groups are a conversation that is asked once."""


class Near(NamedTuple):
    """One stored item near the vector that was asked for."""

    key: str
    similarity: float
    item: Any


class _Group:
    """Vectors in the rows of one matrix, with what belongs to each row."""

    __slots__ = ("items", "keys", "rows")

    def __init__(self, rows: Vector) -> None:
        self.rows = rows
        self.keys: list[str] = []
        self.items: list[Any] = []


class Index:
    """Vectors of length 1 by key, searched within a group, the least recently used given up.

    Args:
        max_entries: how many vectors are kept in all groups together.
    """

    def __init__(self, max_entries: int) -> None:
        self.lock = threading.Lock()
        self._max = max_entries
        self._groups: dict[str, _Group] = {}
        self._places: OrderedDict[str, tuple[str, int]] = OrderedDict()
        survive(self)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, group: str, key: str, vector: Vector, item: Any) -> None:
        """Put a vector under `key`, in place of what was there."""
        with self.lock:
            self._drop(key)
            rows = self._room(group, vector)
            row = len(rows.keys)
            rows.rows[row] = vector
            rows.keys.append(key)
            rows.items.append(item)
            self._places[key] = (group, row)
            while len(self._places) > self._max:
                self._drop(next(iter(self._places)))

    def near(self, group: str, vector: Vector, threshold: float, most: int) -> list[Near]:
        """At most `most` of a group's items whose cosine reaches `threshold`, best first."""
        import numpy as np

        with self.lock:
            found = self._groups.get(group)
            if found is None or found.rows.shape[1] != len(vector):
                return []
            rows = found.rows[: len(found.keys)]
        # The product is taken without the lock, so rows may change under it: those few that seem
        # near are looked at once more.
        scores = rows @ vector
        places = np.flatnonzero(scores >= threshold)
        if len(places) > most:
            places = places[np.argpartition(-scores[places], most)[:most]]
        with self.lock:
            near = [
                Near(found.keys[place], float(found.rows[place] @ vector), found.items[place])
                for place in places
                if place < len(found.keys)
            ]
        near = [each for each in near if each.similarity >= threshold]
        return sorted(near, key=lambda each: -each.similarity)

    def touch(self, key: str) -> None:
        """Say that a vector was of use, so that it is given up later."""
        with self.lock:
            if key in self._places:
                self._places.move_to_end(key)

    def forget(self, key: str) -> None:
        """Remove a vector, if it is there."""
        with self.lock:
            self._drop(key)

    def clear(self) -> None:
        """Remove every vector."""
        with self.lock:
            self._groups.clear()
            self._places.clear()

    def before_fork(self) -> None:
        """The lock is held, so nothing is half done."""

    def in_child(self) -> None:
        """The child has a copy of its own."""

    def _room(self, name: str, vector: Vector) -> _Group:
        import numpy as np

        group = self._groups.get(name)
        if group is None or group.rows.shape[1] != len(vector):
            for key in () if group is None else list(group.keys):
                self._drop(key)  # another encoder's: nothing could be compared with them
            group = self._groups[name] = _Group(np.empty((_FIRST, len(vector)), np.float32))
        if len(group.keys) == len(group.rows):
            _resize(group, 2 * len(group.rows))
        return group

    def _drop(self, key: str) -> None:
        place = self._places.pop(key, None)
        if place is None:
            return
        name, row = place
        group = self._groups[name]
        last_key, last_item = group.keys.pop(), group.items.pop()
        if last_key != key:  # the last row fills the gap
            group.rows[row] = group.rows[len(group.keys)]
            group.keys[row], group.items[row] = last_key, last_item
            self._places[last_key] = (name, row)
        if not group.keys:
            del self._groups[name]
        elif len(group.keys) <= len(group.rows) // 4:
            _resize(group, len(group.rows) // 2)


def _resize(group: _Group, capacity: int) -> None:
    import numpy as np

    rows = np.empty((capacity, group.rows.shape[1]), np.float32)
    count = len(group.keys)
    rows[:count] = group.rows[:count]
    group.rows = rows
