"""Whether a call that must be seen was: which model answered, and what it used.

A budget or a mask around a function that returns plain text counts nothing and masks nothing.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Final

from agentguard import events
from agentguard.errors import Blind

if TYPE_CHECKING:
    from agentguard.engine.call import Attempt, Call, Outcome

__all__ = ["Sight", "refuse_blind"]

_REMEDY: Final = (
    "guard the client that makes the call (client = guard(...)(client)), or pass the provider's "
    "response through agentguard.record(...) inside the function"
)


class Sight:
    """Looks at every attempt inside one call, those of guarded calls within included."""

    __slots__ = ("_attempts", "_call")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._attempts: list[Attempt] = []

    def look(self, attempt: Attempt) -> None:
        """Remember an attempt that begins, as a hook of `Call.on_attempt`."""
        self._attempts.append(attempt)

    def judge(self, outcome: Outcome) -> None:
        """When the call has ended well, say so if none of them showed a model call."""
        attempts, self._attempts = self._attempts, []
        target, served = self._call.target, outcome.attempt
        if outcome.kind != "completed" or served is None or any(map(_seen, attempts)):
            return
        if not attempts:  # a cache answered, and nobody was asked
            return
        if served.call.target.fn is not target.fn:  # a fallback's fixed answer costs nothing
            return
        names = _names(self._call)
        self._call.emit(events.Blind, names)
        if not target.blind:
            target.blind = True
            # Where warnings are errors it must not pass for a failure of this hook.
            with contextlib.suppress(UserWarning):
                warnings.warn(f"{_told(target.name, names)}: {_REMEDY}", stacklevel=2)


def refuse_blind(call: Call) -> None:
    """Refuse a callable that has shown itself to be blind, where the guard was told to."""
    if call.target.blind and call.runtime.options.on_blind == "raise":
        raise Blind(f"{_told(call.target.name, _names(call))}, and on_blind='raise': {_REMEDY}")


def _seen(attempt: Attempt) -> bool:
    return attempt.model is not None or attempt.usage is not None


def _names(call: Call) -> tuple[str, ...]:
    policies = (*call.scope.policies, *call.runtime.options.policies)
    return tuple(policy.name for policy in policies if policy.needs_model)


def _told(name: str, policies: tuple[str, ...]) -> str:
    return f"{', '.join(policies)} cannot act on {name}: no model call was seen in it"
