"""Which calls give the same answer twice: those for embeddings, and those at temperature 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.providers import embeddings
from agentguard.providers.evidence import read
from agentguard.providers.items import fields

if TYPE_CHECKING:
    from agentguard.engine.call import Call

__all__ = ["repeatable"]


def repeatable(call: Call) -> bool:
    """Whether the caller can expect the same answer again.

    The temperature is looked for in the call's own arguments, in google-genai's `config=`, and on
    a LangChain model. Where none is given the provider's default is above 0.

    Args:
        call: about to be made.
    """
    if embeddings.argument(call.target) is not None:
        return True
    given = call.target.given(call.kwargs)
    holders: tuple[Any, ...] = (given, given.get("config"), read(call.target.fn, "__self__"))
    for holder in holders:
        temperature = fields(holder).get("temperature")
        if temperature is not None:
            return isinstance(temperature, (int, float)) and temperature == 0
    return False
