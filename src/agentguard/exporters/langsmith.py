"""LangSmith: a run for each guarded call and each of its attempts, masked before they leave."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
import threading
import time
import weakref
from queue import Full
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from uuid import UUID

from agentguard.engine.arguments import told
from agentguard.engine.trouble import trouble
from agentguard.exporters.langsmith_call import CallRuns
from agentguard.exporters.masked import masked, sent
from agentguard.exporters.outbox import Outbox
from agentguard.masking.masker import Masker
from agentguard.masking.vault import Vault
from agentguard.masking_calls.tracing import is_traced, mask_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from langsmith.run_trees import RunTree

    from agentguard.detect.found import Detector
    from agentguard.engine.call import Call
    from agentguard.engine.records import CallRecord

__all__ = ["LangSmith"]

_FURTHEST: Final = 64  # frames
_LONGEST: Final = 5.0  # seconds that feedback waits for the runs before it
_MISSING: Final = (
    "traces for LangSmith are sent by the package langsmith, which is not installed: "
    "pip install 'agentguard-decorators[langsmith]'"
)


class LangSmith:
    """Tells LangSmith of guarded calls: a run for each, and inside it one for each attempt.

    Protects from personal data and secrets in traces. What a run shows is what went over the wire,
    and it is masked once more before it leaves: every type that is detected, what
    `context(known=)` names, and what the detectors of a `mask_pii` in the chain find. What cannot
    be masked is not sent. Everything else that goes through the same client is masked as well, such
    as the runs of LangChain and of `@traceable` functions inside an attempt.

    Nothing is sent on the caller's thread. When LangSmith is slow, fails or is absent, calls go on
    as ever: what does not fit into the queue is dropped and counted, and `agentguard.flush()` sends
    what waits.

    Args:
        client: a `langsmith.Client`; by default the one of the process, which LangChain and
            `@traceable` use and the environment sets up (LANGSMITH_API_KEY, LANGSMITH_ENDPOINT ...).
        project: where to; by default that of the run around, else LANGSMITH_PROJECT.
        detectors: of values of your own, beside the built-in ones.

    Raises:
        ImportError: langsmith is not installed.

    Examples:
        >>> import agentguard as ag
        >>> ag.exporters.LangSmith(project="support")
        LangSmith(project='support')
    """

    name: ClassVar[str] = "langsmith"

    def __init__(
        self, client: Any = None, project: str | None = None, *, detectors: Iterable[Detector] = ()
    ) -> None:
        if client is not None and not hasattr(client, "create_run"):
            raise TypeError(
                f"LangSmith(client=) is a langsmith.Client, not {told(client)}: write "
                "LangSmith(client=langsmith.Client(api_key=...)), or set LANGSMITH_API_KEY"
            )
        if not isinstance(cast("object", project), (str, type(None))):
            raise TypeError(f'LangSmith(project=) is a name, as in "support", not {told(project)}')
        self.client = client
        self.project = project
        self.detectors = tuple(detectors)
        self.masker = Masker(detectors=self.detectors)
        self.outbox = _Posting(self)
        self._process = os.getpid()
        self._sessions: dict[str, Any] = {}
        self._told = False
        self.prepare()

    def __repr__(self) -> str:
        return f"LangSmith({'' if self.project is None else f'project={self.project!r}'})"

    @staticmethod
    def configured() -> bool:
        """Whether the environment switches LangSmith's tracing on."""
        return is_traced()

    @property
    def dropped(self) -> int:
        """What was not sent, since the queue was full or the client raised."""
        return self.outbox.dropped

    def prepare(self) -> None:
        """Import langsmith and have the client mask: before any call, and any run around one."""
        try:
            from langsmith import run_trees
        except ImportError:
            raise ImportError(_MISSING) from None
        mask_client(self.client or run_trees.get_cached_client(), self)

    def begin(self, call: Call, record: CallRecord, name: str) -> CallRuns | None:
        """A call has begun; None where `tracing_context(enabled=False)` is around it."""
        from langsmith.run_helpers import get_tracing_context

        around = get_tracing_context()
        if around["enabled"] is False:
            return None
        runs = CallRuns(self, call, record, _langchain_run(call) or around["parent"])
        runs.run.tree.name = name
        record.run = str(runs.run.tree.id)
        return runs

    def tree(self, name: str, kind: str, started: datetime, parent: RunTree | None) -> RunTree:
        """LangSmith's object for a run.

        Args:
            name: of the run.
            kind: LangSmith's word for what it is.
            started: when it began.
            parent: the run that it is inside of, or None.
        """
        from langsmith.run_trees import RunTree

        where: dict[str, Any] = {"project_name": self.project, "ls_client": self.client}
        if parent is not None:  # a trace is in one project
            where = {
                "project_name": parent.session_name,
                "address": parent.address,
                "replicas": parent.replicas,
                "ls_client": self.client or parent.ls_client,
                "parent_run": parent,
            }
        given = {name: value for name, value in where.items() if value is not None}
        return RunTree(name=name, run_type=kind, start_time=started, inputs={}, **given)

    def feedback(
        self,
        run: CallRecord | UUID | str,
        key: str,
        *,
        score: float | None = None,
        value: str | None = None,
        comment: str | None = None,
    ) -> None:
        """Attach a user's or a check's verdict to a call's run; sent in the background, masked.

        Args:
            run: the call as `report()` and events have it, or its `.run`, which can be handed to a
                browser and come back to another process.
            key: what is judged, as in "helpful".
            score: a number, True or False.
            value: a word, where a number does not do.
            comment: why.

        Raises:
            ValueError: the call was not traced.

        Examples:
            >>> import agentguard as ag
            >>> langsmith = ag.exporters.LangSmith(project="support")
            >>> @ag.trace(langsmith)
            ... def ask(question: str) -> str:
            ...     return "42"
            >>> def rated(run: str) -> None:
            ...     langsmith.feedback(run, "helpful", score=1)
        """
        found = run if isinstance(run, (str, UUID)) else run.run
        if found is None:
            raise ValueError("feedback() is about a call that trace() has sent to LangSmith")
        about = UUID(found) if isinstance(found, str) else found
        said = {"key": key, "score": score, "value": value, "comment": comment}
        self.outbox.put(functools.partial(self._judge, about, said))

    def _judge(self, run: UUID, said: dict[str, Any]) -> None:
        client = self.here()
        client.flush(_LONGEST)  # the run has to be there first
        told = masked(sent(said), self.masker, Vault())
        client.create_feedback(run, session_id=self._session(client), stop_after_attempt=3, **told)

    def _session(self, client: Any) -> Any:
        """LangSmith's id of the project; None where the key may not read it."""
        from langsmith.utils import get_tracer_project

        name = str(self.project or get_tracer_project())
        if name not in self._sessions:
            try:
                self._sessions[name] = client.read_project(project_name=name).id
            except Exception:
                return None
        return self._sessions[name]

    def failed(self, error: Exception) -> None:
        """Say once that something could not be masked."""
        if not self._told:
            self._told = True
            trouble("masking a run for LangSmith", error, "no content that it fails on is sent")

    def here(self) -> Any:
        """The client, which sends in this process, too, if it was made before a fork."""
        from langsmith import run_trees

        client: Any = self.client or run_trees.get_cached_client()
        if self._process != os.getpid():
            self._process = os.getpid()
            _revive(client)
        return client


