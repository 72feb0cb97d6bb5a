"""Every exception that agentguard raises of its own.

A provider's own exceptions come out of a guarded call unchanged in type and identity. The ones
here are raised only for what the guard itself decided or saw: a bound that passed, a circuit that
is open, a stream that ended without its end. Each says what happened, what was tried and what to
do, carries no prompt, answer or key, and survives pickling.

`kind` is the one vocabulary of failure: the same words are used by `retry(on=...)`,
`fallback(on=...)`, breakers, reports and events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from agentguard.providers.shapes import Usage

__all__ = [
    "Blind",
    "BudgetExceeded",
    "CircuitOpen",
    "ContextMissing",
    "DeadlineExceeded",
    "GuardError",
    "InputRejected",
    "Kind",
    "MaskingFailed",
    "OutputRejected",
    "Overloaded",
    "Partial",
    "ProviderError",
    "StreamTruncated",
    "Timeout",
    "partial",
]

Kind = Literal[
    "rate_limited",
    "overloaded",
    "server",
    "timeout",
    "connection",
    "truncated",
    "quota_exhausted",
    "auth",
    "invalid_request",
    "context_length",
    "content_filter",
    "circuit_open",
    "saturated",
    "budget_exceeded",
    "rejected",
    "cancelled",
    "control",
    "unknown",
]


class GuardError(Exception):
    """Base of everything agentguard raises of its own.

    Attributes:
        kind: the word for this failure, see `Kind`.
        http_status: the status a web handler should answer with.
        retry_after: seconds after which trying again makes sense, or None when unknown.
        public_message: a sentence that is safe to show to an end user.
    """

    kind: Kind = "unknown"
    http_status: ClassVar[int] = 500
    public_message: ClassVar[str] = "The request could not be completed."

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderError(GuardError):
    """A failure that a provider reported inside an ordinary answer, where its SDK raises nothing.

    Raised for OpenAI Responses `error` and `response.failed` events, which arrive as plain items
    of a stream that otherwise looks healthy.
    """

    http_status: ClassVar[int] = 503
    public_message: ClassVar[str] = "The model provider reported an error."

    def __init__(
        self,
        message: str,
        *,
        kind: Kind = "server",
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.kind = kind
        self.request_id = request_id


class StreamTruncated(GuardError):
    """A stream ended without the signal that its provider always sends at the end.

    No SDK raises anything for such a stream: half an answer would pass for a whole one.
    `errors.partial(error)` has the text that arrived.
    """

    kind: Kind = "truncated"
    http_status: ClassVar[int] = 503
    public_message: ClassVar[str] = "The answer was cut off before its end."


class Timeout(GuardError, TimeoutError):
    """A bound of time passed. `bound` names which one: "seconds", "total", "first_token", "idle" ...

    Also a `TimeoutError`, so `except TimeoutError` catches it.
    """

    kind: Kind = "timeout"
    http_status: ClassVar[int] = 504
    public_message: ClassVar[str] = "The model took too long to answer."

    def __init__(
        self,
        message: str,
        *,
        bound: str = "seconds",
        seconds: float | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.bound = bound
        self.seconds = seconds


class DeadlineExceeded(Timeout):
    """The time given by a `with deadline(...)` block, or what was left of it, is used up."""


class CircuitOpen(GuardError):
    """The circuit of this target is open: the call was refused without reaching the provider.

    `retry_after` says in how many seconds the circuit lets a trial call through. Raised by
    `breaker()` as a subclass that is a `pybreaker.CircuitBreakerError` as well.
    """

    kind: Kind = "circuit_open"
    http_status: ClassVar[int] = 503
    public_message: ClassVar[str] = "The model provider is unavailable at the moment."


class Overloaded(GuardError):
    """This process has no room for the call: too many hung workers or waiting calls already."""

    kind: Kind = "saturated"
    http_status: ClassVar[int] = 503
    public_message: ClassVar[str] = "The service is busy. Please try again shortly."


class BudgetExceeded(GuardError):
    """The call would spend more than its budget has left.

    Attributes:
        budget: its name.
        unit: what has run out: "usd", "tokens", "input_tokens", "output_tokens", "requests".
        used: of it, what calls under way have set aside included; dollars are a `Decimal`.
        limit: how much there is.
        asked: how much the call might have used.
        least: how much it would have used with the shortest answer, where it can be told to be short.
        retry_after: seconds until the budget renews, None when it never does; a second, where calls
            under way have set aside what this one needs.
    """

    kind: Kind = "budget_exceeded"
    http_status: ClassVar[int] = 402
    public_message: ClassVar[str] = "The budget is used up."

    def __init__(
        self,
        message: str,
        *,
        budget: str = "",
        unit: str = "",
        used: int | Decimal | None = None,
        limit: int | Decimal | None = None,
        asked: int | Decimal | None = None,
        least: int | Decimal | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.budget = budget
        self.unit = unit
        self.used = used
        self.limit = limit
        self.asked = asked
        self.least = asked if least is None else least


class _Rejected(GuardError):
    kind: Kind = "rejected"
    http_status: ClassVar[int] = 422

    def __init__(
        self,
        message: str,
        *,
        findings: Sequence[object] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.findings = tuple(findings)


class InputRejected(_Rejected):
    """A guard refused the request before any money was spent. `findings` says why."""

    public_message: ClassVar[str] = "The request was not accepted."


class MaskingFailed(InputRejected):
    """What finds or replaces personal data has failed, so that a text was not let through.

    It names what failed and the type of its error. That error's own message is not kept, since it
    may quote the text.

    Attributes:
        detector: what failed.
        error: the name of the error's class.
    """

    http_status: ClassVar[int] = 500

    def __init__(self, detector: str, error: str) -> None:
        super().__init__(
            f"{detector} failed with {error} (its message may quote the text and is left out); "
            "the text was not let through"
        )
        self.detector = detector
        self.error = error

    def __reduce__(self) -> tuple[type[MaskingFailed], tuple[str, str]]:
        return type(self), (self.detector, self.error)


class OutputRejected(_Rejected):
    """A guard refused the model's answer. `findings` says why."""

    public_message: ClassVar[str] = "The answer was withheld."


class ContextMissing(GuardError):
    """A policy needs something of the context, such as `user`, that nobody has set.

    Surround the call with `with agentguard.context(user=...)`.
    """

    public_message: ClassVar[str] = "The request lacks information that the service needs."


class Blind(GuardError):
    """A policy that counts or masks surrounds a callable whose model call it cannot see.

    Raised where `guard(on_blind="raise")` asks for it, instead of a warning.
    """


class Partial:
    """What a failed stream had delivered before it failed.

    Attributes:
        text: the visible text so far.
        usage: the provider's figures so far, or None when it had sent none.
    """

    __slots__ = ("text", "usage")

    def __init__(self, text: str, usage: Usage | None) -> None:
        self.text = text
        self.usage = usage

    def __repr__(self) -> str:
        return f"Partial(<{len(self.text)} characters>, usage={self.usage!r})"


def partial(error: BaseException) -> Partial | None:
    """What an interrupted stream had delivered, for any exception that ended one; else None.

    Examples:
        >>> from agentguard import errors
        >>> errors.partial(ValueError("not from a stream")) is None
        True
    """
    found = getattr(error, "_agentguard_partial", None)
    return found if isinstance(found, Partial) else None
