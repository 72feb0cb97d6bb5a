"""What `trace` passes guarded calls on to: an exporter, and what it makes of each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from agentguard.engine.call import Attempt, Call, Outcome
    from agentguard.engine.records import CallRecord
    from agentguard.events import Event

__all__ = ["Traced", "Tracer"]


class Tracer(Protocol):
    """Makes guarded calls known to a tracing backend.

    Everything is called on the caller's thread, between its own steps: it must be quick, do no I/O,
    and give what takes time to an `Outbox`. What it raises is logged and breaks no call.

    Attributes:
        name: of the backend. Of two `trace` around a call that have a tracer of the same name, the
            one further in traces it there.
    """

    name: ClassVar[str]

    def prepare(self) -> None:
        """Import what is needed, or raise what says how to install it: when a callable is guarded."""
        ...

    def begin(self, call: Call, record: CallRecord, name: str) -> Traced | None:
        """A call has begun; None where this one is not traced.

        Args:
            call: with its arguments as its caller gave them.
            record: of the call; its `inside` is the attempt that it was made in.
            name: that its span gets.
        """
        ...


class Traced(Protocol):
    """One call under way, as a tracer knows it."""

    def attempted(self, attempt: Attempt) -> None:
        """An attempt is about to be made: a hook, see `Call.on_attempt`."""
        ...

    def hear(self, event: Event) -> None:
        """Something has happened in the call."""
        ...

    def end(self, record: CallRecord, outcome: Outcome) -> None:
        """The call has ended, a stream at its end: `record` has all of it."""
        ...
