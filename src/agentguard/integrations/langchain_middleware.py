"""A LangChain agent's middleware: its model calls under one guard, its tool calls under another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.engine.chain import Policy
from agentguard.engine.decorate import Guarded
from agentguard.engine.guard import guard as Guard  # noqa: N812  the class, beside its instance
from agentguard.providers.endpoint import endpoint

try:
    from langchain.agents.middleware import AgentMiddleware
except ImportError as error:
    raise ImportError(
        "guard(...).middleware() needs LangChain 1: pip install 'agentguard-decorators[langchain]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from langchain.agents.middleware import ModelRequest, ModelResponse
    from langchain.agents.middleware.types import ToolCallRequest
    from langchain_core.messages import ToolMessage
    from langgraph.types import Command

__all__ = ["GuardMiddleware", "middleware"]


def middleware(guard: Guard, tools: Guard | None = None) -> GuardMiddleware:
    """The middleware of `guard(...).middleware()`, which documents it."""
    return GuardMiddleware(guard, tools)


class GuardMiddleware(AgentMiddleware[Any, Any, Any]):
    """An agent's model calls through one guard, its tool calls through another.

    Made by `guard(...).middleware()`.
    """

    def __init__(self, guard: Guard, tools: Guard | None) -> None:
        super().__init__()
        self._guard = guard
        self._tool_guard = tools or Guard(Policy())  # no policy, but a tool all the same
        self._guarded: dict[Hashable, Guarded] = {}

    @property
    def name(self) -> str:
        """What LangChain tells middlewares apart by: the guard and its policies."""
        return f"guard({', '.join(policy.name for policy in self._guard.policies)})"

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> Any:
        """Call the model through the guard."""
        return self._model(request, _call).wrapper(request, handler)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> Any:
        """Call the model through the guard."""
        return await self._model(request, _acall).wrapper(request, handler)

    def wrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]],
    ) -> Any:
        """Run the tool through the tools' guard."""
        if request.tool is None:  # a name that the model made up: nothing acts
            return handler(request)
        return self._tool(request, _call).wrapper(request, handler)

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> Any:
        """Run the tool through the tools' guard."""
        if request.tool is None:  # a name that the model made up: nothing acts
            return await handler(request)
        return await self._tool(request, _acall).wrapper(request, handler)

    def _model(self, request: ModelRequest[Any], through: Callable[..., Any]) -> Guarded:
        """One for each model: circuits and retry budgets are kept by provider, URL and model."""
        seen = endpoint(request.model.invoke)
        seen.takes_timeout = False  # the keyword would have to pass LangChain's handler
        key = (through, seen.provider, seen.base_url, seen.model)
        found = self._guarded.get(key)
        if found is None:
            found = self._guarded[key] = Guarded(self._guard, through, "model_call")
            found.target.endpoint = seen
        return found

    def _tool(self, request: ToolCallRequest, through: Callable[..., Any]) -> Guarded:
        """One for each tool, by its name."""
        name = request.tool_call["name"]
        found = self._guarded.get((through, name))
        if found is None:
            found = Guarded(self._tool_guard, through, name, tool=True)
            self._guarded[through, name] = found
        return found


def _call(request: Any, handler: Callable[[Any], Any]) -> Any:
    return handler(request)


async def _acall(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
    return await handler(request)
