"""What an exception means: one kind for all providers, and what the provider asks for with it.

Evidence counts in this order: agentguard's own exceptions, cancellation, a framework's control
flow, the provider's error code, the HTTP status, the names of the exception's classes, and last,
for a refused request only, a few sentences that providers mark by nothing else.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, cast

from agentguard.errors import GuardError
from agentguard.providers.control_flow import control_flow
from agentguard.providers.evidence import Evidence, evidence, read
from agentguard.providers.failure_kinds import (
    kind_of_code,
    kind_of_name,
    kind_of_phrase,
    kind_of_status,
    vague_kind_of_code,
)
from agentguard.providers.retry_after import header, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.errors import Kind

__all__ = ["Failure", "classify"]

_DEEPEST: Final = 8
"""How far causes and groups are followed; an exception may be its own cause."""

_FINER: Final[frozenset[Kind]] = frozenset(
    {"context_length", "content_filter", "quota_exhausted", "auth"}
)
_COARSE: Final[frozenset[Kind]] = frozenset({"invalid_request", "rate_limited"})

_WRAPPERS: Final = frozenset(
    {
        ("tenacity", "RetryError"),
        ("instructor", "InstructorRetryException"),
        ("pydantic_ai", "ModelAPIError"),
    }
)
"""Exceptions that only pass on what they were raised from."""

_INVENTED: Final = frozenset({500, 422})
"""Statuses that LiteLLM gives to failures that had none."""

_UNREACHABLE: Final = frozenset(
    {
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EADDRNOTAVAIL,
    }
)

_READERS_OF_ANSWERS: Final = frozenset(
    {
        "openai",
        "anthropic",
        "google",
        "httpx",
        "httpx2",
        "requests",
        "aiohttp",
        "urllib3",
        "botocore",
    }
)
_READERS_OF_TEXT: Final = ("openai.lib.", "anthropic.lib.")
"""The part of an SDK that parses what the model wrote: bad JSON there is no server's fault."""


