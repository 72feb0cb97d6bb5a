"""tenacity's strategy objects, asked only once something has failed.

`stop`, `wait` and `retry` of tenacity are callables on a `RetryCallState`. Its own loop costs 10 to
20 microseconds on every call that succeeds; the state alone is built here, on failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from agentguard.engine.call import Call

    Strategy = Callable[[RetryCallState], Any]

__all__ = ["asks_again", "state_of"]


def state_of(
    call: Call,
    number: int,
    began: float,
    now: float,
    idle: float,
    error: BaseException | None,
    value: object = None,
) -> RetryCallState:
    """What tenacity's strategies are asked with.

    Args:
        call: the guarded call.
        number: attempts made so far.
        began: when the first one began, on the library's clock.
        now: the moment of the decision, on the same clock.
        idle: seconds waited between attempts so far.
        error: of the last attempt, or None when its answer is judged.
        value: the answer, when there is no error.
    """
    from tenacity import RetryCallState, Retrying

    state = RetryCallState(Retrying(), call.target.fn, call.args, call.kwargs)
    if error is None:
        state.set_result(value)
    else:
        state.set_exception((type(error), error, error.__traceback__))
    state.start_time = began
    state.outcome_timestamp = now
    state.attempt_number = number
    state.idle_for = idle
    return state


def asks_again(error: BaseException) -> bool:
    """Whether the callable raised `tenacity.TryAgain`, which no strategy is asked about."""
    return any(
        base.__name__ == "TryAgain" and base.__module__.partition(".")[0] == "tenacity"
        for base in type(error).__mro__
    )
