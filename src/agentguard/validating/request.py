"""A request as its checks read it: arguments by name, settings wherever they stand, instructions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import read
from agentguard.providers.items import fields, sequence
from agentguard.providers.prompt import content_of, langchain_model, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentguard.engine.target import Target

__all__ = ["Request"]

_PLAN: Final = "signature"
_INSIDE: Final = ("config", "generation_config", "model_kwargs", "extra_body", "request")
"""Arguments and attributes that hold settings of the request: Google's, LangChain's, OpenAI's."""

_ABSENT: Final = frozenset({"NotGiven", "Omit"})
"""How the SDKs spell that an argument was left out."""

_SYSTEM: Final = (
    "system",
    "instructions",
    "system_prompt",
    "system_instruction",
    "system_message",
)
_ROLES: Final = frozenset({"system", "developer", "SystemMessageChunk"})
_CONVERSATIONS: Final = ("messages", "input", "contents", "prompt")


class Request:
    """What a call asks for.

    Attributes:
        arguments: by name; an empty mapping where they do not fit the callable's signature, which
            will say so itself.
    """

    __slots__ = ("_target", "arguments")

    def __init__(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._target = target
        self.arguments = _named(target, args, kwargs)

    def settings(self, name: str) -> Iterator[Any]:
        """All values that a setting has in the request: each of them may be the one that counts."""
        for place in self._places():
            value = place.get(name)
            if value is not None and type(value).__name__ not in _ABSENT:
                yield value

    def models(self) -> Iterator[Any]:
        """The names of the models that the request asks for."""
        for name in ("model", "model_name"):
            yield from self.settings(name)
        own = self._target.endpoint.model
        if own is not None and "model" not in self.arguments:
            yield own

    def instructed(self) -> bool:
        """Whether there is a system prompt with something in it."""
        given = (value for name in _SYSTEM for value in self.settings(name))
        if any(_says(value) for value in given):
            return True
        conversations = (self.arguments.get(name) for name in _CONVERSATIONS)
        return any(_instructs(each) for each in conversations)

    def _places(self) -> Iterator[Mapping[str, Any]]:
        yield self.arguments
        for name in _INSIDE:
            yield fields(self.arguments.get(name))
        model = langchain_model(self._target)
        if model is not None:
            own = fields(model)
            yield own
            for name in _INSIDE:
                yield fields(own.get(name))


def _named(target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    signature: inspect.Signature | None = target.plans.get(_PLAN)
    if signature is None:
        try:
            signature = inspect.signature(cast("Any", target.fn))
        except (TypeError, ValueError):
            return target.given(kwargs)
        target.plans[_PLAN] = signature
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return {}
    if target.endpoint.provider is None:  # an SDK's defaults are its marks for "not given"
        bound.apply_defaults()
    named = dict(target.given(bound.arguments))
    for each in signature.parameters.values():
        if each.kind is each.VAR_KEYWORD:
            named.update(named.pop(each.name, {}))
    return named


def _says(value: Any) -> bool:
    """Whether there is text in a system prompt: a string, a message, blocks, parts."""
    if isinstance(value, str):
        return bool(value.strip())
    if sequence(value):
        return any(_says(each) for each in value)
    known = fields(value)
    return any(_says(known[name]) for name in ("text", "content", "parts") if known.get(name))


def _instructs(conversation: Any) -> bool:
    messages = read(conversation, "messages") if not sequence(conversation) else conversation
    if not sequence(messages):
        return False
    for each in messages:
        pair: tuple[Any, ...] = cast("Any", each) if isinstance(each, tuple) else ()
        if len(pair) == 2:  # LangChain's short spelling
            if pair[0] in _ROLES and _says(pair[1]):
                return True
        elif role_of(each) in _ROLES and _says(content_of(each)):
            return True
    return False
