"""What is given with a request, yet cannot change its answer: the deny-list of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.canonical import NoForm, class_of, fields_of, packed
from agentguard.caching.headers import counting_headers
from agentguard.caching.objects import client_form
from agentguard.providers.evidence import read
from agentguard.providers.items import sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentguard.engine.target import Target

__all__ = ["beside", "of_agent"]

_NEVER: Final = frozenset(
    {"timeout", "request_timeout", "callbacks", "callback_manager", "run_manager"}
)
"""Names of arguments that change no answer, whoever takes them."""

_NEVER_OF_SDKS: Final = frozenset(
    {
        "api_key",
        "idempotency_key",
        "max_retries",
        "num_retries",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
_NEVER_OF_LITELLM: Final = frozenset(
    {
        "caching",
        "cache",
        "litellm_call_id",
        "litellm_logging_obj",
        "litellm_metadata",
        "litellm_trace_id",
        "logger_fn",
        "metadata",
        "shared_session",
    }
)


def beside(target: Target) -> tuple[frozenset[str], Mapping[str, Callable[[Any], Any]]]:
    """For a target: the arguments to leave out, and those of which only a part counts."""
    provider = target.endpoint.provider
    never = _NEVER
    parts: dict[str, Callable[[Any], Any]] = {
        "headers": counting_headers,
        "extra_headers": counting_headers,
        "client": _client,
        "async_client": _client,
        "http_client": _client,
        "http_async_client": _client,
        "config": _config,
    }
    if provider is not None:
        never |= _NEVER_OF_SDKS
    if of_agent(target):
        never |= {"handler"}
    if provider == "litellm":
        never |= _NEVER_OF_LITELLM
    if provider == "google":
        parts["config"] = _google_config
    return never, parts


def of_agent(target: Target) -> bool:
    """Whether this is an agent's call of its model, through `guard(...).middleware()`."""
    return read(target.fn, "__module__") == "agentguard.integrations.langchain_middleware"


def _client(value: Any) -> Any:
    try:
        packed(value)
    except NoForm:
        return client_form(value) or class_of(value)
    return value


_LABELS: Final = frozenset({"tags", "metadata"})
_RUNNABLE_CONFIG: Final = frozenset(
    {"callbacks", "configurable", "max_concurrency", "recursion_limit", "run_id", "run_name"}
)


def _config(value: Any) -> Any:
    """Of a RunnableConfig only what configures the runnable; any other value as it is."""
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    if _RUNNABLE_CONFIG.isdisjoint(given) or not (_RUNNABLE_CONFIG | _LABELS).issuperset(given):
        return given
    configured: dict[str, Any] = given.get("configurable") or {}
    return {name: each for name, each in configured.items() if not name.startswith("__")} or None


def _google_config(value: Any) -> Any:
    """A configuration of a request to Google: as a dict, without its timeouts and headers."""
    given = _fields(value)
    if given is None:
        return value
    options = _fields(given.pop("http_options", None))
    if options is not None:
        for name in (
            "timeout",
            "retry_options",
            "httpx_client",
            "httpx_async_client",
            "client_args",
            "async_client_args",
        ):
            options.pop(name, None)
        options["headers"] = counting_headers(options.get("headers"))
        given["http_options"] = {k: each for k, each in options.items() if each} or None
    tools: Any = given.get("tools")
    if sequence(tools):
        given["tools"] = [_described(each) for each in tools]
    return {name: each for name, each in given.items() if each is not None} or None


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return {**cast("dict[str, Any]", value)}
    held = fields_of(value, type(value))
    return None if held is None else {k: each for k, each in held.items() if each is not None}


def _described(tool: Any) -> Any:
    """A function as the model is told of it: what it does is not part of this answer."""
    if not callable(tool) or isinstance(tool, type):
        return tool
    notes: Any = getattr(tool, "__annotations__", {})
    told = {name: str(note) for name, note in notes.items()}
    return {"function": [getattr(tool, "__name__", None), getattr(tool, "__doc__", None), told]}
