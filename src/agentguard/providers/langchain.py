"""LangChain messages: whole ones, the chunks of a stream, and what models return them in.

A message says the same thing in several places (content blocks, tool calls, their raw form in
`additional_kwargs`); each place is a channel of its own, so that none keeps what a guard took
out of another.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, cast

from agentguard.providers.items import (
    Path,
    at,
    fields,
    leaves,
    named,
    rebuilt,
    reparsed,
    sequence,
)
from agentguard.providers.openai import tool_calls
from agentguard.providers.shapes import ALL, OPAQUE, WHOLE, Reading, Shape
from agentguard.providers.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    Found = Iterator[tuple[Hashable, Path, str]]

_BLOCK_TEXTS = frozenset(
    {"text", "thinking", "reasoning", "refusal", "reasoning_content", "cited_text", "output"}
)
_BLOCK_JSON = ("partial_json", "args", "arguments", "input")
_REASONS = ("finish_reason", "stop_reason", "done_reason")


class Messages(Shape):
    """An AIMessage, any other message, a chunk of one, or a ChatGeneration that holds one.

    Channels: `("content",)` for plain content, `(block, "text")` and the like for content blocks
    by their index, `("tool", call, "json")` for the arguments of a call as they stream, and
    `("tool", call, "args", *way)` for each string in arguments that are parsed.
    """

    name: ClassVar[str] = "langchain"
    ends: ClassVar[bool | None] = None
    kept: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("id", "type", "name", "example"), ...),
        "content": "",
        "text": "",
        "additional_kwargs": {},
        "response_metadata": {},
        "tool_calls": [],
        "invalid_tool_calls": [],
        "tool_call_chunks": [],
    }
    kept_inside: ClassVar[Mapping[str, Any]] = {**kept, "index": ..., "id": None, "name": None}

    def read(self, item: Any, into: Reading) -> None:
        """Usage is the sum over chunks, see below; everything else as it comes."""
        known, path = _message(item)
        content = known.get("content")
        into.refused = into.refused or _declines(known)
        if content:
            into.content = True
            if isinstance(content, str):
                into.parts.append(content)
            else:
                for block in content:
                    text = block if isinstance(block, str) else fields(block).get("text")
                    if isinstance(text, str) and text:
                        into.parts.append(text)
        elif not into.content:
            more = fields(known.get("additional_kwargs"))
            into.content = bool(
                known.get("tool_call_chunks")
                or known.get("tool_calls")
                or known.get("invalid_tool_calls")
                or any(more.values())
            )
        figures = known.get("usage_metadata")
        if figures is not None:
            usage = usage_of(figures)
            if usage is not None:
                # The one shape whose chunks add up, by their own `+`: the Anthropic and Google
                # integrations split the figures over several chunks.
                into.usage = usage if into.usage is None else into.usage + usage
        meta = known.get("response_metadata")
        if meta:
            _read_end(meta, into)
        if path:
            _read_end(fields(fields(item).get("generation_info")), into)
        if known.get("type") == "ai":
            # Not chunk_position="last": langchain-core adds that to a stream that was cut, too.
            into.finished = True

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """Content or its blocks, tool arguments, and what `additional_kwargs` repeat of them."""
        known, path = _message(item)
        content = known.get("content")
        if isinstance(content, str):
            yield ("content",), (*path, "content"), content
        elif sequence(content):
            for position, block in enumerate(content):
                yield from _block(block, (*path, "content", position), position)
        chunks = known.get("tool_call_chunks")
        if chunks:
            yield from _arguments(chunks, (*path, "tool_call_chunks"), "tool")
        else:
            yield from _arguments(known.get("tool_calls"), (*path, "tool_calls"), "tool")
            invalid = known.get("invalid_tool_calls")
            yield from _arguments(invalid, (*path, "invalid_tool_calls"), "invalid")
        more = fields(known.get("additional_kwargs"))
        here = (*path, "additional_kwargs")
        yield from tool_calls(more.get("tool_calls"), (*here, "tool_calls"), ("more",))
        call = fields(more.get("function_call")).get("arguments")
        if isinstance(call, str):
            yield ("more", "function", "json"), (*here, "function_call", "arguments"), call
        parsed = more.get("parsed")
        if parsed is not None and not content:  # the chunk after the last sums the answer up
            dumped = json.dumps(parsed, default=_jsonable, ensure_ascii=False)
            yield (WHOLE, ("content",)), (*here, "parsed"), dumped
        for inner, text in named(
            {n: v for n, v in more.items() if n not in {"tool_calls", "function_call", "parsed"}},
            _BLOCK_TEXTS,
        ):
            yield ("more", *inner), (*here, *inner), text

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """All, once a chunk says why or that the answer ended."""
        known, _ = _message(item)
        over = known.get("chunk_position") == "last" or any(
            meta.get(name)
            for meta in (
                fields(known.get("response_metadata")),
                fields(fields(item).get("generation_info")),
            )
            for name in _REASONS
        )
        return (ALL,) if over else ()

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """As `Shape.join`, with what the message's class derives from its texts."""
        joined = super().join(item, texts)
        return item if joined is item else _settled(item, joined)

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """As `Shape.carrier`, with what the message's class derives from its texts."""
        carried = super().carrier(item, channel, text)
        return None if carried is None else _settled(item, carried)


class Completions(Shape):
    """A Generation of a classic model, or a chunk of one: plain text. Its one channel is "text"."""

    name: ClassVar[str] = "langchain"
    ends: ClassVar[bool | None] = None
    kept: ClassVar[Mapping[str, Any]] = {"type": ...}

    def read(self, item: Any, into: Reading) -> None:
        """Text, and in the last chunk why it ended."""
        known = fields(item)
        text = known.get("text")
        if text:
            into.content = True
            into.parts.append(text)
        _read_end(fields(known.get("generation_info")), into)

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """The text."""
        yield ("text",), ("text",), fields(item).get("text") or ""

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """All, once a chunk says why it ended."""
        info = fields(fields(item).get("generation_info"))
        return (ALL,) if any(info.get(name) for name in _REASONS) else ()

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """As `Shape.join`; log-probabilities spell out the old text."""
        joined = super().join(item, texts)
        if joined is item or not fields(fields(item).get("generation_info")).get("logprobs"):
            return joined
        return rebuilt(joined, [(("generation_info", "logprobs"), None)])


class Results(Shape):
    """What models return whole: a ChatResult, an LLMResult, an agent's ModelResponse.

    Channels: those of the generations or messages in it, each under its number.
    """

    name: ClassVar[str] = "langchain"

    def read(self, item: Any, into: Reading) -> None:
        """The first answer; what it used stands in every one of them, or beside them."""
        for _, part in _parts(item):
            shape = _shape_of_part(part)
            if shape is not COMPLETIONS and _message(part)[0].get("type") != "ai":
                continue
            if not into.parts and into.usage is None:
                shape.read(part, into)
                continue
            other = Reading()
            shape.read(part, other)
            into.content = into.content or other.content
            into.refused = into.refused or other.refused
            if other.finish_reason is not None:
                into.others += (other.finish_reason,)
        into.finished = True
        beside = fields(fields(item).get("llm_output"))
        if into.usage is None:
            into.usage = usage_of(beside.get("token_usage") or beside.get("usage"))
        if into.model is None:
            _read_end(beside, into)

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """Those of every answer."""
        for number, (path, part) in enumerate(_parts(item)):
            for channel, inner, text in _shape_of_part(part).texts(part):
                yield (number, *cast("tuple[Any, ...]", channel)), (*path, *inner), text

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """All: it is whole."""
        return (ALL,)

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """Each answer joined by its own shape, and the object parsed from them parsed anew."""
        changes: list[tuple[Path, Any]] = []
        for number, (path, part) in enumerate(_parts(item)):
            own = {channel[1:]: text for channel, text in texts.items() if channel[0] == number}
            joined = _shape_of_part(part).join(part, own)
            if joined is not part:
                changes.append((path, joined))
        copy = rebuilt(item, changes)
        parsed = fields(item).get("structured_response")
        if parsed is not None and changes:
            copy = rebuilt(copy, [(("structured_response",), reparsed(parsed, _source(copy)))])
        return copy

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """None: nothing of it streams."""
        return None


def _parts(item: Any) -> Iterator[tuple[Path, Any]]:
    """The generations or messages in a result, with the way to each."""
    known = fields(item)
    for name in ("generations", "result"):
        for number, part in enumerate(known.get(name) or ()):
            if sequence(part):  # an LLMResult has one list for each prompt
                yield from (((name, number, i), each) for i, each in enumerate(part))
            else:
                yield (name, number), part


def _shape_of_part(part: Any) -> Shape:
    known = fields(part)
    return MESSAGES if "message" in known or "content" in known else COMPLETIONS


def _source(item: Any) -> str:
    """The JSON that an agent's structured response was parsed from: a text, or a tool's arguments."""
    for _, message in _parts(item):
        known = fields(message)
        text = _visible(known)
        if text:
            return text
        for call in known.get("tool_calls") or ():
            return json.dumps(fields(call).get("args"))
    return ""


def _read_end(meta: Mapping[str, Any], into: Reading) -> None:
    model = meta.get("model_name") or meta.get("model")
    if isinstance(model, str):
        into.model = model
    for name in _REASONS:
        if meta.get(name) is not None:
            into.finished = True
            into.finish_reason = str(meta[name])
    status = meta.get("status")
    if into.finish_reason is None and isinstance(status, str):  # of the Responses API
        into.finish_reason = fields(meta.get("incomplete_details")).get("reason") or status
    request = meta.get("request_id")
    if isinstance(request, str):
        into.request_id = request


def _declines(known: Mapping[str, Any]) -> bool:
    content = known.get("content")
    if sequence(content) and any(fields(block).get("type") == "refusal" for block in content):
        return True
    return bool(fields(known.get("additional_kwargs")).get("refusal"))


def _message(item: Any) -> tuple[Mapping[str, Any], Path]:
    known = fields(item)
    if "message" in known and "content" not in known:
        return fields(known["message"]), ("message",)
    return known, ()


def _settled(item: Any, copy: Any) -> Any:
    """`copy` with everything that is derived from its texts derived anew."""
    old, path = _message(item)
    new, _ = _message(copy)
    text = _visible(new)
    changes: list[tuple[Path, Any]] = [(("text",), text)] if path else []
    if path and fields(fields(copy).get("generation_info")).get("logprobs"):
        changes.append((("generation_info", "logprobs"), None))
    if fields(new.get("response_metadata")).get("logprobs"):
        changes.append(((*path, "response_metadata", "logprobs"), None))
    parsed = fields(new.get("additional_kwargs")).get("parsed")
    if parsed is not None and text:
        changes.append(((*path, "additional_kwargs", "parsed"), reparsed(parsed, text)))
    copy = rebuilt(copy, changes)
    message = at(copy, path)
    calls = new.get("tool_call_chunks")
    if calls and calls != old.get("tool_call_chunks") and hasattr(message, "init_tool_calls"):
        content = new.get("content")
        if isinstance(content, list):  # its class changes it in place: not the original's
            vars(message)["content"] = list(cast("Any", content))
        message.init_tool_calls()
    return copy


def _visible(known: Mapping[str, Any]) -> str:
    content = known.get("content")
    if isinstance(content, str):
        return content
    blocks = content or ()
    return "".join(
        block if isinstance(block, str) else str(fields(block).get("text") or "")
        for block in blocks
    )


def _block(block: Any, path: Path, position: int) -> Found:
    if isinstance(block, str):
        yield (position, "text"), path, block
        return
    known = fields(block)
    index = known.get("index", position)
    for name in _BLOCK_JSON:
        value = known.get(name)
        if isinstance(value, str):
            yield (index, name, "json"), (*path, name), value
        else:
            for inner, text in leaves(value):
                yield (index, name, *inner), (*path, name, *inner), text
    rest = {name: value for name, value in known.items() if name not in _BLOCK_JSON}
    for inner, text in named(rest, _BLOCK_TEXTS):
        yield (index, *inner), (*path, *inner), text


def _jsonable(value: object) -> object:
    return dict(fields(value)) or str(value)


def _arguments(calls: Any, path: Path, word: str) -> Found:
    if not sequence(calls):
        return
    for position, call in enumerate(calls):
        known = fields(call)
        index = known.get("index")
        number = position if index is None else index
        arguments = known.get("args")
        if isinstance(arguments, str):
            yield (word, number, "json"), (*path, position, "args"), arguments
        else:
            for inner, text in leaves(arguments):
                yield (word, number, "args", *inner), (*path, position, "args", *inner), text


MESSAGES = Messages()
COMPLETIONS = Completions()
RESULTS = Results()


def shape_of_type(kind: type) -> Shape:
    """The shape of a class of `langchain_core`, or of the agents' `langchain`, by its fields."""
    known: Any = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", ())
    if "message" in known or "content" in known:
        return MESSAGES
    if "generations" in known or "structured_response" in known:
        return RESULTS
    return COMPLETIONS if "generation_info" in known else OPAQUE


def shape_of_dict(item: Mapping[str, Any]) -> Shape | None:
    """The shape of a message that was dumped to a dict."""
    if item.get("type") in {"ai", "AIMessageChunk"} and "content" in item:
        return MESSAGES
    return None
