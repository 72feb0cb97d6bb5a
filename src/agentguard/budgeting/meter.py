"""Follow a stream: set more aside when it gets longer than expected, and cut it at the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.shapes import WHOLE, shape_of
from agentguard.stores.ledger import MOST

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Meter"]

_STEP: Final = 256
"""Tokens that are set aside on top at a time."""

_EXACT_SLACK: Final = 1.1
_SLACK: Final = 2.0
"""How much more than it was told a bounded answer may seem to be, by a count that is an estimate."""


class Meter:
    """Counts the tokens of one stream as they come.

    Bytes are added up, and tokens counted only when there are more bytes than tokens set aside: all
    of the text anew, since its pieces are more tokens than the whole.

    Args:
        model: whose tokens they are.
        room: tokens that are set aside; `MOST` where only the lease matters.
        bounded: the provider is told to stop there.
        more: sets so many tokens aside on top; says whether it could.
        cut: makes the error that ends the stream.
        renew: prolongs the lease.
        every: seconds between two renewals.
        clock: seconds that never go back.

    Attributes:
        tokens: counted so far, no fewer than have come.
    """

    __slots__ = (
        "_bounded",
        "_clock",
        "_cut",
        "_due",
        "_every",
        "_exact",
        "_largest",
        "_model",
        "_more",
        "_parts",
        "_renew",
        "_room",
        "_size",
        "tokens",
    )

    def __init__(
        self,
        model: str | None,
        room: int,
        *,
        bounded: bool,
        more: Callable[[int], bool],
        cut: Callable[[int], Exception],
        renew: Callable[[], None],
        every: float,
        clock: Callable[[], float],
    ) -> None:
        self._model = model or "unknown"
        self._room = room
        self._bounded = bounded
        self._more, self._cut, self._renew = more, cut, renew
        self._every, self._clock = every, clock
        self._due = clock() + every
        self._parts: list[str] = []
        self._size = 0  # bytes since the latest count
        self._largest = 0
        self._exact = True
        self.tokens = 0

    def __call__(self, item: Any) -> Callable[[], None] | None:
        """See one item; what is left to do may block."""
        if self._room >= MOST:
            return self._settle if self._clock() >= self._due else None
        size = 0
        for channel, text in shape_of(item).split(item):
            if isinstance(channel, tuple) and channel[:1] == (WHOLE,):
                continue  # the same text once more
            self._parts.append(text)
            size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        self._size += size
        self._largest = max(self._largest, size)
        over = self.tokens + self._size + (0 if self._bounded else self._largest) > self._room
        return self._settle if over or self._clock() >= self._due else None

    def count(self) -> int:
        """The tokens so far, counted exactly."""
        if self._size:
            from agentguard.tokens.count import count_tokens

            self._size = 0
            counted = count_tokens("".join(self._parts), self._model)
            self.tokens, self._exact = int(counted), counted.exact
        return self.tokens

    def _settle(self) -> None:
        if self._clock() >= self._due:
            self._due = self._clock() + self._every
            self._renew()
        last = "".join(self._parts[-1:])
        before = self.tokens
        tokens = self.count()
        if self._bounded:
            slack = _EXACT_SLACK if self._exact else _SLACK
            needed, least = tokens / slack, tokens / slack - self._room
        else:
            # Another item like this one must fit before it is asked for.
            another = min(len(last.encode("utf-8", "surrogatepass")), tokens - before)
            needed, least = float(tokens + another), tokens + another - self._room
        if needed <= self._room:
            return
        for step in (max(_STEP, int(least) + 1), int(least) + 1):
            if self._more(step):
                self._room += step
                self._bounded = False  # the provider was told to stop before, and did not
                return
        raise self._cut(tokens)
