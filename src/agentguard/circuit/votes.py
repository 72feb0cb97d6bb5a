"""What an outcome says about the provider: success, failure, or nothing at all."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine.trouble import trouble
from agentguard.providers.failures import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentguard.engine.call import Outcome
    from agentguard.errors import Kind

    Exclusion = type[BaseException] | Callable[[Any], object]

__all__ = ["COUNTED", "Vote", "exclusions", "vote"]

COUNTED: Final[frozenset[Kind]] = frozenset(
    {
        "rate_limited",
        "overloaded",
        "server",
        "timeout",
        "connection",
        "truncated",
        "quota_exhausted",
        "unknown",
    }
)
"""Failures that say something about the provider. The others are the caller's, or our own."""


class Vote:
    """One outcome that counts.

    Attributes:
        error: the failure, or None for a success.
        kind: of the failure.
        slow: it took `slow_call` seconds or longer to begin.
        retry_after: seconds the provider asked for.
    """

    __slots__ = ("error", "kind", "retry_after", "slow")

    def __init__(
        self,
        error: BaseException | None,
        kind: str,
        *,
        slow: bool = False,
        retry_after: float | None = None,
    ) -> None:
        self.error = error
        self.kind = kind
        self.slow = slow
        self.retry_after = retry_after


def vote(outcome: Outcome, excluded: Iterable[Exclusion], now: float, *, slow: bool) -> Vote | None:
    """How an outcome votes; None when it is neutral.

    Neutral are abandoned and cancelled calls, control flow, refusals of agentguard itself,
    requests that were at fault themselves, and what `exclude=` names. pybreaker takes an excluded
    exception for a success, which would let a bad request close a circuit.

    Args:
        outcome: of the call.
        excluded: exception types and predicates, as pybreaker's.
        now: wall-clock seconds, to read a Retry-After that is a date.
        slow: whether the call was slow.
    """
    error = outcome.error
    if outcome.kind == "completed":
        return Vote(None, "", slow=slow)
    if outcome.kind == "abandoned" or error is None:
        return None
    failure = classify(error, now)
    if failure.kind not in COUNTED or any(_excludes(each, error) for each in excluded):
        return None
    return Vote(error, failure.kind, slow=slow, retry_after=failure.retry_after)


def exclusions(exclude: object) -> tuple[Exclusion, ...]:
    """Check what `breaker(exclude=...)` was given."""
    several = isinstance(exclude, (list, tuple, set, frozenset))
    given: tuple[Any, ...] = tuple(cast("Iterable[Any]", exclude)) if several else (exclude,)
    for each in given:
        if not _is_exclusion(each):
            raise TypeError(
                "breaker(exclude=) takes exception types and plain functions of an exception, "
                f"as in exclude=[ValueError, lambda error: ...], not {type(each).__name__}"
            )
    return given


def _is_exclusion(value: object) -> bool:
    if isinstance(value, type):
        return issubclass(value, BaseException)
    return callable(value) and not inspect.iscoroutinefunction(value)


def _excludes(exclusion: Exclusion, error: BaseException) -> bool:
    if isinstance(exclusion, type):
        return isinstance(error, exclusion)
    try:
        return bool(exclusion(error))
    except Exception as failed:
        trouble("a predicate of breaker(exclude=)", failed)
        return False
