"""Watches what the prompts of each target begin with, and tells where they keep changing."""

from __future__ import annotations

import functools
import marshal
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard import events
from agentguard.prompt_caching.cause import cause
from agentguard.prompt_caching.prefixes import Prefixes, Trace, of_text, of_tools, span

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from agentguard.engine.call import Call
    from agentguard.prompt_caching.prefixes import Look
    from agentguard.providers.prompt import Prompt

__all__ = ["Watch", "packed"]

_MOST: Final = 256
_QUIET: Final = 60.0
"""Seconds between two events about the same part of the same target's prompts."""

_CHARACTERS: Final = 4
"""A token, in English."""


class _Part(NamedTuple):
    name: str
    digest: int
    trace: Callable[[], Trace]
    text: str | None


class Watch:
    """What the prompts of each target began with lately."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prefixes: dict[Hashable, Prefixes] = {}
        self._told: dict[tuple[Hashable, str], float] = {}

    def unstable(self, call: Call, prompt: Prompt, tools: bytes, system: str, least: int) -> str:
        """The part from which on the prompts of this target keep changing; empty if none does.

        Args:
            call: to be made.
            prompt: of its request.
            tools: of it, packed.
            system: the text of its system prompt.
            least: tokens that a prompt must have to be cached.
        """
        opening = prompt.opening if prompt.continues else ""
        if (len(tools) + len(system) + len(opening)) // _CHARACTERS < least:
            return ""
        prefixes = self._of(call.key)
        for part in _parts(prompt, tools, system, opening):
            look = prefixes.look(part.name, part.digest, part.trace)
            if look.known or not look.changing:
                continue
            where, position, why = _place(part, look)
            if part.name == "messages[0]" and why is None:
                continue  # other conversations, of which some begin alike
            self._tell(call, part.name, where, position, why)
            return part.name
        return ""

    def returns(self, call: Call, beginning: int) -> bool:
        """Whether a prompt of this target has begun like this before.

        Args:
            call: to be made.
            beginning: a digest of it.
        """
        look = self._of(call.key).look("beginning", beginning, lambda: Trace((), beginning))
        return look.known

    def _of(self, key: Hashable) -> Prefixes:
        with self._lock:
            found = self._prefixes.get(key)
            if found is None:
                if len(self._prefixes) >= _MOST:
                    del self._prefixes[next(iter(self._prefixes))]
                found = self._prefixes[key] = Prefixes()
            return found

    def _tell(
        self, call: Call, name: str, where: str, position: int | None, why: str | None
    ) -> None:
        about, now = (call.key, name), call.runtime.monotonic()
        with self._lock:
            before = self._told.get(about)
            if before is not None and now - before < _QUIET:
                return
            if len(self._told) >= _MOST:
                self._told.clear()
            self._told[about] = now
        call.emit(events.PrefixChanged, where, position, why)
        if before is None:
            at = "" if position is None else f" from about character {position:,} on"
            looks = f" (it looks like {why})" if why else ""
            warnings.warn(
                f"the prompts of {call.target.name} keep changing in {where}{at}{looks}, so that the "
                "provider's cache of what they begin with is never read: put what changes behind "
                "what stays, best into the last message",
                stacklevel=2,
            )


def packed(tools: Any) -> bytes:
    """Tools as bytes, the same for the same tools in the same order.

    Args:
        tools: of a request.
    """
    try:
        return marshal.dumps(tools, 2)  # without references, which depend on who else holds a text
    except ValueError:
        return repr(tools).encode("utf-8", "surrogatepass")


def _parts(prompt: Prompt, tools: bytes, system: str, opening: str) -> Iterator[_Part]:
    if prompt.tools:

        def trace() -> Trace:
            return of_tools(hash(packed(tool)) for tool in prompt.tools)

        yield _Part("tools", hash(tools), trace, None)
    for name, text in (("system", system), ("messages[0]", opening)):
        if text:
            yield _Part(name, hash(text), functools.partial(of_text, text), text)


def _place(part: _Part, look: Look) -> tuple[str, int | None, str | None]:
    """Where a part differs from one before, and why by the looks of it."""
    chunk = look.chunk or 0
    if part.text is None:
        return f"tools[{chunk}]", None, "tools in another order" if look.ending else None
    start, stop = span(chunk)
    return part.name, start, cause(part.text, start, stop)
