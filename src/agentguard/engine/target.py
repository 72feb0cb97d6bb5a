"""A target: something that can be called, and what is known of it before any call."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any

from agentguard.providers.endpoint import Endpoint, endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

__all__ = ["Target", "name_of"]


class Target:
    """Something that can be called: what is known of it before any call.

    Attributes:
        fn: the callable itself.
        name: for reports and messages.
        shape: what its own flags say: "function", "coroutine", "generator" or "asyncgen".
        streams: whether it answers with streams: by its flags, or seen.
        hands_back: whether it returns an awaitable although its flags say otherwise: a method of an
            async SDK client, or seen.
        tool: whether it has effects in the world, so that no call around it may be replayed.
        blind: whether a policy that must see its model call has seen none.
        ends: whether a stream of it has shown a terminal signal, so that a stream without one is
            cut; always known for providers that never omit it.
        plans: what policies have worked out for it, each under itself.
    """

    __slots__ = (
        "_endpoint",
        "_named",
        "blind",
        "ends",
        "fn",
        "hands_back",
        "is_async",
        "name",
        "plans",
        "shape",
        "streams",
        "tool",
    )

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, *, tool: bool = False
    ) -> None:
        self.fn = fn
        self.name = name or name_of(fn)
        self._named = name is not None
        self.tool = tool
        self.blind = False
        self.shape = shape_of_callable(fn)
        self.is_async = self.shape in {"coroutine", "asyncgen"}
        self.streams = self.shape in {"generator", "asyncgen"}
        self.hands_back = _of_async_client(fn)
        self.ends = False
        self.plans: dict[object, Any] = {}
        self._endpoint: Endpoint | None = None

    def __repr__(self) -> str:
        return f"<target {self.name}>"

    @property
    def endpoint(self) -> Endpoint:
        """What can be seen of the provider behind it."""
        if self._endpoint is None:
            self._endpoint = endpoint(self.fn)
        return self._endpoint

    @endpoint.setter
    def endpoint(self, seen: Endpoint) -> None:
        self._endpoint = seen

    @property
    def key(self) -> Hashable:
        """What circuits and retry budgets are kept for, as far as it is known before a call."""
        seen = self.endpoint
        if seen.provider is not None:
            return (seen.provider, seen.base_url, seen.model)
        fn = getattr(self.fn, "__func__", self.fn)
        key = fn if fn.__hash__ is not None else id(fn)
        return (key, self.name) if self._named else key  # two tools may be of one class

    def given(self, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The keyword arguments of a call, with those that a `functools.partial` gives."""
        fn = self.fn
        return {**fn.keywords, **kwargs} if isinstance(fn, functools.partial) else kwargs

    def renamed(self, name: str) -> Target:
        """The same callable under another name, for a call with other arguments."""
        other = copy.copy(self)
        other.name = name
        other.plans = {}
        return other


def name_of(fn: Callable[..., Any]) -> str:
    """How `fn` is called in reports: its qualified name without the enclosing functions."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    return str(name).rpartition("<locals>.")[2]


def shape_of_callable(fn: Callable[..., Any]) -> str:
    """What the callable's own flags say; never unwrapped, see design notes on SDK methods.

    A sync bridge over an async function has the same `__wrapped__` as an SDK's async method: only
    the result tells them apart, and the runtime looks at it.
    """
    for flags in (fn, type(fn).__call__):
        if inspect.iscoroutinefunction(flags):
            return "coroutine"
        if inspect.isasyncgenfunction(flags):
            return "asyncgen"
        if inspect.isgeneratorfunction(flags):
            return "generator"
    return "function"


def _of_async_client(fn: Callable[..., Any]) -> bool:
    """Whether `fn` is a method of an SDK's async resource, whose flags lie (AsyncCompletions)."""
    owner: object = getattr(fn, "__self__", None)
    return type(owner).__name__.startswith("Async") and inspect.iscoroutinefunction(
        inspect.unwrap(fn)
    )
