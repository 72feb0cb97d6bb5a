"""What a guarded stream answers for the attributes of the SDK's stream behind it.

Only what is listed here comes through. Everything else on an SDK's stream (`text_stream`,
`get_final_message()`, `response.iter_lines()`, the iterator itself) leads to text that no guard has
seen, or takes items away from the one who iterates.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["READERS", "Recalled", "ResponseView", "attribute", "closer_of", "from_sdk"]

_PLAIN: Final = frozenset(
    {
        "__name__",
        "__qualname__",
        "_request_id",
        "custom_llm_provider",
        "model",
        "request_id",
        "workspace_id",
    }
)
"""Passed on as they are, where they are plain values."""

_HIDDEN: Final = frozenset(
    {
        "additional_headers",
        "api_base",
        "custom_llm_provider",
        "litellm_call_id",
        "litellm_model_name",
        "model_id",
        "region_name",
        "response_cost",
    }
)
"""Of LiteLLM's `_hidden_params`, which may hold the original answer too."""

_SEEN: Final = (
    "status_code",
    "headers",
    "http_version",
    "url",
    "reason_phrase",
    "encoding",
    "is_success",
    "is_error",
    "is_client_error",
    "is_server_error",
    "request",
)

_ADD_UP: Final = "iterate the stream and add up its items"
READERS: Final[Mapping[str, str]] = {
    "text_stream": "iterate the stream and take the text of each event",
    "get_final_message": _ADD_UP,
    "get_final_text": _ADD_UP,
    "get_final_completion": _ADD_UP,
    "get_final_response": _ADD_UP,
    "until_done": "iterate the stream to its end",
}
"""What reads an SDK's stream behind the back of whoever iterates it, and what to do instead."""

_INSTEAD: Final[Mapping[str, str]] = {
    **READERS,
    "current_message_snapshot": _ADD_UP,
    "current_completion_snapshot": _ADD_UP,
}


def from_sdk(stream: object) -> bool:
    """Whether this is a stream of the openai or anthropic SDK, which never ends without an item."""
    packages = {base.__module__.partition(".")[0] for base in type(stream).__mro__}
    return not packages.isdisjoint({"openai", "anthropic"})


def closer_of(stream: object, *, is_async: bool) -> Callable[[], Any] | None:
    """What closes a stream: its own method, or that of what it reads.

    A sync stream of LiteLLM's has no `close`, only the provider's stream inside it.
    """
    closer = getattr(stream, "aclose", None) if is_async else None
    closer = closer or getattr(stream, "close", None)
    return closer or getattr(getattr(stream, "completion_stream", None), "close", None)


class ResponseView:
    """The HTTP response behind a guarded stream, or an answer that a guard changed, without its body.

    Values as they were when it was asked for; it holds no reference to the response itself. Its
    `close` (`aclose` where the stream is asynchronous) closes the guarded stream.

    Attributes:
        status_code: the HTTP status, or None where the response has none (as all the others).
        headers: a copy of the headers, of their own class.
        http_version: for example "HTTP/1.1".
        url: where the request went.
        reason_phrase: for example "OK".
        encoding: of the body.
        is_success: whether the status is 2xx.
        is_error: whether the status is 4xx or 5xx.
        is_client_error: whether the status is 4xx.
        is_server_error: whether the status is 5xx.
        request: what was sent.
    """

    __slots__ = (*_SEEN, "aclose", "close")

    status_code: int | None
    headers: Any
    http_version: str | None
    url: Any
    reason_phrase: str | None
    encoding: str | None
    is_success: bool | None
    is_error: bool | None
    is_client_error: bool | None
    is_server_error: bool | None
    request: Any
    close: Any
    aclose: Any

    def __init__(self, response: object, stream: object = None) -> None:
        for name in ("close", "aclose"):
            if hasattr(stream, name):
                setattr(self, name, getattr(stream, name))
        for name in _SEEN:
            value: Any = getattr(response, name, None)
            if name == "headers" and hasattr(value, "copy"):
                value = value.copy()
            setattr(self, name, value)

    @property
    def request_id(self) -> str | None:
        """The provider's id of this request, from the header OpenAI or Anthropic sends."""
        if self.headers is None:
            return None
        found: str | None = self.headers.get("x-request-id") or self.headers.get("request-id")
        return found

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"the response of a guarded call has no {name!r}: its body is what the guards are there "
            "for. Iterate the stream, or call parse(); status_code, headers, url and http_version "
            "are here.",
            name=name,
        )

    def __repr__(self) -> str:
        return f"<ResponseView [{self.status_code}]>"


class Recalled:
    """Stands for the provider's stream where a cache gave the answer: its response is an empty one.

    Managers of SDKs' streams ask for it, to close it and to look at the headers.
    """

    response = types.SimpleNamespace(headers={}, request=types.SimpleNamespace(headers={}))


def attribute(source: object, name: str, stream: object = None) -> object:
    """What a guarded stream answers for `source.name`.

    Args:
        source: the SDK's stream, or any iterator.
        name: the attribute that was asked for.
        stream: the guarded stream itself.

    Raises:
        AttributeError: the attribute does not exist, or would show text that no guard has seen;
            the message says what to use instead.

    Examples:
        >>> attribute(iter([]), "text_stream")
        Traceback (most recent call last):
        ...
        AttributeError: 'text_stream' is not available on a guarded stream: ...
    """
    if source is None:
        raise AttributeError(
            f"{name!r} belongs to a provider's stream, and this answer is of a fallback function, in "
            "one piece: where the caller needs more than its text, answer with what the SDK would",
            name=name,
        )
    if name == "response":
        return ResponseView(getattr(source, name), stream)
    if name in {"_hidden_params", "hidden_params"}:
        hidden = cast("Mapping[str, object]", getattr(source, name))
        return {key: value for key, value in hidden.items() if key in _HIDDEN}
    if name == "_response_headers":
        headers: Any = getattr(source, name)
        return None if headers is None else dict(headers)
    if name in _PLAIN:
        value: object = getattr(source, name)
        if value is None or isinstance(value, (str, int, float)):
            return value
    instead = _INSTEAD.get(name, "iterate the stream, every item is guarded")
    raise AttributeError(
        f"{name!r} is not available on a guarded stream: it may show text that no guard has seen. "
        f"Instead, {instead}.",
        name=name,
    )
