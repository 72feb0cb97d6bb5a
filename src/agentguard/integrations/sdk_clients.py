"""Clients of the openai and anthropic SDKs: whatever they send goes through their method `request`.

`create`, `parse`, stream managers, tool runners, raw responses and copies of the client all end
there. So that one method runs under the guard, for the paths that are calls of a model.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import types
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from agentguard.engine.decorate import Guarded, given
from agentguard.engine.drive import drive
from agentguard.engine.scope import surrounding
from agentguard.integrations.held import guarded_copy, guarded_methods
from agentguard.integrations.sdk_responses import no_response, response_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.guard import guard as Guard  # noqa: N812  the class, beside its instance
    from agentguard.engine.reply import Reply

__all__ = ["guarded"]

T = TypeVar("T")

_MODEL_CALL: Final = re.compile(
    r"(?:^|/)(chat/completions|completions|responses|responses/compact|embeddings|decisions"
    r"|v1/messages|v1/complete)$"
)
"""The paths that are calls of a model. Azure, Bedrock and Vertex clients rewrite them only later."""

_CALLS: Final[Mapping[str, Sequence[str]]] = {
    "openai": ("chat.completions", "responses", "embeddings", "completions"),
    "anthropic": ("messages", "beta.messages", "completions"),
}
_AS_BEFORE: Final = "Images, audio, batches, assistants and whatever goes over a WebSocket pass as before, unguarded."
_PARSED: Final = (
    "a fallback function answered with text where the caller has the answer parsed: let it return "
    "what the SDK would, such as a ChatCompletion or an embeddings response"
)
_RETRIES: Final = "_agentguard_retries"
_RAW: Final = "x-stainless-raw-response"
_BESIDE: Final = ("timeout", "extra_headers", "extra_query")
_ABSENT: Final[Any] = object()


def guarded(client: T, guard: Guard) -> T:
    """A copy of an SDK's client whose model calls run through the policies of `guard`.

    It has the connections of the original, which is left as it is. Its own retries are off for
    model calls; what else it sends is retried as before.
    """
    packages = {base.__module__.partition(".")[0] for base in type(client).__mro__}
    calls = next(calls for package, calls in _CALLS.items() if package in packages)
    twin = guarded_copy(client, guard, _members, calls=calls, notes=_notes)
    known = vars(twin)
    for name, value in vars(client).items():
        if getattr(value, "_client", None) is client:
            known[name] = type(value)(twin)
    if known["max_retries"]:
        known[_RETRIES], known["max_retries"] = known["max_retries"], 0
    return twin


def _notes(client: object) -> list[str]:
    retries: int | None = vars(client).get(_RETRIES)
    if retries is None:
        return [_AS_BEFORE]
    return [_AS_BEFORE, f"Its own retries are off (they were {retries}): retry() does them."]


def _members(base: Any, guard: Guard) -> dict[str, Any]:
    is_async = inspect.iscoroutinefunction(base.request)
    send = _send if is_async else _driven(_send)

    async def request(
        self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        plain = functools.partial(base.request, self, cast_to, stream=stream, stream_cls=stream_cls)
        path = _MODEL_CALL.search(urlsplit(str(options.url)).path.rstrip("/").lower())
        if path is None or options.method.lower() not in {"post", "put"}:
            return await _settled(plain(_as_before(self, options)))
        method = _method(self, path[1], guard, send)
        asked = _Request(self, options, plain, is_async=is_async)
        kwargs = asked.kwargs()
        outer = _request.get()
        _request.set(asked)
        try:
            return await _settled(method(**kwargs))
        finally:
            # A coroutine that the collector closes comes here in somebody else's Context.
            if _request.get() is asked:
                _request.set(outer)

    def with_options(self: Any, **changes: Any) -> Any:
        twin = base.copy(self, **changes)
        if type(changes.get("max_retries")) is not int and _RETRIES in vars(self):
            vars(twin)[_RETRIES] = vars(self)[_RETRIES]
        return twin

    return {
        "request": request if is_async else _driven(request),
        "copy": with_options,
        "with_options": with_options,
    }


def _driven(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function as a sync one: with a sync client it never suspends."""

    @functools.wraps(fn)
    def sync(*args: Any, **kwargs: Any) -> Any:
        return drive(fn(*args, **kwargs))

    return sync


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _as_before(client: object, options: Any) -> Any:
    """The options of a request that is no call of a model, with the retries the client had."""
    retries: int | None = vars(client).get(_RETRIES)
    if retries is not None and not _is_given(options.max_retries):
        options = copy.copy(options)
        options.max_retries = retries
    return options


