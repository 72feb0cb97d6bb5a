"""The objects people hold, and the frameworks around them: clients, models, tools, web, queues.

Each module knows one of them and is imported only when one is met. No SDK is imported to tell.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["holder"]

_HOLDERS: Final[Mapping[tuple[str, str], str]] = {
    ("openai", "SyncAPIClient"): "sdk_clients",
    ("openai", "AsyncAPIClient"): "sdk_clients",
    ("anthropic", "SyncAPIClient"): "sdk_clients",
    ("anthropic", "AsyncAPIClient"): "sdk_clients",
    ("google", "Client"): "google_genai",
    ("google", "AsyncClient"): "google_genai",
    ("litellm", "Router"): "litellm_router",
    ("langchain_core", "BaseLanguageModel"): "langchain_objects",
    ("langchain_core", "BaseTool"): "langchain_objects",
    ("langchain_core", "Embeddings"): "langchain_objects",
    ("langchain_core", "BaseRetriever"): "langchain_objects",
    ("langchain_core", "Runnable"): "langchain_objects",
}
"""The package and name of a base class, and which module of ours guards its objects."""


def holder(thing: object) -> Callable[..., Any] | None:
    """What makes a guarded copy of `thing`, given it and the guard; None for any other object."""
    for base in type(thing).__mro__:
        module = _HOLDERS.get((base.__module__.partition(".")[0], base.__name__))
        if module is not None:
            found: Callable[..., Any] = import_module(f"{__name__}.{module}").guarded
            return found
    return None
