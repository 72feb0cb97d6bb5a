"""OpenAI Responses: the events of a stream and whole responses.

A stream tells each text twice to five times: in deltas, in the `.done` event, in the part, in the
item and in the final response. All but the deltas are reported as `(WHOLE, channel)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from agentguard.providers.items import Path, fields, named, sequence
from agentguard.providers.shapes import ALL, WHOLE, Reading, Shape
from agentguard.providers.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    Found = Iterator[tuple[Hashable, Path, str]]

_TEXTS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    # what streams: the indices that make its channel, the channel's last word, where `.done` has it
    "output_text": (("output_index", "content_index"), "text", "text"),
    "refusal": (("output_index", "content_index"), "refusal", "refusal"),
    "reasoning_text": (("output_index", "content_index"), "reasoning", "text"),
    "reasoning_summary_text": (("output_index", "summary_index"), "summary", "text"),
    "function_call_arguments": (("output_index",), "json", "arguments"),
    "mcp_call_arguments": (("output_index",), "json", "arguments"),
    "custom_tool_call_input": (("output_index",), "input", "input"),
    "code_interpreter_call_code": (("output_index",), "code", "code"),
    "shell_call_command": (("output_index", "command_index"), "command", "command"),
    "audio.transcript": ((), "transcript", "transcript"),
}
_OPENING = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "keepalive",
        "ping",
    }
)
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ITEM_TEXTS = frozenset(
    {"text", "logs", "query", "queries", "output", "stdout", "stderr", "command", "commands"}
)
_ITEM_PLACES = ("action", "actions", "queries", "results", "outputs", "output")


class Responses(Shape):
    """A Response, or an event of its stream.

    Channels: `(output, part, "text")`, `(output, part, "refusal")`, `(output, part, "reasoning")`,
    `(output, part, "summary")`, `(output, "json")` for a call's arguments and the like, where
    `output` and `part` are the indices in the finished response.
    """

    name: ClassVar[str] = "openai.responses"
    ends: ClassVar[bool | None] = True
    kept: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(
            (
                "type",
                "item_id",
                "output_index",
                "content_index",
                "summary_index",
                "command_index",
                "sequence_number",
                "snapshot",
            ),
            ...,
        ),
        "logprobs": [],
    }
    kept_inside: ClassVar[Mapping[str, Any]] = {"type": ..., "annotations": [], "logprobs": []}

    def read(self, item: Any, into: Reading) -> None:
        """`error` and `response.failed` arrive as ordinary events: they become `into.error`."""
        known = fields(item)
        kind = known.get("type")
        if kind == "response.output_text.delta":
            text = known.get("delta")
            if text:
                into.parts.append(text)
                into.content = True
        elif kind is None or kind == "response":
            self._read_response(known, into, whole=True)
        elif kind == "error":
            from agentguard.providers.inband import provider_error

            into.error = provider_error(known.get("code"), known.get("message"), into.request_id)
        elif kind in _ENDS:
            self._read_response(fields(known.get("response")), into, whole=not into.parts)
        elif kind in _OPENING:
            response = known.get("response")
            if response is not None:
                into.model = fields(response).get("model") or into.model
            elif any(text for _, _, text in self.texts(item)):
                into.content = True
        elif kind == "response.output_item.added":
            # A message or reasoning opens empty; a call has its name already.
            opened = fields(known.get("item")).get("type")
            if opened not in {"message", "reasoning"}:
                into.content = True
        else:
            self._read_other(item, known, into)

    def _read_other(self, item: Any, known: Mapping[str, Any], into: Reading) -> None:
        if known["type"].endswith(".done") and not any(text for _, _, text in self.texts(item)):
            return
        into.content = True
        into.refused = into.refused or known["type"] == "response.refusal.delta"
        if isinstance(known.get("delta"), str):
            into.beside.append(known["delta"])

    def _read_response(self, known: Mapping[str, Any], into: Reading, *, whole: bool) -> None:
        into.model = known.get("model") or into.model
        into.usage = usage_of(known.get("usage")) or into.usage
        into.tier = known.get("service_tier") or into.tier
        into.request_id = known.get("_request_id") or into.request_id
        into.finished = True
        into.finish_reason = known.get("status")
        reason = fields(known.get("incomplete_details")).get("reason")
        if reason is not None:
            into.finish_reason = reason
        output = known.get("output") or ()
        if not into.content:
            into.content = any(map(_says, output))
        if whole:
            for channel, _, text in _output(output, ()):
                if text and isinstance(channel, tuple) and channel[-1] == "text":
                    into.parts.append(text)
                elif text and isinstance(channel, tuple) and channel[-1] == "refusal":
                    into.refused = True
        failure = known.get("error")
        if failure is not None and known.get("status") in {"failed", None}:
            from agentguard.providers.inband import provider_error

            said = fields(failure)
            into.error = provider_error(said.get("code"), said.get("message"), into.request_id)

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """A response's texts by their places in it; an event's under the same channels."""
        known = fields(item)
        kind = known.get("type")
        if not isinstance(kind, str) or kind == "response":
            return _output(known.get("output"), ("output",))
        what, _, which = kind.removeprefix("response.").rpartition(".")
        if what in _TEXTS:
            return _event(known, what)
        if known.get("response") is not None:
            output = fields(known["response"]).get("output")
            return _repeated(_output(output, ("response", "output")))
        place = known.get("output_index")
        if known.get("item") is not None:
            found = _item(known["item"], ("item",), (place,))
        elif known.get("part") is not None:
            inner = known.get("content_index", known.get("summary_index"))
            word = "summary" if "summary_index" in known else None
            found = _part(fields(known["part"]), ("part",), (place, inner), word)
        else:
            found = _other(known, (place,))
        # What an item or part opens with is the beginning of its text, as the SDK sums it up too.
        return found if which in {"added", "delta"} else _repeated(found)

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """A `.done` event closes its text, part or item; the last event all."""
        known = fields(item)
        kind = known.get("type")
        if not isinstance(kind, str) or kind in _ENDS or kind in {"error", "response"}:
            return (ALL,)
        what, _, which = kind.removeprefix("response.").rpartition(".")
        if which != "done":
            return ()
        if what in _TEXTS:
            return (_channel(known, what),)
        inner = known.get("content_index", known.get("summary_index"))
        place = known.get("output_index")
        return ((place,),) if inner is None else ((place, inner),)


def _channel(known: Mapping[str, Any], what: str) -> tuple[Hashable, ...]:
    indices, word, _ = _TEXTS[what]
    return (*(known.get(index) for index in indices), word)


def _event(known: Mapping[str, Any], what: str) -> Found:
    channel = _channel(known, what)
    if isinstance(known.get("delta"), str):
        yield channel, ("delta",), known["delta"]
    for name in ("snapshot", _TEXTS[what][2]):
        if isinstance(known.get(name), str):
            yield (WHOLE, channel), (name,), known[name]


def _repeated(found: Found) -> Found:
    return (((WHOLE, channel), path, text) for channel, path, text in found)


def _output(output: Any, path: Path) -> Found:
    if sequence(output):
        for index, item in enumerate(output):
            yield from _item(item, (*path, index), (index,))


def _item(item: Any, path: Path, key: tuple[Hashable, ...]) -> Found:
    known = fields(item)
    for group, word in (("content", None), ("summary", "summary")):
        parts = known.get(group)
        if sequence(parts):
            for index, part in enumerate(parts):
                yield from _part(fields(part), (*path, group, index), (*key, index), word)
    for name, word in (
        ("arguments", "json"),
        ("input", "input"),
        ("code", "code"),
        ("output", "output"),
    ):
        if isinstance(known.get(name), str):
            yield (*key, word), (*path, name), known[name]
    for name in _ITEM_PLACES:
        place = known.get(name)
        if place is not None and not isinstance(place, str):
            for inner, text in named({name: place}, _ITEM_TEXTS):
                yield (*key, *inner), (*path, *inner), text


def _says(item: Any) -> bool:
    """Whether there is anything in an item of the output: a call has its name, a message its texts."""
    if fields(item).get("type") not in {"message", "reasoning"}:
        return True
    return any(text for _, _, text in _item(item, (), ()))


def _part(
    known: Mapping[str, Any], path: Path, key: tuple[Hashable, ...], word: str | None
) -> Found:
    kind = known.get("type")
    if isinstance(known.get("text"), str):
        usual = "reasoning" if kind == "reasoning_text" else "text"
        yield (*key, word or usual), (*path, "text"), known["text"]
    if isinstance(known.get("refusal"), str):
        yield (*key, "refusal"), (*path, "refusal"), known["refusal"]


def _other(known: Mapping[str, Any], key: tuple[Hashable, ...]) -> Found:
    for inner, text in named({n: known.get(n) for n in ("delta", "output")}, _ITEM_TEXTS):
        yield (*key, known.get("command_index"), "output", inner[-1]), inner, text


RESPONSES = Responses()


def shape_of_dict(item: Mapping[str, Any]) -> Shape | None:
    """The shape of raw JSON that has `object` or `type`."""
    kind = item.get("type")
    if item.get("object") == "response" or (
        isinstance(kind, str) and (kind.startswith("response.") or kind == "keepalive")
    ):
        return RESPONSES
    # Anthropic writes {"type": "error", "error": {...}} instead.
    return RESPONSES if kind == "error" and "message" in item else None
