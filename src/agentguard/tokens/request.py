"""What is counted in a request: texts, framing, pictures, tools.

Requests are read by their keys and attributes, as OpenAI (chat, responses, embeddings), Anthropic,
Google and LangChain write them. What no published rule covers is counted as the JSON it is, and
makes the count an estimate.
"""

from __future__ import annotations

import inspect
import json
import math
from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.items import fields, sequence
from agentguard.tokens.images import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentguard.tokens.families import Family

__all__ = ["Scale"]

_MESSAGES: Final = frozenset({"messages", "contents", "input", "prompt"})
_SYSTEM: Final = frozenset({"system", "instructions", "system_instruction", "systemInstruction"})
_TOOLS: Final = frozenset({"tools", "functions"})
_FORMATS: Final = frozenset(
    {
        "response_format",
        "response_schema",
        "response_json_schema",
        "responseSchema",
        "output_format",
        "output_config",
        "text_format",
    }
)
_REQUEST: Final = _MESSAGES | _SYSTEM | _TOOLS | _FORMATS
_UNSEEN: Final = frozenset(
    {"previous_response_id", "conversation", "cached_content", "cachedContent", "container"}
)
"""They bring tokens along that the request does not show."""

_ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_SHORT: Final = {"role", "content"}
_PLAIN: Final = frozenset({"role", "content", "name"})
_UNSENT: Final = frozenset(
    {
        # not part of the prompt
        "additional_kwargs", "annotations", "cache_control", "call_id", "example", "id", "index",
        "invalid_tool_calls", "logprobs", "response_metadata", "signature", "status",
        "thought_signature", "tool_call_id", "tool_use_id", "type", "usage_metadata", "extras",
        "audio", "parsed", "artifact", "phase",
    }
)  # fmt: skip
_HEAD: Final = 400_000
"""Characters of base64 in which a picture's size is looked for, behind a JPEG's metadata."""

_SOUND_BYTES: Final = 125
"""Bytes a token: 32 tokens a second, the most that is published, at 32 kbit/s."""

_DOCUMENT_BYTES: Final = 4


