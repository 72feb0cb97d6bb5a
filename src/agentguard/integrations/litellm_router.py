"""`litellm.Router`: its calls run guarded, with its choice of deployments inside.

One attempt is one call of the Router: it picks a deployment, and where it has fallbacks of its
own, it may ask several. Cooldowns and statistics are shared with the original.
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.decorate import guarded as known
from agentguard.engine.generators import coroutine_function
from agentguard.integrations.held import Method, guarded_copy
from agentguard.providers.streams import closer_of

if TYPE_CHECKING:
    from agentguard.engine.guard import guard as Guard  # noqa: N812  the class, beside its instance

__all__ = ["guarded"]

_METHODS: Final = (
    "completion",
    "acompletion",
    "text_completion",
    "atext_completion",
    "embedding",
    "aembedding",
    "image_generation",
    "aimage_generation",
    "atranscription",
    "aspeech",
    "arerank",
)
_ATTRIBUTES: Final = (
    "responses",
    "aresponses",
    "anthropic_messages",
    "aanthropic_messages",
    "generate_content",
    "agenerate_content",
    "generate_content_stream",
    "agenerate_content_stream",
    "aimage_edit",
)
"""Calls of a model that a Router makes for itself, as functions in its `__dict__`."""

_STREAM: Final = "_completion_streaming_iterator"

_NOTES: Final = (
    "The Router's own retries (num_retries, retry policies) are off in this copy.",
    "Its routing, fallbacks and cooldowns between deployments work inside each attempt.",
)


def guarded(router: Any, guard: Guard) -> Any:
    """A copy of a Router whose model calls run through the policies of `guard`."""
    twin = guarded_copy(router, guard, _methods, calls=_METHODS, notes=_NOTES)
    twin.num_retries = 0
    for name in _ATTRIBUTES:
        call = getattr(router, name, None)
        if call is not None:
            setattr(twin, name, guard(call if known(call) else _once(call, name)))
    twin.chat = copy.copy(router.chat)
    twin.chat.completions = completions = copy.copy(router.chat.completions)
    completions.router_obj = twin
    completions.params = {**completions.params}
    return twin


def _methods(base: Any, guard: Guard) -> dict[str, Any]:
    names = [name for name in _METHODS if hasattr(base, name)]
    once: Any = types.SimpleNamespace(**{name: _once(getattr(base, name), name) for name in names})
    methods: dict[str, Any] = {name: Method(once, guard, name) for name in names}
    if hasattr(base, _STREAM):
        methods[_STREAM] = _closing(getattr(base, _STREAM))
    return methods


def _closing(plain: Any) -> Any:
    """A sync stream of a Router's that can be closed, with the provider's stream inside it."""

    @functools.wraps(plain)
    def closing(self: Any, model_response: Any, *args: Any, **kwargs: Any) -> Any:
        stream = plain(self, model_response, *args, **kwargs)
        own = stream.completion_stream

        def close() -> None:
            own.close()
            closer = closer_of(model_response, is_async=False)
            if closer is not None:
                closer()

        stream.close = close
        return stream

    return closing


def _once(plain: Any, name: str) -> Any:
    """The same call without the Router's own retries: 0 overrides policies and deployments too."""

    @functools.wraps(plain)
    def once(*args: Any, **kwargs: Any) -> Any:
        return plain(*args, **{"num_retries": 0, **kwargs})

    once.__name__, once.__qualname__ = name, f"Router.{name}"
    return coroutine_function(once) if inspect.iscoroutinefunction(plain) else once
