"""A guarded call as lines in the order in which they happened: attempts, decisions, calls inside."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard import events
from agentguard.engine.records import AttemptRecord, CallRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Line", "ended", "lines", "printable", "span"]

_DRAWN: Final = (
    events.CallStarted,
    events.CallEnded,
    events.AttemptStarted,
    events.AttemptEnded,
)
"""What the lines of calls and attempts are made of."""

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line ends, turns of the direction of writing, halves of characters."""

_LONGEST: Final = 200


class Line(NamedTuple):
    """A call, or one of its attempts, or one thing that a policy said.

    Attributes:
        depth: how far in it belongs: 0 for a call that is in no other.
        call: that it is about.
        attempt: of the call, or None.
        event: of the call, or None.
    """

    depth: int
    call: CallRecord
    attempt: AttemptRecord | None = None
    event: events.Event | None = None


def lines(call: CallRecord, depth: int = 0) -> Iterator[Line]:
    """A call, what happened in it, and the calls made inside each attempt, in order."""
    inside: dict[int, list[CallRecord]] = {}
    for child in list(call.children):
        inside.setdefault(id(child.inside), []).append(child)
    yield Line(depth, call)
    for event in _told(call):
        if isinstance(event, events.AttemptStarted):
            yield Line(depth + 1, call, attempt=event.attempt)
            for child in inside.get(id(event.attempt), ()):
                yield from lines(child, depth + 2)
        elif not isinstance(event, (*_DRAWN, events.Unpriced)):
            yield Line(depth + 1, call, event=event)


def _told(call: CallRecord) -> Iterator[events.Event]:
    """What was told of a call; the waits of a policy that looks again and again are one."""
    for _, same in itertools.groupby(list(call.events), _waits):
        event, *more = same
        if more and isinstance(event, events.Delayed):
            wait = sum(each.wait for each in more if isinstance(each, events.Delayed))
            at, event = event.at, events.Delayed(call, event.policy, event.wait + wait)
            event.at = at
        yield event


def _waits(event: events.Event) -> object:
    return event.policy if isinstance(event, events.Delayed) else id(event)


def ended(record: CallRecord | AttemptRecord) -> float:
    """When a call or an attempt ended; of one that still runs, the last that is known of it."""
    if record.duration is not None:
        return record.started + record.duration
    return max(_known(record))


def _known(record: CallRecord | AttemptRecord) -> Iterator[float]:
    yield record.started + (record.first_token or 0.0)
    if isinstance(record, AttemptRecord):
        yield record.started + max(record.arrivals or (), default=0.0)
        return
    for event in list(record.events):
        if not isinstance(event, events.Unpriced):  # it is told when a cost is looked at
            yield event.at
    yield from map(ended, list(record.attempts))
    yield from map(ended, list(record.children))


def span(call: CallRecord) -> tuple[float, float]:
    """From when to when something happened in a call, answers that came too late included."""
    last = max(
        ended(line.attempt or line.call) if line.event is None else line.event.at
        for line in lines(call)
    )
    return call.started, last


def printable(text: str) -> str:
    """A name as it may stand in a line: what would move the cursor is replaced, its length bound."""
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
