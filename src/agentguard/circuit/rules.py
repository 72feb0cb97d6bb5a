"""When a circuit opens beyond pybreaker's terms, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentguard.circuit.window import window_maker
from agentguard.engine.arguments import count, number, seconds

if TYPE_CHECKING:
    from datetime import timedelta

    from agentguard.circuit.window import Counts, Window

__all__ = ["Rules"]

SLOW_CALL: Final = 60.0  # resilience4j's slowCallDurationThreshold, in seconds
SLOW_CALL_RATE: Final = 1.0  # resilience4j's slowCallRateThreshold
MAX_RESET_TIMEOUT: Final = 600.0


class Rules:
    """The settings that pybreaker has no word for.

    Attributes:
        failure_rate: part of the window's calls, above 0 to 1, or None.
        slow_call_rate: part of the window's calls, above 0 to 1, or None.
        slow_call: seconds to the first token from which a call is slow.
        window: calls, or a time.
        minimum_calls: calls in the window below which no rate is judged.
        growth: factor by which the open time grows with each opening in a row.
        max_reset_timeout: seconds that a grown open time or a Retry-After is cut to.
    """

    def __init__(
        self,
        failure_rate: float | None = None,
        slow_call_rate: float | None = None,
        slow_call: float | None = None,
        window: int | str | timedelta = 100,
        minimum_calls: int = 10,
        growth: float = 1.0,
        max_reset_timeout: float | None = None,
    ) -> None:
        if slow_call is not None:
            seconds("breaker", "slow_call", slow_call)
            slow_call_rate = SLOW_CALL_RATE if slow_call_rate is None else slow_call_rate
        if max_reset_timeout is not None:
            seconds("breaker", "max_reset_timeout", max_reset_timeout)
        for word, rate in (("failure_rate", failure_rate), ("slow_call_rate", slow_call_rate)):
            if rate is not None and not 0 < number("breaker", word, rate) <= 1:
                raise ValueError(
                    f"breaker({word}=) is a part of the calls, above 0 to 1, as in 0.5, not {rate!r}"
                )
        if not number("breaker", "growth", growth) >= 1:
            raise ValueError(f"breaker(growth=) is a factor of 1 or more, not {growth!r}")
        self.failure_rate = failure_rate
        self.slow_call_rate = slow_call_rate
        self.slow_call = SLOW_CALL if slow_call is None else slow_call
        self.window = window
        self.minimum_calls = count("breaker", "minimum_calls", minimum_calls)
        self.growth = growth
        self.max_reset_timeout = (
            MAX_RESET_TIMEOUT if max_reset_timeout is None else max_reset_timeout
        )
        self._make_window = window_maker(window)

    @property
    def rated(self) -> bool:
        """Whether there is any rate to watch."""
        return self.failure_rate is not None or self.slow_call_rate is not None

    def make_window(self) -> Window | None:
        """A window for one circuit, where there is a rate."""
        return self._make_window() if self.rated else None

    def broken(self, seen: Counts) -> str | None:
        """Why these counts open a circuit, or None. A rate that is reached opens it."""
        if seen.calls < self.minimum_calls:
            return None
        for rate, hits, word in (
            (self.failure_rate, seen.failures, "failed"),
            (self.slow_call_rate, seen.slow, f"took {self.slow_call:g} s or longer to begin"),
        ):
            if rate is not None and hits >= rate * seen.calls:
                return f"{hits} of the latest {seen.calls} calls {word}"
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
