"""`cache_control` in a request to a Claude model: where it stands, where it may, and putting it there.

A mark ends a prefix that is to be cached. Which blocks may carry one, and that a request has four at
most: https://platform.claude.com/docs/en/build-with-claude/prompt-caching, October 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.items import fields, rebuilt, sequence
from agentguard.providers.prompt import ANSWERING, ASKING, content_of, langchain_model, role_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.target import Target
    from agentguard.providers.items import Path
    from agentguard.providers.prompt import Prompt

    Change = tuple[Path, Any]
    """Where in the request something changes, and what stands there then."""

__all__ = ["ends", "lead", "marked", "marked_already", "system_end", "tools_end"]

_NAME: Final = "cache_control"
_BLOCKS: Final = frozenset({"text", "image", "document", "tool_result", "search_result"})
"""Of a user's message. What other adapters hand on with a mark is certain for texts only."""

_TEXTS: Final = frozenset({"text"})

_BESIDE: Final = ("function", "extras", "additional_kwargs")
"""Where LiteLLM and LangChain take a mark, too."""


def marked_already(target: Target, prompt: Prompt) -> bool:
    """Whether somebody has put a mark into the request himself.

    Args:
        target: what will be called.
        prompt: of the request.
    """
    known = prompt.known
    if known.get(_NAME) or fields(known.get("extra_body")).get(_NAME):
        return True
    if prompt.kind == "langchain":
        fixed = fields(langchain_model(target)).get("model_kwargs")
        if fields(fixed).get(_NAME):
            return True
    beside = () if prompt.kind == "anthropic" else _BESIDE
    return any(_has_in(part, beside) for part in (prompt.tools, prompt.system, prompt.messages))


def tools_end(prompt: Prompt, mark: dict[str, str]) -> Change | None:
    """A mark on the last tool; one that is loaded later is no part of the prompt and takes none.

    Args:
        prompt: of the request.
        mark: what to put there.
    """
    for index in range(len(prompt.tools) - 1, -1, -1):
        tool = prompt.tools[index]
        if isinstance(tool, dict) and not fields(tool).get("defer_loading"):
            return ("tools", index, _NAME), mark
    return None


def system_end(prompt: Prompt, mark: dict[str, str]) -> Change | None:
    """A mark at the end of the system prompt.

    Args:
        prompt: of the request.
        mark: what to put there.
    """
    if prompt.kind == "anthropic":
        return _in_content(("system",), prompt.system, mark, _TEXTS)
    if prompt.start:
        last = prompt.start - 1
        content = content_of(prompt.messages[last])
        return _in_content(("messages", last, "content"), content, mark, _TEXTS)
    return None


def ends(prompt: Prompt, mark: dict[str, str]) -> list[Change]:
    """Marks where the conversation ends, and where it ended when the model was asked before.

    Both are on what the user's side says: what the model says next comes behind it. The second finds
    what the last request has written, however many blocks have come since.

    Args:
        prompt: of the request.
        mark: what to put there.
    """
    found: list[Change] = []
    answered = True
    for index in range(len(prompt.messages) - 1, prompt.start - 1, -1):
        role = role_of(prompt.messages[index])
        if role in ANSWERING:
            answered = True
        elif role in ASKING and answered:
            change = _in_message(prompt, index, mark)
            if change is not None:
                found.append(change)
                answered = False
                if len(found) == 2:
                    break
    return found


def lead(prompt: Prompt, mark: dict[str, str]) -> Change | None:
    """A mark before the last block of an only message, as before the question to a document.

    Args:
        prompt: of the request.
        mark: what to put there.
    """
    if len(prompt.messages) - prompt.start != 1:
        return None
    content = content_of(prompt.messages[-1])
    if not sequence(content) or len(content) < 2:
        return None
    path = ("messages", prompt.start, "content")
    return _in_content(path, content[:-1], mark, _kinds(prompt))


def marked(call: Call, prompt: Prompt, changes: Sequence[Change]) -> Call:
    """The call with the marks in it. What the caller holds stays as it is.

    Args:
        call: to be made.
        prompt: of its request.
        changes: where the marks go.
    """
    if not changes:
        return call
    names = {path[0] for path, _ in changes}
    parts = {"tools": prompt.tools, "system": prompt.system, "messages": prompt.messages}
    new = rebuilt({name: parts[str(name)] for name in names}, changes)
    if prompt.positional and "messages" in new:
        args = (new.pop("messages"), *call.args[1:])
        return call.replace(args=args, kwargs={**call.kwargs, **new})
    return call.replace(kwargs={**call.kwargs, **new})


def _kinds(prompt: Prompt) -> frozenset[str]:
    return _BLOCKS if prompt.kind == "anthropic" else _TEXTS


def _in_message(prompt: Prompt, index: int, mark: dict[str, str]) -> Change | None:
    message = prompt.messages[index]
    path: Path = ("messages", index, "content")
    content = content_of(message)
    if prompt.kind == "litellm" and role_of(message) == "tool":
        return (("messages", index, _NAME), mark) if content else None
    if role_of(message) == "tool" and sequence(content) and not _is_text(content[-1:]):
        return None  # of what is inside a result, only a mark on its last block counts
    refusing = _called_by_code(prompt.messages[index - 1]) if index else frozenset[str]()
    return _in_content(path, content, mark, _kinds(prompt), refusing)


def _in_content(
    path: Path,
    content: Any,
    mark: dict[str, str],
    kinds: frozenset[str],
    refusing: frozenset[str] = frozenset(),
) -> Change | None:
    """A mark on the last block that may carry one; a text becomes a block."""
    if isinstance(content, str):
        return (path, [{"type": "text", "text": content, _NAME: mark}]) if _says(content) else None
    if sequence(content):
        for index in range(len(content) - 1, -1, -1):
            block = fields(content[index])
            if (
                block.get("type") in kinds
                and (block["type"] != "text" or _says(block.get("text")))
                and block.get("tool_use_id") not in refusing
            ):
                return (*path, index, _NAME), mark
    return None


def _is_text(blocks: Sequence[Any]) -> bool:
    return any(_says(fields(block).get("text")) for block in blocks)


def _says(text: object) -> bool:
    return isinstance(text, str) and bool(text) and not text.isspace()


def _called_by_code(message: Any) -> frozenset[str]:
    """The tool calls that the model's own code has made: their results carry no mark."""
    content = content_of(message)
    if not sequence(content):
        return frozenset()
    blocks = map(fields, content)
    return frozenset(
        str(block.get("id"))
        for block in blocks
        if str(fields(block.get("caller")).get("type", "")).startswith("code_execution")
    )


def _has_in(nodes: Any, beside: tuple[str, ...]) -> bool:
    """Whether tools, messages or blocks have one, or the blocks in them."""
    if not sequence(nodes):
        return False
    for node in nodes:
        known = fields(node)
        if known.get(_NAME) or any(fields(known.get(name)).get(_NAME) for name in beside):
            return True
        content = known.get("content")
        if content.__class__ is not str and _has_in(content, beside):
            return True
    return False
