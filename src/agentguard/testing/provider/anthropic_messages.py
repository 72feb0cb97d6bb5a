"""Anthropic messages: one JSON object, or `message_start` ... `message_stop` events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.testing.provider.protocol import Event, Exchange, Part, Problem, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.testing.provider.answer import Finish, Tokens

_STOP_REASON: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}

# kind: (type, message), as documented for the API or seen in public issue reports.
_ERRORS: dict[str, tuple[str, str]] = {
    "bad_request": ("invalid_request_error", "temperature: must be in the range 0..1"),
    "context_length": (
        "invalid_request_error",
        "prompt is too long: 209001 tokens > 200000 maximum",
    ),
    "content_filter": (
        "invalid_request_error",
        "Output blocked by content filtering policy",
    ),
    "credit_balance": (
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API.",
    ),
    "auth": ("authentication_error", "invalid x-api-key"),
    "billing": ("billing_error", "There is an issue with your billing or payment information."),
    "permission": ("permission_error", "Your API key may not use the specified resource."),
    "not_found": ("not_found_error", "model: the requested model does not exist"),
    "timeout": ("timeout_error", "Request timed out"),
    "conflict": ("conflict_error", "The resource was changed by another request"),
    "too_large": ("request_too_large", "Request exceeds the maximum size"),
    "unprocessable": ("invalid_request_error", "The request could not be processed"),
    "rate_limit": (
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute.",
    ),
    "insufficient_quota": (
        "rate_limit_error",
        "You have reached your specified API usage limits.",
    ),
    "server_error": ("api_error", "Internal server error"),
    "overloaded": ("overloaded_error", "Overloaded"),
    "gateway_timeout": ("timeout_error", "The upstream did not answer in time"),
    "html": ("api_error", "Bad gateway"),
}


def error_body(problem: Problem) -> dict[str, Any]:
    """Return `{"type": "error", "error": {...}}` for this problem."""
    type_, message = _ERRORS[problem.kind]
    return {
        "type": "error",
        "error": {"type": type_, "message": problem.message or message},
        "request_id": problem.received.request_id,
    }


class AnthropicMessages(Protocol):
    """`POST .../v1/messages`."""

    name = "anthropic"
    content_event = "content_block_delta"

    def matches(self, path: str) -> bool:
        """Serve any base path, so that gateways work."""
        return path.endswith("/messages")

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return a `message` of thinking, text and tool_use blocks."""
        answer = exchange.answer
        return {
            **_head(exchange),
            "content": list(_blocks(exchange)),
            "stop_reason": _STOP_REASON[answer.finish],
            "usage": _usage(exchange.tokens, exchange.tokens.output),
        }

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Yield message_start, a ping, each block from start to stop, message_delta and _stop."""
        usage = _usage(exchange.tokens, 1)
        message: dict[str, Any] = {
            **_head(exchange),
            "content": [],
            "stop_reason": None,
            "usage": usage,
        }
        yield _event("frame", "message_start", message=message)
        for index, block in enumerate(_blocks(exchange)):
            empty, deltas = _block_stream(exchange, block)
            yield _event("frame", "content_block_start", index=index, content_block=empty)
            if index == 0:
                yield _event("frame", "ping")
            for delta in deltas:
                yield _event("content", "content_block_delta", index=index, delta=delta)
            yield _event("frame", "content_block_stop", index=index)
        yield _event(
            "finish",
            "message_delta",
            delta={"stop_reason": _STOP_REASON[exchange.answer.finish], "stop_sequence": None},
            usage=_final_usage(exchange.tokens),
        )
        yield _event("frame", "message_stop")

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return Anthropic's error body."""
        return error_body(problem)

    def error_event(self, problem: Problem) -> Event:
        """Return the `error` event, which may come at any point of a stream."""
        return Event("frame", error_body(problem), "error")


class AnthropicCountTokens(Protocol):
    """`POST .../v1/messages/count_tokens`."""

    name = "anthropic.count_tokens"
    streaming = False

    def matches(self, path: str) -> bool:
        """Serve any base path."""
        return path.endswith("/messages/count_tokens")

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return the number of words as tokens."""
        return {"input_tokens": exchange.tokens.input}

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return Anthropic's error body."""
        return error_body(problem)


def _event(part: Part, type_: str, **fields: Any) -> Event:
    return Event(part, {"type": type_, **fields}, type_)


def _head(exchange: Exchange) -> dict[str, Any]:
    return {
        "id": f"msg_{exchange.received.number}",
        "type": "message",
        "role": "assistant",
        "model": exchange.model,
        "stop_sequence": None,
    }


def _blocks(exchange: Exchange) -> Iterator[dict[str, Any]]:
    answer = exchange.answer
    if answer.thinking:
        yield {"type": "thinking", "thinking": answer.thinking, "signature": "fake-signature"}
    if answer.text or not answer.tools:
        yield {"type": "text", "text": answer.text or "", "citations": None}
    for index, tool in enumerate(answer.tools):
        id_ = f"toolu_{exchange.received.number}_{index}"
        yield {"type": "tool_use", "id": id_, "name": tool.name, "input": tool.parsed()}


def _block_stream(
    exchange: Exchange, block: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the block as it starts, empty, and the deltas that fill it."""
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": text} for text in exchange.answer.chunks]
        return {**block, "text": ""}, deltas
    if block["type"] == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
        return {**block, "thinking": "", "signature": ""}, deltas
    tool = exchange.answer.tools[int(block["id"].rpartition("_")[2])]
    # The API opens a tool call with an empty piece of JSON.
    deltas = [{"type": "input_json_delta", "partial_json": p} for p in ("", *tool.pieces)]
    return {**block, "input": {}}, deltas


def _usage(tokens: Tokens, output: int) -> dict[str, Any]:
    # Anthropic's input_tokens leaves out what was read from or written to the cache.
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_write,
        "output_tokens": output,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write - tokens.cache_write_1h,
            "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "service_tier": "standard",
    }


def _final_usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.cache_write,
        "output_tokens": tokens.output,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.cache_write,
    }