class _Posting(Outbox["Callable[[], None]"]):
    """An outbox whose items the client has in a queue of its own."""

    def __init__(self, to: LangSmith) -> None:
        self._to = to
        super().__init__("langsmith", self._send_here)

    def _send_here(self, send: Callable[[], None]) -> None:
        queue = self._to.here().tracing_queue
        if queue is not None and queue.full():  # else it would be dropped there, and not counted
            raise Full
        send()

    def flush(self, timeout: float) -> bool:
        """Deliver what waits, and have the client send it."""
        end = time.monotonic() + timeout
        if not super().flush(timeout):
            return False
        if "langsmith" not in sys.modules or not self._taken:
            return True
        client = self._to.here()
        client.flush(max(0.0, end - time.monotonic()))
        if timeout > 0 and time.monotonic() >= end:
            return False  # what is being sent is in no queue any more
        return not getattr(client.tracing_queue, "unfinished_tasks", 0)


def _revive(client: Any) -> None:
    """Start the thread that sends, which a forked process does not have, on connections of its own."""
    sending: Any = importlib.import_module("langsmith._internal._background_thread")
    client.session.close()
    if client.tracing_queue is not None:
        run = sending.tracing_control_thread_func
        threading.Thread(target=run, args=(weakref.ref(client),), daemon=True).start()


def _langchain_run(call: Call) -> RunTree | None:
    """The run of LangChain's own tracer for the model or tool that is guarded."""
    manager = call.kwargs.get("run_manager")
    if manager is None and getattr(call.target.fn, "__name__", "") in {"_stream", "_astream"}:
        manager = _manager_further_out()
    for handler in getattr(manager, "handlers", ()):
        if type(handler).__name__ == "LangChainTracer":
            return cast("RunTree | None", handler.run_map.get(str(getattr(manager, "run_id", ""))))
    return None


def _manager_further_out() -> object:
    """What LangChain's `stream` has as a local variable, and hands on to nobody."""
    frame = inspect.currentframe()
    for _ in range(_FURTHEST):
        frame = None if frame is None else frame.f_back
        if frame is None:
            return None
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("langchain_core.language_models"):
            found: object = frame.f_locals.get("run_manager")
            if found is not None:
                return found
    return None
