"""The classes that a call asks its answer to be of, as SDKs take them for structured output."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.caching.beside import of_agent
from agentguard.providers.evidence import read

if TYPE_CHECKING:
    from agentguard.engine.call import Call

__all__ = ["wanted"]

_HINTS: Final = (type, types.GenericAlias, types.UnionType)


def wanted(call: Call) -> list[Any]:
    """Those among the arguments, in an agent's request, and in a configuration of google-genai."""
    given = (*call.args, *call.kwargs.values())
    found: list[Any] = [value for value in given if isinstance(value, _HINTS)]
    if given and of_agent(call.target):
        found.append(read(read(given[0], "response_format"), "schema"))
    if call.target.endpoint.provider == "google":
        config: Any = call.kwargs.get("config")
        if isinstance(config, dict):
            found.append(cast("dict[str, Any]", config).get("response_schema"))
        else:
            found.append(read(config, "response_schema"))
    return found
