"""Which headers of a request may change its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["counting_headers"]

_HEADERS: Final = re.compile(
    r"auth|key|token|secret|cookie|trace|baggage|request-?id|correlation|session|idempoten|sentry"
    r"|datadog|b3|user-agent|x-stainless|^(?:accept|accept-encoding|connection|content-length|date"
    r"|host|content-type)$",
    re.IGNORECASE,
)
"""Headers that say who asks, trace the request or concern the transport."""


def counting_headers(value: Any) -> Any:
    """The headers that may change an answer, such as anthropic-beta."""
    if not isinstance(value, Mapping):
        return value
    given = cast("Mapping[str, Any]", value)
    kept = {str(name).lower(): each for name, each in given.items()}
    return {name: each for name, each in kept.items() if not _HEADERS.search(name)} or None
