"""`cache_bypass` and `cache_refresh`: blocks that tell the caches inside to stand aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.engine.scope import Block

if TYPE_CHECKING:
    from agentguard.engine.scope import Scope

__all__ = ["cache_bypass", "cache_refresh"]


class cache_bypass(Block):  # noqa: N801  a block reads like a verb, as contextlib.suppress does
    """Make the calls inside as if there were no cache: nothing is looked up and nothing kept.

    Examples:
        >>> from agentguard import cache, cache_bypass
        >>> answers = iter(["first", "second"])
        >>> @cache(ttl="1h")
        ... def ask(question: str) -> str:
        ...     return next(answers)
        >>> ask("?")
        'first'
        >>> with cache_bypass():
        ...     ask("?")
        'second'
        >>> ask("?")
        'first'
    """

    def surround(self, outer: Scope) -> Scope:
        """Tell the caches inside."""
        return outer.within(caching="bypass")


class cache_refresh(Block):  # noqa: N801
    """Make the calls inside anew, and keep their answers in place of those that were there.

    Inside a `cache_bypass` it changes nothing.

    Examples:
        >>> from agentguard import cache, cache_refresh
        >>> answers = iter(["first", "second"])
        >>> @cache(ttl="1h")
        ... def ask(question: str) -> str:
        ...     return next(answers)
        >>> ask("?")
        'first'
        >>> with cache_refresh():
        ...     ask("?")
        'second'
        >>> ask("?")
        'second'
    """

    def surround(self, outer: Scope) -> Scope:
        """Tell the caches inside."""
        return outer.within(caching=outer.caching or "refresh")
