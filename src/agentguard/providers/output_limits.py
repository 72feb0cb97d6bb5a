"""The parameter with which each provider bounds the length of an answer.

`max_completion_tokens` or `max_tokens` in OpenAI's chat, `max_output_tokens` in its responses,
`max_tokens` in Anthropic's messages, `config.max_output_tokens` at Google. Reasoning counts in it
everywhere.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import read
from agentguard.providers.items import fields
from agentguard.providers.prompt import langchain_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentguard.engine.target import Target

__all__ = ["asked_output", "least_output", "with_output"]

_NAMES: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens_to_sample")
_OURS: Final = "max_output_tokens"
_THEIRS: Final = "maxOutputTokens"
_LEAST_RESPONSE: Final = 16
"""OpenAI's responses refuse a smaller number."""


def asked_output(target: Target, kwargs: Mapping[str, Any]) -> int | None:
    """How many tokens the request lets the answers have together; None when it does not say.

    Args:
        target: what will be called.
        kwargs: with which keyword arguments.
    """
    known = target.given(kwargs)
    found = [known[name] for name in _NAMES if name in known]
    config: Mapping[str, Any] = fields(known["config"]) if "config" in known else {}
    if config:
        found += [config.get(_OURS), config.get(_THEIRS)]
    owner = langchain_model(target)
    if owner is not None:
        found += [read(owner, name) for name in ("max_tokens", _OURS)]
    limits = [each for each in found if type(each) is int and each > 0]
    if not limits:
        return None
    choices: Any = known.get("n") or config.get("candidate_count") or 1
    return limits[0] * (choices if type(choices) is int else 1)


def least_output(target: Target, kwargs: Mapping[str, Any]) -> int:
    """The smallest bound that the provider accepts for this request.

    Args:
        target: what will be called.
        kwargs: with which keyword arguments.
    """
    known = target.given(kwargs)
    thinking = fields(known.get("thinking")).get("budget_tokens")
    if type(thinking) is int:
        return thinking + 1
    choices: Any = known.get("n")
    least = _LEAST_RESPONSE if _parameter(target, known) == _OURS else 1
    return least * (choices if type(choices) is int else 1)


def with_output(target: Target, kwargs: Mapping[str, Any], tokens: int) -> dict[str, Any] | None:
    """The arguments with answers of so many tokens together at most; None where none says so.

    Args:
        target: what will be called.
        kwargs: with which keyword arguments.
        tokens: for all answers of the request.
    """
    known = target.given(kwargs)
    name = _parameter(target, known)
    if name is None:
        return None
    if name == "config":
        config: Any = known.get("config")
        return {**kwargs, "config": _configured(config, tokens)}
    choices: Any = known.get("n")
    return {**kwargs, name: tokens // choices if type(choices) is int and choices else tokens}


def _parameter(target: Target, known: Mapping[str, Any]) -> str | None:
    """The name of the parameter, the caller's own first; None where nobody knows one."""
    for name in _NAMES:
        if name in known:
            return name
    seen = target.endpoint
    owner = langchain_model(target)
    if owner is not None:
        google = (seen.provider or "").startswith("google")
        known_one = google or seen.provider in {"openai", "anthropic"}
        return (_OURS if google else "max_tokens") if known_one else None
    if seen.provider == "google":
        return "config"
    if seen.provider in {"anthropic", "litellm"}:
        return "max_tokens" if "messages" in known else None
    if seen.provider != "openai":
        return None
    if "messages" in known:
        # Servers that speak OpenAI's protocol may know the older name only.
        return "max_completion_tokens" if seen.official else "max_tokens"
    if "input" in known:
        return None if _embeds(target) else _OURS
    return "max_tokens" if "prompt" in known else None


def _embeds(target: Target) -> bool:
    owner = read(target.fn, "__self__")
    return "Embeddings" in type(owner).__name__


def _configured(config: Any, tokens: int) -> Any:
    """Google's configuration with the bound in it; the caller's own object stays as it is."""
    if config is None:
        return {_OURS: tokens}
    if isinstance(config, dict):
        known = cast("dict[str, Any]", config)
        return {**known, (_THEIRS if _THEIRS in known else _OURS): tokens}
    changed = copy.copy(config)
    setattr(changed, _OURS, tokens)
    return changed
