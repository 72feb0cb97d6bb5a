"""A callable's own argument `model`: whether it has one, and a call with another model in it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.engine.call import Call
    from agentguard.engine.target import Target

__all__ = ["embeds", "model_given", "takes_model", "with_model"]


def embeds(target: Target) -> bool:
    """Whether the call is one of an SDK for embeddings: by its name, which all of them have."""
    return target.endpoint.provider is not None and "embed" in target.name.lower()


def model_given(call: Call) -> bool:
    """Whether the caller, or a `functools.partial`, says which model to ask."""
    if call.target.given(call.kwargs).get("model") is not None:
        return True
    at = _place_of_model(call.target.fn)
    return at is not None and at < len(call.args) and call.args[at] is not None


def takes_model(fn: Callable[..., Any]) -> bool:
    """Whether `fn` can be given `model=` by its name."""
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return True  # a builtin without a signature: its call will tell
    if "model" in parameters:
        return parameters["model"].kind is not inspect.Parameter.POSITIONAL_ONLY
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())


def with_model(call: Call, model: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call's arguments with `model` in place of its own, however that was passed."""
    at = None if "model" in call.kwargs else _place_of_model(call.target.fn)
    if at is None or at >= len(call.args):
        return call.args, {**call.kwargs, "model": model}
    return (*call.args[:at], model, *call.args[at + 1 :]), call.kwargs


def _place_of_model(fn: Callable[..., Any]) -> int | None:
    """Where `model` stands among the positional arguments, if it can be one."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return None
    for at, each in enumerate(parameters):
        if each.kind not in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD):
            return None
        if each.name == "model":
            return at
    return None
