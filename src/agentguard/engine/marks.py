"""What the engine writes on an exception that passes through it: one note, and two facts.

A provider's exception must come out the same in type and identity, so nothing wraps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agentguard.errors import Partial

__all__ = ["forget", "gave_up", "give_up", "leave_partial", "note", "noted"]

_PREFIX: Final = "agentguard: "


def note(error: BaseException, text: str) -> None:
    """Say on `error` what was tried. There is one note: a later one replaces it."""
    before: list[str] | None = getattr(error, "__notes__", None)
    if before:
        error.__notes__ = [each for each in before if not each.startswith(_PREFIX)]
    error.add_note(_PREFIX + text)


def noted(error: BaseException) -> str:
    """What `note` said on `error` last, or an empty string."""
    before: list[str] = getattr(error, "__notes__", [])
    for each in before:
        if each.startswith(_PREFIX):
            return each.removeprefix(_PREFIX)
    return ""


def give_up(error: BaseException) -> None:
    """A retry passes `error` on: one further out must not multiply its attempts."""
    _set(error, "_agentguard_gave_up", True)


def gave_up(error: BaseException) -> bool:
    """Whether a retry further in has given up on `error`."""
    return getattr(error, "_agentguard_gave_up", False) is True


def forget(error: BaseException) -> None:
    """`error` leaves the outermost guarded call: if raised again later, it is a new failure."""
    if gave_up(error):
        _set(error, "_agentguard_gave_up", False)


def leave_partial(error: BaseException, partial: Partial) -> None:
    """Put on `error` what had arrived before it ended a stream, for `errors.partial`."""
    _set(error, "_agentguard_partial", partial)


def _set(error: BaseException, name: str, value: Any) -> None:
    try:
        setattr(error, name, value)
    except AttributeError:
        return  # an exception class that forbids new attributes: it goes unmarked
