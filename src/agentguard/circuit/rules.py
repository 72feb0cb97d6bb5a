"""When a circuit opens, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentguard.circuit.window import Counts

__all__ = ["Rules"]


class Rules:
    """The settings that pybreaker has no word for.

    Attributes:
        failure_rate: part of the window's calls, 0 to 1, or None.
        slow_call_rate: part of the window's calls, 0 to 1, or None.
        slow_call: seconds to the first token from which a call is slow.
        minimum_calls: calls in the window below which no rate is judged.
        growth: factor by which the open time grows with each opening in a row.
        max_reset_timeout: seconds that a grown open time or a Retry-After is cut to.
    """

    __slots__ = (
        "failure_rate",
        "growth",
        "max_reset_timeout",
        "minimum_calls",
        "slow_call",
        "slow_call_rate",
    )

    def __init__(
        self,
        failure_rate: float | None,
        slow_call_rate: float | None,
        slow_call: float,
        minimum_calls: int,
        growth: float,
        max_reset_timeout: float,
    ) -> None:
        self.failure_rate = failure_rate
        self.slow_call_rate = slow_call_rate
        self.slow_call = slow_call
        self.minimum_calls = minimum_calls
        self.growth = growth
        self.max_reset_timeout = max_reset_timeout

    @property
    def rated(self) -> bool:
        """Whether there is any rate to watch."""
        return self.failure_rate is not None or self.slow_call_rate is not None

    def broken(self, seen: Counts) -> str | None:
        """Why these counts open a circuit, or None. A rate that is reached opens it."""
        if seen.calls < self.minimum_calls:
            return None
        for rate, count, word in (
            (self.failure_rate, seen.failures, "failed"),
            (self.slow_call_rate, seen.slow, f"took {self.slow_call:g} s or longer to begin"),
        ):
            if rate is not None and count >= rate * seen.calls:
                return f"{count} of the latest {seen.calls} calls {word}"
        return None

    def open_seconds(self, base: float, openings: int, retry_after: float | None) -> float:
        """How long a circuit stays open.

        Args:
            base: pybreaker's `reset_timeout`.
            openings: how often in a row it has opened before.
            retry_after: what the provider asked for; it knows better than any guess.
        """
        longest = max(self.max_reset_timeout, base)
        if retry_after is not None and retry_after > 0:
            return min(retry_after, longest)
        try:
            return min(base * self.growth**openings, longest)
        except OverflowError:
            return longest
