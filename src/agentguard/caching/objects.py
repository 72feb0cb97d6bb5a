"""The canonical forms of other libraries' objects, known by the names of their classes."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.canonical import (
    NoForm,
    canonical,
    class_of,
    fields_of,
    name_of_class,
    packed,
)
from agentguard.caching.headers import counting_headers
from agentguard.providers.endpoint import endpoint
from agentguard.providers.evidence import read

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["client_form", "object_form", "owner_form"]

SECRET: Final = re.compile(
    r"(?:^|_)(?:api_?key|keys?|token|secret|password|credentials?|auth)(?:_|$)", re.IGNORECASE
)
"""Names of what authorises, and must not enter a key."""

_FUNCTIONS: Final = (types.FunctionType, types.BuiltinFunctionType, type)
_BESIDE: Final = frozenset(
    {
        "async_client",
        "cache",
        "callback_manager",
        "callbacks",
        "client",
        "custom_get_token_ids",
        "default_request_timeout",
        "http_async_client",
        "http_client",
        "http_socket_options",
        "include_response_headers",
        "max_retries",
        "metadata",
        "name",
        "profile",
        "rate_limiter",
        "request_timeout",
        "root_async_client",
        "root_client",
        "stream_chunk_timeout",
        "tags",
        "timeout",
        "verbose",
    }
)
"""Fields of LangChain's models that change no answer."""

_SECRETS: Final = frozenset({"SecretStr", "SecretBytes"})
_CLIENTS: Final = frozenset({"httpx", "requests", "aiohttp", "urllib3"})


def client_form(value: object) -> Any:
    """The form of an SDK's client or model: where it sends what; None of anything else."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if package in {"builtins", "types", "functools"}:
        return None
    seen = endpoint(value)
    if seen.provider is not None:
        return "client", name_of_class(kind), seen.provider, seen.base_url, seen.model
    if package in _CLIENTS and kind.__name__.endswith(("Client", "Session", "PoolManager")):
        return "client", name_of_class(kind)
    return None


def object_form(value: Any, kind: type) -> Any:
    """The form of a library's object; None where it is like any other object."""
    package = kind.__module__.partition(".")[0]
    if package == "pydantic" and kind.__name__ in _SECRETS:
        return ()
    if package == "numpy" or (hasattr(value, "dtype") and hasattr(value, "tobytes")):
        return _array(value)
    if package == "PIL":
        return _image(value)
    if package.startswith("langchain"):
        form = langchain_form(value, kind)
        if form is not None:
            return form
    form = client_form(value)
    return _stateless(value, kind) if form is None else form


def _state(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value.__dict__)


class _Plain:
    pass


def _stateless(value: Any, kind: type) -> Any:
    """The form of an object of the user's that holds nothing: it is what its class is."""
    if kind.__basicsize__ == _Plain.__basicsize__ and getattr(value, "__dict__", None) == {}:
        return canonical(kind)
    return None


def _array(value: Any) -> Any:
    if not hasattr(value, "dtype") or not hasattr(value, "tobytes"):
        raise NoForm(f"a {class_of(value)}")
    if value.dtype.hasobject:
        raise NoForm("an array of objects")
    return canonical([value.dtype.descr, [*value.shape], value.tobytes()])


def _image(value: Any) -> Any:
    if not hasattr(value, "tobytes"):
        raise NoForm(f"a {class_of(value)}")
    return canonical([value.mode, value.size, value.tobytes(), value.getpalette(), {**value.info}])


def owner_form(fn: Any, owner: Any, provider: str | None) -> Callable[[], Any] | None:
    """What the object of a method brings to each request; None where there is no object."""
    if owner is None:
        if isinstance(fn, _FUNCTIONS) or provider is not None:
            return None
        owner = fn
    if isinstance(owner, types.ModuleType):
        return None
    kinds = {base.__name__ for base in type(owner).__mro__}
    if kinds & {"SyncAPIClient", "AsyncAPIClient"}:
        sent = _sent_with(owner)
        return lambda: sent
    if kinds & {"SyncAPIResource", "AsyncAPIResource"}:
        sent = _sent_with(read(owner, "_client"))
        return lambda: sent
    if provider == "google" and kinds & {"Models", "AsyncModels"}:
        api: Any = read(owner, "_api_client")
        place = [bool(read(api, "vertexai")), read(api, "project"), read(api, "location")]
        return lambda: place
    if provider == "litellm" and "Router" in kinds:
        return lambda: _without_secrets(owner.model_list)
    return lambda: owner


def _sent_with(client: Any) -> Any:
    """What a client of the openai or anthropic SDK adds to all its requests."""
    query: Any = read(client, "_custom_query") or {}
    headers = counting_headers(read(client, "_custom_headers") or {})
    return [{str(name): str(each) for name, each in query.items()}, headers]


def _without_secrets(value: Any) -> Any:
    """A configuration without what authorises it."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {str(k): _without_secrets(v) for k, v in given.items() if not SECRET.search(str(k))}
    if isinstance(value, (list, tuple)):
        return [*map(_without_secrets, cast("list[Any]", value))]
    return _or_class(value)


def _or_class(value: Any) -> Any:
    try:
        packed(value)
    except NoForm:
        return class_of(value)
    return value


# LangChain


def langchain_form(value: Any, kind: type) -> Any:
    """The form of a message, a model or a runnable of LangChain's; None of anything else."""
    kinds = {base.__name__ for base in kind.__mro__}
    held = fields_of(value, kind)
    if "ModelRequest" in kinds and held is not None:
        return _agents_request(held)
    if "BaseMessage" in kinds and held is not None:
        own = held.get("id")
        if "AIMessage" not in kinds or str(own).startswith(("run-", "lc_run-")):
            held.pop("id", None)  # given by LangChain, anew each time
        return canonical(held)
    if kinds & {"BaseLanguageModel", "Embeddings"}:
        held = _state(value) if held is None else held
        counting = {k: v for k, v in held.items() if k not in _BESIDE and not SECRET.search(k)}
        if "default_headers" in counting:
            counting["default_headers"] = counting_headers(counting["default_headers"])
        seen = endpoint(value)
        return seen.base_url, canonical({name: _or_class(each) for name, each in counting.items()})
    if "Runnable" in kinds and held is not None:
        bound: Any = held.pop("config", None) or {}
        return canonical({**held, "configured": bound.get("configurable")})
    if "Runnable" in kinds:
        parts = {name: each for name, each in _state(value).items() if name in {"func", "afunc"}}
        return canonical(parts) if parts else None
    return None


def _agents_request(held: dict[str, Any]) -> Any:
    """What an agent asks its model: its state and context count, since middleware may read them."""
    state: dict[str, Any] = held.pop("state", None) or {}
    told = {
        "state": {name: each for name, each in state.items() if name != "messages"},
        "context": read(held.pop("runtime", None), "context"),
        "tools": [_as_told(each) for each in held.pop("tools", None) or ()],
    }
    return canonical({**held, **told})


def _as_told(tool: Any) -> Any:
    """A tool as the model is told of it: what it does is not part of this answer."""
    if isinstance(tool, dict):
        return cast("dict[str, Any]", tool)
    return [tool.name, tool.description, tool.args]