class Scale:
    """Adds up the tokens of a request.

    Attributes:
        total: the tokens so far.
        exact: everything so far was counted by the model's own tokenizer and published rules.
    """

    __slots__ = ("_family", "_weigh", "exact", "total")

    def __init__(self, family: Family, weigh: Callable[[str], tuple[int, bool]]) -> None:
        self.total = 0
        self.exact = True
        self._family = family
        self._weigh = weigh

    def put(self, thing: Any) -> None:
        """Add a text, a list of texts or messages, a message or a whole request.

        Args:
            thing: what to add, as the caller would send it.
        """
        if isinstance(thing, str):
            self._text(thing)
        elif sequence(thing):
            self._list(thing)
        else:
            known = fields(thing)
            if "role" not in known and not _REQUEST.isdisjoint(known):
                self._request(known)
            elif isinstance(known.get("text"), str):  # a prompt value of LangChain, a block, a part
                self._text(known["text"])
            elif {"role", "content", "parts", "type"} & known.keys():
                self._list([thing])
            else:
                raise TypeError(
                    f"cannot count the tokens of a {type(thing).__name__}: pass a text, a list of "
                    "messages, or the request as a mapping: "
                    "count_tokens({'messages': [...], 'tools': [...]}, model)"
                )

    def _text(self, text: str) -> None:
        count, exact = self._weigh(text)
        self.total += count
        self.exact = self.exact and exact

    def _json(self, value: Any) -> None:
        self.exact = False
        self._text(
            value
            if isinstance(value, str)
            else json.dumps(value, ensure_ascii=False, default=_jsonable)
        )

    # Requests

    def _request(self, known: Mapping[str, Any]) -> None:
        before = self.total
        for name, value in known.items():
            if value:
                self._field(name, value)
        if self.total > before and not self._family.embeds and "prompt" not in known:
            self._framing(self._family.per_request)

    def _field(self, name: str, value: Any) -> None:
        if name in _MESSAGES:
            self._messages(name, value)
        elif name in _SYSTEM:
            self._message({"role": "system", "content": fields(value).get("parts") or value})
        elif name in _TOOLS:
            self._tools(value)
        elif name in _FORMATS:
            self._format(value)
        elif name == "text":  # settings of the Responses API
            self._format(fields(value).get("format"))
        elif name == "config":  # Google's
            for inner, setting in fields(value).items():
                if setting:
                    self._field(inner, setting)
        elif name in _UNSEEN:
            self.exact = False

    def _messages(self, name: str, value: Any) -> None:
        if not isinstance(value, str) and _is_text(value):
            self.total += len(value)
        elif isinstance(value, str) and name != "prompt" and not self._family.embeds:
            self._message({"role": "user", "content": value})
        elif isinstance(value, str):
            self._text(value)
        elif sequence(value) and (name == "prompt" or all(map(_is_text, value))):
            for text in value:
                self._messages(name, text)
        else:
            for message in value if sequence(value) else (value,):
                self._message(message)

    def _framing(self, tokens: int) -> None:
        self.total += tokens
        self.exact = self.exact and self._family.exact_chat

    def _list(self, things: list[Any] | tuple[Any, ...]) -> None:
        if all(isinstance(thing, str) for thing in things):
            for text in things:
                self._text(text)
            return
        for message in things:
            self._message(message)
        self._framing(self._family.per_request)

    # Messages

    def _message(self, message: Any) -> None:
        if message.__class__ is dict and message.keys() == _SHORT:
            role, content = message["role"], message["content"]
            if role and isinstance(role, str) and isinstance(content, str):  # nearly all are such
                self._framing(self._family.per_message)
                self._text(_ROLES.get(role, role))
                self._text(content)
                return
        if isinstance(message, str):  # one of Google's contents
            known: Mapping[str, Any] = {"role": "user", "content": message}
        elif sequence(message) and len(message) == 2:  # LangChain's short form
            known = {"role": message[0], "content": message[1]}
        else:
            known = fields(message)
        self._framing(self._family.per_message)
        role = known.get("role") or (known.get("type") if "content" in known else None)
        self._text(_ROLES.get(str(role), str(role or "user")))
        if known.get("name"):
            self.total += 1
            self._text(str(known["name"]))
        if "content" in known or "parts" in known:
            self._blocks(known.get("content"))
            self._blocks(known.get("parts"))
        elif sequence(size := getattr(message, "size", None)) and len(size) == 2:
            self.total += self._family.image((size[0], size[1]), "auto")  # Google takes PIL's, too
            return
        elif "role" not in known:
            self._block(known)  # a bare block or part, or an item of the Responses API
            return
        for name, value in known.items():
            if value and name not in _PLAIN and name != "parts" and name not in _UNSENT:
                self._json(value)

    def _blocks(self, content: Any) -> None:
        if isinstance(content, str):
            self._text(content)
        elif content is not None:
            for block in content if sequence(content) else (content,):
                if isinstance(block, str):
                    self._text(block)
                else:
                    self._block(fields(block))

    def _block(self, block: Mapping[str, Any]) -> None:
        kind = str(block.get("type") or "")
        inline = fields(block.get("inline_data") or block.get("inlineData"))
        linked = fields(block.get("file_data") or block.get("fileData"))
        if kind in {"", "text", "input_text", "output_text"} and isinstance(block.get("text"), str):
            self._text(block["text"])
        elif kind in {"image", "image_url", "input_image"}:
            self._picture(block)
        elif inline or linked:
            self._attached(inline or linked, block)
        elif kind in {"audio", "document", "file", "input_audio", "input_file", "media", "video"}:
            self._attached(_source(block), block)
        else:
            self._other(block)

    def _other(self, block: Mapping[str, Any]) -> None:
        """Count a tool's call or result, a thought, and whatever comes next year."""
        self.exact = False
        for name, value in block.items():
            if value is None or name in _UNSENT:
                continue
            if name == "content" or (name == "output" and sequence(value)):
                self._blocks(value)
            elif name in {"functionCall", "functionResponse", "function_call", "function_response"}:
                self._other(fields(value))
            else:
                self._json(value)

    # Pictures and files

    def _picture(self, block: Mapping[str, Any]) -> None:
        source = _source(block)
        link = source.get("url") or block.get("image_url")
        data = source.get("data") or source.get("base64") or link
        self._image(data, source.get("detail") or block.get("detail") or "auto")

    def _image(self, data: Any, detail: object) -> None:
        size = size_of(_head(data))
        self.exact = self.exact and size is not None and self._family.exact_chat
        self.total += self._family.image(size, str(detail))

    def _attached(self, source: Mapping[str, Any], block: Mapping[str, Any]) -> None:
        """Count a file. No provider publishes a rule that its bytes alone would be enough for."""
        mime = str(source.get("mime_type") or source.get("mimeType") or source.get("media_type"))
        data = source.get("data") or source.get("base64") or source.get("file_data")
        if mime.startswith("image/"):
            detail = block.get("media_resolution") or block.get("mediaResolution") or "auto"
            self._image(data, detail)
            return
        self.exact = False
        if source.get("type") == "text":
            self._text(str(data))
        elif source.get("content") is not None:
            self._blocks(source["content"])
        elif isinstance(data, (bytes, str)):
            sound = mime.startswith(("audio/", "video/")) or "audio" in str(block.get("type"))
            size = len(data) if isinstance(data, bytes) else len(data) * 3 // 4
            self.total += math.ceil(size / (_SOUND_BYTES if sound else _DOCUMENT_BYTES))

    # Tools and schemas

    def _tools(self, tools: Any) -> None:
        self.exact = False
        for tool in tools if sequence(tools) else (tools,):
            known = _tool(tool)
            self.total += self._family.per_tool
            if self._family.schemas and "name" in known:
                self._function(known)
            else:
                self._json(known)
        self.total += self._family.tools

    def _function(self, known: Mapping[str, Any]) -> None:
        """Count a function as OpenAI's cookbook does, and what the cookbook leaves out as JSON.

        https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
        """
        self._text(f"{known['name']}:{str(known.get('description') or '').removesuffix('.')}")
        parameters = fields(known.get("parameters") or known.get("input_schema"))
        self._properties(parameters)
        for name, value in parameters.items():
            if name not in {"type", "properties", "required", "additionalProperties"}:
                self._json(value)

    def _properties(self, schema: Mapping[str, Any]) -> None:
        properties = fields(schema.get("properties"))
        if not properties:
            return
        self.total += 3
        for name, spec in properties.items():
            known = fields(spec)
            self.total += 3
            if sequence(known.get("enum")):
                self.total -= 3
                for item in known["enum"]:
                    self.total += 3
                    self._text(str(item))
            described = str(known.get("description") or "").removesuffix(".")
            self._text(f"{name}:{known.get('type')}:{described}")
            self._properties(known)
            self._properties(fields(known.get("items")))
            for key in ("anyOf", "allOf", "oneOf", "$ref", "default", "pattern", "format"):
                if key in known:
                    self._json({key: known[key]})

    def _format(self, schema: Any) -> None:
        """Count the schema of a structured answer as the JSON it is."""
        if schema is not None and not isinstance(schema, str):
            plain = _jsonable(schema)
            if plain not in ({"type": "text"}, {"type": "json_object"}):
                self._json(plain)


