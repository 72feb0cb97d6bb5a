"""The same call, made by another client or model: what `fallback(another_client)` falls back to."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentguard.engine.target import Target

__all__ = ["counterpart"]

_PLACES: Final[Mapping[str, str]] = {"Models": "models", "AsyncModels": "aio.models"}
"""Where a client holds the object that makes its calls, by that object's class."""


def counterpart(thing: object, target: Target) -> Callable[..., Any] | None:
    """What `thing` has in place of `target`, a call of a guarded object; None if it has no such call.

    Of an SDK's client that is the method `create` of the same name; of a chat model, a tool or
    Google's client the method itself.
    """
    method: str = getattr(target.fn, "__name__", "")
    place = _PLACES.get(type(getattr(target.fn, "__self__", None)).__name__, "")
    path = target.name.partition(".")[2]
    for way in (f"{place}.{method}".strip("."), f"{path}.create"):
        try:
            found: Any = functools.reduce(getattr, way.split("."), thing)
        except AttributeError:
            continue
        if callable(found):
            return found  # type: ignore[no-any-return]
    return None
