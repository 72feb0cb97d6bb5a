"""How long an answer serves, and when it is renewed: decided without a clock of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

from agentguard.stores.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Freshness", "State"]

State = Literal["fresh", "early", "stale", "spare"]
"""Serve it; have this one caller renew it now; serve it and renew it behind the caller's back; serve
it only when renewing fails."""

_LEAST: Final = 37.0  # -ln(2 ** -53): no random number is nearer to 0


class Freshness:
    """The rules of one cache.

    An answer that took `took` seconds is renewed before its time is up by the one caller for whom
    `now - took * early * ln(random) >= fresh`, so that not all of them come at once: XFetch, of
    Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB
    2015. What may be served after its time follows RFC 5861.

    Args:
        ttl: seconds for which an answer is fresh; None for ever.
        early: how eagerly it is renewed before; 0 never, 1 is the optimum of the paper.
        while_revalidate: seconds after its time in which it is served while it is renewed.
        if_error: seconds after its time in which it is served when renewing fails.
    """

    __slots__ = ("early", "if_error", "ttl", "while_revalidate")

    def __init__(
        self,
        ttl: float | None,
        early: float = 1.0,
        while_revalidate: float = 0.0,
        if_error: float = 0.0,
    ) -> None:
        self.ttl = ttl
        self.early = early
        self.while_revalidate = while_revalidate
        self.if_error = if_error

    def entry(self, value: bytes, now: float, took: float, tags: Sequence[str]) -> Entry:
        """An answer that came now."""
        if self.ttl is None:
            return Entry(value, now, math.inf, math.inf, took, tuple(tags))
        fresh = now + self.ttl
        keeps = fresh + max(self.while_revalidate, self.if_error)
        return Entry(value, now, fresh, keeps, took, tuple(tags))

    def state(self, entry: Entry, now: float, random: Callable[[], float]) -> State:
        """What to do with an entry that is still kept.

        Args:
            entry: it.
            now: epoch seconds.
            random: gives a number in [0, 1).
        """
        left, scale = entry.fresh - now, entry.took * self.early
        if left <= 0:
            return "stale" if -left < self.while_revalidate else "spare"
        if left > scale * _LEAST:
            return "fresh"
        return "early" if -math.log(1.0 - random()) * scale >= left else "fresh"

    def spares(self, entry: Entry, now: float) -> bool:
        """Whether it may be served in place of a failure."""
        return now < entry.fresh + self.if_error
