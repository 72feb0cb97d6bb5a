"""How long to wait before another attempt: pure arithmetic, chance and time passed in."""

from __future__ import annotations

from typing import Final

__all__ = ["FIRST", "LONGEST", "delay"]

FIRST: Final = 0.5
LONGEST: Final = 20.0


def delay(failures: int, chance: float) -> float:
    """Seconds to wait after `failures` failed attempts: exponential with full jitter.

    `chance * min(LONGEST, FIRST * 2 ** (failures - 1))`, with chance in [0, 1). Full jitter spreads
    the callers of a provider that comes back best of the jitters compared in "Exponential Backoff
    And Jitter" (AWS Architecture Blog, 2015); the cap of 20 s is that of the AWS SDKs' standard
    mode, the first step of 0.5 s that of the OpenAI and Anthropic SDKs.

    Examples:
        >>> delay(1, 0.5), delay(3, 0.5), delay(50, 0.5)
        (0.25, 1.0, 10.0)
    """
    return chance * min(LONGEST, FIRST * 2.0 ** min(failures - 1, 16))
