"""OpenAI chat completions: one JSON object, or `chat.completion.chunk` events and `[DONE]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.testing.provider.openai_error import error_body
from agentguard.testing.provider.protocol import Event, Exchange, Part, Problem, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentguard.testing.provider.answer import Tokens

_CREATED = 1_700_000_000


class OpenAIChat(Protocol):
    """`POST .../chat/completions`."""

    name = "openai.chat"

    def matches(self, path: str) -> bool:
        """Serve any base path, so that gateways and Azure-like prefixes work."""
        return path.endswith("/chat/completions")

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return a `chat.completion`."""
        answer = exchange.answer
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text or (None if answer.tools else ""),
            "refusal": None,
            "annotations": [],
        }
        if answer.thinking:
            message["reasoning_content"] = answer.thinking
        if answer.tools:
            message["tool_calls"] = [
                {
                    "id": _call_id(exchange, index),
                    "type": "function",
                    "function": {"name": tool.name, "arguments": tool.arguments},
                }
                for index, tool in enumerate(answer.tools)
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
        return {
            **_head(exchange, "chat.completion"),
            "choices": [choice],
            "usage": _usage(exchange.tokens),
        }

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Yield role, content, finish_reason, usage where it was asked for, `[DONE]`."""
        answer = exchange.answer
        options: dict[str, Any] = exchange.received.body.get("stream_options") or {}
        with_usage = options.get("include_usage") is True
        head = _head(exchange, "chat.completion.chunk")
        if with_usage:
            head["usage"] = None

        def chunk(part: Part, delta: Mapping[str, Any], finish: str | None = None) -> Event:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Event(part, {**head, "choices": [choice]})

        yield chunk("frame", {"role": "assistant", "content": "", "refusal": None})
        if answer.thinking:
            yield chunk("content", {"reasoning_content": answer.thinking})
        for text in answer.chunks:
            yield chunk("content", {"content": text})
        for index, tool in enumerate(answer.tools):
            call = {"index": index, "id": _call_id(exchange, index), "type": "function"}
            opening = {**call, "function": {"name": tool.name, "arguments": ""}}
            yield chunk("content", {"tool_calls": [opening]})
            for piece in tool.pieces:
                delta = {"index": index, "function": {"arguments": piece}}
                yield chunk("content", {"tool_calls": [delta]})
        yield chunk("finish", {}, answer.finish)
        if with_usage:
            yield Event("frame", {**head, "choices": [], "usage": _usage(exchange.tokens)})
        yield Event("frame", "[DONE]")

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return OpenAI's error body."""
        return error_body(problem)


def _head(exchange: Exchange, object_: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{exchange.received.number}",
        "object": object_,
        "created": _CREATED,
        "model": exchange.model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def _call_id(exchange: Exchange, index: int) -> str:
    return f"call_{exchange.received.number}_{index}"


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": tokens.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
