"""Cached answers in this process's memory: a fraction of a microsecond a hit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from agentguard.stores.entries import Entries, Entry, Size
from agentguard.stores.forks import survive

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MemoryEntries"]

MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 100_000_000


class _Space:
    """What one cache holds: the least recently used first, and by tag."""

    __slots__ = ("bytes", "entries", "tagged")

    def __init__(self) -> None:
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.tagged: dict[str, dict[str, None]] = {}
        self.bytes = 0

    def add(self, key: str, entry: Entry) -> None:
        self.entries[key] = entry
        self.bytes += len(entry.value)
        for tag in entry.tags:
            self.tagged.setdefault(tag, {})[key] = None

    def drop(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        self.bytes -= len(entry.value)
        for tag in set(entry.tags):
            keys = self.tagged[tag]
            del keys[key]
            if not keys:
                del self.tagged[tag]

    def sweep(self, now: float) -> None:
        for key in [key for key, entry in self.entries.items() if now >= entry.keeps]:
            self.drop(key)


class MemoryEntries(Entries):
    """Answers for this process alone; they end with it.

    The least recently used leave first. A forked child goes on with a copy of its own.

    Args:
        max_entries: how many a space holds at most.
        max_bytes: how many bytes their values have at most.

    Examples:
        >>> from agentguard.stores.entries import Entry
        >>> from agentguard.stores.entries_memory import MemoryEntries
        >>> entries = MemoryEntries(max_entries=100)
        >>> entries.put("faq", "2f1c", Entry(b"42", 0, 60, 90, 1.5, tags=("gpt-5",)), now=0)
        >>> entries.get("faq", "2f1c", now=89)
        <entry of 2 bytes, fresh until 60, keeps until 90>
        >>> entries.invalidate("faq", "gpt-5")
        1
    """

    remote = False
    place = "this process's memory"

    def __init__(self, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self.lock = threading.Lock()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._spaces: dict[str, _Space] = {}
        survive(self)

    def __repr__(self) -> str:
        many = sum(len(each.entries) for each in list(self._spaces.values()))
        return f"<MemoryEntries of {many} answers>"

    def get(self, space: str, key: str, now: float) -> Entry | None:
        """See `Entries`."""
        with self.lock:
            held = self._spaces.get(space)
            if held is None:
                return None
            entry = held.entries.get(key)
            if entry is None:
                return None
            if now < entry[3]:  # keeps; an index is faster than a name
                held.entries.move_to_end(key)
                return entry
            held.drop(key)
            return None

    def put(self, space: str, key: str, entry: Entry, now: float) -> None:
        """See `Entries`."""
        with self.lock:
            held = self._spaces.get(space)
            if held is None:
                held = self._spaces[space] = _Space()
            held.drop(key)
            if now >= entry.keeps or len(entry.value) > self._max_bytes:
                return
            held.add(key, entry)
            while len(held.entries) > self._max_entries or held.bytes > self._max_bytes:
                held.drop(next(iter(held.entries)))

    def delete(self, space: str, key: str) -> None:
        """See `Entries`."""
        with self.lock:
            if space in self._spaces:
                self._spaces[space].drop(key)

    def invalidate(self, space: str, tag: str) -> int:
        """See `Entries`."""
        with self.lock:
            keys = self._keys(space, tag)
            for key in keys:
                self._spaces[space].drop(key)
            return len(keys)

    def scan(self, space: str, tag: str, now: float) -> list[tuple[str, Entry]]:
        """See `Entries`."""
        with self.lock:
            keys = self._keys(space, tag)
            found = [(key, self._spaces[space].entries[key]) for key in keys]
        return [(key, entry) for key, entry in found if now < entry.keeps]

    def clear(self, space: str) -> int:
        """See `Entries`."""
        with self.lock:
            held = self._spaces.pop(space, None)
            return 0 if held is None else len(held.entries)

    def size(self, space: str, now: float) -> Size:
        """See `Entries`."""
        with self.lock:
            held = self._spaces.get(space)
            if held is None:
                return Size(0, 0)
            held.sweep(now)
            return Size(len(held.entries), held.bytes)

    def close(self) -> None:
        """See `Entries`: there is nothing to let go of."""

    def before_fork(self) -> None:
        """The lock is held: nothing is half done."""

    def in_child(self) -> None:
        """The copy is whole."""

    def _keys(self, space: str, tag: str) -> Sequence[str]:
        held = self._spaces.get(space)
        return [] if held is None else list(held.tagged.get(tag, ()))
