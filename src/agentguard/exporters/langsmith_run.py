"""A run as LangSmith has it: one guarded call, or one attempt of it, masked before it leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.exporters.figures import figure
from agentguard.exporters.masked import said, sent
from agentguard.masking_calls.tracing import already_masked
from agentguard.telling import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langsmith.run_trees import RunTree

    from agentguard.engine.bill import Bill
    from agentguard.engine.records import AttemptRecord, CallRecord

    Mask = Callable[[Any, Callable[[Any], dict[str, Any]]], dict[str, Any]]

__all__ = ["Clock", "Run"]

_ITS_OWN: Final = (
    events.CallStarted,
    events.CallEnded,
    events.AttemptStarted,
    events.AttemptEnded,
)
"""What a run says by itself."""


class Clock:
    """Turns the monotonic seconds of records into dates.

    Args:
        call: that they are part of.
    """

    __slots__ = ("_call",)

    def __init__(self, call: CallRecord) -> None:
        self._call = call

    def date(self, monotonic: float) -> datetime:
        """The date of a moment."""
        return datetime.fromtimestamp(self._call.wall(monotonic), UTC)


class Run:
    """What LangSmith is told of one call or attempt: once when it begins, once when it has ended.

    All that takes time, masking above all, is done by `send`, on the thread of an outbox. Until it
    has ended nothing but `send` changes the tree's content.

    Args:
        tree: LangSmith's own object.
        mask: makes masked data of anything, and of what makes it plain data.

    Attributes:
        tree: LangSmith's own object: parent of what runs inside.
        inputs: the arguments, or None while they are not known.
        items: of the answer: one, or those of a stream.
        figures: metadata of our own: names and numbers.
        tags: metadata of the caller's.
        bill: of an attempt whose tokens and cost no other run tells.
        ended: nothing more is to come.
    """

    __slots__ = (
        "_mask",
        "_posted",
        "_sent",
        "bill",
        "ended",
        "events",
        "figures",
        "inputs",
        "items",
        "tags",
        "tree",
    )

    def __init__(self, tree: RunTree, mask: Mask) -> None:
        self.tree = tree
        self._mask = mask
        self.inputs: Mapping[str, Any] | None = None
        self.items: list[Any] = []
        self.events: list[dict[str, Any]] = []
        self.figures: dict[str, Any] = {}
        self.tags: Mapping[str, object] = {}
        self.bill: Bill | None = None
        self.ended = False
        self._posted = self._sent = False

    def enter(self) -> Callable[[], object]:
        """Make this the run that others are made inside of; what it returns ends that."""
        from langsmith.run_helpers import set_tracing_parent

        inside = set_tracing_parent(self.tree)
        inside.__enter__()
        return lambda: inside.__exit__(None, None, None)

    def end(self, record: CallRecord | AttemptRecord, clock: Clock) -> None:
        """Say how it ended; the content is there by now.

        Args:
            record: of the call or attempt.
            clock: of the call.
        """
        tree, kind = self.tree, record.kind
        tree.end_time = clock.date(record.started + (record.duration or 0.0))
        if record.outcome == "failed" or (kind is not None and record.error != "GeneratorExit"):
            tree.error = f"{kind or record.outcome}: {record.error}"
        if record.streamed and record.first_token is not None:
            at = clock.date(record.started + record.first_token)
            self.events.append({"name": "new_token", "time": at.isoformat()})
        self.ended = True

    def heard(self, record: CallRecord, clock: Clock) -> None:
        """Say what policies did, and when.

        Args:
            record: of the call.
            clock: of the call.
        """
        for event in record.events:
            if not isinstance(event, _ITS_OWN):
                self.events.append(
                    {
                        "name": type(event).__name__,
                        "time": clock.date(event.at).isoformat(),
                        "message": in_words(event),
                    }
                )

    def send(self) -> None:
        """Tell the client: what is known by now, for what has ended everything."""
        ended, tree = self.ended, self.tree
        if self._sent or (self._posted and not ended):
            return
        tree.inputs = {} if self.inputs is None else self._mask(self.inputs, sent)
        if ended:
            tree.outputs = self._mask(self.items, said)
            if self.events:
                tree.events = self._mask({"events": self.events}, sent).get("events", [])
        metadata = {name: value for name, value in self.figures.items() if value is not None}
        if self.tags or tree.metadata:  # what runs inside may add some
            metadata |= self._mask({**tree.metadata, **self.tags}, sent)
        if ended and self.bill is not None:
            metadata |= _figures(self.bill)
        tree.extra = {"metadata": metadata}
        with already_masked():
            if self._posted:
                tree.patch()
            else:
                tree.post()
        self._posted, self._sent = True, ended


def _figures(bill: Bill) -> dict[str, Any]:
    """Tokens and cost in LangSmith's words."""
    usage = bill.usage
    if usage is None:
        return {}
    cost = figure(lambda: bill.cost)
    told: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens or usage.cache_write_tokens:
        told["input_token_details"] = {
            "cache_read": usage.cached_tokens,
            "cache_creation": usage.cache_write_tokens,
        }
    if usage.reasoning_tokens:
        told["output_token_details"] = {"reasoning": usage.reasoning_tokens}
    if cost is not None:
        told["total_cost"] = float(cost)
    return {"usage_metadata": told} | ({"agentguard_estimated": True} if bill.estimated else {})
