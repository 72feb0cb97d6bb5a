"""`prompt_cache`: pay a tenth for what the provider has read before."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from agentguard import events
from agentguard.engine.arguments import one_of
from agentguard.engine.chain import Policy
from agentguard.engine.spelling import Bare
from agentguard.prompt_caching.watch import Watch, packed
from agentguard.providers.cache_key import KEY, cache_key, takes_key
from agentguard.providers.cache_marks import (
    ends,
    lead,
    marked,
    marked_already,
    system_end,
    tools_end,
)
from agentguard.providers.cache_minimum import OPENAI_MINIMUM, cache_minimum
from agentguard.providers.prompt import content_of, prompt_of
from agentguard.tokens.count import bound_tokens

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.reply import Reply
    from agentguard.providers.cache_marks import Change
    from agentguard.providers.prompt import Prompt

__all__ = ["PromptCache", "prompt_cache"]

_MOST: Final = 1024
_TOOL_PROMPT: Final = 700
"""Tokens that Anthropic adds to tools at most."""


class PromptCache(Policy):
    """Have the provider cache what prompts begin with, and read it at a tenth of the price.

    Protects from paying in full, call after call, for the same tools, system prompt and history.

    Requests to Claude get `cache_control` at the end of the tools, at the end of the system prompt,
    and where the conversation ends and ended before: four marks at most. Requests to OpenAI's own
    API, which caches by itself, get a `prompt_cache_key` that is a digest of tools, system prompt and
    the context's tenant. A request in which somebody has set either himself is left alone, and no
    object of the caller's is changed.

    A prompt that keeps changing where it begins (a timestamp in the system prompt) is never read
    back: that is told, with the place, and such a beginning is not marked, since a write costs more
    than plain input.

    It acts on the request of a client or chat model, and so belongs around that, not around a
    function in which the request is made.

    Args:
        ttl: "5m" or "1h", how long Anthropic keeps what nobody reads. A write costs 1.25 or 2 times
            the input, a read a tenth, and a read begins the time anew.

    Events:
        `PrefixChanged(where, position, cause)`, at most once a minute for each part and target; a
        warning for the first. `Blind` around a function whose request is not seen; with a warning,
        too.

    Examples:
        >>> import agentguard as ag
        >>> ag.guard(ag.retry(), ag.timeout(60), ag.prompt_cache(ttl="1h"))
        guard(retry(), timeout(60), prompt_cache(ttl='1h'))
    """

    name: ClassVar[str] = "prompt_cache"
    spellings: ClassVar[Mapping[str, str]] = {
        "": 'prompt_cache(ttl="1h")',
        "cache_control": 'ttl="1h"',
        "expire": 'ttl="1h"',
        "max_age": 'ttl="1h"',
        "retention": 'ttl="1h", for Anthropic; OpenAI\'s own parameter in the request',
        "key": "prompt_cache_key= in the request itself",
        "prompt_cache_key": "it in the request itself",
    }

    def __init__(self, *, ttl: Literal["5m", "1h"] = "5m") -> None:
        one_of("prompt_cache", "ttl", ttl, "5m", "1h")
        self.ttl = ttl
        self._mark = {"type": "ephemeral"}
        if ttl == "1h":  # five minutes is what a mark without it means, to older servers too
            self._mark["ttl"] = ttl
        self._blind = False  # it was said that a request is not seen
        self._watch = Watch()
        self._lock = threading.Lock()
        self._keys: dict[Hashable, str] = {}

    async def around(self, call: Call, next: Next) -> Reply:
        """Mark the request, or give it a key."""
        if call.target.endpoint.provider is None and not call.target.tool:
            self._say_blind(call)
            return await next(call)
        prompt = prompt_of(call.target, call.args, call.kwargs)
        if prompt is None:
            return await next(call)
        prepare = self._keyed if prompt.kind == "openai" else self._marked
        return await next(prepare(call, prompt))

    def _say_blind(self, call: Call) -> None:
        call.emit(events.Blind, (self.name,))
        if not self._blind:
            self._blind = True
            warnings.warn(
                f"prompt_cache cannot act on {call.target.name}: it is no method of a client, and its "
                "request is not seen. Guard the client that makes it: "
                "client = guard(..., prompt_cache())(client)",
                stacklevel=2,
            )

    def _marked(self, call: Call, prompt: Prompt) -> Call:
        """The call with marks where they pay."""
        asked = prompt.known.get("model") or call.target.endpoint.model
        model = asked if isinstance(asked, str) else "claude"
        least = cache_minimum(model)
        tools, system = packed(prompt.tools), prompt.instructions
        unstable = self._watch.unstable(call, prompt, tools, system, least)
        if unstable == "tools" or marked_already(call.target, prompt):
            return call
        size = len(tools) + _TOOL_PROMPT if prompt.tools else 0
        found: list[Change | None] = []
        if size >= least:
            found.append(tools_end(prompt, self._mark))
        if unstable != "system":
            size += _most_tokens(system)
            if size >= least:
                found.append(system_end(prompt, self._mark))
            if not unstable and (size >= least or _long(prompt, model, least - size)):
                found += self._conversation(call, prompt, hash((tools, system)))
        return marked(call, prompt, [change for change in found if change is not None])

    def _conversation(self, call: Call, prompt: Prompt, before: int) -> Sequence[Change]:
        """Marks in the conversation: where it goes on, or in front of the question to a document.

        A question that stands alone is written for nothing where no other follows: with tools, or
        after an answer, another is likely. So is a document whose like was not sent before.
        """
        if prompt.tools or prompt.continues:
            return ends(prompt, self._mark)
        change = lead(prompt, self._mark)
        if change is None:
            return ()
        beginning = hash((before, packed(content_of(prompt.messages[-1])[:-1])))
        return [change] if self._watch.returns(call, beginning) else ()

    def _keyed(self, call: Call, prompt: Prompt) -> Call:
        """The call with a key that is the same for all that begin alike."""
        tools, system = packed(prompt.tools), prompt.instructions
        unstable = self._watch.unstable(call, prompt, tools, system, OPENAI_MINIMUM)
        if unstable in {"tools", "system"} or not takes_key(call.target, prompt):
            return call
        if (len(tools) if prompt.tools else 0) + _most_tokens(system) < OPENAI_MINIMUM:
            return call
        tenant = call.scope.tags.get("tenant")
        same = (hash(tools), hash(system), str(tenant))
        with self._lock:
            key = self._keys.get(same)
        if key is None:
            key = cache_key(prompt, tenant)
            with self._lock:
                if len(self._keys) >= _MOST:
                    self._keys.clear()
                self._keys[same] = key
        return call.replace(kwargs={**call.kwargs, KEY: key})

    def explain(self) -> Sequence[tuple[str, object]]:
        """The lifetime, and where state is kept."""
        return [("ttl", self.ttl), ("state", "this process")]


prompt_cache = Bare(PromptCache)


def _most_tokens(text: str) -> int:
    """No text has more tokens than bytes, nor a character more than four of these."""
    return len(text) if text.isascii() else 4 * len(text)


def _long(prompt: Prompt, model: str, least: int) -> bool:
    """Whether the conversation may have so many tokens."""
    try:
        return bound_tokens([*prompt.messages[prompt.start :]], model) >= least
    except Exception:  # what cannot be counted may be long: a mark in vain costs nothing
        return True
