"""Middleware under a real server: who asked, and what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.websockets import WebSocket
from websockets.sync.client import connect

import agentguard as ag
from agentguard import errors
from agentguard.engine.loop import finish_later, held
from agentguard.engine.scope import surrounding
from agentguard.integrations.asgi import ContextMiddleware, ErrorMiddleware
from agentguard.testing import FakeProvider, fault
from tests.integrations.web import Streams, serving


def tags() -> dict[str, object]:
    """What the scope of here and now says."""
    return dict(surrounding().tags)


async def atags() -> dict[str, object]:
    """The same, as an endpoint on the loop."""
    return tags()


def who(request: Any) -> dict[str, object]:
    """Whom a request is made for, by its headers."""
    if request.headers.get("x-user") == "mallory":
        raise HTTPException(403, "not you")
    return {"user": request.headers["x-user"], "path": request.url.path}


async def awho(request: Any) -> dict[str, object]:
    """The same, as if a database were asked."""
    await asyncio.sleep(0)
    return who(request)


def from_query(request: Any) -> dict[str, object]:
    """Whatever a client wrote."""
    return dict(request.query_params)


# --- context ------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [who, awho])
def test_each_request_has_its_own_context(context):
    """Endpoints of both colours, at once, see whom they are called for."""
    app = FastAPI()
    app.add_middleware(ContextMiddleware, context=context)
    app.get("/sync")(tags)
    app.get("/async")(atags)

    async def ask(client: httpx.AsyncClient, user: str, path: str) -> None:
        answer = await client.get(path, headers={"x-user": user})
        assert answer.json() == {"user": user, "path": path}

    async def all_at_once(url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            await asyncio.gather(
                *(ask(client, f"u{n}", path) for n in range(30) for path in ("/sync", "/async"))
            )

    with serving(app) as server:
        asyncio.run(all_at_once(server.url))


def test_no_name_of_a_tag_fails_a_request():
    """Names may come from outside."""

    async def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse(json.dumps(tags()))

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(ContextMiddleware, context=from_query)
    with serving(app) as server:
        answer = httpx.get(f"{server.url}/?self=1&user=u")

    assert (answer.status_code, answer.json()) == (200, {"self": "1", "user": "u"})


@pytest.mark.parametrize("context", [who, awho])
def test_what_the_function_raises_is_answered_as_if_an_endpoint_had_raised_it(context):
    """An HTTPException becomes its response, by the application's own handler; a bug is a 500."""
    app = FastAPI()
    app.add_middleware(ContextMiddleware, context=context)
    app.get("/")(tags)

    with serving(app) as server:
        refused = httpx.get(server.url, headers={"x-user": "mallory"})
        bug = httpx.get(server.url)  # no header: KeyError
        fine = httpx.get(server.url, headers={"x-user": "u1"})

    assert (refused.status_code, refused.json()) == (403, {"detail": "not you"})
    assert bug.status_code == 500
    assert fine.status_code == 200


