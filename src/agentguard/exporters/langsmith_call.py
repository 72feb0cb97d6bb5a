"""One guarded call under way, and the runs that it becomes in LangSmith."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard import events
from agentguard.exporters.langsmith_run import Clock, Run
from agentguard.exporters.masked import kept, masked, said
from agentguard.masking.masker import Masker
from agentguard.masking.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from langsmith.run_trees import RunTree

    from agentguard.engine.call import Attempt, Call, Outcome
    from agentguard.engine.records import AttemptRecord, CallRecord
    from agentguard.exporters.langsmith import LangSmith

__all__ = ["CallRuns"]

_SETTINGS: Final = {"temperature": "ls_temperature", "max_tokens": "ls_max_tokens"}


class CallRuns:
    """The run of a call, and inside it a run for each attempt.

    Args:
        to: where they go.
        call: that has just begun.
        record: of the call.
        parent: the run that it was made inside of, or None.

    Attributes:
        run: of the call.
    """

    __slots__ = (
        "_attempts",
        "_call",
        "_clock",
        "_inside_model",
        "_known",
        "_last",
        "_masker",
        "_to",
        "_vault",
        "run",
    )

    def __init__(
        self, to: LangSmith, call: Call, record: CallRecord, parent: RunTree | None
    ) -> None:
        self._to = to
        self._call = call
        self._clock = Clock(record)
        self._vault = Vault()
        own = [each for policy in record.policies for each in getattr(policy, "detectors", ())]
        masker = Masker(detectors=[*to.detectors, *own]) if own else to.masker
        self._masker = masker.within(call.scope.known)
        self._inside_model = parent is not None and parent.run_type == "llm"
        self._attempts: dict[int, Run] = {}
        self._known: dict[int, tuple[Any, dict[str, Any]]] = {}  # held, so that no id comes again
        self._last: Run | None = None
        kind = "tool" if call.target.tool else "chain"
        self.run = self._run(record.name, kind, record.started, parent)
        self.run.tags = record.tags

    def _run(self, name: str, kind: str, started: float, parent: RunTree | None) -> Run:
        tree = self._to.tree(name, kind, self._clock.date(started), parent)
        return Run(tree, self._masked)

    def _masked(self, thing: Any, plain: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """What may leave of a thing; of what cannot be masked nothing."""
        known = self._known.get(id(thing))
        if known is not None:  # a call and its attempt have the same
            return known[1]
        try:
            found = masked(plain(thing), self._masker, self._vault)
        except Exception as error:
            self._to.failed(error)
            found = {"agentguard": "left out, since it could not be masked"}
        if plain is said or thing is self.run.inputs:  # which are kept, and never change again
            self._known[id(thing)] = thing, found
        return found

    def attempted(self, attempt: Attempt) -> None:
        """An attempt is about to be made: hear of what it sends and is answered."""
        call = attempt.call
        kind = "tool" if call.target.tool else "chain"
        run = self._run(call.target.name, kind, attempt.started, self.run.tree)
        run.inputs = kept(call)
        for name, told in _SETTINGS.items():
            if isinstance(run.inputs.get(name), (int, float)):
                run.figures[told] = run.inputs[name]
        if self.run.inputs is None:
            self.run.inputs = run.inputs
            self._to.outbox.put(self.run.send)  # it is shown while it is under way
        attempt.surround(run.enter)
        attempt.on_item(lambda _, item: run.items.append(item))
        attempt.on_end(lambda outcome: self._answered(attempt, run, outcome))

    def _answered(self, attempt: Attempt, run: Run, outcome: Outcome) -> None:
        if not run.items and attempt.value is not None:
            run.items = [attempt.value]
        if outcome.kind == "completed":
            self._last = run
        if attempt.record is not None:
            self._attempts[id(attempt.record)] = run

    def hear(self, event: events.Event) -> None:
        """An attempt has ended, and its figures are known."""
        if isinstance(event, events.AttemptEnded):
            run = self._attempts.pop(id(event.attempt), None)
            if run is not None:
                self._ended(run, event.attempt)

    def _ended(self, run: Run, record: AttemptRecord) -> None:
        bill = record.bill
        run.figures |= {
            "ls_provider": record.provider,
            "ls_model_name": record.model or record.asked,
            "agentguard_attempt": record.number,
            "agentguard_wait_seconds": record.wait or None,
            "agentguard_request_id": record.request_id,
            "agentguard_status": record.status,
        }
        if bill is not None and bill.counted and not self._inside_model and not _asks(run.tree):
            run.tree.run_type, run.bill = "llm", bill  # else another run tells these tokens
        run.end(record, self._clock)
        self._to.outbox.put(run.send)

    def end(self, record: CallRecord, outcome: Outcome) -> None:
        """The call has ended.

        Args:
            record: of the call, which says so.
            outcome: of what came out of it.
        """
        run = self.run
        if run.inputs is None:  # nobody was asked: by a cache, or because it was refused
            run.inputs = kept(self._call)
        if self._last is not None:
            run.items = self._last.items
        elif outcome.attempt is not None and outcome.attempt.value is not None:
            run.items = [outcome.attempt.value]  # of a cache
        run.figures |= {
            "agentguard_outcome": record.outcome,
            "agentguard_served_by": record.served_by,
        }
        run.heard(record, self._clock)
        run.end(record, self._clock)
        self._to.outbox.put(run.send)


def _asks(tree: Any) -> bool:
    """Whether LangChain or a traced function made a run inside that tells the same tokens."""
    return any(child.run_type == "llm" or _asks(child) for child in tree.child_runs)
