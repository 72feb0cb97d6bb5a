"""What a model is told that is asked again: its answer and what was wrong with it, as messages.

The conversation is extended in the form in which it was given. A function of the user's gets it as
its argument `feedback` where it has one, else at the end of its prompt.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.items import sequence
from agentguard.providers.prompt import langchain_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentguard.engine.target import Target

__all__ = ["with_feedback"]

_PROMPTS: Final = (
    "messages",
    "input",
    "contents",
    "prompt",
    "question",
    "query",
    "message",
    "text",
)
"""What a conversation, or the one text that stands for it, is called, most telling first."""


def with_feedback(
    target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], said: str, why: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call that asks again.

    Args:
        target: what is called.
        args: the positional arguments of the first call.
        kwargs: its keyword arguments.
        said: the text of the answer that was not good enough; empty where it had none.
        why: what was wrong with it.

    Returns:
        New arguments. They are those given where no conversation is seen in them.
    """
    names = _names(target)
    if "feedback" in names and target.endpoint.provider is None:
        return args, {**kwargs, "feedback": why}
    known: dict[str, Any] = {**target.given(kwargs)}
    for name, value in zip(names, args, strict=False):
        known.setdefault(name, value)
    if langchain_model(target) is not None and args:
        return (_longer(args[0], said, why, _langchain), *args[1:]), kwargs
    message: Any = _google if target.endpoint.provider == "google" else _plain
    if langchain_model(target) is not None:
        message = _langchain
    for name in _PROMPTS:
        value = known.get(name)
        if isinstance(value, str) or sequence(value):
            if isinstance(value, str) and target.endpoint.provider is None:
                longer: Any = f"{value}\n\n{why}"
            else:
                longer = _longer(value, said, why, message)
            return _put(names, args, kwargs, name, longer)
    texts = [name for name, value in known.items() if isinstance(value, str)]
    if target.endpoint.provider is None and len(texts) == 1:
        return _put(names, args, kwargs, texts[0], f"{known[texts[0]]}\n\n{why}")
    places = [place for place, value in enumerate(args) if isinstance(value, str)]
    if target.endpoint.provider is None and not texts and len(places) == 1:
        (place,) = places
        return (*args[:place], f"{args[place]}\n\n{why}", *args[place + 1 :]), kwargs
    return args, kwargs


def _put(
    names: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str, value: object
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if name not in kwargs and name in names[: len(args)]:
        place = names.index(name)
        return (*args[:place], value, *args[place + 1 :]), {**kwargs}
    return args, {**kwargs, name: value}


def _longer(conversation: Any, said: str, why: str, message: Any) -> list[Any]:
    if isinstance(conversation, str):
        messages = [message("user", conversation)]
    elif hasattr(conversation, "to_messages"):  # a prompt of LangChain's
        messages = [*conversation.to_messages()]
    else:
        messages = [*conversation] if sequence(conversation) else [conversation]
    if said:
        messages.append(message("assistant", said))
    return [*messages, message("user", why)]


def _plain(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def _google(role: str, text: str) -> dict[str, Any]:
    return {"role": "user" if role == "user" else "model", "parts": [{"text": text}]}


def _langchain(role: str, text: str) -> tuple[str, str]:
    return ("human" if role == "user" else "ai", text)


def _names(target: Target) -> list[str]:
    try:
        parameters = inspect.signature(cast("Any", target.fn)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        each.name for each in parameters if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
    ]