def _method(client: object, path: str, guard: Guard, send: Callable[..., Any]) -> Any:
    """What the client calls for this path."""
    known = guarded_methods(client)
    method = known.get(path)
    if method is None:
        name = f"{type(client).__name__}.{path.removeprefix('v1/').replace('/', '.')}"
        method = Guarded(guard, types.MethodType(send, client), name, give=_give)
        known[path] = method
    return method.wrapper


_request: Final[ContextVar[_Request | None]] = ContextVar("agentguard_request", default=None)


async def _send(_: object, /, *, timeout: Any = _ABSENT, **body: Any) -> Any:
    """The end of the chain: one attempt, made by the client itself."""
    return await cast("_Request", _request.get()).send(timeout, body)


def _give(reply: Reply) -> Any:
    return cast("_Request", _request.get()).answer(reply)


class _Request:
    """One call of a model: what policies see of it, how it is sent, what its caller gets."""

    __slots__ = ("client", "is_async", "keys", "options", "plain", "raw", "responses")

    def __init__(
        self, client: Any, options: Any, plain: Callable[[Any], Any], *, is_async: bool
    ) -> None:
        self.client = client
        self.options = options
        self.plain = plain
        self.is_async = is_async
        self.raw: str | None = None
        self.responses: dict[object, Any] = {}  # by attempt, where raw ones are asked for
        self.keys: dict[object, str] = {}  # for idempotency, by model

    def kwargs(self) -> dict[str, Any]:
        """What `create` would have been given: the body, and what is sent beside it."""
        options = self.options
        sent: dict[str, Any] | bytes | None = options.json_data
        if not isinstance(sent, dict):
            raise TypeError(
                f"the body of a request to {options.url} must be a dict on a guarded client, whose "
                "policies read it"
            )
        extra: dict[str, Any] = options.extra_json or {}
        body = {**sent, **{name: extra[name] for name in extra if name not in _BESIDE}}
        kwargs = {key: value for key, value in body.items() if _is_given(value)}
        headers = _headers(options)
        self.raw = next((headers[name] for name in headers if name.lower() == _RAW), None)
        headers = {name: headers[name] for name in headers if not _own(name, headers[name])}
        if headers:
            kwargs["extra_headers"] = headers
        if options.params:
            kwargs["extra_query"] = dict(options.params)
        if _is_given(options.timeout):
            kwargs["timeout"] = options.timeout
        return kwargs

    async def send(self, timeout: Any, body: dict[str, Any]) -> Any:
        """One attempt. The SDK's own parser is kept for what the chain returns."""
        given, options = self.options, copy.copy(self.options)
        headers = {name: each for name, each in _headers(given).items() if _own(name, each)}
        options.headers = {**headers, **body.pop("extra_headers", {})}
        options.params = body.pop("extra_query", {})
        if timeout is not _ABSENT:
            options.timeout = timeout
        options.json_data = body
        extra: dict[str, Any] = given.extra_json or {}
        options.extra_json = {name: extra[name] for name in extra if name in _BESIDE} or None
        options.post_parser = _unchanged
        if given.idempotency_key is None:  # one for all attempts, as for the SDK's own retries
            key = self.client._idempotency_key()  # noqa: SLF001
            options.idempotency_key = self.keys.setdefault(body.get("model"), key)
        answer = await _settled(self.plain(options))
        if self.raw is None:
            return answer
        self.responses[surrounding().attempt] = answer
        return await _settled(answer.parse())

    def answer(self, reply: Reply) -> Any:
        """What the caller gets for the chain's reply."""
        answer = given(reply)
        if _is_given(self.options.post_parser):
            if isinstance(answer, str):
                raise TypeError(_PARSED)
            request_id = getattr(answer, "_request_id", None)
            answer = self.options.post_parser(answer)
            if request_id is not None:
                answer._request_id = request_id  # noqa: SLF001  as the SDK does after its parser
        if self.raw is None:
            return answer
        response = self.responses.get(reply.attempt)
        if response is None:
            return no_response(answer, is_async=self.is_async and self.raw != "true")
        changed = not reply.streaming and reply.value is not reply.attempt.value
        return response_with(answer, response, streaming=reply.streaming, changed=changed)


def _headers(options: Any) -> dict[str, Any]:
    return dict(options.headers) if _is_given(options.headers) else {}


def _own(header: str, value: object) -> bool:
    """Whether a header is the SDK's own business: about itself, or one that it is to leave out."""
    return header.lower().startswith("x-stainless-") or not _is_given(value)


def _is_given(value: object) -> bool:
    return type(value).__name__ not in {"NotGiven", "Omit"}


def _unchanged(answer: T) -> T:
    return answer
