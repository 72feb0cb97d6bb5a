from __future__ import annotations

import pytest

from agentguard.providers.failures import classify


def raised_by(module: str, *names: str) -> Exception:
    """Make an exception as a framework would, each class derived from the one before."""
    base: type[Exception] = Exception
    for name in names:
        base = type(name, (base,), {"__module__": module})
    return base()


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("langgraph.errors", ["GraphBubbleUp", "GraphInterrupt", "NodeInterrupt"]),
        ("langgraph.errors", ["GraphBubbleUp", "ParentCommand"]),
        ("celery.exceptions", ["CeleryError", "TaskPredicate", "Retry"]),
        ("celery.exceptions", ["CeleryError", "TaskPredicate", "Ignore"]),
        ("celery.exceptions", ["CeleryError", "TaskPredicate", "Reject"]),
        ("pydantic_ai.exceptions", ["ModelRetry"]),
        ("pydantic_ai.exceptions", ["CallDeferred"]),
        ("pydantic_ai.exceptions", ["ApprovalRequired"]),
        ("pydantic_ai.exceptions", ["SkipToolExecution"]),
        ("agents.exceptions", ["AgentsException", "InputGuardrailTripwireTriggered"]),
        ("dramatiq.errors", ["DramatiqError", "Retry"]),
        ("huey.exceptions", ["RetryTask"]),
        ("arq.worker", ["Retry"]),
        ("prefect.exceptions", ["PrefectException", "PausedRun"]),
        ("airflow.exceptions", ["AirflowException", "AirflowSkipException"]),
        ("starlette.exceptions", ["HTTPException"]),
        ("werkzeug.exceptions", ["HTTPException", "NotFound"]),
        ("aiohttp.web_exceptions", ["HTTPException", "HTTPFound"]),
        ("django.http.response", ["Http404"]),
        ("django.core.exceptions", ["PermissionDenied"]),
        ("rest_framework.exceptions", ["APIException", "Throttled"]),
        ("litestar.exceptions.http_exceptions", ["LitestarException", "HTTPException"]),
        ("tornado.web", ["HTTPError"]),
        ("falcon.http_error", ["HTTPError", "HTTPNotFound"]),
        ("click.exceptions", ["Exit"]),
        ("unittest.case", ["SkipTest"]),
    ],
)
def test_a_framework_s_control_flow_is_no_failure(module: str, names: list[str]):
    """What steers a framework passes: never retried, never counted."""
    assert classify(raised_by(module, *names)).kind == "control"


def test_an_application_s_subclass_steers_too():
    """FastAPI's and an application's HTTP errors derive from the framework's."""
    http = type("HTTPException", (Exception,), {"__module__": "starlette.exceptions"})
    fastapi = type("HTTPException", (http,), {"__module__": "fastapi.exceptions"})
    own = type("PaymentRequired", (fastapi,), {"__module__": "myapp", "status_code": 402})
    assert classify(own()).kind == "control"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("starlette.requests", ["ClientDisconnect"]),
        ("starlette.websockets", ["WebSocketDisconnect"]),
        ("temporalio.exceptions", ["TemporalError", "FailureError", "CancelledError"]),
        ("billiard.exceptions", ["SoftTimeLimitExceeded"]),
        ("rq.timeouts", ["BaseTimeoutException", "JobTimeoutException"]),
        ("prefect.exceptions", ["PrefectException", "CancelledRun"]),
        ("pydantic_ai.exceptions", ["RunCancelled"]),
    ],
)
def test_a_caller_that_went_away_is_a_cancellation(module: str, names: list[str]):
    """A worker's time limit and a client that left end the call from outside."""
    assert classify(raised_by(module, *names)).kind == "cancelled"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("tenacity", ["TryAgain"]),
        ("myapp.errors", ["HTTPException"]),
        ("myapp.errors", ["Retry"]),
        ("celery.exceptions", ["CeleryError", "MaxRetriesExceededError"]),
    ],
)
def test_the_same_name_elsewhere_does_not_steer(module: str, names: list[str]):
    """Only the framework's own classes count; tenacity.TryAgain asks for a retry."""
    assert classify(raised_by(module, *names)).kind == "unknown"
