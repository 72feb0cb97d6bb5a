"""What other processes run: they find it by its name."""

from __future__ import annotations

import multiprocessing
import os
from importlib import import_module
from typing import Any

from agentguard import context, deadline, errors, guard, report, retry, timeout
from agentguard.engine import clock
from agentguard.engine.scope import surrounding
from tests.providers.sdk_targets import version

METHODS = [
    method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()
]


def here() -> dict[str, Any]:
    """Tell what surrounds a call: its tags, the seconds left, its process, and who listens."""
    scope = surrounding()
    return {
        "tags": dict(scope.tags),
        "left": None if scope.deadline is None else scope.deadline.at - clock.monotonic(),
        "pid": os.getpid(),
        "listeners": len(scope.listeners),
        "inside": scope.attempt is not None,
    }


@guard(retry(attempts=2), timeout(30))
def ask(question: str) -> dict[str, Any]:
    """Answer with what surrounds the attempt."""
    return here()


@guard(retry(attempts=1))
def ask_in_time() -> str:
    """Need some time, of which there may be none left."""
    return "in time"


async def wait() -> dict[str, Any]:
    """Tell what surrounds a coroutine."""
    return here()


def carries_on() -> dict[str, Any]:
    """Run a block of its own inside what was carried."""
    with context(step="inner"), deadline(5), report():
        return here()


def fail(kind: str) -> None:
    """Raise what does not survive a pickle by itself."""
    raise failure(kind)


@guard(retry(attempts=1))
def fail_guarded(kind: str) -> None:
    """Raise it under a guard."""
    raise failure(kind)


def failure(kind: str) -> Exception:
    """Return an exception as a provider's SDK makes it, with the request inside."""
    import openai

    if kind == "ours":
        return errors.Overloaded("no room", retry_after=2.0)
    httpx = import_module("httpx2" if version("openai") >= 3 else "httpx")
    request = httpx.Request(
        "POST",
        "http://127.0.0.1:9/v1",
        headers={"authorization": "Bearer sk-secret"},
        json={"messages": "a secret prompt"},
    )
    if kind == "connection":
        return openai.APIConnectionError(request=request)
    headers = {"retry-after": "7", "x-request-id": "req_1", "set-cookie": "secret=1"}
    response = httpx.Response(429, request=request, headers=headers, json={"error": {}})
    body = {"code": "rate_limit_exceeded", "message": "slow down"}
    error = openai.RateLimitError("slow down", response=response, body=body)
    return ExceptionGroup("all failed", [error]) if kind == "group" else error
