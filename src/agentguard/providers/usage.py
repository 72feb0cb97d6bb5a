"""What a call used, in the words of every provider.

One duck rule reads the figures of all SDKs (OpenAI, Anthropic, Google, LangChain, LiteLLM,
pydantic-ai) from objects and from raw JSON alike. Its one trap: Anthropic alone counts cached
tokens apart from `input_tokens`; here `input_tokens` always includes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.providers.items import fields

if TYPE_CHECKING:
    from collections.abc import Mapping


_NOTHING: Final[Mapping[str, Any]] = {}


class Usage:
    """Tokens of one call, comparable across providers.

    Attributes:
        input_tokens: tokens of the prompt, cached ones INCLUDED.
        output_tokens: tokens of the answer, reasoning INCLUDED.
        cached_tokens: the part of the input that was read from the provider's cache.
        cache_write_tokens: the part of the input that was written to the provider's cache.
        reasoning_tokens: the part of the output that was reasoning.
        cache_write_1h_tokens: the part of `cache_write_tokens` that was written to stay for an hour,
            which costs more than the usual five minutes.

    Examples:
        >>> Usage(input_tokens=12, output_tokens=3).total_tokens
        15
    """

    __slots__ = (
        "cache_write_1h_tokens",
        "cache_write_tokens",
        "cached_tokens",
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
    )

    def __init__(
        self,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cached_tokens = cached_tokens
        self.cache_write_tokens = cache_write_tokens
        self.reasoning_tokens = reasoning_tokens
        self.cache_write_1h_tokens = cache_write_1h_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def _figures(self) -> tuple[int, ...]:
        return (
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
            self.cache_write_1h_tokens,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(self._figures(), other._figures(), strict=True)))

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(a - b for a, b in zip(self._figures(), other._figures(), strict=True)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and self._figures() == other._figures()

    def __hash__(self) -> int:
        return hash(self._figures())

    def __repr__(self) -> str:
        return (
            f"Usage(input_tokens={self.input_tokens}, output_tokens={self.output_tokens}, "
            f"cached_tokens={self.cached_tokens}, cache_write_tokens={self.cache_write_tokens}, "
            f"reasoning_tokens={self.reasoning_tokens}, "
            f"cache_write_1h_tokens={self.cache_write_1h_tokens})"
        )


def usage_of(figures: object) -> Usage | None:
    """Read a provider's usage object or dict; None when it holds no figure we know.

    Args:
        figures: what the provider calls `usage`, `usage_metadata` or `usageMetadata`.
    """
    if figures is None:
        return None
    raw = fields(figures)
    prompt = _first(raw, "prompt_tokens", "input_tokens", "prompt_token_count", "promptTokenCount")
    answer = _first(
        raw, "completion_tokens", "output_tokens", "candidates_token_count", "candidatesTokenCount"
    )
    thoughts = _first(raw, "thoughts_token_count", "thoughtsTokenCount")
    if prompt is None and answer is None and thoughts is None:
        return None
    into = _details(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    out = _details(
        raw, "completion_tokens_details", "output_tokens_details", "output_token_details"
    )
    read = _first(
        raw,
        "cache_read_input_tokens",
        "cached_content_token_count",
        "cachedContentTokenCount",
        "cache_read_tokens",
        "prompt_cache_hit_tokens",
    ) or _first(into, "cached_tokens", "cache_read")
    # Anthropic splits writes by time to live apart, LangChain among its other details.
    split = into if "ephemeral_1h_input_tokens" in into else _details(raw, "cache_creation")
    hour = _first(split, "ephemeral_1h_input_tokens") or 0
    written = (
        _first(raw, "cache_creation_input_tokens", "cache_write_tokens")
        or _first(into, "cache_write_tokens", "cache_creation_tokens", "cache_creation")
        # LangChain says 0 where it splits by time to live.
        or (_first(split, "ephemeral_5m_input_tokens") or 0) + hour
    )
    if "prompt_tokens" not in raw and (
        "cache_read_input_tokens" in raw or "cache_creation_input_tokens" in raw
    ):
        prompt = (prompt or 0) + (read or 0) + written
    # Google counts thoughts, and the prompts of its own tools, beside the other two figures.
    tools = _first(raw, "tool_use_prompt_token_count", "toolUsePromptTokenCount")
    return Usage(
        (prompt or 0) + (tools or 0),
        (answer or 0) + (thoughts or 0),
        read or 0,
        written,
        thoughts or _first(out, "reasoning_tokens", "thinking_tokens", "reasoning") or 0,
        hour,
    )


def _first(raw: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        if name in raw:  # most are not: this is what reading an answer spends its time on
            figure = raw[name]
            if isinstance(figure, (int, float)):
                return int(figure)
    return None


def _details(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if name in raw and raw[name] is not None:
            return fields(raw[name])
    return _NOTHING
