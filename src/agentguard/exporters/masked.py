"""What a call sends and is answered as plain data, masked: what of it may leave for a trace.

Only texts, numbers, lists and dicts are told. Of an attachment its kind remains, of an object that
is no record the name of its class; what authorises a caller is left out.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.answered import answered, is_message
from agentguard.providers.attached import kind_of_block, kind_of_object, kind_of_url
from agentguard.providers.prompt import role_of
from agentguard.providers.sent import MAPPED, arguments
from agentguard.providers.sent_names import AUTHORISES, SOURCE
from agentguard.providers.sent_walk import is_walked, numbers, record_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from agentguard.engine.call import Call
    from agentguard.masking.masker import Masker
    from agentguard.masking.vault import Vault

    Plain: TypeAlias = dict[str, "Plain"] | list["Plain"] | str | float | None

__all__ = ["kept", "masked", "said", "sent"]

_ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_LONG_NUMBER: Final = 10**8  # from which on a number may be somebody's
_DEEPEST: Final = 100
_MOST: Final = 100_000  # values in one that are told
_MANY: Final = 16  # numbers from which on they are a vector
_SENT: Final = {"ModelRequest": MAPPED, "ToolCallRequest": ("tool_call",)}
"""Requests of LangChain's agents, whose state is no part of what is sent."""


def kept(call: Call) -> Mapping[str, Any]:
    """The arguments of a call by name, apart from the lists and dicts that its caller goes on with.

    Args:
        call: about to be made.
    """
    named = arguments(call.target, call.args, call.kwargs)
    return {name: _apart(value) for name, value in named.items()}


def _apart(value: Any) -> Any:
    kind = cast("Any", type(value))
    if kind is dict:
        return {name: _apart(each) for name, each in value.items()}
    if kind is list:
        return [_apart(each) for each in value]
    return value


def sent(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as plain data.

    Examples:
        >>> from agentguard.exporters.masked import sent
        >>> sent({"prompt": b"...", "api_key": "...", "k": (1, 2)})
        {'prompt': '[bytes]', 'k': [1, 2]}
    """
    return cast("dict[str, Any]", _Telling().plain(arguments))


def said(items: Sequence[Any]) -> dict[str, Any]:
    """An answer as plain data: of a model its messages, with the tools that they call.

    Args:
        items: all items of a stream, or a unary answer alone.

    Examples:
        >>> from agentguard.exporters.masked import said
        >>> said(["4", "2"])
        {'output': '42'}
    """
    texts = all(isinstance(each, str) for each in items)
    if items and not texts and any(map(is_message, items)):
        return {"messages": [*_messages(items)]}
    if items and texts:
        return {"output": _Telling().plain("".join(items))}
    return {"output": _Telling().plain(items[0] if len(items) == 1 else items)} if items else {}


def masked(value: dict[str, Any], masker: Masker, vault: Vault) -> dict[str, Any]:
    """Plain data with every text in it masked, names of fields included.

    Args:
        value: of `sent` or `said`.
        masker: what finds and replaces.
        vault: of the call.

    Raises:
        errors.MaskingFailed: when a detector fails.
    """
    texts: list[str] = []
    labels: list[str | None] = []
    for text, label in _texts(value, None):
        texts.append(text)
        labels.append(None if label is None else label.replace("_", " "))
    told, _ = masker.mask_all(texts, vault, labels=labels)
    return cast("dict[str, Any]", _with(value, iter(told)))


def _messages(items: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for choice in answered(items):
        message: dict[str, Any] = {"role": "assistant", "content": choice.text}
        if choice.calls:
            message["tool_calls"] = [
                {
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": _Telling().plain(call.arguments, "arguments"),
                    },
                }
                for call in choice.calls
            ]
        yield message


class _Telling:
    """Makes plain data of one value, which may contain itself, or be without end."""

    __slots__ = ("_inside", "_left")

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._left = _MOST

    def plain(self, value: Any, name: str | None = None) -> Any:
        """`value`, which stands in a field of this name, as plain data."""
        self._left -= 1
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            return int(value) if abs(value) < _LONG_NUMBER else str(int(value))
        if isinstance(value, str):
            return self._text(value, name)
        if self._left < 0 or id(value) in self._inside or len(self._inside) > _DEEPEST:
            return "[...]"
        if not is_walked(value):
            kind = value if isinstance(value, type) else type(value)
            return f"[{kind_of_object(value) or kind.__name__}]"
        self._inside.add(id(value))
        try:
            return self._container(value)
        finally:
            self._inside.discard(id(value))

    def _container(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, deque)):
            several = cast("Sequence[Any]", value)
            if len(several) > _MANY and numbers(several):
                return f"[{len(several)} numbers]"
            return [self.plain(each) for each in several]
        if isinstance(value, (set, frozenset)):
            return sorted(str(self.plain(each)) for each in cast("set[Any]", value))
        known = _fields(value)
        attached = kind_of_block(known)
        if attached is not None:
            return {"type": attached, attached: f"[{attached}]"}
        return {
            str(self.plain(key)): self.plain(each, str(key))
            for key, each in known.items()
            if not AUTHORISES.search(str(key))
        }

    def _text(self, text: str, name: str | None) -> Any:
        """A text; of JSON source what it says, since an escape could hide a value from a detector."""
        kind = kind_of_url(text)
        if kind is not None:
            return f"[{kind}]"
        if name in SOURCE and text[:1] in "{[":
            try:
                return self.plain(json.loads(text))
            except ValueError:  # cut off
                return text
        return str.__str__(text)


def _fields(value: Any) -> Mapping[str, Any]:
    """What a dict or a record has; of what frameworks hand around, what is sent."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    known = record_fields(value)
    kind = cast("Any", type(value))
    sent = _SENT.get(kind.__name__)
    if sent is not None and kind.__module__.startswith("langchain"):
        return {name: known[name] for name in sent if known.get(name)}
    if kind.__module__.startswith("langchain_core.messages"):
        return _message(known)
    return {name: each for name, each in known.items() if not name.startswith("_")}


def _message(known: Mapping[str, Any]) -> dict[str, Any]:
    """A message of LangChain's as the others have it."""
    role = role_of(known)
    told = {"role": _ROLES.get(role, role), "content": known.get("content")}
    for each in ("tool_calls", "tool_call_id", "name"):
        if known.get(each):
            told[each] = known[each]
    return told


def _texts(value: Plain, label: str | None) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, str):
        yield value, label
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, label)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name, None
            yield from _texts(each, name)


def _with(value: Plain, texts: Iterator[str]) -> Plain:
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, list):
        return [_with(each, texts) for each in value]
    if isinstance(value, dict):
        return {next(texts): _with(each, texts) for each in value.values()}
    return value
