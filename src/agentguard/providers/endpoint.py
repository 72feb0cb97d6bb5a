"""What can be seen of a callable before it is called: which provider, where, with what settings.

SDK methods, LiteLLM's functions and LangChain's models are recognised by the names of their
classes and packages. Of anything else nothing is claimed.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from agentguard.providers.evidence import read

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Endpoint", "endpoint"]

_DEEPEST: Final = 16

_OFFICIAL: Final = (
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com",
)

_TRANSPARENT: Final = frozenset({"langsmith", "wrapt", "opentelemetry"})
"""Packages whose wrappers hand every argument on unchanged."""

_GENAI_ATTEMPTS: Final = 5
"""google-genai's attempts where retry_options are given without a number."""

_BELOW_THE_CACHE: Final = ("_generate", "_agenerate", "_stream", "_astream")
"""What LangChain's cache stands around: their keywords are no part of its keys."""

_COMPLETIONS: Final = ("completion", "acompletion")
"""LiteLLM's functions that take OpenAI's options for streams."""

_LANGCHAIN: Final = ("BaseLanguageModel", "Embeddings", "Runnable")

_SDK_RETRIES: Final = 2
"""What LangChain's max_retries=None becomes: the default of the openai and anthropic clients."""


class Endpoint:
    """What is known about where a callable sends its requests.

    Attributes:
        provider: "openai", "anthropic", "google", "litellm", "langchain" or another SDK's package
            name; None when the callable is not recognised. It names the SDK: an OpenAI client that
            points elsewhere is still "openai", its `base_url` tells.
        base_url: without credentials, query and trailing slash.
        model: where the callable itself fixes it (a chat model's method, a partial).
        max_retries: the client's own retries; 2 means up to 3 requests a call.
        timeout: seconds that the client itself allows between bytes; None when none or unknown.
        takes_timeout: it accepts `timeout=` in seconds for one call, and nobody has set it yet.
        official: it is the vendor's own host, reached without a wrapper that might change answers.
        meters: it takes `stream_options`, in a request with `messages`.
    """

    __slots__ = (
        "base_url",
        "max_retries",
        "meters",
        "model",
        "official",
        "provider",
        "takes_timeout",
        "timeout",
    )

    def __init__(self) -> None:
        self.provider: str | None = None
        self.base_url: str | None = None
        self.model: str | None = None
        self.max_retries: int | None = None
        self.timeout: float | None = None
        self.takes_timeout = False
        self.official = False
        self.meters = False

    def __repr__(self) -> str:
        known = ((name, getattr(self, name)) for name in self.__slots__)
        return f"Endpoint({', '.join(f'{n}={v!r}' for n, v in known if v is not None and v is not False)})"


def endpoint(fn: object) -> Endpoint:
    """Look at a callable without calling it.

    `functools.partial` is peeled, what it fixes counts. A wrapper of the user's own
    (`functools.wraps`) still tells where its calls go, but nothing is passed through it.
    Never raises and imports nothing of an SDK.

    Examples:
        >>> endpoint(len)
        Endpoint()
    """
    seen = Endpoint()
    try:
        _look(fn, seen)
    except Exception:  # a proxy or a mock that raises from its attributes is not recognised
        return Endpoint()
    return seen


def _look(fn: object, seen: Endpoint) -> None:
    fixed: dict[str, Any] = {}
    wrapped = raw = False
    for _ in range(_DEEPEST):
        if isinstance(fn, functools.partial):
            fixed = {**fn.keywords, **fixed}
            fn = fn.func
            continue
        owner = read(fn, "__self__") if callable(fn) else fn  # a client, of itself
        if _recognise(fn, owner, seen):
            break
        inner = read(fn, "__wrapped__")
        if owner is not None or not callable(inner):
            break
        wrapped = wrapped or not _is_transparent(fn, inner)
        raw = raw or _home(fn).endswith("_response")  # with_raw_response, whose answer is no stream
        fn = inner
    if seen.provider is None:
        return
    model = fixed.get("model")
    if isinstance(model, str):
        seen.model = model
    host = urlsplit(seen.base_url or "").hostname or ""
    seen.official = not wrapped and any(
        host == name or host.endswith((f".{name}", f"-{name}")) for name in _OFFICIAL
    )
    seen.takes_timeout = seen.takes_timeout and not wrapped and "timeout" not in fixed
    seen.meters = seen.meters and not (wrapped or raw)


def _is_transparent(wrapper: object, inner: object) -> bool:
    """Tell an SDK's or a tracer's own wrapper from one whose effect nobody knows."""
    home = _package(_home(wrapper))
    return home in _TRANSPARENT or home == _package(type(read(inner, "__self__")).__module__)


def _home(fn: object) -> str:
    """The module that a function was written in, whatever `functools.wraps` says."""
    return str(cast("dict[str, Any]", read(fn, "__globals__") or {}).get("__name__"))


def _package(module: str) -> str:
    return module.partition(".")[0]


def _classes(owner: object) -> Iterator[tuple[str, str]]:
    return ((_package(base.__module__), base.__name__) for base in type(owner).__mro__)


def _recognise(fn: object, owner: object, seen: Endpoint) -> bool:
    if owner is None or isinstance(owner, type(sys)):
        return _litellm(fn, seen)
    for package, name in _classes(owner):
        if name in ("SyncAPIResource", "AsyncAPIResource", "SyncAPIClient", "AsyncAPIClient"):
            return _sdk(fn, owner, package, seen)
        if package == "google" and name in ("Models", "AsyncModels", "Chat", "AsyncChat"):
            return _genai(owner, seen)
        if package == "langchain_core" and name in _LANGCHAIN:
            return _langchain(fn, owner, seen)
        if (package, name) == ("litellm", "Router"):
            seen.provider = "litellm"
            seen.max_retries = _count(read(owner, "num_retries"))
            seen.meters = read(fn, "__name__") in _COMPLETIONS
            return True
    return False


