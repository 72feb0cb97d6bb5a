"""A policy that notes the keys of the calls it sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentguard import Call, Policy, Reply
from agentguard.caching.key import Keys


class Noting(Policy):
    """Makes keys and asks on.

    Args:
        **settings: of `Keys`.
    """

    def __init__(self, **settings: Any) -> None:
        self.maker = Keys(**settings)
        self.keys: list[str] = []
        self.calls: list[Call] = []

    def check(self, target: Any) -> None:
        """Refuse as a cache does."""
        self.maker.check(target)

    async def around(self, call: Call, next: Any) -> Reply:
        """Note the key of a call."""
        self.calls.append(call)
        self.keys.append(self.maker.of(call))
        return await next(call)

    def key(self, ask: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """The key of the first request that a call makes."""
        self.keys.clear()
        ask(*args, **kwargs)
        return self.keys[0]

    @property
    def call(self) -> Call:
        """The call seen last."""
        return self.calls[-1]
