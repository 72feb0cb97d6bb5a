"""The rejection: agentguard's `CircuitOpen`, caught by `except pybreaker.CircuitBreakerError` too."""

from __future__ import annotations

import functools
from typing import Any

from agentguard import errors

__all__ = ["refusal"]


def refusal(message: str, circuit: str, retry_after: float | None) -> errors.CircuitOpen:
    """The error that a circuit refuses a call with."""
    made: errors.CircuitOpen = _class()(message, retry_after=retry_after)
    made.circuit = circuit  # type: ignore[attr-defined]
    return made


@functools.cache
def _class() -> Any:
    import pybreaker

    class CircuitOpen(errors.CircuitOpen, pybreaker.CircuitBreakerError):
        """A circuit refused the call. `circuit` is its name."""

        circuit = ""

        def __reduce__(self) -> tuple[Any, ...]:
            # The class is made on demand, so pickle cannot find it by name.
            return refusal, (str(self), self.circuit, self.retry_after), {**self.__dict__}

    CircuitOpen.__module__, CircuitOpen.__qualname__ = errors.__name__, "CircuitOpen"
    return CircuitOpen
