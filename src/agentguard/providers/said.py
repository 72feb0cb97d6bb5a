"""Who says each text of a request: the application, the user, the model, or a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from agentguard.providers.items import fields
from agentguard.providers.sent import rewrite
from agentguard.providers.sent_names import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentguard.engine.target import Target
    from agentguard.providers.sent import Where

__all__ = ["By", "Said", "said", "with_system"]

By = Literal["system", "user", "assistant", "tool"]

_SPEAKERS: Final[dict[str, By]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "HumanMessageChunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "AIMessageChunk": "assistant",
    "tool_use": "assistant",
    "tool_call": "assistant",
    "function_call": "assistant",
    "reasoning": "assistant",
    "thinking": "assistant",
    "tool": "tool",
    "function": "tool",
    "tool_result": "tool",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
    "mcp_tool_result": "tool",
    "web_search_tool_result": "tool",
    "web_fetch_tool_result": "tool",
    "search_result": "tool",
    "document": "tool",
    "tool-return": "tool",
}
"""Roles of messages and types of blocks, by who says them."""

_FIELDS: Final[dict[object, By]] = {
    "system": "system",
    "instructions": "system",
    "system_prompt": "system",
    "system_message": "system",
    "system_instruction": "system",
    "systemInstruction": "system",
    "function_response": "tool",
    "functionResponse": "tool",
    **dict.fromkeys(SCHEMAS, "system"),
}
"""Fields and arguments, by who says what they hold."""


class Said(NamedTuple):
    """One text of a request.

    Attributes:
        text: what is said.
        by: whom: "system" stands for the application, "tool" for anybody else's text as well.
        where: the place, as one writes it in Python.
        new: no answer of the model comes after it: it was not in an earlier request.
    """

    text: str
    by: By
    where: str
    new: bool


def said(
    target: Target,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    untrusted: Collection[str] = (),
) -> list[Said]:
    """Every text of a request, in the order in which the model reads them.

    Args:
        target: what will be called.
        args: with which positional arguments.
        kwargs: with which keyword arguments.
        untrusted: names of arguments and fields that hold what others wrote.
    """
    known = target.given(kwargs)
    found: list[Said] = []

    def hear(text: str, where: Where) -> str:
        found.append(Said(text, _speaker(args, known, where, untrusted), str(where), new=True))
        return text

    rewrite(target, args, kwargs, hear)
    answered = max((at for at, each in enumerate(found) if each.by == "assistant"), default=-1)
    return [each._replace(new=at > answered) for at, each in enumerate(found)]


def with_system(
    target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with `text` at the end of the system prompt; unchanged where there is none."""
    known = target.given(kwargs)
    added = False

    def add(old: str, where: Where) -> str:
        nonlocal added
        if added or _speaker(args, known, where, ()) != "system" or _in_schema(where):
            return old
        added = True
        return old + text

    return rewrite(target, args, kwargs, add)


def _in_schema(where: Where) -> bool:
    return any(step in SCHEMAS for step in where.path)


def _speaker(args: tuple[Any, ...], known: Any, where: Where, untrusted: Collection[str]) -> By:
    path: tuple[str | int, ...] = where.path
    if not path:
        return "user"
    if untrusted and (where.label in untrusted or any(step in untrusted for step in path)):
        return "tool"
    by: By = "user"
    head, steps = path[0], path[1:]
    node: Any = known.get(head) if head in known else None
    if head == "args" and len(path) > 1 and isinstance(path[1], int) and node is None:
        node, steps = args[path[1]], path[2:]
    elif node is None and steps:
        node = next((each for each in args if _reaches(each, steps)), None)
    by = _FIELDS.get(head, by)
    for step in steps:
        by = _FIELDS.get(step, _of_node(node, by))
        if by == "tool":  # whatever it says of itself further in
            break
        node = _at(node, step)
    return by


def _of_node(node: Any, by: By) -> By:
    short: list[Any] = [*cast("Any", node)] if isinstance(node, tuple) else []
    if len(short) == 2:
        return _SPEAKERS.get(str(short[0]), by)  # LangChain's short form of a message
    known = fields(node)
    for name in ("role", "type", "part_kind"):
        word = known.get(name)
        if isinstance(word, str) and word in _SPEAKERS and (name, word) != ("type", "function"):
            return _SPEAKERS[word]
    return by


def _at(node: Any, step: object) -> Any:
    if isinstance(step, int):
        try:
            return node[step]
        except (TypeError, LookupError):
            return None
    return fields(node).get(step) if isinstance(step, str) else None


def _reaches(node: Any, steps: tuple[Any, ...]) -> bool:
    for step in steps:
        node = _at(node, step)
        if node is None:
            return False
    return True
