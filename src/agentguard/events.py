"""What policies and the engine say while they work: the one source of all telemetry.

Events go to the listeners of the call's scope and of the scopes around it, never to a global bus.
With no listener none is built. No event carries a prompt or an answer.

A listener is a function of one event:

    >>> from agentguard import events
    >>> def on_event(event: events.Event) -> None:
    ...     if isinstance(event, events.Retried):
    ...         print(event.kind, event.wait)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.errors import Kind
    from agentguard.providers.usage import Usage

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Blind",
    "BudgetCharged",
    "BudgetOverrun",
    "BudgetThreshold",
    "CacheHit",
    "CacheMissed",
    "CacheSkipped",
    "CacheStored",
    "CallEnded",
    "CallStarted",
    "Capped",
    "CheckFailed",
    "CircuitClosed",
    "CircuitHalfOpened",
    "CircuitOpened",
    "CircuitRejected",
    "Delayed",
    "DetectorFailed",
    "Event",
    "FellBack",
    "GaveUp",
    "LateResult",
    "Listener",
    "Masked",
    "PrefixChanged",
    "Rejected",
    "Retried",
    "StoreFailed",
    "TimedOut",
    "Unmasked",
    "Unpriced",
]


class Listener(Protocol):
    """Who hears of events. Called on the caller's own thread: it must be quick and not block."""

    def __call__(self, event: Event, /) -> None:
        """Hear of one event. What it raises is logged and never breaks the call."""


@dataclass(slots=True)
class Event:
    """Base of all events.

    `call` is the record of the guarded call that it happened in, `at` the monotonic seconds at
    which it was told.
    """

    call: CallRecord
    at: float = field(default=0.0, init=False, repr=False, compare=False)


@dataclass(slots=True)
class CallStarted(Event):
    """A guarded callable was called (a generator: was first pulled)."""


@dataclass(slots=True)
class CallEnded(Event):
    """A guarded call ended, a stream at its end: `call.outcome` says how."""


@dataclass(slots=True)
class AttemptStarted(Event):
    """A target is about to be invoked."""

    attempt: AttemptRecord


@dataclass(slots=True)
class AttemptEnded(Event):
    """An invocation ended, a stream at its end: `attempt.outcome` and `.kind` say how."""

    attempt: AttemptRecord


@dataclass(slots=True)
class Retried(Event):
    """`retry` scheduled another attempt, to begin after `wait` seconds.

    `number` is the attempt that failed, counted from 1; `obeyed` says that the provider chose the
    wait (Retry-After).
    """

    kind: Kind
    number: int
    wait: float
    obeyed: bool


@dataclass(slots=True)
class GaveUp(Event):
    """`retry` passed a failure on that it might have retried; `reason` says why."""

    kind: Kind
    number: int
    reason: str


@dataclass(slots=True)
class Delayed(Event):
    """`policy` lets the call wait `wait` seconds before it goes on; of `retry` see `Retried`."""

    policy: str
    wait: float


@dataclass(slots=True)
class FellBack(Event):
    """`fallback` turned to `target` because what came before failed as `kind`."""

    kind: Kind
    target: str


@dataclass(slots=True)
class CircuitOpened(Event):
    """A circuit opened: calls are refused for `seconds`.

    `keyed`: it is one of several that `breaker(key=)` keeps, and `circuit` names its key.
    """

    circuit: str
    reason: str
    seconds: float
    keyed: bool = False


@dataclass(slots=True)
class CircuitHalfOpened(Event):
    """A circuit lets trial calls through."""

    circuit: str
    keyed: bool = False


@dataclass(slots=True)
class CircuitClosed(Event):
    """A circuit closed: its trial calls succeeded."""

    circuit: str
    keyed: bool = False


@dataclass(slots=True)
class CircuitRejected(Event):
    """A call was refused by an open circuit, which lets one through in `retry_after` seconds.

    With `shadow` it would have been, and was let through. `keyed`: as of `CircuitOpened`.
    """

    circuit: str
    retry_after: float | None
    shadow: bool = False
    keyed: bool = False


@dataclass(slots=True)
class TimedOut(Event):
    """A time bound passed; `bound` is its name, `seconds` its length."""

    bound: str
    seconds: float


