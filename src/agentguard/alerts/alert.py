"""What is told of an event: a sentence, and its facts as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agentguard import events
from agentguard.engine import clock
from agentguard.telling import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Alert", "alert_of", "subject_of"]

_SUBJECTS: Final = ("budget", "circuit", "store", "detector", "policy", "model", "target")
"""Fields of events that name what they are about, the most telling first."""

_UNTOLD: Final = frozenset({"call", "at", "attempt", "price", "usage", "keyed"})


class Alert(NamedTuple):
    """What a handler sends of one event.

    Attributes:
        event: the name of its class, as in "BudgetThreshold".
        text: one sentence, which begins with the name of the guarded callable.
        call: that name.
        at: when it happened, as in "2026-11-23T09:30:00+00:00".
        suppressed: how many like it were not sent since the last one.
        details: its facts: numbers, texts, and lists and mappings of them.
        tags: those of `context(...)` that the handler was asked to send.
        trace: the id of its trace, or None.
    """

    event: str
    text: str
    call: str
    at: str
    suppressed: int
    details: Mapping[str, Any]
    tags: Mapping[str, str]
    trace: str | None


def alert_of(event: events.Event, suppressed: int, tags: Sequence[str]) -> Alert:
    """What to tell of an event.

    Args:
        event: any. Of one of the user's own only the name is told: nobody knows what it holds.
        suppressed: how many like it were not told.
        tags: names of the context's tags to tell.
    """
    call = event.call
    return Alert(
        event=type(event).__name__,
        text=f"{call.name}: {in_words(event)}",
        call=call.name,
        at=datetime.fromtimestamp(clock.now().time(), UTC).isoformat(timespec="milliseconds"),
        suppressed=suppressed,
        details=_details(event),
        tags={name: str(call.tags[name]) for name in tags if name in call.tags},
        trace=call.trace,
    )


def subject_of(event: events.Event) -> str:
    """What an event is about: alerts of one kind and subject are limited together.

    Never whose it is: of a circuit kept for each user all are one subject, else a flood of users
    would be a flood of alerts.
    """
    keyed = getattr(event, "keyed", False)
    about = next((str(getattr(event, each)) for each in _SUBJECTS if hasattr(event, each)), "")
    if keyed or not about:
        about = event.call.name
    percent = getattr(event, "percent", "")
    return f"{about} {getattr(event, 'unit', '')} {percent}"


def _details(event: events.Event) -> dict[str, Any]:
    if type(event).__module__ != events.__name__:
        return {}
    keyed = getattr(event, "keyed", False)
    return {
        each.name: _plain(getattr(event, each.name))
        for each in dataclasses.fields(event)
        if each.name not in _UNTOLD and not (keyed and each.name == "circuit")
    }


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in cast("Any", value).items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in cast("Any", value)]
    return f"{value:f}" if isinstance(value, Decimal) else type(value).__name__
