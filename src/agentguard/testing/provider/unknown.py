"""What is none of the protocols: answered with 404, as a provider does, and journaled."""

from __future__ import annotations

from typing import Any

from agentguard.testing.provider.openai_error import error_body
from agentguard.testing.provider.protocol import Exchange, Problem, Protocol


class Unknown(Protocol):
    """Any other path."""

    name = "unknown"

    def matches(self, path: str) -> bool:
        """Serve what nothing else serves."""
        return True

    def streams(self, path: str, body: Any) -> bool:
        """Never stream."""
        return False

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return an empty object; requests of no known protocol get an error instead."""
        return {}

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return OpenAI's error body."""
        return error_body(problem)
