"""What every store of cached answers promises: what it gives is what was put, or nothing.

An entry is bytes under a key, in the *space* of one cache. A cache works without any of its
entries, so a store may lose or push out any of them at any time. What it must never do is give
bytes that are not those of the key, give an entry that is over, or give one that was invalidated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from agentguard.stores.unavailable import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Entries", "Entry", "Size", "StoreUnavailable"]


class Entry(NamedTuple):
    """One cached answer. All times are epoch seconds.

    Attributes:
        value: the packed answer.
        stored: when it was put.
        fresh: it is fresh before this time.
        keeps: it exists before this time; between `fresh` and this it is stale. May be infinite.
        took: seconds that getting the answer took.
        tags: words to invalidate and scan by.
    """

    value: bytes
    stored: float
    fresh: float
    keeps: float
    took: float
    tags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the answer and its tags, which are the user's."""
        return f"<entry of {len(self.value)} bytes, fresh until {self.fresh}, keeps until {self.keeps}>"


class Size(NamedTuple):
    """How much a space holds; `bytes` are those of the values alone."""

    entries: int
    bytes: int


class Entries(ABC):
    """A store of cached answers.

    Every method may be called from any thread, blocks, and takes the cache's `space` first: what is
    in one space is invisible in every other. A store never reads a clock to decide what is over:
    `now`, in epoch seconds, is given. (Redis also deletes by its own clock, which can only be early.)

    A store that is `remote` gives up after 0.2 s and raises `StoreUnavailable`, and raises it for
    whatever else is wrong with it. Methods that go through many entries (`invalidate`, `scan`,
    `clear`, `size`, and the two `_many`) go in steps, each of which is bounded. Whether an
    operation that failed was done is not known; repeating it is safe.

    Bounds, where a store has them, hold for each space. What leaves first is said by the store.

    Attributes:
        remote: whether its methods may block, so that an event loop must not call them.
        place: where it is, for `explain`; never with a password.
    """

    remote: ClassVar[bool]
    place: str

    @abstractmethod
    def get(self, space: str, key: str, now: float) -> Entry | None:
        """The entry as it was put, or None: none, or over (`now >= keeps`), or unreadable.

        Bytes that another version wrote, or that were cut or changed on the way, are unreadable.
        """

    def get_many(self, space: str, keys: Sequence[str], now: float) -> list[Entry | None]:
        """`get` for each of `keys`, in their order; one may stand there twice."""
        return [self.get(space, key, now) for key in keys]

    @abstractmethod
    def put(self, space: str, key: str, entry: Entry, now: float) -> None:
        """Keep `entry` in place of what the key held, tags included.

        One that is over, or alone larger than the store's `max_bytes`, is not kept; what the key
        held goes nevertheless. Other entries are pushed out where the bounds ask for it.
        """

    def put_many(self, space: str, entries: Mapping[str, Entry], now: float) -> None:
        """`put` each; when it fails some may have been put."""
        for key, entry in entries.items():
            self.put(space, key, entry, now)

    @abstractmethod
    def delete(self, space: str, key: str) -> None:
        """Let go of one entry, if it is there."""

    @abstractmethod
    def invalidate(self, space: str, tag: str) -> int:
        """Let go of every entry that has the tag, and return how many there were.

        All that were put before this began are gone when it returns. One that is put meanwhile may
        stay, as if it had been put afterwards. Some may be counted that were over.
        """

    @abstractmethod
    def scan(self, space: str, tag: str, now: float) -> list[tuple[str, Entry]]:
        """Key and entry of all that have the tag and are not over, in no particular order."""

    @abstractmethod
    def clear(self, space: str) -> int:
        """Let go of all, and return how many there were; as `invalidate`."""

    @abstractmethod
    def size(self, space: str, now: float) -> Size:
        """How much is there that is not over."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the next operation opens them again."""
