"""A failure of every kind, made afresh for each test, and what policies do with it by default."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import celery.exceptions

from agentguard import errors


class Response:
    """An HTTP response as far as classification looks at one."""

    def __init__(self, status_code: int, headers: dict[str, str], body: Any) -> None:
        self.status_code = status_code
        self.headers = headers
        self._content = json.dumps(body).encode()


class APIStatusError(Exception):
    """What an SDK raises for an HTTP status."""

    def __init__(self, status_code: int, *, code: str | None = None, **headers: str) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code
        self.body = None if code is None else {"code": code}
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = Response(status_code, fields, self.body)


def status(status_code: int, *, code: str | None = None, **headers: str) -> APIStatusError:
    """A provider's answer with this status; headers with underscores for dashes."""
    return APIStatusError(status_code, code=code, **headers)


MAKERS: dict[str, Callable[[], Exception]] = {
    "rate_limited": lambda: status(429),
    "overloaded": lambda: status(529),
    "server": lambda: status(500),
    "timeout": lambda: TimeoutError("no answer"),
    "connection": lambda: ConnectionResetError(104, "reset"),
    "truncated": lambda: errors.StreamTruncated("cut"),
    "quota_exhausted": lambda: status(429, code="insufficient_quota"),
    "auth": lambda: status(401),
    "invalid_request": lambda: status(400),
    "context_length": lambda: status(400, code="context_length_exceeded"),
    "content_filter": lambda: status(400, code="content_filter"),
    "circuit_open": lambda: errors.CircuitOpen("open", retry_after=5),
    "saturated": lambda: errors.Overloaded("full"),
    "budget_exceeded": lambda: errors.BudgetExceeded("spent"),
    "rejected": lambda: errors.OutputRejected("rude"),
    "cancelled": lambda: celery.exceptions.TaskRevokedError("revoked"),
    "control": celery.exceptions.Ignore,
    "unknown": lambda: ValueError("what is this"),
}


def make(kind: str) -> Exception:
    """Make an exception that is classified as `kind`."""
    return MAKERS[kind]()


KINDS: tuple[str, ...] = get_args(errors.Kind)
RETRIED = ("rate_limited", "overloaded", "server", "timeout", "connection", "truncated")
REFUSALS = ("circuit_open", "saturated", "budget_exceeded", "rejected")
CURED = (*RETRIED, "quota_exhausted", *REFUSALS, "unknown")
UNTOUCHED = ("cancelled", "control")
"""Neither retried nor fallen back from, whatever `on=` says."""


def notes(error: BaseException) -> list[str]:
    """The notes of ours on an exception."""
    mine = [each for each in getattr(error, "__notes__", ()) if each.startswith("agentguard: ")]
    return [each.removeprefix("agentguard: ") for each in mine]