def test_an_applications_own_handlers_see_what_the_function_raises():
    """A handler that was registered for an exception answers it here too."""

    class NoTenant(Exception):
        pass

    def tenant(request: Any) -> Any:
        raise NoTenant

    async def handle(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("which tenant?", 400)

    async def fail(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("never", 500)

    app = Starlette(
        routes=[Route("/", lambda _: PlainTextResponse(""))],
        exception_handlers={NoTenant: handle, Exception: fail},
    )
    app.add_middleware(ContextMiddleware, context=tenant)

    with serving(app) as server:
        assert httpx.get(server.url).text == "which tenant?"


def test_a_deadline_is_counted_from_the_request_and_bounds_all_its_calls():
    """Each request has its own; where it has passed, the call is refused and answered with 504."""
    app = FastAPI()
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(ContextMiddleware, deadline=0.2)

    @ag.retry(attempts=1)
    async def slow(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    app.get("/{seconds}")(slow)

    with serving(app) as server:
        for _ in range(3):
            assert httpx.get(f"{server.url}/0.0").json() == "done"
        late = httpx.get(f"{server.url}/30")

    assert late.status_code == 504
    assert late.json()["error"]["kind"] == "timeout"


def test_a_websocket_has_a_context_and_no_deadline():
    """It lives for many calls; one time for all of them would end it."""
    app = FastAPI()
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(ContextMiddleware, context=who, deadline=0.001)

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json({**tags(), "deadline": surrounding().deadline})
        await socket.close()

    with (
        serving(app) as server,
        connect(
            server.url.replace("http", "ws") + "/ws", additional_headers={"x-user": "u1"}
        ) as talking,
    ):
        told = json.loads(talking.recv())
    assert told == {"user": "u1", "path": "/ws", "deadline": None}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"context": {"user": "u1"}}, TypeError),
        ({"deadline": 0}, ValueError),
        ({"deadline": "20"}, TypeError),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_where_they_are_written(options, error):
    """Not at the first request."""
    with pytest.raises(error, match="ContextMiddleware"):
        ContextMiddleware(Starlette(), **options)


def test_without_starlette_the_error_says_what_to_install():
    """The exact line of pip, and only when the middleware is made."""
    code = """
import sys
sys.modules["starlette"] = None
from agentguard.integrations.asgi import ContextMiddleware, ErrorMiddleware
ErrorMiddleware(None)
try:
    ContextMiddleware(None)
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'agentguard-decorators[web]'" in run.stdout


# --- the end of the application -------------------------------------------------------------------


def test_what_is_open_is_settled_before_the_server_goes():
    """At shutdown clean-up under way is waited for, on a loop that goes on meanwhile."""
    app = FastAPI()
    app.add_middleware(ContextMiddleware)
    done: list[str] = []

    async def cleaning() -> None:
        await asyncio.sleep(0.2)
        done.append("settled")

    @app.get("/")
    async def leave() -> None:
        finish_later(cleaning())

    with serving(app) as server:
        httpx.get(server.url)
        assert held
    assert done == ["settled"]
    assert not held


def test_a_lifespan_of_the_applications_own_goes_on():
    """Start-up and shutdown run as they would, and before the flush."""
    steps: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        steps.append("up")
        yield
        steps.append("down")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(ContextMiddleware)
    with serving(app):
        assert steps == ["up"]
    assert steps == ["up", "down"]


# --- errors -------------------------------------------------------------------------------------


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider of its own for one test."""
    with FakeProvider(answer="one two three") as running:
        yield running


def shop(provider: FakeProvider) -> tuple[FastAPI, Streams]:
    """An application whose endpoints fail in each way."""
    app, streams = FastAPI(), Streams(provider)
    app.add_middleware(ErrorMiddleware)

    @app.get("/sdk")
    async def sdk() -> str:
        answer = await streams.aclient.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "hi"}]
        )
        return answer.choices[0].message.content or ""

    @app.get("/open")
    def circuit() -> None:
        raise errors.CircuitOpen("the circuit of sk-live is open", retry_after=1.2)

    @app.get("/bug")
    def bug() -> None:
        raise KeyError("choices")

    @app.get("/http")
    def control() -> None:
        raise HTTPException(418, "teapot")

    @app.get("/generator")
    def generator() -> Any:
        return streams.respond("generator")

    @app.get("/agenerator")
    def agenerator() -> Any:
        return streams.respond("async generator")

    @app.get("/half")
    def half() -> StreamingResponse:
        def pieces() -> Iterator[str]:
            yield "half"
            raise errors.StreamTruncated("cut")

        return StreamingResponse(pieces())

    @app.get("/none")
    def none() -> StreamingResponse:
        return StreamingResponse(iter(()), 202)

    return app, streams