class Failure:
    """What one exception means.

    Attributes:
        kind: the word for it, see `errors.Kind`.
        retry_after: seconds the provider asks to wait, None when it does not say.
        should_retry: the provider's verdict (header `x-should-retry`), None when it has none.
        request_id: the provider's id of the request, for its support.
        status: the HTTP status, None when there was no answer.
    """

    __slots__ = ("kind", "request_id", "retry_after", "should_retry", "status")

    def __init__(
        self,
        kind: Kind,
        *,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        request_id: str | None = None,
        status: int | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.request_id = request_id
        self.status = status

    def __repr__(self) -> str:
        fields = ("retry_after", "should_retry", "request_id", "status")
        known = [f", {name}={getattr(self, name)!r}" for name in fields]
        return f"Failure({self.kind!r}{''.join(k for k in known if not k.endswith('=None'))})"


def classify(error: BaseException, now: float | None = None) -> Failure:
    """Say what an exception means, whichever library raised it.

    Never raises, whatever the exception's own attributes do, and keeps no reference to it.

    Args:
        error: any exception.
        now: wall-clock seconds since the epoch, to read a Retry-After that is a date;
            `time.time()` by default.

    Returns:
        A `Failure`. Its kind is "unknown" for what no provider, transport or framework is known
        to raise: a bug in the caller's code must not be retried.

    Examples:
        >>> classify(TimeoutError())
        Failure('timeout')
        >>> classify(KeyError("choices"))
        Failure('unknown')
    """
    try:
        return _classify(error, now, 0)
    except Exception:  # a hostile exception object: the caller needs a verdict, not a second error
        return Failure("unknown" if isinstance(error, Exception) else "cancelled")


def _classify(error: BaseException, now: float | None, depth: int) -> Failure:
    crossed = read(error, "_agentguard_failure")  # from another process, without all evidence
    if isinstance(crossed, Failure):
        return crossed
    if isinstance(error, GuardError):
        request_id = read(error, "request_id")
        return Failure(
            error.kind,
            retry_after=error.retry_after,
            request_id=request_id if isinstance(request_id, str) else None,
        )
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _of_group(group.exceptions, now, depth)
    if not isinstance(error, Exception):
        return Failure("cancelled")
    bases = [(base.__module__.partition(".")[0], base.__name__) for base in type(error).__mro__]
    steering = control_flow(bases)
    if steering is not None:
        return Failure(steering)
    inner = _passed_on(error, bases)
    if inner is not None and depth < _DEEPEST:
        failure = _classify(inner, now, depth + 1)
        if failure.kind != "unknown":
            return failure
    found = evidence(error)
    kind = _kind(error, found, bases)
    if _hides_another(found, bases, kind):
        kind = _hidden(error, now, depth) or kind
    should_retry = next(
        (text for headers in found.headers if (text := header(headers, "x-should-retry"))), None
    )
    return Failure(
        kind or "unknown",
        retry_after=_wait(error, found, now),
        should_retry={"true": True, "false": False}.get(should_retry or ""),
        request_id=found.request_id,
        status=found.status,
    )


def _of_group(members: Sequence[BaseException], now: float | None, depth: int) -> Failure:
    """Merge a group: what steers a framework wins, otherwise all members must agree."""
    if depth >= _DEEPEST:
        return Failure("unknown")
    failures = [_classify(member, now, depth + 1) for member in members]
    kinds: set[Kind] = {failure.kind for failure in failures}
    if "control" in kinds or "cancelled" in kinds:
        return Failure("control" if "control" in kinds else "cancelled")
    return Failure(
        kinds.pop() if len(kinds) == 1 else "unknown",
        retry_after=max(
            (f.retry_after for f in failures if f.retry_after is not None), default=None
        ),
        should_retry=False if any(f.should_retry is False for f in failures) else None,
    )


def _passed_on(error: Exception, bases: Sequence[tuple[str, str]]) -> BaseException | None:
    """Return the exception that this one only carries."""
    original: object = None
    if ("urllib", "URLError") in bases:
        original = read(error, "reason")
    elif not _WRAPPERS.isdisjoint(bases):
        original = error.__cause__
    return original if isinstance(original, BaseException) else None


def _hides_another(found: Evidence, bases: Sequence[tuple[str, str]], kind: Kind | None) -> bool:
    """Tell whether an exception stands where a more telling one was.

    LiteLLM invents a 500 for dropped connections and stalls, and a 422 for unreadable answers.
    langchain-anthropic 0.3 reads the body of an error inside a 200 stream and so raises
    httpx.ResponseNotRead in its place.
    """
    if bases[0][0] == "litellm":
        return kind in (None, "server") or found.status in _INVENTED
    return kind is None and bases[0][1] == "ResponseNotRead"


def _hidden(error: BaseException, now: float | None, depth: int) -> Kind | None:
    """Return the kind of the first exception underneath that says what happened."""
    step = error
    for _ in range(depth, _DEEPEST):
        under = step.__cause__ or step.__context__
        if under is None:
            return None
        step = under
        if type(step).__module__.partition(".")[0] == "litellm":
            status = evidence(step).status or 0
            kind = None if status in _INVENTED else kind_of_status(status)
        elif type(step).__name__ == "JSONDecodeError":
            kind = "server"
        else:
            kind = _classify(step, now, _DEEPEST).kind
        # What was being handled around the call, a cancellation say, is not what happened in it.
        if kind not in (None, "unknown", "cancelled", "control"):
            return kind
    return None


def _kind(error: Exception, found: Evidence, bases: Sequence[tuple[str, str]]) -> Kind | None:
    """Weigh codes, then the status, then class names, then phrases."""
    kind = _first(kind_of_code, found.codes)
    if kind is None and found.status is not None:
        kind = kind_of_status(found.status)
    if kind is None and found.answered:
        kind = _first(vague_kind_of_code, found.codes)
    if kind is None:
        return (
            _unreadable(error, bases)
            or kind_of_name(bases)
            or _of_errno(error)
            or _of_nothing(error, bases)
        )
    if kind in _COARSE:
        by_name = kind_of_name(bases)
        if by_name in _FINER:
            return by_name
    if kind in ("invalid_request", "server"):
        return kind_of_phrase(found.message, kind) or kind
    return kind


def _first(meaning: Callable[[str], Kind | None], codes: Sequence[str]) -> Kind | None:
    for code in codes:
        kind = meaning(code)
        if kind is not None:
            return kind
    return None


def _unreadable(error: Exception, bases: Sequence[tuple[str, str]]) -> Kind | None:
    """Tell an answer that its SDK could not read from a text that the caller could not parse.

    The innermost frame that is not the parser's own decides.
    """
    if not any(name in ("JSONDecodeError", "UnicodeDecodeError") for _, name in bases):
        return None
    module = ""
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in ("json", "simplejson"):
            module = name
        step = step.tb_next
    if module.startswith(_READERS_OF_TEXT):
        return None
    return "server" if module.partition(".")[0] in _READERS_OF_ANSWERS else None


def _of_nothing(error: Exception, bases: Sequence[tuple[str, str]]) -> Kind | None:
    """LangChain's error for a stream that ended without a single chunk (`chat_models.py`)."""
    nothing = bases[0][1] == "ValueError" and str(error) == "No generation chunks were returned"
    return "truncated" if nothing else None


def _of_errno(error: Exception) -> Kind | None:
    return "connection" if isinstance(error, OSError) and error.errno in _UNREACHABLE else None


def _wait(error: Exception, found: Evidence, now: float | None) -> float | None:
    seconds = retry_after(found.headers, found.details, now)
    if seconds is None:
        for name in ("retry_after", "cooldown_time"):  # pydantic-ai and others; LiteLLM's Router
            value = read(error, name)
            if type(value) in (int, float) and 0 <= cast("float", value) < float("inf"):
                return float(cast("float", value))
    return seconds
