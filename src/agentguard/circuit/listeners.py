"""pybreaker's listeners: told outside of every lock, each for itself."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, cast

from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.circuit.gate import State
    from agentguard.circuit.votes import Vote

__all__ = ["Change", "Watch", "hears", "tell", "tell_before"]


class Change:
    """A transition that has happened and that the listeners have yet to hear of.

    Attributes:
        state: the new one.
        reason: why it opened, if it did.
        seconds: for how long.
        before: pybreaker's state object before.
        after: pybreaker's state object now.
    """

    __slots__ = ("after", "before", "reason", "seconds", "state")

    def __init__(self, state: State, reason: str, seconds: float, objects: tuple[Any, Any]) -> None:
        self.state = state
        self.reason = reason
        self.seconds = seconds
        self.before, self.after = objects


class Watch:
    """A listener of our own, on a breaker that others hold too: tells when they move it."""

    def __init__(self, follow: Callable[[State], None]) -> None:
        # Weak: the user's breaker may outlive the policy by far.
        self._follow = weakref.WeakMethod(follow)

    def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing to do."""

    def success(self, cb: Any) -> None:
        """Nothing to do."""

    def failure(self, cb: Any, exc: BaseException) -> None:
        """Nothing to do."""

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        """Follow."""
        follow = self._follow()
        if follow is not None:
            follow(new_state.name)


def hears(listener: object, method: str) -> bool:
    """Whether a listener does anything in `method`."""
    import pybreaker

    kind = cast("Any", type(listener))
    mine = getattr(kind, method, None)
    return kind is not Watch and mine is not getattr(pybreaker.CircuitBreakerListener, method)


def tell(breaker: Any, silent: Watch, vote: Vote | None, change: Change | None) -> None:
    """Call all listeners but `silent` in the order in which pybreaker calls them."""
    for listener in breaker.listeners:
        if listener is silent:
            continue
        try:
            if vote is not None and vote.error is not None:
                listener.failure(breaker, vote.error)
            if change is not None:
                listener.state_change(breaker, change.before, change.after)
            if vote is not None and vote.error is None:
                listener.success(breaker)
        except Exception as error:
            trouble(f"the listener {type(listener).__qualname__}", error)


def tell_before(breaker: Any, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call `before_call` of all listeners."""
    for listener in breaker.listeners:
        try:
            listener.before_call(breaker, fn, *args, **kwargs)
        except Exception as error:
            trouble(f"the listener {type(listener).__qualname__}", error)
