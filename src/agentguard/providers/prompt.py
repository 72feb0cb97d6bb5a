"""The prompt of a request as the provider's cache reads it: tools, system prompt, conversation.

Anthropic's SDK sends the three apart. In the requests of OpenAI, LiteLLM and LangChain the system
prompt is the first of the messages.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.evidence import read
from agentguard.providers.items import fields, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentguard.engine.target import Target

__all__ = ["ANSWERING", "ASKING", "Prompt", "content_of", "langchain_model", "prompt_of", "role_of"]

ASKING: Final = frozenset({"user", "human", "tool"})
ANSWERING: Final = frozenset({"assistant", "ai", "AIMessageChunk"})
_INSTRUCTING: Final = frozenset({"system", "developer"})
_CLAUDES: Final = ("claude", "anthropic/", "bedrock/", "vertex_ai/")
"""How LiteLLM's names of Claude models begin."""


class Prompt:
    """What a request asks, by parts, in the order in which the provider reads them.

    Attributes:
        kind: "anthropic", "langchain" (of a Claude model) or "litellm" (of one), which take marks;
            "openai" (also by LangChain), which takes a key.
        tools: as the request has them.
        system: the system prompt: a text, blocks, or the messages it is in.
        messages: the conversation, with the system messages that stand before it.
        start: how many those are.
        known: the keyword arguments, those of a partial included.
        positional: the messages are the first positional argument.
    """

    __slots__ = ("kind", "known", "messages", "positional", "start", "system", "tools")

    def __init__(self, kind: str, known: Mapping[str, Any], messages: Any, tools: Any) -> None:
        self.kind = kind
        self.known = known
        self.messages: Sequence[Any] = messages if sequence(messages) else ()
        self.positional = False
        self.tools: Sequence[Any] = tools if sequence(tools) else ()
        self.start = 0
        self.system: Any = known.get("system")
        if kind == "anthropic":
            return
        while self.start < len(self.messages) and self._instructs(self.messages[self.start]):
            self.start += 1
        self.system = [*self.messages[: self.start]]
        if kind == "openai" and isinstance(known.get("instructions"), str):
            self.system.insert(0, known["instructions"])

    @staticmethod
    def _instructs(message: Any) -> bool:
        return role_of(message) in _INSTRUCTING

    @property
    def continues(self) -> bool:
        """Whether the model has answered in it before."""
        return any(role_of(each) in ANSWERING for each in self.messages)

    @property
    def instructions(self) -> str:
        """The text of the system prompt."""
        system = self.system
        return system if isinstance(system, str) else "\n".join(_texts(system))

    @property
    def opening(self) -> str:
        """The text that the conversation begins with."""
        first = self.messages[self.start : self.start + 1]
        return "\n".join(_texts(first))


def prompt_of(target: Target, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prompt | None:
    """The prompt of a call; None where no provider is seen whose cache can be helped.

    Args:
        target: what will be called.
        args: with which positional arguments.
        kwargs: with which keyword arguments.
    """
    provider = target.endpoint.provider
    if provider not in {"anthropic", "openai", "litellm"} or target.tool:
        return None
    known = target.given(kwargs)
    model = known.get("model")
    if not isinstance(model, (str, type(None))):
        return None  # no request at all: the SDK will say so
    if provider == "litellm" and not (
        "claude" in (model or "") and str(model).startswith(_CLAUDES)
    ):
        return None
    messages: Any = known.get("messages")
    positional = False
    kind = provider
    if provider != "litellm" and langchain_model(target) is not None:
        positional = messages is None and bool(args)
        messages = args[0] if positional else messages
        kind = "langchain" if provider == "anthropic" else "openai"
    elif provider == "openai" and messages is None:
        messages = known.get("input") if _responds(target) else None
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
    if not sequence(messages):
        return None
    prompt = Prompt(kind, known, messages, known.get("tools"))
    prompt.positional = positional
    return prompt


def langchain_model(target: Target) -> object:
    """The LangChain model behind a callable, if it is one."""
    owner: Any = read(target.fn, "__self__")
    return owner if owner is not None and _of_langchain(cast("Any", type(owner))) else None


@functools.lru_cache(maxsize=1024)
def _of_langchain(kind: Any) -> bool:
    return any(base.__module__.startswith("langchain") for base in kind.__mro__)


def role_of(message: Any) -> str:
    """Who says a message: its role, or the type of one of LangChain's."""
    known = fields(message)
    return str(known.get("role") or known.get("type"))


def content_of(message: Any) -> Any:
    """What a message says: a text or blocks."""
    return fields(message).get("content")


def _responds(target: Target) -> bool:
    """Whether it is OpenAI's Responses API: embeddings have an `input` too."""
    owner = type(read(target.fn, "__self__")).__name__
    return owner.endswith("Responses") or target.name.endswith(".responses")


def _texts(node: Any) -> Iterator[str]:
    """The texts of messages, of blocks or of both, in order."""
    if isinstance(node, str):
        yield node
    elif sequence(node):
        for each in node:
            yield from _texts(each)
    else:
        known = fields(node)
        text = known.get("text")
        yield from _texts(
            text if isinstance(text, str) else cast("Any", known.get("content") or ())
        )
