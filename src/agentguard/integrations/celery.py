"""Celery: a task runs in the scope of whoever sent it, and workers settle what is open.

`install(app)` once where the app is made, in a module that clients and workers both import.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.carry import Extracted, inject
from agentguard.engine.flush import flush
from agentguard.engine.scope import surrounding
from agentguard.engine.workers import along

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["install"]

_HEADER: Final = "agentguard"


def install(app: Celery) -> None:
    """Send the scope along with every task: its tags and its deadline.

    What a task, its retries and the tasks that it sends itself call under a guard finds the user,
    tenant and tags of the sender, and the sender's deadline: once that has passed, guarded calls
    raise `errors.DeadlineExceeded` at once. A worker calls `flush` before it ends. Called again
    it changes nothing.

    The tags, user ids included, go through the broker as they are, in the header "agentguard" of
    the message. A task that is sent with a header of that name keeps it: with `{}` it takes
    nothing along.

    Args:
        app: the Celery app. Celery's signals know no app: in a process that has several, the
            tasks of all of them take the scope along.

    Raises:
        TypeError: for anything that is no Celery app.

    Examples:
        >>> from celery import Celery
        >>> from agentguard.integrations.celery import install
        >>> app = Celery("work", broker="redis://localhost")
        >>> install(app)
    """
    try:
        signals: Any = import_module("celery.signals")
    except ImportError:
        raise ImportError(
            "agentguard.integrations.celery needs Celery: pip install 'agentguard-decorators[celery]'"
        ) from None
    if not hasattr(app, "send_task"):
        raise TypeError(
            f"install() takes the Celery app, as in install(Celery('work')), not {type(app).__name__}"
        )
    for signal, receiver in (
        (signals.before_task_publish, _send),
        (signals.task_prerun, _begin),
        (signals.task_postrun, _end),
        (signals.worker_process_shutdown, _flush),
        (signals.worker_shutdown, _flush),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=receiver.__qualname__)
    if _with_request not in along:
        along.append(_with_request)


def _send(headers: dict[str, Any], **_: object) -> None:
    if _HEADER not in headers:
        carrier = inject(surrounding(), _is_json)
        if carrier != {"tags": {}}:
            headers[_HEADER] = carrier


def _begin(task: Any, **_: object) -> None:
    headers: dict[str, Any] = task.request.headers or {}
    carrier = headers.get(_HEADER)
    if carrier:
        task.request.agentguard_block = Extracted(carrier).__enter__()


def _end(task: Any, **_: object) -> None:
    block: Extracted | None = task.request.get("agentguard_block")
    if block is not None:
        block.__exit__(None, None, None)


def _with_request(work: Callable[[], object]) -> Callable[[], object]:
    """Take the task under way along into the worker thread of a sync call that has a time bound.

    Celery keeps it in thread-locals. Without it `self.retry()` would take the task for a function
    that was called directly, and send nothing.
    """
    tasks: Any = import_module("celery._state")._task_stack  # noqa: SLF001  as celery.app.trace does
    task = tasks.top
    if task is None:
        return work
    requests, request = task.request_stack, task.request_stack.top

    def inside() -> object:
        tasks.push(task)
        requests.push(request)
        try:
            return work()
        finally:
            requests.pop()
            tasks.pop()

    return inside


def _flush(**_: object) -> None:
    flush()


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
