"""How long a prompt must be for its provider to cache it.

Anthropic's figures as of October 2026, in tokens, for its own API:
https://platform.claude.com/docs/en/build-with-claude/prompt-caching. A mark in a shorter prompt does
nothing and costs nothing, so a model that is not known counts as one of the newest. OpenAI's:
https://developers.openai.com/api/docs/guides/prompt-caching.
"""

from __future__ import annotations

import functools
from typing import Final

__all__ = ["OPENAI_MINIMUM", "cache_minimum"]

OPENAI_MINIMUM: Final = 1024

_NEWEST: Final = 512
_CLAUDE: Final = (
    ("haiku-4-5", 4096),
    ("opus-4-5", 4096),
    ("opus-4-6", 4096),
    ("opus-4-7", 2048),
    ("mythos-preview", 2048),
    ("3-haiku", 2048),
    ("3-5-haiku", 2048),
    ("haiku-3", 2048),
    ("sonnet-5-5", _NEWEST),
    ("sonnet-5", 1024),
    ("sonnet-4", 1024),
    ("sonnet-3", 1024),
    ("3-5-sonnet", 1024),
    ("3-7-sonnet", 1024),
    ("opus-4", 1024),
    ("3-opus", 1024),
    ("opus-3", 1024),
)
"""Parts of names, the first that fits decides."""


@functools.lru_cache(maxsize=1024)
def cache_minimum(model: str) -> int:
    """How many tokens a prefix must have for Anthropic to cache it.

    Args:
        model: as it is sent, in the spelling of Bedrock, Vertex or a gateway too.

    Examples:
        >>> cache_minimum("claude-haiku-4-5-20251001"), cache_minimum("claude-opus-5")
        (4096, 512)
    """
    name = model.lower().replace(".", "-")
    return next((tokens for part, tokens in _CLAUDE if part in name), _NEWEST)
