"""What spans are told when they end: on the thread of an outbox, where it may take its time."""

from __future__ import annotations

import dataclasses
import functools
import re
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard import events
from agentguard.engine.trouble import trouble
from agentguard.exporters.figures import figure
from agentguard.exporters.gen_ai import answer
from agentguard.exporters.gen_ai_content import content
from agentguard.masking.masker import Masker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from opentelemetry.trace import Span

    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.exporters.opentelemetry_call import AttemptSpan, CallSpans

__all__ = ["end_attempt", "end_call", "end_wait"]

_ITS_OWN: Final = (
    events.CallStarted,
    events.CallEnded,
    events.AttemptStarted,
    events.AttemptEnded,
)
"""What the spans say by themselves."""

_CONTEXT: Final = {
    "user": "user.id",
    "session": "session.id",
    "session_id": "session.id",
    "conversation": "gen_ai.conversation.id",
    "conversation_id": "gen_ai.conversation.id",
    "thread_id": "gen_ai.conversation.id",
}
"""Names of `context(...)` for which the conventions have one."""

_UNTOLD: Final = frozenset({"call", "at", "attempt", "usage", "price"})
_PLAIN: Final = (bool, int, float, str)


def end_wait(span: Span, ended: int) -> None:
    """A policy's wait is over."""
    span.end(ended)


def end_attempt(known: AttemptSpan, record: AttemptRecord, ended: int) -> None:
    """An attempt has ended: what it was answered, used and cost.

    Args:
        known: of the attempt.
        record: of the attempt.
        ended: nanoseconds since the epoch.
    """
    span = known.span
    try:
        attributes: dict[str, Any] = {
            "agentguard.attempt": record.number,
            "agentguard.outcome": record.outcome,
            "agentguard.kind": record.kind,
            "agentguard.target": record.target,
        }
        if known.asked is not None:
            name, more = answer(known, record)
            attributes |= more
            span.update_name(name)
        bill = record.bill
        if bill is not None and bill.counted:
            attributes["agentguard.cost_usd"] = _number(figure(lambda: bill.cost))
            attributes["agentguard.usage.estimated"] = bill.estimated or None
        if known.sent is not None and known.attempt is not None:
            with _untold("the content of a span"):
                call = known.attempt.call
                attributes |= content(known, _masker(call.record, call.scope.known))
        _say(span, attributes, record)
    finally:
        span.end(ended)


def end_call(call: CallSpans, record: CallRecord, ended: int) -> None:
    """A call has ended: what came of it, and what policies did.

    Args:
        call: that has ended.
        record: of the call.
        ended: nanoseconds since the epoch.
    """
    span = call.span
    try:
        attributes: dict[str, Any] = {
            "agentguard.name": record.name,
            "agentguard.outcome": record.outcome,
            "agentguard.kind": record.kind,
            "agentguard.attempts": len(record.attempts),
            "agentguard.served_by": record.served_by,
            "agentguard.model": record.model,
            "agentguard.time_to_first_token": record.first_token if record.streamed else None,
            "agentguard.cost_usd": _number(figure(lambda: record.cost)),
        }
        masker = _masker(record, call.known)
        with _untold("the context of a span"):
            attributes |= dict(_context(record.tags, masker))
        for event in tuple(record.events):
            if not isinstance(event, _ITS_OWN):
                with _untold("an event of a span"):
                    span.add_event(
                        _named(type(event).__name__), _told(event, masker), call.at(event.at)
                    )
        _say(span, attributes, record)
    finally:
        span.end(ended)


class _untold(suppress):  # noqa: N801  a block reads like a verb
    """Leave out what cannot be told, and say so."""

    def __init__(self, what: str) -> None:
        super().__init__(Exception)
        self._what = what

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            trouble(f"telling {self._what}", error, "it is left out")
        return super().__exit__(kind, error, traceback)


def _say(span: Span, attributes: Mapping[str, Any], record: CallRecord | AttemptRecord) -> None:
    from opentelemetry.trace import Status, StatusCode

    told = {name: value for name, value in attributes.items() if value is not None}
    if record.outcome == "failed":
        told["error.type"] = record.error or record.kind or "_OTHER"
        span.set_status(Status(StatusCode.ERROR, record.kind))
    span.set_attributes(told)


def _context(tags: Mapping[str, object], masker: Masker) -> Iterator[tuple[str, Any]]:
    """What a call is for: users and the like, masked where they are personal data."""
    for name, value in tags.items():
        told = value if isinstance(value, _PLAIN) else type(value).__name__
        if isinstance(told, str):
            told, _ = masker.mask(told)
        yield _CONTEXT.get(name, f"agentguard.context.{name}"), told


def _told(event: events.Event, masker: Masker) -> dict[str, Any]:
    """An event's own facts. Names of keyed circuits and budgets may be those of users."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name in _UNTOLD or value is None:
            continue
        name = f"agentguard.{field.name}"
        if isinstance(value, _PLAIN):
            found[name] = value
        elif isinstance(value, Decimal):
            found[name] = float(value)
        elif isinstance(value, tuple):
            found[name] = [*map(str, cast("tuple[object, ...]", value))]
        elif isinstance(value, dict):  # how many of each type were masked
            counts = cast("dict[str, int]", value)
            found |= {f"{name}.{kind}": count for kind, count in counts.items()}
    if isinstance(event, events.CacheHit):
        found["agentguard.saved_usd"] = _number(figure(lambda: event.saved))
    if getattr(event, "keyed", False):
        for name, value in found.items():
            if isinstance(value, str):
                found[name], _ = masker.mask(value)
    return {name: value for name, value in found.items() if value is not None}


@functools.cache
def _named(kind: str) -> str:
    return "agentguard." + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()


@functools.cache
def _everybodys() -> Masker:
    return Masker()


def _masker(record: CallRecord | None, known: tuple[tuple[str, str], ...]) -> Masker:
    """What masks a call's texts: with the detectors of a `mask_pii` around it, too."""
    policies = () if record is None else record.policies
    own = [each for policy in policies for each in getattr(policy, "detectors", ())]
    return (Masker(detectors=own) if own else _everybodys()).within(known)


def _number(dollars: Decimal | None) -> float | None:
    return None if dollars is None else float(dollars)
