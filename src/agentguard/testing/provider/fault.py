"""What the fake provider does instead of, or in the middle of, a good answer.

Every function here returns a `Fault`, a small value to be scripted:

    provider.script(fault.status(429, retry_after=2), fault.cut(after=3), fault.ok("hello"))

Where a fault strikes is always `after=`:

| after | in a stream | in a unary answer |
|---|---|---|
| `None` | before the response headers | the same |
| `0` | after the headers, before the first event | in the middle of the body |
| `"opening"` | after role delta / message_start, before any content | in the middle of the body |
| `n` | after the n-th content event | in the middle of the body |
| `"finish"` | after the terminal signal, before usage chunk, `[DONE]` or message_stop | in the middle |

Every fault also takes the keywords of an answer (`Options`): `chunks`, `tools`, `first`, `each` ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypedDict, Unpack, cast, get_args

from agentguard.engine.arguments import closest
from agentguard.testing.provider.answer import Answer, Options

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Act = Literal[
    "answer", "status", "drop", "reset", "stall", "truncate", "cut", "malform", "empty", "error"
]
After = int | Literal["opening", "finish"] | None
Form = Literal["seconds", "ms", "date", "body"]
ErrorEvent = Literal["error", "response.failed"]

KINDS: Final[dict[str, int]] = {
    "bad_request": 400,
    "context_length": 400,
    "content_filter": 400,
    "credit_balance": 400,
    "auth": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "html": 502,
    "overloaded": 503,
    "gateway_timeout": 504,
}
"""The kinds of error body, each with the status it usually comes with."""

_KIND_OF_STATUS = {
    400: "bad_request",
    429: "rate_limit",
    529: "overloaded",
    **{status: kind for kind, status in KINDS.items() if status not in (400, 429)},
}


class Fault:
    """One scripted reaction of the provider to one request; made by the functions beside it."""

    __slots__ = (
        "_call",
        "act",
        "after",
        "answer",
        "event",
        "form",
        "kind",
        "message",
        "retry_after",
        "seconds",
        "should_retry",
        "status",
    )

    def __init__(self, act: Act, call: str, answer: Answer, *, after: After = None) -> None:
        self._call = call
        self.act: Final = act
        self.answer: Final = answer
        self.after: Final = after
        self.status = 200
        self.kind = ""
        self.message: str | None = None
        self.retry_after: float | None = None
        self.form: Form = "seconds"
        self.should_retry: bool | None = None
        self.seconds: float | None = None
        self.event: ErrorEvent = "error"

    def __repr__(self) -> str:
        return self._call

    def __eq__(self, other: object) -> bool:
        return self._call == other._call if isinstance(other, Fault) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._call)


class StatusOptions(TypedDict, total=False):
    """Keywords of `status`.

    Attributes:
        message: the text of the error, instead of the provider's usual one.
        retry_after: seconds the provider asks to wait.
        form: how it says so: "seconds" (Retry-After), "ms" (retry-after-ms), "date" (Retry-After as
            an HTTP-date, whole seconds) or "body" (Google's RetryInfo alone).
        should_retry: value of the header x-should-retry, absent by default.
        first: seconds before the error is sent.
        headers: extra response headers.
    """

    message: str
    retry_after: float
    form: Form
    should_retry: bool
    first: float
    headers: Mapping[str, str]


def ok(text: str | None = None, **options: Unpack[Options]) -> Fault:
    """Answer well: with `text`, with `chunks=`, with `tools=`, or with the provider's default."""
    return Fault("answer", _call("ok", (text,), options), _answer("ok", text, options))


def slow(text: str | None = None, **options: Unpack[Options]) -> Fault:
    """Answer well but slowly: `first=` seconds to the first token, `each=` between the others."""
    if not options.get("first") and not options.get("each"):
        raise TypeError("fault.slow() needs first= or each=, in seconds")
    return Fault("answer", _call("slow", (text,), options), _answer("slow", text, options))


def status(code: int, kind: str | None = None, **options: Unpack[StatusOptions]) -> Fault:
    """Refuse with an HTTP status and the error body that the protocol has for it.

    Args:
        code: 400 to 599.
        kind: which error body, one of `KINDS`; by default the usual one for the status, so
            `status(429)` is a rate limit and `status(429, "insufficient_quota")` an empty purse.
        **options: see `StatusOptions`.
    """
    if not 400 <= code <= 599:
        raise ValueError(f"fault.status({code}): pass 400 to 599; a good answer is fault.ok()")
    _check_names("status", options, StatusOptions.__annotations__)
    kind = kind or _KIND_OF_STATUS.get(code, "bad_request" if code < 500 else "server_error")
    _check_value("kind", kind, KINDS)
    form = options.get("form", "seconds")
    _check_value("form", form, get_args(Form))
    delay = Options(first=options.get("first", 0.0), headers=options.get("headers", {}))
    fault = Fault("status", _call("status", (code, kind), options), Answer(None, delay))
    fault.status = code
    fault.kind = kind
    fault.message = options.get("message")
    fault.retry_after = options.get("retry_after")
    fault.form = form
    fault.should_retry = options.get("should_retry")
    return fault


def drop(after: After = None, **options: Unpack[Options]) -> Fault:
    """Close the connection without finishing the response (a proxy or worker that died)."""
    return _strike("drop", "drop", after, options)


def reset(after: After = None, **options: Unpack[Options]) -> Fault:
    """Reset the connection (TCP RST) instead of closing it."""
    return _strike("reset", "reset", after, options)


def stall(seconds: float | None = None, after: After = None, **options: Unpack[Options]) -> Fault:
    """Fall silent for `seconds`, then go on; for ever (until the client leaves) when None."""
    if seconds is not None and seconds < 0:
        raise ValueError("fault.stall(): seconds is not negative; None stalls for ever")
    fault = _strike("stall", "stall", after, options, (seconds,))
    fault.seconds = seconds
    return fault


def truncated(**options: Unpack[Options]) -> Fault:
    """Send half of the body, or half of the content events, then close the connection."""
    call = _call("truncated", (), options)
    return Fault("truncate", call, _answer("truncated", None, options), after=0)


def cut(after: After = 1, **options: Unpack[Options]) -> Fault:
    """End the response cleanly, too early: no SDK raises for a stream that is cut like this.

    `cut(after="finish")` ends after the terminal signal but before `[DONE]`, usage or message_stop.
    """
    return _strike("cut", "cut", _inside("cut", after), options)


def malformed(after: After = 1, **options: Unpack[Options]) -> Fault:
    """Send one event that is not JSON and go on; a unary body is not JSON at all."""
    return _strike("malform", "malformed", _inside("malformed", after), options)


def empty(**options: Unpack[Options]) -> Fault:
    """Answer 200 with nothing: an empty body, or a stream that ends at once."""
    return Fault("empty", _call("empty", (), options), _answer("empty", None, options), after=0)


def error(
    kind: str = "overloaded",
    after: After = 1,
    *,
    event: ErrorEvent = "error",
    message: str | None = None,
    **options: Unpack[Options],
) -> Fault:
    """Send the provider's error inside a 200 and end there.

    Args:
        kind: which error, one of `KINDS`.
        after: where; 0 makes it the first event of the stream.
        event: the OpenAI Responses protocol reports a failure as an "error" event or as
            "response.failed"; other protocols have one form and ignore this.
        message: the text of the error, instead of the provider's usual one.
        **options: see `Options`.
    """
    _check_value("kind", kind, KINDS)
    _check_value("event", event, get_args(ErrorEvent))
    own = {"event": None if event == "error" else event, "message": message}
    fault = _strike("error", "error", _inside("error", after), options, (kind,), own)
    fault.kind = kind
    fault.status = KINDS[kind]
    fault.event = event
    fault.message = message
    return fault


def _strike(
    act: Act,
    name: str,
    after: After,
    options: Options,
    first: tuple[object, ...] = (),
    own: Mapping[str, object] | None = None,
) -> Fault:
    known = after is None or after in ("opening", "finish")
    if not known and (type(after) is not int or after < 0):
        raise ValueError(
            f'fault.{name}(): after={after!r} is not None, 0, 1 ..., "opening" or "finish"'
        )
    call = _call(name, first, {"after": after, **(own or {}), **options})
    return Fault(act, call, _answer(name, None, options), after=after)


def _inside(name: str, after: After) -> After:
    if after is None:
        raise ValueError(f"fault.{name}(): after=None is before the headers; it needs a response")
    return after


def _answer(name: str, text: str | None, options: Options) -> Answer:
    _check_names(name, options, Options.__annotations__)
    return Answer(text, options)


def _check_names(function: str, given: Mapping[str, object], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise TypeError(f"fault.{function}() takes no {name}={_suggest(name, known)}")


def _check_value(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{what}={value!r} is not known{_suggest(value, known)}")


def _suggest(name: str, known: Collection[str]) -> str:
    close = closest(name, known)
    return f"; did you mean {close}?" if close else f"; it knows: {', '.join(known)}"


def _call(name: str, first: tuple[object, ...], options: object) -> str:
    """Draw the expression that makes this fault again, leaving out what was not given."""
    named = cast("Mapping[str, object]", options)
    arguments = [repr(value) for value in first if value is not None]
    arguments += [f"{key}={value!r}" for key, value in named.items() if value is not None]
    return f"fault.{name}({', '.join(arguments)})"