def test_failed_calls_are_answered_and_all_else_goes_on(provider, caplog):
    """Ours, the provider's, a bug, control flow, an answer: each as it should be."""
    provider.always(fault.status(429, retry_after=2, message="sk-live-123"))
    app, streams = shop(provider)
    with serving(app, streams) as server, httpx.Client(base_url=server.url) as client:
        limited = client.get("/sdk")
        opened = client.get("/open")
        bug = client.get("/bug")
        control = client.get("/http")
        provider.recover()
        fine = client.get("/sdk")
        none = client.get("/none")

    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert limited.json()["error"]["kind"] == "rate_limited"
    assert limited.headers["content-type"] == "application/json"
    assert int(limited.headers["content-length"]) == len(limited.content)
    assert (opened.status_code, opened.headers["retry-after"]) == (503, "2")
    assert (bug.status_code, bug.text) == (500, "Internal Server Error")
    assert (control.status_code, control.json()) == (418, {"detail": "teapot"})
    assert (fine.status_code, fine.json()) == (200, "one two three")
    assert (none.status_code, none.text) == (202, "")
    assert b"sk-live" not in limited.content + opened.content


def test_what_was_answered_is_logged_without_its_words(provider, caplog):
    """A failure that no guard has told of must not vanish, nor must its text be written down."""
    provider.always(fault.status(500, message="sk-live-123"))
    app, streams = shop(provider)
    with caplog.at_level(logging.ERROR, "agentguard"), serving(app, streams) as server:
        httpx.get(f"{server.url}/sdk")
        httpx.get(f"{server.url}/open")

    (told,) = [each.getMessage() for each in caplog.records if each.name == "agentguard"]
    assert "InternalServerError" in told
    assert "answered with 503" in told
    assert "sk-live" not in told


def test_a_refusal_by_the_provider_is_one_line_at_warning(provider, caplog):
    """Nothing in this code went wrong: no frames."""
    provider.always(fault.status(429, message="sk-live-123"))
    app, streams = shop(provider)
    with caplog.at_level(logging.WARNING, "agentguard"), serving(app, streams) as server:
        httpx.get(f"{server.url}/sdk")

    told = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert ("WARNING", "a request failed (RateLimitError); answered with 429") in told
    assert "sk-live" not in caplog.text


@pytest.mark.parametrize("path", ["/generator", "/agenerator"])
def test_a_stream_that_fails_before_its_first_piece_is_still_answered(provider, path):
    """The response begins with the first piece of its body, so a refusal has a status."""
    provider.always(fault.status(503, retry_after=4))
    app, streams = shop(provider)
    with serving(app, streams) as server:
        refused = httpx.get(server.url + path)
        provider.recover()
        fine = httpx.get(server.url + path)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "4")
    assert (fine.status_code, fine.text) == (200, "one two three")


def test_a_response_that_has_begun_is_not_replaced(provider):
    """Its client sees that it was cut: no second beginning, no end."""
    app, streams = shop(provider)
    with (
        serving(app, streams) as server,
        httpx.stream("GET", f"{server.url}/half") as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        assert answer.status_code == 200
        for piece in answer.iter_text():
            assert piece == "half"


@pytest.mark.parametrize("fails", [True, False])
async def test_an_empty_piece_is_not_the_first(fails):
    """The beginning waits for a piece that says something, and comes at the end all the same."""
    begun = {"type": "http.response.start", "status": 200, "headers": []}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(begun)
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "more_body": True})
        assert sent == []
        if fails:
            raise errors.CircuitOpen("open", retry_after=1.0)
        await send({"type": "http.response.body", "body": b""})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await ErrorMiddleware(app)({"type": "http"}, None, send)

    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == (503 if fails else 200)


@pytest.mark.parametrize("application", [Starlette, FastAPI])
def test_around_an_application_that_answers_first_it_is_refused(application):
    """Starlette answers 500 itself before anything around it sees the failure."""
    with pytest.raises(TypeError, match=r"app\.add_middleware\(ErrorMiddleware\)"):
        ErrorMiddleware(application())


async def test_it_needs_nothing_but_asgi():
    """Any ASGI application is served, without Starlette in it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await ErrorMiddleware(app)({"type": "http"}, None, send)
    with pytest.raises(TimeoutError):
        await ErrorMiddleware(app)({"type": "websocket"}, None, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 504


async def test_a_cancelled_request_is_not_answered():
    """Cancellation goes through, and nothing is sent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    task = asyncio.create_task(ErrorMiddleware(app)({"type": "http"}, None, send))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent == []
