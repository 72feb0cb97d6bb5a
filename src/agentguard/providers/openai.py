"""OpenAI chat completions, text completions and embeddings; LiteLLM and compatible servers.

Texts are found in chunks and whole answers alike: content, refusal, reasoning (`reasoning_content`
of DeepSeek and LiteLLM, `reasoning` of OpenRouter and vLLM, thinking blocks), tool arguments, the
transcript of audio. So are the events of the SDK's own `.stream()` helper, which repeat them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from agentguard.providers.items import Path, carved, fields, named, rebuilt, sequence
from agentguard.providers.shapes import OPAQUE, WHOLE, Reading, Shape
from agentguard.providers.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

_PLAIN = ("content", "refusal", "reasoning_content", "reasoning")
_BLOCKS = ("content", "thinking_blocks", "reasoning_details", "reasoning_items")
_BLOCK_TEXTS = frozenset({"text", "thinking", "summary", "reasoning"})
_USABLE = (
    "refusal",
    "tool_calls",
    "function_call",
    "audio",
    "images",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
    "reasoning_details",
    "reasoning_items",
)


class Chat(Shape):
    """Chat completions and their chunks, whole or with `n` choices, and legacy completions.

    Channels: `(choice, "content")`, `(choice, "refusal")`, `(choice, "reasoning_content")`,
    `(choice, "tool", call, "json")` and the like.
    """

    name: ClassVar[str] = "openai.chat"
    ends: ClassVar[bool | None] = None
    kept: ClassVar[Mapping[str, Any]] = dict.fromkeys(
        ("id", "object", "created", "model", "system_fingerprint", "service_tier"), ...
    )
    kept_inside: ClassVar[Mapping[str, Any]] = {"index": ..., "type": ...}

    def read(self, item: Any, into: Reading) -> None:
        """Chunks without choices (usage, Azure's filter results) and role deltas only open."""
        if item.__class__ is not dict:
            try:  # nearly every item is such a chunk: its text and nothing else
                (choice,) = item.choices
                text = choice.delta.content
                if (
                    text
                    and text.__class__ is str
                    and choice.index == 0
                    and choice.finish_reason is None
                    and item.usage is None
                    and into.model is not None
                ):
                    into.parts.append(text)
                    into.content = True
                    return
            except (AttributeError, TypeError, ValueError):
                pass  # whole answers, LiteLLM's chunks, several choices or none
        self._read_all(fields(item), into)

    def _read_all(self, known: Mapping[str, Any], into: Reading) -> None:
        choices = known.get("choices")
        failure = known.get("error")
        if failure:  # OpenRouter, in place of choices or beside the last one
            self._read_error(failure, into)
        elif choices is None:
            into.content = True
        for choice in map(fields, choices or ()):
            own = choice.get("delta")
            self._read_choice(choice, fields(choice.get("message") if own is None else own), into)
        usage = known.get("usage")
        if usage is not None:
            into.usage = usage_of(usage) or into.usage
        into.tier = known.get("service_tier") or into.tier
        if into.model is None:
            into.model = known.get("model")
            into.request_id = known.get("_request_id")

    def _read_choice(
        self, choice: Mapping[str, Any], delta: Mapping[str, Any], into: Reading
    ) -> None:
        first = not choice.get("index")
        content = delta.get("content") or choice.get("text")
        if content:
            into.content = True
        elif not into.content:
            into.content = any(delta.get(name) for name in _USABLE)
        if isinstance(content, str):
            (into.parts if first else into.beside).append(content)
        elif first and sequence(content):
            texts = [fields(block).get("text") for block in content]
            into.parts += [text for text in texts if isinstance(text, str)]
        if not content:
            into.beside += _beside(delta)
        if delta.get("refusal"):
            into.refused = True
        reason = choice.get("finish_reason")
        if reason is not None:
            into.finished = True
            if first:
                into.finish_reason = reason
            else:
                into.others += (reason,)

    def _read_error(self, error: Any, into: Reading) -> None:
        from agentguard.providers.inband import provider_error

        known = fields(error)
        into.error = provider_error(
            known.get("code") or known.get("type"), known.get("message"), into.request_id
        )

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """The texts of every choice."""
        for position, choice in enumerate(fields(item).get("choices") or ()):
            known = fields(choice)
            index = known.get("index", position)
            path: Path = ("choices", position)
            for name in ("delta", "message"):
                if known.get(name) is not None:
                    yield from _message(fields(known[name]), (*path, name), (index,))
            text = known.get("text")
            if isinstance(text, str):
                yield (index, "text"), (*path, "text"), text

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """Every channel of a choice that has its finish reason."""
        choices = fields(item).get("choices") or ()
        return tuple(
            (known.get("index", position),)
            for position, known in enumerate(map(fields, choices))
            if known.get("finish_reason") is not None
        )

    def join(self, item: Any, texts: Mapping[Any, str]) -> Any:
        """As `Shape.join`; LiteLLM keeps Anthropic's answer a second time, out of sight."""
        joined = super().join(item, texts)
        if joined is not item:
            hidden = getattr(joined, "_hidden_params", None)
            if isinstance(hidden, dict) and "original_response" in hidden:
                kept: dict[str, Any] = {**hidden}
                del kept["original_response"]
                joined._hidden_params = kept  # noqa: SLF001  the name it has in LiteLLM
        return joined

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """Also made of the chunk that finishes a choice, which carries no text of its own."""
        carried = super().carrier(item, channel, text)
        if carried is None:
            for position, choice in enumerate(fields(item).get("choices") or ()):
                known = fields(choice)
                index = known.get("index", position)
                for name in _PLAIN if known.get("delta") is not None else ():
                    if channel == (index, name):
                        path = ("choices", position, "delta", name)
                        return carved(item, path, text, self.kept, self.kept_inside)
        return carried


def _beside(delta: Mapping[str, Any]) -> Iterator[str]:
    """The reasoning, the refusal and the tool arguments of a chunk."""
    for name in _PLAIN[1:]:
        text = delta.get(name)
        if isinstance(text, str):
            yield text
            if name == "reasoning_content":
                break  # OpenRouter and vLLM repeat it under the other name
    for call in delta.get("tool_calls") or ():
        arguments = fields(fields(call).get("function")).get("arguments")
        if isinstance(arguments, str):
            yield arguments


def _message(
    known: Mapping[str, Any], path: Path, key: tuple[Hashable, ...]
) -> Iterator[tuple[Hashable, Path, str]]:
    for name in _PLAIN:
        text = known.get(name)
        if isinstance(text, str):
            yield (*key, name), (*path, name), text
    for name in _BLOCKS:
        blocks = known.get(name)
        if sequence(blocks):
            for inner, text in named(blocks, _BLOCK_TEXTS):
                # Content is one text however it is cut up; blocks of reasoning stand apart.
                channel = (*key, name) if name == "content" else (*key, name, *inner)
                yield channel, (*path, name, *inner), text
    call = fields(known.get("function_call"))
    if isinstance(call.get("arguments"), str):
        yield (
            (*key, "function_call", "json"),
            (*path, "function_call", "arguments"),
            call["arguments"],
        )
    yield from tool_calls(known.get("tool_calls"), (*path, "tool_calls"), key)
    spoken = fields(known.get("audio")).get("transcript")
    if isinstance(spoken, str):
        yield (*key, "transcript"), (*path, "audio", "transcript"), spoken
    own: object = known.get(
        "provider_specific_fields"
    )  # LiteLLM repeats reasoning and more in there
    if isinstance(own, dict):
        yield from _message(fields(own), (*path, "provider_specific_fields"), (*key, "own"))


def tool_calls(
    calls: Any, path: Path, key: tuple[Hashable, ...]
) -> Iterator[tuple[Hashable, Path, str]]:
    """The texts of a list of tool calls as OpenAI writes them, in answers and in chunks."""
    if not sequence(calls):
        return
    for position, call in enumerate(calls):
        known = fields(call)
        number = known.get("index")
        channel = (*key, "tool", position if number is None else number)
        here = (*path, position)
        arguments = fields(known.get("function")).get("arguments")
        if isinstance(arguments, str):
            yield (*channel, "json"), (*here, "function", "arguments"), arguments
        custom = fields(known.get("custom")).get("input")
        if isinstance(custom, str):
            yield (*channel, "input"), (*here, "custom", "input"), custom


class ChatEvents(Chat):
    """Events of `client.chat.completions.stream(...)`: each chunk again, cut up and summed up."""

    kept: ClassVar[Mapping[str, Any]] = {
        **Chat.kept,
        **dict.fromkeys(("type", "index", "name", "snapshot", "arguments"), ...),
    }

    def read(self, item: Any, into: Reading) -> None:
        """The chunk in an event counts; what repeats it does where chunks are filtered out."""
        known = fields(item)
        if known.get("type") == "chunk":
            into.raw = True
            super().read(known["chunk"], into)
        elif not into.raw:
            into.content = True
            if known.get("type") == "content.delta":
                into.parts.append(known["delta"])

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """The chunk's, the snapshot's as wholes, and deltas on channels that begin with "event"."""
        known = fields(item)
        kind = known.get("type", "")
        if kind == "chunk":
            for key, path, text in super().texts(known["chunk"]):
                yield key, ("chunk", *path), text
            for key, path, text in super().texts(known["snapshot"]):
                yield (WHOLE, key), ("snapshot", *path), text
            return
        what = kind.rpartition(".")[0]
        channel: tuple[Hashable, ...] = ("event", what)
        if what == "tool_calls.function.arguments":
            channel = (*channel, known.get("index"), "json")
        delta = "arguments_delta" if "arguments_delta" in known else "delta"
        if isinstance(known.get(delta), str):
            yield channel, (delta,), known[delta]
        for name in ("snapshot", "arguments", "content", "refusal"):
            if isinstance(known.get(name), str):
                yield (WHOLE, channel), (name,), known[name]
            elif sequence(known.get(name)):  # tokens with their log-probabilities
                tokens = "".join(fields(token).get("token") or "" for token in known[name])
                repeated = name == "snapshot" or kind.endswith(".done")
                yield (WHOLE, channel) if repeated else channel, (name,), tokens

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """What the chunk closes, and the event channel whose `.done` this is."""
        known = fields(item)
        kind = known.get("type", "")
        if kind == "chunk":
            return super().closes(known["chunk"])
        what, _, which = kind.rpartition(".")
        return (("event", what),) if which == "done" else ()

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """A chunk event carries what its chunk can carry."""
        chunk = fields(item).get("chunk")
        if chunk is None:
            return Shape.carrier(self, item, channel, text)
        carried = CHAT.carrier(chunk, channel, text)
        if carried is None:
            return None
        return self._emptied(rebuilt(item, [(("chunk",), carried)]), channel, text)


class Embeddings(Shape):
    """Vectors: usage and model, no text."""

    name: ClassVar[str] = "openai.embeddings"

    def read(self, item: Any, into: Reading) -> None:
        """Everything is there at once."""
        known = fields(item)
        into.content = into.finished = True
        into.model = known.get("model") or into.model
        into.usage = usage_of(known.get("usage")) or into.usage
        into.request_id = known.get("_request_id") or into.request_id


CHAT = Chat()
CHAT_EVENTS = ChatEvents()
EMBEDDINGS = Embeddings()


def shape_of_type(kind: type) -> Shape:
    """The shape of a class of `openai` or `litellm`."""
    module, name = kind.__module__, kind.__name__
    if ".responses" in module or name.startswith("Response"):
        from agentguard.providers.openai_responses import RESPONSES

        return RESPONSES
    if ".streaming.chat" in module and "Event" in name:  # ContentDoneEvent[Answer] is one too
        return CHAT_EVENTS
    if "Embedding" in name:
        return EMBEDDINGS
    if "choices" in getattr(kind, "model_fields", ()) or name.startswith(
        ("ChatCompletion", "ModelResponse")
    ):
        return CHAT
    return OPAQUE


def shape_of_dict(item: Mapping[str, Any]) -> Shape | None:
    """The shape of raw JSON that has `choices` or `data`."""
    if sequence(item.get("choices")) or ("choices" in item and "error" in item):
        return CHAT
    data = item.get("data")
    if item.get("object") == "list" and sequence(data) and data:
        return EMBEDDINGS if "embedding" in fields(data[0]) else None
    return None
