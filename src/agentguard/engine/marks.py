"""What the engine writes on an exception that passes through it: one note, and two facts.

A provider's exception must come out the same in type and identity, so nothing wraps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentguard.errors import Partial

__all__ = ["gave_up", "give_up", "leave_partial", "moment", "note", "noted"]

_PREFIX: Final = "agentguard: "


moment: int = 0
"""How many marks were left in this process so far. An exception object may be raised again in a
later call (a module's singleton): only marks left since a call began are about that call."""


def note(error: BaseException, text: str) -> None:
    """Say on `error` what was tried. There is one note: a later one replaces it."""
    others = [each for each in _notes(error) if not _ours(each)]
    _set(error, "__notes__", [*others, _PREFIX + text])
    _stamp(error, "_agentguard_noted")


def noted(error: BaseException, since: int) -> str:
    """What `note` said on `error` after the moment `since`, or an empty string."""
    if _stamped(error, "_agentguard_noted", since):
        for each in filter(_ours, _notes(error)):
            return str(each).removeprefix(_PREFIX)
    return ""


def give_up(error: BaseException) -> None:
    """A retry passes `error` on: one further out must not multiply its attempts."""
    _stamp(error, "_agentguard_gave_up")


def gave_up(error: BaseException, since: int) -> bool:
    """Whether a retry further in has given up on `error` after the moment `since`."""
    return _stamped(error, "_agentguard_gave_up", since)


def leave_partial(error: BaseException, partial: Partial) -> None:
    """Put on `error` what had arrived before it ended a stream, for `errors.partial`."""
    _set(error, "_agentguard_partial", partial)


def _notes(error: BaseException) -> list[object]:
    notes = read(error, "__notes__")
    return [*cast("Iterable[object]", notes)] if isinstance(notes, (list, tuple)) else []


def _ours(note: object) -> bool:
    return isinstance(note, str) and note.startswith(_PREFIX)


def _set(error: BaseException, name: str, value: Any) -> None:
    try:
        setattr(error, name, value)
    except Exception:  # a class that forbids new attributes, as a frozen dataclass does
        return  # it goes unmarked: what counts is that it comes out


def _stamp(error: BaseException, name: str) -> None:
    global moment  # noqa: PLW0603  one sequence for the process
    moment += 1
    _set(error, name, moment)


def _stamped(error: BaseException, name: str, since: int) -> bool:
    at = read(error, name)
    return isinstance(at, int) and at > since
