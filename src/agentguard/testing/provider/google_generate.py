"""Google's generateContent and streamGenerateContent (server-sent events)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.testing.provider.protocol import Event, Exchange, Problem, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.testing.provider.answer import Answer, Finish
    from agentguard.testing.provider.journal import Received

_FINISH: dict[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}

_ERRORS = {
    "bad_request": "* GenerateContentRequest.contents: contents is not specified",
    "context_length": (
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048575)."
    ),
    "content_filter": "The input was blocked by the safety filters.",
    "credit_balance": "Your prepayment credits are depleted.",
    "auth": "API key not valid. Please pass a valid API key.",
    "billing": "This API method requires billing to be enabled.",
    "permission": "The caller does not have permission",
    "not_found": "The model is not found for this API version.",
    "timeout": "Deadline expired before operation could complete.",
    "conflict": "The operation was aborted.",
    "too_large": "Request payload size exceeds the limit.",
    "unprocessable": "The request could not be processed.",
    "rate_limit": "Resource has been exhausted (e.g. check quota).",
    "insufficient_quota": (
        "You exceeded your current quota, please check your plan and billing details."
    ),
    "server_error": "An internal error has occurred. Please retry.",
    "overloaded": "This model is currently experiencing high demand. Please try again later.",
    "gateway_timeout": "Deadline expired before operation could complete.",
    "html": "Bad gateway.",
}


class GoogleGenerate(Protocol):
    """`POST .../models/{model}:generateContent`, `:streamGenerateContent?alt=sse`."""

    name = "google"

    def matches(self, path: str) -> bool:
        """Serve every version of the API."""
        return path.endswith((":generateContent", ":streamGenerateContent"))

    def streams(self, received: Received) -> bool:
        """Tell by the method's name, not by the body."""
        return received.path.endswith(":streamGenerateContent")

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return one candidate with every part."""
        parts = [part for part in _parts(exchange.answer, [exchange.answer.text or ""]) if part]
        return _chunk(exchange, parts, _FINISH[exchange.answer.finish], exchange.tokens.output)

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Yield one candidate a part, then an empty part with the finish reason and usage."""
        parts = _parts(exchange.answer, exchange.answer.chunks)
        for number, part in enumerate(parts, 1):
            # Earlier chunks carry what has been counted so far; only the last one is the usage.
            counted = min(number, exchange.tokens.output)
            yield Event("content", _chunk(exchange, [part], None, counted))
        finish = _FINISH[exchange.answer.finish]
        last = _chunk(exchange, [{"text": ""}], finish, exchange.tokens.output)
        yield Event("finish", last)

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return Google's error body, with RetryInfo or QuotaFailure where they belong."""
        details: list[dict[str, Any]] = []
        if problem.kind == "insufficient_quota":
            quota = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
            details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": quota, "quotaValue": "250"}],
                }
            )
        if problem.retry_after is not None:
            details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": f"{problem.retry_after:g}s",
                }
            )
        error: dict[str, Any] = {
            "code": problem.status,
            "message": problem.message or _ERRORS[problem.kind],
            "status": _STATUS.get(problem.status, "UNKNOWN"),
        }
        if details:
            error["details"] = details
        return {"error": error}


def _parts(answer: Answer, texts: list[str]) -> Iterator[dict[str, Any]]:
    if answer.thinking:
        yield {"text": answer.thinking, "thought": True}
    for text in texts:
        if text or not answer.tools:
            yield {"text": text}
    for tool in answer.tools:
        yield {"functionCall": {"name": tool.name, "args": tool.parsed()}}


def _chunk(
    exchange: Exchange, parts: list[dict[str, Any]], finish: str | None, output: int
) -> dict[str, Any]:
    tokens = exchange.tokens
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    # Google counts thoughts apart from the answer.
    usage = {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": max(0, output - tokens.reasoning),
        "totalTokenCount": tokens.input + output,
    }
    if tokens.cached:
        usage["cachedContentTokenCount"] = tokens.cached
    if tokens.reasoning:
        usage["thoughtsTokenCount"] = tokens.reasoning
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": exchange.model,
        "responseId": f"google-{exchange.received.number}",
    }
