"""What a web application answers when a model call fails: a status, a wait, and a safe body."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from agentguard.errors import GuardError, ProviderError
from agentguard.providers.evidence import read
from agentguard.providers.failures import classify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentguard.errors import Kind

__all__ = ["HttpError", "http_error"]

_UNAVAILABLE: Final = (503, "A service that this one needs is unavailable at the moment.")

_ANSWERS: Final[Mapping[Kind, tuple[int, str]]] = {
    "budget_exceeded": (402, "The budget is used up."),
    "rejected": (422, "The request was not accepted."),
    "invalid_request": (422, "The request could not be processed."),
    "context_length": (422, "The request is too long."),
    "content_filter": (422, "The request or its answer was stopped by a content filter."),
    "rate_limited": (429, "Too many requests at the moment. Please try again shortly."),
    "quota_exhausted": _UNAVAILABLE,
    "auth": _UNAVAILABLE,
    "overloaded": _UNAVAILABLE,
    "server": _UNAVAILABLE,
    "connection": _UNAVAILABLE,
    "truncated": (503, "The answer was cut off before its end."),
    "circuit_open": _UNAVAILABLE,
    "saturated": (503, "The service is busy. Please try again shortly."),
    "timeout": (504, "The answer took too long."),
}

_OURS_ALONE: Final = frozenset({"quota_exhausted", "auth"})
"""The operator's business: a bill that is not paid or a wrong key is nothing to tell a user."""


_STATUSES: Final = range(200, 600)
_DAY: Final = 86_400


class HttpError:
    """What to answer in place of a failed model call, for any web framework.

    Nothing in it is the provider's: no text, no name, no id.

    Attributes:
        status: 402, 422, 429, 503 or 504.
        kind: the word for the failure; "server" where a key or a bill of ours is at fault.
        message: a sentence that is safe to show to an end user.
        retry_after: seconds after which trying again makes sense, a day at most, or None when
            unknown.
    """

    __slots__ = ("kind", "message", "retry_after", "status")

    def __init__(self, status: int, kind: Kind, message: str, retry_after: float | None) -> None:
        self.status = status
        self.kind: Kind = kind
        self.message = message
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Of the response: its type and, where known, `retry-after` in whole seconds."""
        headers = {"content-type": "application/json"}
        if self.retry_after is not None:
            headers["retry-after"] = str(math.ceil(self.retry_after))
        return headers

    @property
    def content(self) -> dict[str, object]:
        """What clients are told, as data: kind, message, retry_after."""
        return {"kind": self.kind, "message": self.message, "retry_after": self.retry_after}

    @property
    def body(self) -> bytes:
        """Of the response: `{"error": {"kind": ..., "message": ..., "retry_after": ...}}`."""
        import json

        return json.dumps({"error": self.content}).encode()

    def __repr__(self) -> str:
        return f"HttpError({self.status}, {self.kind!r}, retry_after={self.retry_after!r})"


def http_error(error: BaseException) -> HttpError | None:
    """What to answer for an exception: our own, any provider's SDK's, a transport's.

    Protects from a bare 500 where the client could wait and try again, and from showing a user
    what a provider wrote. An exception of your own gets an answer if it is a `GuardError` with a
    `kind`; its `http_status` and `public_message` are taken, where they are a status and a string.

    Args:
        error: what came out of a guarded call, or out of a provider's SDK.

    Returns:
        None for what is no failure of a model call: a bug, a cancellation, a framework's control
        flow such as `HTTPException`. Let those go on.

    Examples:
        >>> from agentguard import errors
        >>> from agentguard.integrations.http_errors import http_error
        >>> answer = http_error(errors.CircuitOpen("open", retry_after=2.5))
        >>> answer.status, answer.headers["retry-after"]
        (503, '3')
        >>> http_error(KeyError("choices")) is None
        True
    """
    failure = classify(error)
    kind, wait = failure.kind, failure.retry_after
    if kind not in _ANSWERS:
        return None
    status, message = _ANSWERS[kind]
    if kind in _OURS_ALONE:
        kind, wait = "server", None
    elif isinstance(error, GuardError) and not isinstance(error, ProviderError):
        own, words = read(error, "http_status"), read(error, "public_message")
        status = int(own) if isinstance(own, int) and own in _STATUSES else status
        message = words if isinstance(words, str) else message
    return HttpError(status, kind, message, _told(wait))


def _told(wait: object) -> float | None:
    """A wait that a header can say; an exception of anybody's may hold anything."""
    if isinstance(wait, bool) or not isinstance(wait, (int, float)):
        return None
    return min(wait, _DAY) if 0 <= wait < math.inf else None
