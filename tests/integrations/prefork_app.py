"""A WSGI and an ASGI application whose guarded functions were used before the fork."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai

import agentguard as ag
from agentguard.engine import streams
from agentguard.engine.lost import lost

URL = os.environ["PROVIDER_URL"]
OPTIONS: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

circuits = ag.breaker(fail_max=2, reset_timeout=3600)
safe = ag.guard(ag.retry(attempts=2), circuits, ag.timeout(20), abandon_after=3600)
client = openai.OpenAI(base_url=URL, api_key="sk-test", max_retries=0)
hang = threading.Event()


@safe
def ask() -> str:
    """Ask through the client that the parent has used, in a worker thread."""
    return client.chat.completions.create(**OPTIONS).choices[0].message.content or ""


tell = safe(client.chat.completions.create)


@ag.timeout(0.05, max_abandoned=1)
def hangs(*, hanging: bool) -> str:
    """Hang as long as it is told to."""
    if hanging:
        hang.wait(600)
    return "free"


@circuits
def broken() -> None:
    """Vote against the circuit."""
    raise ConnectionError


def text_of(chunk: Any) -> str:
    """Return a chunk's text."""
    return chunk.choices[0].delta.content or "" if chunk.choices else ""


def use_in_parent() -> Any:
    """Use all of it before the fork: workers, a connection, a stream, a hung thread, a circuit."""
    ask()
    half_read = tell(stream=True, **OPTIONS)
    while not text_of(next(half_read)):
        pass
    for call in (lambda: hangs(hanging=True), broken, broken):
        with contextlib.suppress(ag.errors.Timeout, ConnectionError):
            call()
    dropped = tell(stream=True, **OPTIONS)
    next(dropped)
    del dropped
    return half_read


PARENT = os.getpid()
HELD = use_in_parent()


def state() -> dict[str, Any]:
    """Tell what this process knows."""
    return {
        "pid": os.getpid(),
        "parent": PARENT,
        "open": sum(not source.done for source in streams._open),
        "lost": len(lost),
        "hung": hangs(hanging=False),
        "circuit": circuit(),
    }


def circuit() -> str:
    """Tell whether the circuit that the parent opened is open here."""
    try:
        broken()
    except Exception as error:
        return type(error).__name__
    return "closed"


def rest_of_parents_stream() -> str:
    """Read on, in the parent, what it had open when it forked."""
    return "".join(map(text_of, HELD))


def fails() -> str:
    """Fail in a stream, and tell what had arrived."""

    @safe
    def stream() -> Iterator[str]:
        yield "half"
        raise ConnectionError

    try:
        return "".join(stream())
    except ConnectionError as error:
        found = ag.errors.partial(error)
        return "" if found is None else found.text


ROUTES: dict[str, Callable[[], Any]] = {
    "/state": state,
    "/ask": ask,
    "/fails": fails,
    "/flush": ag.flush,
    "/stream": lambda: "".join(map(text_of, tell(stream=True, **OPTIONS))),
}


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer as a plain WSGI application."""
    answer = json.dumps(ROUTES[environ["PATH_INFO"]]()).encode()
    start_response("200 OK", [("content-type", "application/json")])
    return [answer]


@safe
async def aask() -> str:
    """Ask from a loop that began after the fork."""
    async with openai.AsyncOpenAI(base_url=URL, api_key="sk-test", max_retries=0) as own:
        answer = await own.chat.completions.create(**OPTIONS)
    return answer.choices[0].message.content or ""


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer as a plain ASGI application: guarded coroutines, and the sync ones in threads."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        ag.flush()
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    answer = await aask() if path == "/ask" else await asyncio.to_thread(ROUTES[path])
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def when_ready(server: Any) -> None:
    """Gunicorn's hook in the parent: once children have worked, read the parent's stream on."""

    def later() -> None:
        asked = Path(os.environ["PARENT_READS"])
        while not asked.exists():
            time.sleep(0.05)
        asked.with_suffix(".read").write_text(rest_of_parents_stream(), encoding="utf-8")

    threading.Thread(target=later, daemon=True).start()
