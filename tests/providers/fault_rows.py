"""Every way a provider fails: the rows of the fault matrix.

What an exception means differs here and there from SDK to SDK: `Row.but`. A name there is a
target ("litellm gemini/"), the first word of targets ("litellm"), or either after a generation
("previous google-genai").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from agentguard.errors import Kind
from agentguard.testing.provider import Fault, fault

Expected = Kind | None
"""None: nothing is raised."""

SHORT: Final = 0.4
STALL: Final = 1.2


class Row(NamedTuple):
    """One fault: what the provider does, and what each SDK's exception then means.

    `engine` is about those rows where the bare SDK raises nothing: the kind that a guard is to
    find all the same, from the items of the stream. None is a known limit: nothing reveals it.
    """

    fault: Callable[[], Fault]
    kind: Expected
    but: Mapping[str, Expected] = {}
    engine: Mapping[str, Expected] = {}
    timeout: float = 20.0
    """Seconds the client waits between bytes; short only where the row is about waiting."""

    def expected(self, target: str, generation: str) -> Expected:
        """Return the kind of the exception that the bare SDK raises."""
        return _choose(self.but, target, generation, self.kind)

    def guarded(self, target: str, generation: str) -> Expected:
        """Return the kind that a guard is to find."""
        kind = self.expected(target, generation)
        return _choose(self.engine, target, generation, None) if kind is None else kind


def _choose(
    table: Mapping[str, Expected], target: str, generation: str, default: Expected
) -> Expected:
    family = target.partition(" ")[0]
    for name in (f"{generation} {target}", target, family):
        if name in table:
            return table[name]
    return default


UNARY: Final[dict[str, Row]] = {
    "429 rate_limit": Row(lambda: fault.status(429, retry_after=2), "rate_limited"),
    "429 insufficient_quota": Row(
        lambda: fault.status(429, "insufficient_quota"),
        "quota_exhausted",
        # Anthropic answers with the body of a rate limit: nothing tells the two apart.
        dict.fromkeys(("anthropic", "langchain-anthropic", "litellm anthropic/"), "rate_limited"),
    ),
    "400 context_length": Row(lambda: fault.status(400, "context_length"), "context_length"),
    "400 content_filter": Row(
        lambda: fault.status(400, "content_filter"),
        "content_filter",
        # Google refuses content inside a 200; a 400 of its is about the request.
        {"google-genai": "invalid_request", "litellm gemini/": "invalid_request"},
    ),
    "400 credit balance": Row(
        lambda: fault.status(400, "credit_balance"),
        "quota_exhausted",
        # Google marks it by nothing but a sentence that is not documented.
        {"google-genai": "invalid_request", "litellm gemini/": "invalid_request"},
    ),
    "400 bad_request": Row(lambda: fault.status(400), "invalid_request"),
    "401 auth": Row(lambda: fault.status(401), "auth"),
    "402 billing": Row(lambda: fault.status(402), "quota_exhausted"),
    "403 permission": Row(lambda: fault.status(403), "auth"),
    "404 model_not_found": Row(lambda: fault.status(404), "invalid_request"),
    "408 request_timeout": Row(lambda: fault.status(408), "timeout"),
    "409 conflict": Row(lambda: fault.status(409), "server"),
    "413 too_large": Row(lambda: fault.status(413), "invalid_request"),
    "422 unprocessable": Row(lambda: fault.status(422), "invalid_request"),
    "500 server_error": Row(lambda: fault.status(500), "server"),
    "502 html": Row(lambda: fault.status(502), "server"),
    "503 overloaded": Row(lambda: fault.status(503), "overloaded"),
    "504 gateway_timeout": Row(lambda: fault.status(504), "timeout"),
    "529 overloaded": Row(lambda: fault.status(529), "overloaded"),
    "connection dropped": Row(fault.drop, "connection"),
    "connection RST": Row(fault.reset, "connection"),
    "read timeout": Row(lambda: fault.stall(STALL), "timeout", timeout=SHORT),
    "malformed JSON": Row(fault.malformed, "server"),
    # google-genai makes an empty answer of it, which only a check of the answer can reveal.
    "empty 200": Row(fault.empty, "server", {"google-genai": None}),
    "truncated body": Row(fault.truncated, "connection"),
}

STREAM: Final[dict[str, Row]] = {
    "429 at start": Row(lambda: fault.status(429, retry_after=2), "rate_limited"),
    "drop mid-stream": Row(lambda: fault.drop(after=1), "connection"),
    "RST mid-stream": Row(lambda: fault.reset(after=1), "connection"),
    "clean cut, no finish": Row(
        lambda: fault.cut(after=1),
        None,
        engine={
            # A chat stream of a host that is not the vendor's own: truncated once the target has
            # sent a terminal signal before, or with strict_streams=True.
            **dict.fromkeys(("openai", "langchain-openai", "langchain-anthropic"), "truncated"),
            **dict.fromkeys(("openai responses", "anthropic", "google-genai"), "truncated"),
            "litellm": None,  # it makes up finish_reason="stop" and a usage
        },
    ),
    "malformed event": Row(
        lambda: fault.malformed(after=1),
        "server",
        # LiteLLM drops what it cannot read and goes on.
        {"litellm anthropic/": None, "litellm gemini/": None},
    ),
    "in-band error: overloaded": Row(
        lambda: fault.error("overloaded", after=1),
        "overloaded",
        {"openai responses": None, "previous google-genai": None},
        engine={
            "openai responses": "overloaded",  # an ordinary item, read from the stream
            "previous google-genai": "truncated",  # an empty chunk, and no finish reason
        },
    ),
    "in-band error: rate_limit": Row(
        lambda: fault.error("rate_limit", after=1),
        "rate_limited",
        {
            "openai responses": None,
            "previous google-genai": None,
            # LiteLLM keeps neither the error's type nor its status, only a sentence.
            "litellm anthropic/": "server",
        },
        engine={"openai responses": "rate_limited", "previous google-genai": "truncated"},
    ),
    "stall > read timeout": Row(
        lambda: fault.stall(STALL, after=1),
        "timeout",
        {"litellm gemini/": None},  # its timeout does not reach the stream: it just waits
        timeout=SHORT,
    ),
}