@dataclass(slots=True)
class LateResult(Event):
    """A worker whose caller had given up came back after all; what it brought is discarded."""

    attempt: AttemptRecord


@dataclass(slots=True)
class Unpriced(Event):
    """An attempt's cost was asked for, and no price is known for `model`: it is None, not zero."""

    attempt: AttemptRecord
    model: str


@dataclass(slots=True)
class BudgetCharged(Event):
    """An attempt ended and `amount` of `unit` was booked; `used` of `limit` is gone then.

    `keyed`: the budget is one for each user, tenant or the like, and this was one of them.
    """

    budget: str
    unit: str
    amount: int | Decimal
    used: int | Decimal
    limit: int | Decimal
    keyed: bool = False


@dataclass(slots=True)
class BudgetThreshold(Event):
    """A budget has reached `percent` of its limit: told once in its window, by one process."""

    budget: str
    unit: str
    percent: int
    used: int | Decimal
    limit: int | Decimal


@dataclass(slots=True)
class BudgetOverrun(Event):
    """An answer whose length nothing bounded used `over` more than its budget had left."""

    budget: str
    unit: str
    over: int | Decimal
    used: int | Decimal
    limit: int | Decimal


@dataclass(slots=True)
class Capped(Event):
    """Less is left than an answer may need: the provider was told to stop at `tokens`."""

    budget: str
    tokens: int


@dataclass(slots=True)
class CacheHit(Event):
    """A cache answered, and nobody was asked; told at the end of a stream that was joined.

    `how` is "fresh"; "stale", where the answer was served after its time; "joined", where the same
    call was under way and its answer served this one too; "alike", where the question was asked
    before in other words; or "items", where all or some items of a call for embeddings were known.
    `age` is in seconds; `model` answered then, and `usage` is what it told.
    """

    cache: str
    how: str
    age: float
    model: str | None
    usage: Usage | None
    price: Callable[[], Decimal | None] = field(repr=False)

    @property
    def saved(self) -> Decimal | None:
        """US dollars that asking would have cost; None where that is not known."""
        return self.price()


@dataclass(slots=True)
class CacheMissed(Event):
    """A cache had no answer: the call goes on. Of a call for embeddings, to `missing` items."""

    cache: str
    missing: int | None = None


@dataclass(slots=True)
class CacheStored(Event):
    """An answer was put into a cache: `size` bytes."""

    cache: str
    size: int


@dataclass(slots=True)
class CacheSkipped(Event):
    """An answer was not put into a cache; `reason` says why."""

    cache: str
    reason: str


@dataclass(slots=True)
class PrefixChanged(Event):
    """Prompts keep changing where they begin, so that the provider's cache of them is never read.

    `where` is "tools[2]", "system" or "messages[0]", `position` the character in it from which on
    they differ, or a few before it, `cause` what stands there by the looks of it.
    """

    where: str
    position: int | None
    cause: str | None


@dataclass(slots=True)
class Rejected(Event):
    """A policy refused a request or an answer, or would have: with `shadow` it let it through.

    `what` is "request" or "answer", `rules` names what was broken, `then` says what followed:
    "stop", "reask", "replace".
    """

    policy: str
    what: Literal["request", "answer"]
    rules: tuple[str, ...]
    then: str
    shadow: bool


@dataclass(slots=True)
class CheckFailed(Event):
    """A policy's check, such as "classify", raised `error`: the text counts as the policy was told."""

    policy: str
    check: str
    error: str


@dataclass(slots=True)
class StoreFailed(Event):
    """A policy's store could not be reached; `then` says what the policy did instead."""

    store: str
    error: str
    then: str


@dataclass(slots=True)
class Masked(Event):
    """Personal data and secrets were taken out of a request: how many hits of each type."""

    counts: Mapping[str, int]


@dataclass(slots=True)
class Unmasked(Event):
    """An attachment went out as it was: `kind` is "image", "audio", "video", "file" or "bytes".

    `where` is its place in the request, as in "messages[0].content[1]".
    """

    kind: str
    where: str


@dataclass(slots=True)
class DetectorFailed(Event):
    """A detector of personal data raised `error`; `then` says what followed."""

    detector: str
    error: str
    then: str


@dataclass(slots=True)
class Blind(Event):
    """A call ended in which no model call was seen, though `policies` need to see one."""

    policies: tuple[str, ...]