def _is_text(value: object) -> bool:
    """Whether it is a text, or one given as token ids."""
    return isinstance(value, str) or (
        sequence(value) and bool(value) and all(isinstance(token, int) for token in value)
    )


def _source(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """What holds the data or the address of a picture or file: a block within, or the block."""
    for name in ("source", "image_url", "input_audio", "file", "audio", "video"):
        inner = fields(block.get(name))
        if inner:
            return inner
    return block


def _head(data: object) -> bytes:
    """The first bytes of a picture; none when it is only linked."""
    import base64

    if isinstance(data, bytes):
        return data
    if not isinstance(data, str):
        return b""
    if data.startswith("data:"):
        data = data[data.find(",", 0, 200) + 1 :][:_HEAD]
    elif "://" in data[:16]:
        return b""
    head = data[:_HEAD].translate({45: "+", 95: "/"})  # Google writes the URL-safe alphabet
    try:
        return base64.b64decode(head[: len(head) // 4 * 4] or b"")
    except ValueError:
        return b""


def _tool(tool: Any) -> Mapping[str, Any]:
    """A tool as name, description and parameters: from JSON, a LangChain tool or a function."""
    known = fields(tool)
    if inspect.isroutine(tool):
        name, doc = getattr(tool, "__name__", ""), inspect.getdoc(tool) or ""
        return {"name": name, "description": doc, "parameters": {"signature": _signature(tool)}}
    if "args_schema" in known:
        parameters = _jsonable(known["args_schema"])
        return {**_named(known), "parameters": parameters}
    function = fields(known.get("function"))
    return function or known


def _named(known: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": known.get("name") or "", "description": known.get("description") or ""}


def _signature(tool: Any) -> str:
    try:
        return str(inspect.signature(tool))
    except (TypeError, ValueError):
        return ""


def _jsonable(value: Any) -> Any:
    """A schema class as its schema, an SDK's object as its fields, bytes by their number."""
    schema = getattr(value, "model_json_schema", None)
    if inspect.isclass(value) and schema is not None:
        return schema()
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if not isinstance(value, dict) and not hasattr(value, "model_fields_set"):
        return type(value).__name__  # somebody's object: its text in the request is not known
    known = fields(value)
    return {k: v for k, v in known.items() if v is not None} or "{}"
