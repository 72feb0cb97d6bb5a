"""The tool that a request makes the model call, whatever it would say itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.items import fields, sequence

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["forced_tool"]

_ANY: Final = frozenset({"required", "any", "ANY"})
_FREE: Final = frozenset({"auto", "none", "AUTO", "NONE"})


def forced_tool(kwargs: Mapping[str, Any]) -> str | None:
    """Its name; None where the model is free to call another, or none.

    Args:
        kwargs: of a request to OpenAI, Anthropic, Google, LiteLLM or LangChain.

    Examples:
        >>> forced_tool({"tool_choice": {"type": "function", "function": {"name": "City"}}})
        'City'
    """
    choice: Any = kwargs.get("tool_choice")
    tools: Any = kwargs.get("tools")
    if choice is None:
        config = fields(kwargs.get("config"))
        calling = fields(fields(config.get("tool_config")).get("function_calling_config"))
        allowed = calling.get("allowed_function_names")
        if sequence(allowed) and len(allowed) == 1:
            return str(allowed[0])
        choice = getattr(calling.get("mode"), "value", calling.get("mode"))
        tools = config.get("tools")
    known = fields(choice)
    name = known.get("name") or fields(known.get("function")).get("name")
    if name is not None:
        return str(name)
    word = choice if isinstance(choice, str) else known.get("type")
    if word in _ANY or choice is True:
        names = [*_names(tools)]
        return names[0] if len(names) == 1 else None
    return str(word) if isinstance(choice, str) and word not in _FREE else None


def _names(tools: Any) -> list[str]:
    if not sequence(tools):
        return []
    found: list[str] = []
    for each in map(fields, tools):
        declared = each.get("function_declarations")
        if sequence(declared):
            found += _names(declared)
        else:
            found.append(str(each.get("name") or fields(each.get("function")).get("name")))
    return found
