"""Which failures of one call are those of all who wait for it, and how each gets its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.errors import BudgetExceeded, ContextMissing, StreamTruncated, Timeout
from agentguard.providers.failures import classify

if TYPE_CHECKING:
    from agentguard.errors import Kind

__all__ = ["concerns_all", "shared"]

_OWN: Final[frozenset[Kind]] = frozenset(
    {"cancelled", "control", "budget_exceeded", "saturated", "rejected"}
)
_OWN_BOUNDS: Final = frozenset({"deadline", "abandon_after"})


def concerns_all(error: BaseException) -> bool:
    """Whether a failure is the provider's or the function's, not that of the one who called."""
    if not isinstance(error, Exception) or isinstance(error, (BudgetExceeded, ContextMissing)):
        return False
    if isinstance(error, Timeout):
        return error.bound not in _OWN_BOUNDS
    return classify(error).kind not in _OWN


def shared(error: BaseException) -> Exception:
    """The failure for another caller: of the same type where it can be copied.

    Tracebacks, notes and partial texts are each caller's own.
    """
    if not isinstance(error, Exception) or not concerns_all(error):
        return StreamTruncated(
            "the stream that this call had joined was ended by the call that began it, before its "
            "end: errors.partial(error) has what arrived; make the call anew"
        )
    try:
        return _twin(error)
    except Exception:  # a class of the user's that cannot be made again
        return error


def _twin(error: Exception) -> Exception:
    # Not its own __new__ and __init__, whose arguments need not be what it kept of them.
    builtin: Any = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
    twin: Exception = builtin.__new__(type(error), *error.args)
    twin.args = error.args
    vars(twin).update(vars(error))
    if hasattr(error, "__notes__"):
        twin.__notes__ = list(error.__notes__)
    twin.__cause__ = error.__cause__
    return twin
