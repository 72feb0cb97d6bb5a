"""A request to Anthropic as its cache sees it: blocks in order, of which some are marked."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agentguard.providers.items import sequence
from agentguard.testing.provider.answer import prompt_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIVE_MINUTES: Final = 300.0
_AN_HOUR: Final = 3600.0
_MARKS: Final = 4
_FORBIDDEN: Final = ("thinking", "redacted_thinking")


class Block(NamedTuple):
    """A tool, a block of the system prompt or of a message; `mark` is its `cache_control`."""

    place: str
    kind: str
    text: str
    tokens: int
    mark: Mapping[str, Any] | None

    @property
    def seconds(self) -> float:
        """How long what ends here is kept."""
        return _AN_HOUR if (self.mark or {}).get("ttl") == "1h" else FIVE_MINUTES


def refusal(body: Mapping[str, Any]) -> str | None:
    """What Anthropic says to marks that it does not take; None where it takes them.

    Args:
        body: of a request.
    """
    marked = [block for block in blocks_of(body) if block.mark is not None]
    for block in marked:
        if block.kind in _FORBIDDEN:
            return f"{block.place}.{block.kind}.cache_control: Extra inputs are not permitted"
        if block.kind == "text" and not block.tokens:
            return f"{block.place}: cache_control cannot be set for empty text blocks"
        if block.kind == "deferred":
            return f"{block.place}: cache_control cannot be set on a tool with defer_loading"
    if len(marked) > _MARKS:
        return (
            f"A maximum of {_MARKS} blocks with cache_control may be provided. Found {len(marked)}."
        )
    for before, block in pairwise(marked):
        if before.seconds < block.seconds:
            return (
                f"{block.place}.cache_control.ttl: a ttl='1h' cache_control block must not come after "
                "a ttl='5m' cache_control block. Note that blocks are processed in the following "
                "order: `tools`, `system`, `messages`."
            )
    return None


def blocks_of(body: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the tools, the system prompt and the conversation, in the order in which it is cached.

    Args:
        body: of a request.
    """
    found = list(_explicit(body))
    automatic = body.get("cache_control")
    if automatic:
        for index in range(len(found) - 1, -1, -1):
            block = found[index]
            if block.mark is not None:
                break
            if block.kind not in _FORBIDDEN and block.tokens:
                found[index] = block._replace(mark=automatic)
                break
    yield from found


def _explicit(body: Mapping[str, Any]) -> Iterator[Block]:
    for index, tool in enumerate(listed(body.get("tools"))):
        yield _block(f"tools.{index}", "deferred" if tool.get("defer_loading") else "tool", tool)
    system = body.get("system")
    if isinstance(system, str):
        system = [{"type": "text", "text": system}] if system else []
    for index, block in enumerate(listed(system)):
        yield _block(f"system.{index}", "text", block)
    # What changes how the model reads the conversation makes it another one.
    mode = json.dumps([body.get("tool_choice"), body.get("thinking")], sort_keys=True)
    for number, message in enumerate(listed(body.get("messages"))):
        content: Any = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for index, block in enumerate(listed(content)):
            inner = listed(block.get("content"))
            moved = inner[-1].get("cache_control") if inner else None  # to the block around it
            place = f"messages.{number}.content.{index}"
            said = mode + str(message.get("role"))
            found = _block(place, str(block.get("type")), block, said)
            yield found if moved is None else found._replace(mark=moved)


def _block(place: str, kind: str, block: Mapping[str, Any], said: str = "") -> Block:
    text = said + json.dumps(_unmarked(block), sort_keys=True)
    return Block(place, kind, text, len(list(prompt_words(block))), block.get("cache_control"))


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        plain = {key: _unmarked(item) for key, item in known.items() if key != "cache_control"}
        if isinstance(plain.get("content"), str):  # short for a block
            plain["content"] = [{"type": "text", "text": plain["content"]}]
        return plain
    if sequence(value):
        return [_unmarked(item) for item in value]
    return value


def listed(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none where it is something else."""
    return [item for item in value if isinstance(item, dict)] if sequence(value) else []
