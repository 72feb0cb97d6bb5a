"""How many characters a call sends: cheap enough for every call, where tokens are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.items import fields, sequence
from agentguard.providers.prompt import langchain_model
from agentguard.providers.sent_names import AUTHORISES

if TYPE_CHECKING:
    from agentguard.engine.call import Call

__all__ = ["characters", "characters_sent"]

_SENT: Final = ("system", "instructions", "messages", "input", "contents", "prompt", "config")
_TEXTS: Final = (
    *("content", "text", "parts", "input", "output", "arguments", "thinking", "reasoning"),
    *("function", "tool_calls", "args", "system_instruction", "function_call", "function_response"),
)
"""Fields of messages and blocks that hold what is said; all others name, number or attach."""

_OF_MESSAGES: Final = frozenset({"role", "type", "content", "parts", "function", "arguments"})
"""Fields of which messages and their blocks have one, and plain data has not."""

_DEEPEST: Final = 12


def characters_sent(call: Call) -> int:
    """Characters of the prompt: of a client's request its conversation, else of all arguments.

    Attachments and the definitions of tools are not counted.
    """
    target = call.target
    known = target.given(call.kwargs)
    total = sum(characters(each) for each in call.args)
    if target.endpoint.provider is not None or langchain_model(target) is not None:
        return total + sum(characters(known[name]) for name in _SENT if name in known)
    return total + sum(
        characters(value)
        for name, value in known.items()
        if name != "model" and not AUTHORISES.search(name)
    )


def characters(value: Any, deep: int = 0) -> int:
    """Characters of the texts in messages and plain data.

    Examples:
        >>> characters([{"role": "user", "content": "Who?"}, "Me."])
        7
    """
    if isinstance(value, str):
        return len(value)
    if deep > _DEEPEST:
        return 0
    if sequence(value):
        return sum(characters(each, deep + 1) for each in value)
    known = fields(value)
    if isinstance(value, dict) and _OF_MESSAGES.isdisjoint(known):
        return sum(characters(each, deep + 1) for each in known.values())
    return sum(characters(known[name], deep + 1) for name in _TEXTS if name in known)
