"""The error body that all of OpenAI's endpoints share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentguard.testing.provider.protocol import Problem

# kind: (message, type, param, code), as the API has been seen to answer in public issue reports.
_ERRORS: dict[str, tuple[str, str | None, str | None, str | None]] = {
    "bad_request": ("Invalid value for 'temperature'.", "invalid_request_error", None, None),
    "context_length": (
        "This model's maximum context length is 8192 tokens, your messages resulted in 9001 tokens.",
        "invalid_request_error",
        "messages",
        "context_length_exceeded",
    ),
    "content_filter": (
        "The response was filtered due to the prompt triggering the content management policy.",
        None,
        "prompt",
        "content_filter",
    ),
    "credit_balance": (
        "Your account is not active, please check your billing details on our website.",
        "billing_not_active",
        None,
        "billing_not_active",
    ),
    "auth": ("Incorrect API key provided.", "invalid_request_error", None, "invalid_api_key"),
    "billing": (
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        None,
        "billing_hard_limit_reached",
    ),
    "permission": (
        "You have insufficient permissions for this operation.",
        "invalid_request_error",
        None,
        "insufficient_permissions",
    ),
    "not_found": (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        None,
        "model_not_found",
    ),
    "timeout": ("Request timed out.", "timeout", None, None),
    "conflict": ("The resource was changed by another request.", "conflict_error", None, None),
    "too_large": ("Request body is too large.", "invalid_request_error", None, None),
    "unprocessable": ("Unable to process the request.", "invalid_request_error", None, None),
    "rate_limit": (
        "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1.",
        "requests",
        None,
        "rate_limit_exceeded",
    ),
    "insufficient_quota": (
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        None,
        "insufficient_quota",
    ),
    "server_error": (
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        None,
        None,
    ),
    "overloaded": (
        "The server is currently overloaded with other requests. Sorry about that!",
        "server_error",
        None,
        None,
    ),
    "gateway_timeout": ("The upstream did not answer in time.", "server_error", None, None),
    "html": ("Bad gateway.", "server_error", None, None),
}


def error_body(problem: Problem) -> dict[str, Any]:
    """Return `{"error": {...}}` for this problem."""
    message, type_, param, code = _ERRORS[problem.kind]
    return {
        "error": {
            "message": problem.message or message,
            "type": type_,
            "param": param,
            "code": code,
        }
    }
