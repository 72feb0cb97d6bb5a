"""Guarded functions that many processes count together, behind gunicorn, Celery or a plain fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

import agentguard as ag

MODEL = "gpt-4o-mini"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}

stack = ag.guard(
    ag.metrics("app"),
    ag.budget(tokens=1_000_000, name="team", expect=100),
    ag.retry(attempts=2, budget=None, wait=lambda _: 0.0),
    ag.breaker(fail_max=1000, name="c"),
)


@stack
def ask(*, model: str) -> dict[str, Any]:
    """Answer, and tell what it used."""
    choice = {"index": 0, "message": {"content": "42"}, "finish_reason": "stop"}
    return {"model": model, "choices": [choice], "usage": USAGE}


@stack
def tell(*, model: str) -> Iterator[str]:
    """Stream."""
    yield "one"
    yield "two"


@stack
def broken(*, model: str) -> None:
    """Fail, however often it is tried."""
    raise ConnectionError


def hang() -> str:
    """Leave a call in flight when the worker is ended."""
    opened = tell(model=MODEL)
    next(opened)
    held.append(opened)
    return "hanging"


def one_of_each() -> str:
    """Two attempts that fail, two that answer."""
    ask(model=MODEL)
    assert "".join(tell(model=MODEL)) == "onetwo"
    try:
        broken(model=MODEL)
    except ConnectionError:
        return str(os.getpid())
    raise AssertionError


held: list[Any] = []
ROUTES: dict[str, Callable[[], str]] = {
    "/work": one_of_each,
    "/hang": hang,
    "/ready": lambda: "yes",
}


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Work, or tell what all workers have counted."""
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        body = generate_latest(registry)
    else:
        body = ROUTES[environ["PATH_INFO"]]().encode()
    start_response("200 OK", [("content-type", "text/plain")])
    return [body]


def child_exit(server: Any, worker: Any) -> None:
    """Gunicorn's hook: what was in flight in a worker that ended is so no more."""
    mark_process_dead(worker.pid)


def forked() -> None:
    """Work in this process, in three forked ones, and in a thread of each."""
    one_of_each()
    assert ag.flush(30)  # a thread that is loading a tokenizer would be cut off by the fork
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            thread = threading.Thread(target=one_of_each)
            thread.start()
            one_of_each()
            thread.join()
            assert ag.flush(30)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    one_of_each()
    assert ag.flush(30)


if __name__ == "__main__":
    forked()
