"""What an answer says, choice by choice: its text, and the tools that it calls with what.

Of a stream all items together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.items import fields, sequence
from agentguard.providers.shapes import Reading, shape_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

__all__ = ["Choice", "ToolCall", "answered", "is_message"]

_MESSAGES: Final = frozenset({"ai", "AIMessageChunk"})


class ToolCall:
    """A tool that the model calls.

    Attributes:
        name: of the tool.
        arguments: parsed, or as JSON text.
    """

    __slots__ = ("arguments", "name")

    def __init__(self) -> None:
        self.name = ""
        self.arguments: Any = ""

    def put(self, name: object, arguments: object) -> None:
        """Add what an item says of it: JSON text grows, anything else takes its place."""
        if isinstance(name, str) and name:
            self.name = name
        if isinstance(arguments, str) and isinstance(self.arguments, str):
            self.arguments += arguments
        elif arguments is not None:
            self.arguments = arguments


class Choice:
    """One of the choices of an answer; most have one.

    Attributes:
        text: that the user reads.
    """

    __slots__ = ("_calls", "text")

    def __init__(self) -> None:
        self.text = ""
        self._calls: dict[Hashable, ToolCall] = {}

    @property
    def calls(self) -> Sequence[ToolCall]:
        """The calls of tools, in order."""
        return [*self._calls.values()]

    def call(self, key: Hashable, name: object, arguments: object) -> None:
        """Add a call, or more of one that began before."""
        self._calls.setdefault(key, ToolCall()).put(name, arguments)

    def reset(self, key: Hashable) -> None:
        """Forget what came of a call, which now comes whole."""
        self._calls.pop(key, None)


Choices = dict["Hashable", Choice]


def is_message(item: object) -> bool:
    """Whether an item is what an SDK or framework answers with, or a part of it."""
    name = shape_of(item).name
    return name in _READERS and name != "text"


def answered(items: Sequence[Any]) -> list[Choice]:
    """What an answer says.

    Args:
        items: all items of a stream, or a unary answer alone.

    Returns:
        A `Choice` for each; nothing where no item is known to be an answer.

    Examples:
        >>> answered(["4", "2"])[0].text
        '42'
    """
    choices: Choices = {}
    reading = Reading()
    for item in items:
        shape = shape_of(item)
        shape.read(item, reading)
        put = _READERS.get(shape.name)
        if put is not None:
            put(item, choices)
    if 0 in choices and not choices[0].text:
        choices[0].text = reading.text
    return [*choices.values()]


def _plain(item: str, choices: Choices) -> None:
    _choice(choices, 0).text += item


def _chat(item: Any, choices: Choices) -> None:
    known = fields(item)
    if "type" in known and "choices" not in known:  # an event of the SDK's helper
        known = fields(known.get("chunk"))
    for position, choice in enumerate(_each(known, "choices")):
        told = _choice(choices, choice.get("index", position))
        own = choice.get("delta")
        message = fields(choice.get("message") if own is None else own)
        told.text += _text(message.get("content")) + _text(choice.get("text"))
        function = fields(message.get("function_call"))
        if function:
            told.call("function", function.get("name"), function.get("arguments"))
        for place, call in enumerate(_each(message, "tool_calls")):
            number = call.get("index")
            function = fields(call.get("function"))
            if function:
                key = place if number is None else number
                told.call(key, function.get("name"), function.get("arguments"))


def _responses(item: Any, choices: Choices) -> None:
    known = fields(item)
    told = _choice(choices, 0)
    if known.get("type") == "response.output_item.done":
        _output(fields(known.get("item")), told)
    for each in _each(fields(known.get("response")) or known, "output"):
        _output(each, told)


def _output(known: Mapping[str, Any], told: Choice) -> None:
    if known.get("type") == "function_call":
        key = known.get("call_id")
        told.reset(key)
        told.call(key, known.get("name"), known.get("arguments"))


def _anthropic(item: Any, choices: Choices) -> None:
    known = fields(item)
    told = _choice(choices, 0)
    kind, index = known.get("type"), known.get("index")
    if kind == "message":
        for place, block in enumerate(_each(known, "content")):
            if block.get("type") == "tool_use":
                told.call(place, block.get("name"), block.get("input"))
    elif kind == "content_block_start":
        block = fields(known.get("content_block"))
        if block.get("type") == "tool_use":
            told.call(index, block.get("name"), block.get("input") or "")
    elif kind == "content_block_delta":
        part = fields(known.get("delta")).get("partial_json")
        if part:
            told.call(index, None, part)


def _google(item: Any, choices: Choices) -> None:
    for position, candidate in enumerate(_each(fields(item), "candidates")):
        told = _choice(choices, candidate.get("index") or position)
        for part in _each(fields(candidate.get("content")), "parts"):
            if not part.get("thought"):
                told.text += _text(part.get("text"))
            call = fields(part.get("function_call") or part.get("functionCall"))
            if call:
                told.call(len(told.calls), call.get("name"), call.get("args") or {})


def _langchain(item: Any, choices: Choices) -> None:
    for number, message in enumerate(_messages(fields(item))):
        told = _choice(choices, number)
        told.text += _text(message["content"] if "content" in message else message.get("text"))
        pieces = [*_each(message, "tool_call_chunks")]
        for place, piece in enumerate(pieces):
            index = piece.get("index")
            told.call(place if index is None else index, piece.get("name"), piece.get("args"))
        for name in () if pieces else ("tool_calls", "invalid_tool_calls"):
            for call in _each(message, name):
                told.call(call.get("id") or len(told.calls), call.get("name"), call.get("args"))


def _messages(known: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The messages, or bare generations, in what a model of LangChain's returns."""
    if "generations" not in known and "result" not in known:
        yield fields(known.get("message")) or known
        return
    parts: Any = known.get("generations") or known.get("result") or ()
    if parts and sequence(parts[0]):
        parts = parts[0]  # further lists answer further prompts
    for each in parts:
        own = fields(each)
        message = fields(own.get("message")) or own
        if "content" not in message or message.get("type") in _MESSAGES:
            yield message


def _choice(choices: Choices, key: Hashable) -> Choice:
    return choices.setdefault(key, Choice())


def _each(known: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The members of a list in `known`, as fields."""
    members = known.get(name)
    for member in members if sequence(members) else ():
        yield fields(member)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not sequence(content):
        return ""
    texts = (each if isinstance(each, str) else fields(each).get("text") for each in content)
    return "".join(text for text in texts if isinstance(text, str))


_READERS: Final[Mapping[str, Any]] = {
    "text": _plain,
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
    "langchain": _langchain,
}
