"""Exceptions by which frameworks steer a run: an interrupt, a hand-over, an HTTP answer.

They pass through an LLM call without anything being wrong with the call. Repeating it, falling
back from it or letting it vote on a circuit would break the framework that waits for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentguard.errors import Kind

__all__ = ["control_flow"]

_CONTROL: Final[dict[str, str]] = {
    # agents that pause, branch, or tell their model something
    "langgraph": "GraphBubbleUp",
    "pydantic_ai": (
        "ModelRetry CallDeferred ApprovalRequired SkipModelRequest RetryModelRequest"
        " SkipToolValidation SkipToolExecution ToolFailed ToolRetryError ToolFailedError"
    ),
    "agents": (
        "InputGuardrailTripwireTriggered OutputGuardrailTripwireTriggered"
        " ToolInputGuardrailTripwireTriggered ToolOutputGuardrailTripwireTriggered"
    ),
    # task queues and workflow engines
    "celery": "TaskPredicate",
    "dramatiq": "Retry SkipMessage",
    "huey": "RetryTask CancelExecution TaskLockedException",
    "arq": "Retry RetryJob",
    "prefect": "PausedRun",
    "airflow": "AirflowSkipException AirflowFailException AirflowRescheduleException",
    "dagster": "RetryRequested",
    # web frameworks: the answer to the client, already decided
    "starlette": "HTTPException WebSocketException",
    "werkzeug": "HTTPException",
    "aiohttp": "HTTPException",
    "django": "Http404 PermissionDenied SuspiciousOperation BadRequest",
    "rest_framework": "APIException",
    "ninja": "HttpError",
    "litestar": "HTTPException WebSocketException",
    "tornado": "HTTPError Finish",
    "falcon": "HTTPError HTTPStatus",
    "bottle": "HTTPResponse",
    # command lines and test runners
    "click": "Exit Abort",
    "unittest": "SkipTest",
    "hypothesis": "UnsatisfiedAssumption",
}

_CANCELLED: Final[dict[str, str]] = {
    "builtins": "StopIteration StopAsyncIteration",
    "concurrent": "CancelledError",
    "pydantic_ai": "RunCancelled",
    "langgraph": "NodeCancelledError",
    "temporalio": "CancelledError TerminatedError",
    "prefect": "CancelledRun",
    "billiard": "SoftTimeLimitExceeded TimeLimitExceeded Terminated",
    "celery": "TaskRevokedError",
    "rq": "BaseTimeoutException StopRequested",
    "starlette": "ClientDisconnect WebSocketDisconnect",
    "litestar": "WebSocketDisconnect",
    "django": "RequestAborted",
}

_TIMEOUT: Final[dict[str, str]] = {
    "pydantic_ai": "RunTimedOut",  # a RunCancelled by its base class, but nobody cancelled it
}


def _table() -> dict[tuple[str, str], Kind]:
    sections: tuple[tuple[Kind, dict[str, str]], ...] = (
        ("control", _CONTROL),
        ("cancelled", _CANCELLED),
        ("timeout", _TIMEOUT),
    )
    return {
        (package, name): kind
        for kind, rows in sections
        for package, names in rows.items()
        for name in names.split()
    }


_STEERING: Final = _table()


def control_flow(bases: Iterable[tuple[str, str]]) -> Kind | None:
    """Tell whether an exception steers a framework, by package and name of each of its classes.

    `tenacity.TryAgain` is not among them: it asks for the very retry that a policy decides on.

    Examples:
        >>> control_flow([("langgraph", "GraphInterrupt"), ("langgraph", "GraphBubbleUp")])
        'control'
    """
    for base in bases:
        kind = _STEERING.get(base)
        if kind is not None:
            return kind
    return None
