"""Middleware for ASGI applications: who asks, and what is answered when a model call fails."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from agentguard.engine import arguments
from agentguard.engine.bounds import in_worker
from agentguard.engine.flush import flush
from agentguard.engine.scope import context as context_block
from agentguard.engine.scope import deadline as deadline_block
from agentguard.engine.trouble import trouble
from agentguard.errors import GuardError
from agentguard.integrations.http_errors import http_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from starlette.requests import HTTPConnection

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
    Tags = Mapping[str, object]

__all__ = ["ContextMiddleware", "ErrorMiddleware"]


class ContextMiddleware:
    """Say for every request on whose behalf its model calls are made, and by when they must end.

    Protects from budgets, reports and limits that cannot tell one user from another because an
    endpoint forgot its `with context(...)`. Guarded calls keep what held where they were called,
    so streams and background work that begin in a request keep its user. When the application
    shuts down, `agentguard.flush()` settles what is still open.

    Args:
        app: the ASGI application.
        context: from Starlette's `HTTPConnection` (headers, cookies, path, state, and `user` inside
            AuthenticationMiddleware) to the tags of `agentguard.context`: user, tenant, any other.
            May be async. An HTTPException that it raises is answered as if an endpoint had raised
            it; anything else goes on.
        deadline: seconds for all guarded calls of one HTTP request together. A websocket, which
            lives for many, has none.

    Raises:
        ImportError: Starlette is not installed.

    Examples:
        >>> from agentguard.integrations.asgi import ContextMiddleware
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> app.add_middleware(
        ...     ContextMiddleware,
        ...     context=lambda request: {"user": request.headers.get("x-user")},
        ...     deadline=60,
        ... )
    """

    def __init__(
        self,
        app: App,
        context: Callable[[HTTPConnection], Tags | Awaitable[Tags]] | None = None,
        deadline: float | None = None,
    ) -> None:
        if find_spec("starlette") is None:
            raise ImportError(
                "ContextMiddleware needs Starlette: pip install 'agentguard-decorators[web]'"
            )
        if context is not None and not callable(context):
            raise TypeError(
                "ContextMiddleware(context=) is a function of the request that returns tags, as in "
                f'lambda request: {{"user": ...}}, not {type(context).__name__}'
            )
        if deadline is not None:
            arguments.seconds("ContextMiddleware", "deadline", deadline)
        self.app = app
        self.context = context
        self.deadline = deadline

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass the request on within its context."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _flushing(send))
            return
        try:
            tags: dict[str, Any] = {**await self._tags(scope)}
        except Exception as error:
            await _raise_inside(error, scope, receive, send)
            return
        with context_block(**tags):
            if self.deadline is None or scope["type"] != "http":
                await self.app(scope, receive, send)
            else:
                with deadline_block(self.deadline):
                    await self.app(scope, receive, send)

    async def _tags(self, scope: MutableMapping[str, Any]) -> Tags:
        from starlette.requests import HTTPConnection

        if self.context is None:
            return {}
        tags = self.context(HTTPConnection(scope))
        return await tags if inspect.isawaitable(tags) else tags


class ErrorMiddleware:
    """Answer failed model calls, ours and every provider's, with a status that says what to do.

    Protects from a bare 500, and from a provider's words in front of a user: 402, 422, 429, 503 or
    504, `Retry-After` where it is known, and a safe JSON body, see `http_error`. What is no failure
    of a model call goes on unchanged, and so does what fails after a part of the response was sent.
    The beginning of a response waits for the first piece of its body, so that a stream whose first
    item fails can still be answered.

    Needs nothing but ASGI. In Starlette and FastAPI it stands inside the application, which else
    answers 500 itself first: `app.add_middleware(ErrorMiddleware)`, before other middleware, which
    is then around it.

    Args:
        app: the ASGI application.

    Raises:
        TypeError: around an application of Starlette or FastAPI, where it would see no failure.

    Examples:
        >>> from agentguard.integrations.asgi import ErrorMiddleware
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> app.add_middleware(ErrorMiddleware)
    """

    def __init__(self, app: App) -> None:
        if hasattr(app, "build_middleware_stack"):
            raise TypeError(
                f"ErrorMiddleware(...) around a {type(app).__name__} application does nothing: that "
                "answers 500 itself first. Write app.add_middleware(ErrorMiddleware)"
            )
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass the request on, and answer it where it fails."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held: Message | None = None
        begun = False

        async def hold(message: Message) -> None:
            nonlocal held, begun
            if message["type"] == "http.response.start" and not begun:
                held = message
                return
            if held is not None and _says_nothing(message):
                return
            if held is not None:
                start, held, begun = held, None, True
                await send(start)
            await send(message)

        try:
            await self.app(scope, receive, hold)
        except Exception as error:
            answer = None if begun else http_error(error)
            if answer is None:
                raise
            if not isinstance(error, GuardError):  # those are told of where they are raised
                _tell(error, answer.status)
            await _send(answer.status, answer.headers, answer.body, send)
        else:
            if held is not None:
                await send(held)


def _tell(error: Exception, status: int) -> None:
    """A refusal, such as for too many requests, is nothing to be looked for in this code."""
    if status >= 500:
        trouble("a request", error, f"answered with {status}")
        return
    import logging

    logging.getLogger("agentguard").warning(
        "a request failed (%s); answered with %s", type(error).__name__, status
    )


def _says_nothing(message: Message) -> bool:
    more = message["type"] == "http.response.body" and message.get("more_body", False)
    return more and not message.get("body")


async def _send(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    told = {**headers, "content-length": str(len(body))}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _flushing(send: Send) -> Send:
    """Settle what is open when the application has shut down, before its server goes."""

    async def sent(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await in_worker(flush)  # what it waits for runs on this very loop
        await send(message)

    return sent


async def _raise_inside(
    error: Exception, scope: MutableMapping[str, Any], receive: Receive, send: Send
) -> None:
    """Raise `error` where the application's own handlers of exceptions see it."""
    from starlette.middleware.exceptions import ExceptionMiddleware

    async def fail(*_: object) -> None:
        raise error

    handlers = getattr(scope.get("app"), "exception_handlers", {})
    # These two are for the server's own page; that one stands around all middleware.
    own = {key: each for key, each in handlers.items() if key not in {500, Exception}}
    await ExceptionMiddleware(fail, handlers=own)(scope, receive, send)