def _sdk(fn: object, owner: object, package: str, seen: Endpoint) -> bool:
    """Read a resource of the openai or anthropic SDK, or of another that is generated alike."""
    itself = any(name in ("SyncAPIClient", "AsyncAPIClient") for _, name in _classes(owner))
    _client(owner if itself else read(owner, "_client"), seen)
    seen.provider = package
    seen.takes_timeout = _has_parameter(fn, "timeout")
    seen.meters = package == "openai" and (itself or read(fn, "__name__") == "create")
    return True


def _client(client: object, seen: Endpoint) -> None:
    seen.base_url = _clean(read(client, "base_url"))
    seen.max_retries = _count(read(client, "max_retries"))
    timeout = read(client, "timeout")
    seen.timeout = _seconds(timeout) or _seconds(read(timeout, "read"))


def _genai(owner: object, seen: Endpoint) -> bool:
    models = read(owner, "_modules") or owner  # a chat holds the models it talks through
    options = read(read(models, "_api_client"), "_http_options")
    seen.provider = "google"
    seen.base_url = _clean(read(options, "base_url"))
    retries = read(options, "retry_options")
    seen.max_retries = 0
    if retries is not None:
        seen.max_retries = max(0, (_count(read(retries, "attempts")) or _GENAI_ATTEMPTS) - 1)
    milliseconds = _seconds(read(options, "timeout"))
    seen.timeout = milliseconds / 1000 if milliseconds else None
    model = read(owner, "_model")
    seen.model = model if isinstance(model, str) else None
    return True


def _litellm(fn: object, seen: Endpoint) -> bool:
    """Recognise `litellm.completion` and its kin; where they go is decided by each call's model."""
    if _package(str(read(fn, "__module__"))) != "litellm":
        return False
    seen.provider = "litellm"
    seen.takes_timeout = _has_parameter(fn, "timeout")
    seen.meters = read(fn, "__name__") in _COMPLETIONS
    return True


def _langchain(fn: object, owner: object, seen: Endpoint) -> bool:
    model, fixed, direct = _chat_model(owner)
    if model is None:
        return True
    package = next((p for p, _ in _classes(model) if p.startswith("langchain_")), "langchain_core")
    vendor = package.removeprefix("langchain_")
    seen.provider = {"core": "langchain", "community": "langchain"}.get(
        vendor, vendor.partition("_")[0]
    )
    client = read(model, "root_client") or read(read(model, "client"), "_client")
    if client is not None:
        _client(client, seen)
    else:
        seen.max_retries = _count(read(model, "max_retries"))
        url = read(model, "anthropic_api_url") or read(model, "openai_api_base")
        seen.base_url = _clean(url or read(model, "base_url"))
        seen.timeout = _seconds(read(model, "default_request_timeout"))
    if seen.max_retries is None and seen.provider in ("openai", "anthropic"):
        seen.max_retries = _SDK_RETRIES
    names = (fixed.get("model"), read(model, "model_name"), read(model, "model"))
    seen.model = next((name for name in names if isinstance(name, str)), None)
    seen.takes_timeout = (
        direct
        and "timeout" not in fixed
        and seen.provider in ("openai", "anthropic")
        and (
            read(fn, "__name__") in _BELOW_THE_CACHE
            or (
                read(fn, "__name__") in ("invoke", "ainvoke", "stream", "astream")
                and not _caches(model)
            )
        )
    )
    return True


def _chat_model(owner: object) -> tuple[object, dict[str, Any], bool]:
    """Find the model in a runnable: what is bound to it, and whether it gets the call's keywords."""
    fixed: dict[str, Any] = {}
    direct = True
    for _ in range(_DEEPEST):
        names = {name for _, name in _classes(owner)}
        if "BaseLanguageModel" in names or "Embeddings" in names:
            return owner, fixed, direct
        if "RunnableBindingBase" in names:
            fixed = {**cast("dict[str, Any]", read(owner, "kwargs") or {}), **fixed}
            owner = read(owner, "bound")
        elif "RunnableWithFallbacks" in names:
            owner = read(owner, "runnable")
            direct = False  # the models after the first may not take the keyword
        elif "RunnableSequence" in names:
            direct = False  # a sequence gives keywords to its first step
            steps = cast("list[object]", read(owner, "steps") or [])
            found = ((*_chat_model(step)[:2], False) for step in steps)
            return next((f for f in found if f[0] is not None), (None, fixed, False))
        else:
            break
    return None, fixed, False


def _caches(model: object) -> bool:
    """Tell whether LangChain would make `timeout=` a part of a cache key, so that nothing hits."""
    if read(model, "cache") not in (None, False):
        return True
    return read(sys.modules.get("langchain_core.globals"), "_llm_cache") is not None


def _has_parameter(fn: object, name: str) -> bool:
    import inspect

    try:
        return name in inspect.signature(cast("Any", fn)).parameters
    except (TypeError, ValueError):
        return False


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _seconds(value: object) -> float | None:
    return float(cast("float", value)) if type(value) in (int, float) else None


def _clean(url: object) -> str | None:
    """Keep scheme, host, port and path: the rest of a URL may hold a password or a key."""
    if url is None:
        return None
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/") if host else None
