"""Anthropic messages: whole ones, the raw events of a stream, and what `.stream()` adds to them.

The events of `.stream()` repeat each delta as an event of its own (`text`, `thinking`,
`input_json`, on channels that begin with "event") and carry snapshots, which are reported as
`(WHOLE, channel)`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from agentguard.providers.items import Path, fields, leaves, named, sequence
from agentguard.providers.shapes import ALL, OPAQUE, WHOLE, Reading, Shape, Usage
from agentguard.providers.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    Found = Iterator[tuple[Hashable, Path, str]]

_WORDS = {"text": "text", "thinking": "thinking", "partial_json": "json", "content": "content"}
"""Where a delta or a block keeps its text, and the last word of that channel."""

_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "json": ("input_json_delta", "partial_json"),
}
_TOOL_TEXTS = frozenset({"text", "title", "stdout", "stderr", "cited_text", "data", "content"})
_EVENTS = {"text": "text", "thinking": "thinking", "input_json": "partial_json"}
_KINDS = frozenset(
    {
        "message",
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
    }
)


class Messages(Shape):
    """A Message, or an event of its stream.

    Channels: `(block, "text")`, `(block, "thinking")`, `(block, "json")` for the arguments of a
    tool as they stream, where `block` is the block's index. The arguments of a finished tool call
    are parsed: each string in them is a text of its own, `(block, "input", *way)`, so that no
    change to one can break the JSON; numbers and keys are left alone.
    """

    name: ClassVar[str] = "anthropic"
    ends: ClassVar[bool | None] = True
    kept: ClassVar[Mapping[str, Any]] = {"type": ..., "index": ..., "snapshot": ...}
    kept_inside: ClassVar[Mapping[str, Any]] = {"type": ...}

    def read(self, item: Any, into: Reading) -> None:
        """Starts of a message or of an empty text block, and pings, only open."""
        known = fields(item)
        kind = known.get("type")
        if kind == "content_block_delta":
            delta = fields(known.get("delta"))
            text = delta.get("text")
            into.raw = True
            if text:
                into.parts.append(text)
                into.content = True
            elif delta.get("type") != "text_delta":
                into.content = True
                into.beside.append(delta.get("thinking") or delta.get("partial_json") or "")
        elif kind == "content_block_start":
            self._read_block(known.get("content_block"), into)
        elif kind == "message_delta":
            self._read_end(fields(known.get("delta")), into)
            self._read_usage(known.get("usage"), into)
        elif kind in {"message", "message_start", "message_stop"}:
            self._read_message(known, into)
        elif kind == "error":
            self._read_error(known, into)
        elif kind == "completion":  # the legacy text completions
            into.parts.append(known.get("completion") or "")
            into.content = True
            self._read_end(known, into)
        elif kind == "text":
            into.content = True
            if not into.raw:  # somebody passes on the helper's events alone
                into.parts.append(known.get("text") or "")
        elif kind not in {"ping", "content_block_stop"}:
            into.content = True

    def _read_message(self, known: Mapping[str, Any], into: Reading) -> None:
        kind = known["type"]
        message = known if kind == "message" else fields(known.get("message"))
        into.model = message.get("model") or into.model
        into.request_id = message.get("_request_id") or into.request_id
        self._read_usage(message.get("usage"), into)
        if kind != "message_stop" or not into.content:
            for block in message.get("content") or ():
                self._read_block(block, into)
        if kind != "message_start":
            into.finished = True
            into.finish_reason = message.get("stop_reason") or into.finish_reason

    def _read_block(self, block: Any, into: Reading) -> None:
        known = fields(block)
        text = known.get("text")
        if text:
            into.parts.append(text)
        if text or known.get("thinking") or known.get("type") not in {"text", "thinking"}:
            into.content = True

    def _read_end(self, known: Mapping[str, Any], into: Reading) -> None:
        reason = known.get("stop_reason")
        if reason is not None:
            into.finished = True
            into.finish_reason = reason

    def _read_usage(self, figures: Any, into: Reading) -> None:
        usage = usage_of(figures)
        before = into.usage
        into.tier = fields(figures).get("service_tier") or into.tier
        if usage is None or before is None:
            into.usage = usage or before
            return
        # Cumulative: what `message_delta` repeats replaces, what it leaves out still stands.
        cached = max(usage.cached_tokens, before.cached_tokens)
        written = max(usage.cache_write_tokens, before.cache_write_tokens)
        fresh = max(
            u.input_tokens - u.cached_tokens - u.cache_write_tokens for u in (usage, before)
        )
        into.usage = Usage(
            fresh + cached + written,
            max(usage.output_tokens, before.output_tokens),
            cached,
            written,
            max(usage.reasoning_tokens, before.reasoning_tokens),
            max(usage.cache_write_1h_tokens, before.cache_write_1h_tokens),
        )

    def _read_error(self, known: Mapping[str, Any], into: Reading) -> None:
        from agentguard.providers.inband import provider_error

        said = fields(known.get("error"))
        into.error = provider_error(
            said.get("type"), said.get("message"), known.get("request_id") or into.request_id
        )

    def texts(self, item: Any) -> Iterable[tuple[Hashable, Path, str]]:
        """The texts of deltas and blocks; what an event repeats of them as wholes."""
        known = fields(item)
        kind = known.get("type")
        key = (known.get("index"),)
        if kind == "content_block_delta":
            return _delta(fields(known.get("delta")), key)
        if kind == "content_block_start":
            return _block(known.get("content_block"), ("content_block",), key)
        if kind == "content_block_stop":
            return _repeated(known.get("content_block"), ("content_block",), key)
        if kind == "message_stop":
            return _message(known.get("message"), ("message",), _repeated)
        if kind == "message_start":
            return _message(known.get("message"), ("message",), _block)
        if kind == "message":
            return _message(item, (), _block)
        if kind == "completion" and isinstance(known.get("completion"), str):
            return [((0, "text"), ("completion",), known["completion"])]
        return _helper(known, kind) if kind in _EVENTS else ()

    def closes(self, item: Any) -> tuple[tuple[Hashable, ...], ...]:
        """The end of a block closes it; a stop reason closes all."""
        known = fields(item)
        kind = known.get("type")
        if kind == "content_block_stop":
            return (known.get("index"),), ("event",)
        if kind == "message_delta":
            return (ALL,) if fields(known.get("delta")).get("stop_reason") else ()
        if kind in {"message_stop", "message", "error"}:
            return (ALL,)
        return (ALL,) if kind == "completion" and known.get("stop_reason") else ()

    def carrier(self, item: Any, channel: Hashable, text: str) -> Any | None:
        """A delta; also where the text came with the start of a block, which cannot come twice."""
        if fields(item).get("type") != "content_block_start":
            return super().carrier(item, channel, text)
        key: Any = channel
        if all(key != found for found, _, _ in self.texts(item)) or key[-1] not in _DELTAS:
            return None
        kind, name = _DELTAS[key[-1]]
        delta = {"type": kind, name: text}
        event: dict[str, Any] = {
            "type": "content_block_delta",
            "index": key[0],
            "delta": delta,
        }
        if isinstance(item, dict):
            return event
        beta = ".beta" in type(item).__module__
        types = sys.modules["anthropic.types.beta" if beta else "anthropic.types"]
        known = types.BetaRawContentBlockDeltaEvent if beta else types.RawContentBlockDeltaEvent
        return known.model_validate(event)


def _message(message: Any, path: Path, of_block: Any) -> Found:
    blocks = fields(message).get("content")
    if sequence(blocks):
        for index, block in enumerate(blocks):
            yield from of_block(block, (*path, "content", index), (index,))


def _delta(known: Mapping[str, Any], key: tuple[Hashable, ...]) -> Found:
    for name, word in _WORDS.items():
        if isinstance(known.get(name), str):
            yield (*key, word), ("delta", name), known[name]
    cited = fields(known.get("citation")).get("cited_text")
    if isinstance(cited, str):
        yield (WHOLE, (*key, "cited")), ("delta", "citation", "cited_text"), cited


def _block(block: Any, path: Path, key: tuple[Hashable, ...]) -> Found:
    """The texts of a block, each as a beginning: the deltas that follow are added to it."""
    known = fields(block)
    for name, word in _WORDS.items():
        value = known.get(name)
        if isinstance(value, str):
            yield (*key, word), (*path, name), value
    for inner, text in leaves(known.get("input")):
        yield (*key, "input", *inner), (*path, "input", *inner), text
    yield from _results(known, path, key)


def _repeated(block: Any, path: Path, key: tuple[Hashable, ...]) -> Found:
    """The texts of a block that has streamed, each as a whole."""
    known = fields(block)
    for name, word in _WORDS.items():
        value = known.get(name)
        if isinstance(value, str):
            yield (WHOLE, (*key, word)), (*path, name), value
    if known.get("input"):
        arguments = json.dumps(known["input"], ensure_ascii=False)
        yield (WHOLE, (*key, "json")), (*path, "input"), arguments
    yield from _results(known, path, key)


def _results(known: Mapping[str, Any], path: Path, key: tuple[Hashable, ...]) -> Found:
    """What the server's own tools found, and what is cited: it arrives whole."""
    for name in ("citations", "content"):
        value = known.get(name)
        if value is not None and not isinstance(value, str):
            for inner, text in named({name: value}, _TOOL_TEXTS):
                yield (WHOLE, (*key, *inner)), (*path, *inner), text


def _helper(known: Mapping[str, Any], kind: str) -> Found:
    channel = ("event", "json" if kind == "input_json" else kind)
    name = _EVENTS[kind]
    if isinstance(known.get(name), str):
        yield channel, (name,), known[name]
    snapshot = known.get("snapshot")
    if isinstance(snapshot, str):
        yield (WHOLE, channel), ("snapshot",), snapshot
    elif snapshot:
        yield (WHOLE, channel), ("snapshot",), json.dumps(snapshot, ensure_ascii=False)


MESSAGES = Messages()


def shape_of_type(kind: type) -> Shape:
    """The shape of a class of `anthropic`: everything that has a `type` is a message or event."""
    return MESSAGES if "type" in getattr(kind, "model_fields", ()) else OPAQUE


def shape_of_dict(item: Mapping[str, Any]) -> Shape | None:
    """The shape of raw JSON that has `type`."""
    kind = item.get("type")
    if kind == "error":
        return MESSAGES if "error" in item else None
    return MESSAGES if kind in _KINDS or (kind == "completion" and "completion" in item) else None
