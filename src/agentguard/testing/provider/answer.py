"""What the fake provider says: text or tool calls, in which chunks, how fast, with which usage."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentguard.testing.provider.prompt_caches import Served

Finish = Literal["stop", "length", "tool_calls", "content_filter"]
UsageField = Literal["input", "output", "cached", "cache_write", "reasoning"]

_WORD = re.compile(r"\s*\S+|\s+$")


class Options(TypedDict, total=False):
    """Keywords that every answer and every fault takes.

    Attributes:
        chunks: the text as it is streamed, one content event each; the text word by word otherwise.
        tools: tool calls as `(name, arguments)`; arguments are a mapping, or a `str` sent as it is.
        thinking: reasoning text, sent before the answer.
        finish: why the model stopped; "tool_calls" where there are tools, "stop" otherwise.
        usage: tokens to report; input includes cached ones. Words are counted otherwise.
        model: the model that claims to have served the call; the requested one otherwise.
        first: seconds before the first content event, or before a unary answer begins.
        each: seconds between content events; a unary answer takes as long as its stream would.
        headers: extra response headers.
    """

    chunks: Sequence[str]
    tools: Sequence[tuple[str, Mapping[str, object] | str]]
    thinking: str
    finish: Finish
    usage: Mapping[UsageField, int]
    model: str
    first: float
    each: float
    headers: Mapping[str, str]


class ToolCall:
    """One call the model asks for; `pieces` are its JSON arguments as a stream delivers them."""

    __slots__ = ("arguments", "name", "pieces")

    def __init__(self, name: str, arguments: Mapping[str, object] | str) -> None:
        self.name = name
        self.arguments = arguments if isinstance(arguments, str) else json.dumps(dict(arguments))
        self.pieces = [self.arguments[i : i + 8] for i in range(0, len(self.arguments), 8)]

    def parsed(self) -> object:
        """Return the arguments as an object, empty when they are not valid JSON."""
        try:
            return json.loads(self.arguments)
        except ValueError:
            return {}


class Answer:
    """One answer, whatever the protocol that carries it; `text=None` is the provider's default."""

    __slots__ = (
        "chunks",
        "each",
        "finish",
        "first",
        "headers",
        "model",
        "text",
        "thinking",
        "tools",
        "usage",
    )

    def __init__(self, text: str | None, options: Options) -> None:
        chunks = options.get("chunks")
        if chunks is not None and (text is not None or isinstance(chunks, str)):
            raise TypeError("chunks= is a list of str and replaces the text; pass one of the two")
        self.tools = [ToolCall(name, arguments) for name, arguments in options.get("tools", ())]
        if text is None and self.tools:
            text = ""
        self.text = text if chunks is None else "".join(chunks)
        self.chunks = words(text or "") if chunks is None else list(chunks)
        self.thinking = options.get("thinking", "")
        self.finish: Finish = options.get("finish", "tool_calls" if self.tools else "stop")
        self.usage = dict(options.get("usage", {}))
        self.model = options.get("model")
        self.first = options.get("first", 0.0)
        self.each = options.get("each", 0.0)
        self.headers = dict(options.get("headers", {}))
        self._check()

    def _check(self) -> None:
        if self.finish not in get_args(Finish):
            raise ValueError(f"finish={self.finish!r} is none of {', '.join(get_args(Finish))}")
        for name in self.usage:
            if name not in get_args(UsageField):
                fields = ", ".join(get_args(UsageField))
                raise ValueError(f"usage has no {name!r}; it has: {fields}")
        if self.first < 0 or self.each < 0:
            raise ValueError("first= and each= are seconds, not negative")

    def saying(self, text: str) -> Answer:
        """Return a copy of this answer with the provider's default text."""
        filled: Answer = object.__new__(Answer)
        for name in Answer.__slots__:
            setattr(filled, name, getattr(self, name))
        filled.text = text
        filled.chunks = words(text)
        return filled

    def seconds(self) -> float:
        """Return how long a unary answer takes to be written."""
        return self.first + self.each * max(0, len(self.chunks) - 1)


class Tokens:
    """The usage of one answer; `input` includes what was cached, `output` the reasoning."""

    __slots__ = ("cache_write", "cache_write_1h", "cached", "input", "output", "reasoning")

    def __init__(
        self, body: Mapping[str, Any], answer: Answer, served: Served | None = None
    ) -> None:
        said = len((answer.text or "").split()) + sum(len(t.pieces) for t in answer.tools)
        reasoning = len(answer.thinking.split())
        usage = answer.usage
        self.input = usage.get("input", max(1, _count(body)))
        self.output = usage.get("output", max(1, said + reasoning))
        self.cached = usage.get("cached", 0)
        self.cache_write = usage.get("cache_write", 0)
        self.cache_write_1h = 0
        self.reasoning = usage.get("reasoning", reasoning)
        if served is not None and usage.keys().isdisjoint({"input", "cached", "cache_write"}):
            self.input, self.cached, self.cache_write, self.cache_write_1h = served

    @property
    def total(self) -> int:
        """Return input and output together."""
        return self.input + self.output


def words(text: str) -> list[str]:
    """Split text after each word, so that the pieces joined are the text again."""
    return _WORD.findall(text)


def _count(body: Mapping[str, Any]) -> int:
    return sum(1 for name in _PROMPT_FIELDS for _ in prompt_words(body.get(name)))


_PROMPT_FIELDS = (
    "tools",
    "system",
    "instructions",
    "systemInstruction",
    "messages",
    "input",
    "contents",
)
_NOT_PROMPT = frozenset(
    {"cache_control", "call_id", "id", "role", "tool_call_id", "tool_use_id", "type"}
)


def prompt_words(value: object) -> Iterator[str]:
    """Yield the words of a part of a request, each of which is a token."""
    if isinstance(value, str):
        yield from value.split()
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from prompt_words(item)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            if key not in _NOT_PROMPT:
                yield from prompt_words(item)
