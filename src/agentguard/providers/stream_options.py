"""`stream_options.include_usage`: without it a stream of OpenAI's chat completions tells no usage.

Who knows the option is known by the callable: the openai SDK's `chat.completions.create`, a guarded
client of it, LiteLLM, which hands it on to those of its providers that know it. What a server
answers that does not is remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import evidence, read
from agentguard.providers.items import fields

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from agentguard.engine.target import Target

__all__ = ["asking", "forget", "refused", "tells_usage_alone"]

_OPTION: Final = "stream_options"
_MOST: Final = 1024
_REFUSALS: Final = (400, 422)

_refusing: Final[set[Hashable]] = set()


def asking(target: Target, kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments with the option; None where it is set, has no place, or was refused before.

    Args:
        target: what will be called.
        kwargs: with which keyword arguments.
    """
    known = target.given(kwargs)
    if known.get("stream") is not True or "messages" not in known or not target.endpoint.meters:
        return None
    options: Any = known.get(_OPTION)
    if options is not None and (not isinstance(options, dict) or "include_usage" in options):
        return None
    body: Any = known.get("extra_body")
    if isinstance(body, dict) and _OPTION in body:
        return None
    if _refusing and _place(target, known) in _refusing:
        return None
    return {**kwargs, _OPTION: {**cast("dict[str, Any]", options or {}), "include_usage": True}}


def refused(error: Exception, target: Target, kwargs: Mapping[str, Any]) -> bool:
    """Whether the server refuses the option, which is remembered.

    Args:
        error: what it answered.
        target: what was called.
        kwargs: with which keyword arguments, the option aside.
    """
    found = evidence(error)
    if found.status not in _REFUSALS:
        return False
    said = (found.message, str(read(error, "param")), str(read(error, "body")), str(error))
    if not any(word in text for text in said for word in (_OPTION, "include_usage")):
        return False
    if len(_refusing) >= _MOST:
        _refusing.clear()
    _refusing.add(_place(target, target.given(kwargs)))
    return True


def tells_usage_alone(item: Any) -> bool:
    """Whether a chunk is the one that the option adds: usage, and in LiteLLM an empty choice.

    Args:
        item: of a stream of chat completions.
    """
    known = fields(item)
    return known.get("usage") is not None and not any(map(_says, known.get("choices") or ()))


def _says(choice: Any) -> bool:
    known = fields(choice)
    return known.get("finish_reason") is not None or any(fields(known.get("delta")).values())


def forget() -> None:
    """Ask every server anew."""
    _refusing.clear()


def _place(target: Target, kwargs: Mapping[str, Any]) -> Hashable:
    seen = target.endpoint
    # One address serves one API, but behind LiteLLM each model may be elsewhere.
    model = str(kwargs.get("model")) if seen.provider == "litellm" else None
    return seen.provider, str(kwargs.get("api_base") or seen.base_url), model
