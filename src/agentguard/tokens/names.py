"""The many names of one model: dated, prefixed by a gateway, a region or a resource path."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["bare", "plain", "stem", "unhosted"]

# Compiled at first use, which keeps the import of the package short.
_BEDROCK: Final = (
    r"^(?:(?:us|eu|apac|au|jp|ca|sa|us-gov|global|regional)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai?|nvidia"
    r"|openai|qwen|stability|writer|zai)\."
)
_VERSION: Final = (
    r"(?:[-@:.](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{3,4}"
    r"|latest|preview|exp|default|v\d+(?::\d+)?))+$"
)


def plain(model: str) -> str:
    """Lower case, and of a resource path only what names the model.

    Examples:
        >>> plain("models/Gemini-2.5-Pro")
        'gemini-2.5-pro'
        >>> plain("projects/p/locations/us/publishers/anthropic/models/claude-sonnet-4-5@20250929")
        'claude-sonnet-4-5@20250929'
    """
    name = model.strip().lower()
    _, found, last = name.rpartition("models/")
    if found:
        return last
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def unhosted(name: str) -> str:
    """A Bedrock id without its region and vendor; any other name as it is.

    Examples:
        >>> unhosted("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
        'claude-sonnet-4-5-20250929-v1:0'
    """
    return re.sub(_BEDROCK, "", name)


def stem(name: str) -> str:
    """A name without date, version and the like at its end.

    Examples:
        >>> stem("claude-sonnet-4-5-20250929"), stem("gemini-2.5-pro-preview-03-25")
        ('claude-sonnet-4-5', 'gemini-2.5-pro')
    """
    return re.sub(_VERSION, "", unhosted(name).rstrip("-@."))


def bare(model: str) -> str:
    """The model's own name, whoever serves it; of a fine-tune, that of its base.

    Examples:
        >>> bare("openrouter/openai/gpt-4o"), bare("ft:gpt-4o-mini-2024-07-18:acme::9aB")
        ('gpt-4o', 'gpt-4o-mini-2024-07-18')
    """
    name = unhosted(plain(model).rpartition("/")[2])
    return name.split(":")[1] if name.startswith("ft:") else name
