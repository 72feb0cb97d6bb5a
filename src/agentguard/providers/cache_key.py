"""OpenAI's `prompt_cache_key`: requests with the same one go to the same machine, and its cache.

Only OpenAI's own API is known to take it. Other servers that speak its protocol, models of other
vendors at Azure among them, answer 400.
https://developers.openai.com/api/docs/guides/prompt-caching, October 2026.
"""

from __future__ import annotations

import functools
import inspect
import json
from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.evidence import read
from agentguard.providers.items import fields
from agentguard.providers.prompt import langchain_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.engine.target import Target
    from agentguard.providers.prompt import Prompt

__all__ = ["KEY", "cache_key", "takes_key"]

KEY: Final = "prompt_cache_key"


def takes_key(target: Target, prompt: Prompt) -> bool:
    """Whether a key can be sent with this request, and nobody has chosen one.

    Args:
        target: what will be called.
        prompt: of the request.
    """
    if prompt.kind != "openai" or not target.endpoint.official:
        return False
    if KEY in prompt.known or KEY in fields(prompt.known.get("extra_body")):
        return False
    model = langchain_model(target)
    if model is None:
        owner = type(read(target.fn, "__self__"))
        # A guarded client is given the body of the request, a method its own parameters.
        whole = any(base.__name__ in {"SyncAPIClient", "AsyncAPIClient"} for base in owner.__mro__)
        return whole or _has_parameter(read(target.fn, "__func__") or target.fn)
    known = fields(model)
    if any(KEY in fields(known.get(name)) for name in ("model_kwargs", "extra_body")):
        return False
    create = read(read(read(known.get("root_client"), "chat"), "completions"), "create")
    return callable(create) and _has_parameter(read(create, "__func__") or create)


def cache_key(prompt: Prompt, tenant: object) -> str:
    """A key for all requests of a tenant that begin with the same tools and system prompt.

    Args:
        prompt: of the request.
        tenant: of the context, or None.
    """
    import hashlib  # it loads OpenSSL

    prefix = json.dumps([[*prompt.tools], str(tenant or "")], sort_keys=True, default=_plain)
    digest = hashlib.blake2b(prefix.encode(), digest_size=12)
    digest.update(prompt.instructions.encode("utf-8", "surrogatepass"))
    return f"agentguard-{digest.hexdigest()}"


def _plain(value: Any) -> Any:
    known = fields(value)
    return dict(known) if known else type(value).__name__


@functools.lru_cache(maxsize=64)
def _has_parameter(method: Callable[..., Any]) -> bool:
    try:
        return KEY in inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False
