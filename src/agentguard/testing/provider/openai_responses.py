"""OpenAI responses: one `response` object, or the events that build it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.testing.provider.openai_error import error_body
from agentguard.testing.provider.protocol import Event, Exchange, Part, Problem, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.testing.provider.journal import Received

_CREATED = 1_700_000_000
_UNFINISHED = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OpenAIResponses(Protocol):
    """`POST .../responses`."""

    name = "openai.responses"
    content_event = "response.output_text.delta"

    def matches(self, path: str) -> bool:
        """Serve any base path, so that gateways work."""
        return path.endswith("/responses")

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return a `response` with reasoning, message and function_call items."""
        return _finished(exchange)

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Yield created, in_progress, each item from added to done, and completed."""
        for number, (part, type_, fields) in enumerate(_events(exchange)):
            yield Event(part, {"type": type_, "sequence_number": number, **fields}, type_)

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return OpenAI's error body."""
        return error_body(problem)

    def error_event(self, problem: Problem) -> Event:
        """Return an `error` event, or `response.failed`; the SDK yields both as ordinary items."""
        error = error_body(problem)["error"]
        # This protocol names overload, which the error bodies over HTTP do not.
        code = "server_is_overloaded" if problem.kind == "overloaded" else error["code"]
        failure = {"code": code or error["type"], "message": error["message"]}
        payload: dict[str, Any] = {"type": problem.event, "sequence_number": problem.sent}
        if problem.event == "response.failed":
            response = _response(problem.received, problem.received.model, "failed")
            payload["response"] = {**response, "error": failure}
        else:
            payload.update(failure, param=error["param"])
        return Event("frame", payload, problem.event)


_BLANK: dict[str, dict[str, Any]] = {
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}
"""What an item of each type looks like before its content has come."""

_Step = tuple["Part", str, dict[str, Any]]


def _events(exchange: Exchange) -> Iterator[_Step]:
    opened = {"response": _response(exchange.received, exchange.model, "in_progress")}
    yield "frame", "response.created", opened
    yield "frame", "response.in_progress", opened
    for index, item in enumerate(_items(exchange)):
        place = {"output_index": index}
        started: dict[str, Any] = {**item, **_BLANK[item["type"]]}
        if "status" in item:
            started["status"] = "in_progress"
        yield "frame", "response.output_item.added", {**place, "item": started}
        place["item_id"] = item["id"]
        if item["type"] == "message":
            yield from _text(exchange, item, place)
        elif item["type"] == "reasoning":
            yield from _summary(item, place)
        else:
            yield from _arguments(exchange, item, place)
        yield "frame", "response.output_item.done", {"output_index": index, "item": item}
    response = _finished(exchange)
    yield "finish", f"response.{response['status']}", {"response": response}


def _text(exchange: Exchange, item: dict[str, Any], place: dict[str, Any]) -> Iterator[_Step]:
    place = {**place, "content_index": 0}
    part = item["content"][0]
    yield "frame", "response.content_part.added", {**place, "part": {**part, "text": ""}}
    for text in exchange.answer.chunks:
        yield "content", "response.output_text.delta", {**place, "delta": text, "logprobs": []}
    done: dict[str, Any] = {**place, "text": part["text"], "logprobs": []}
    yield "frame", "response.output_text.done", done
    yield "frame", "response.content_part.done", {**place, "part": part}


def _summary(item: dict[str, Any], place: dict[str, Any]) -> Iterator[_Step]:
    place = {**place, "summary_index": 0}
    part = item["summary"][0]
    event = "response.reasoning_summary"
    yield "frame", f"{event}_part.added", {**place, "part": {**part, "text": ""}}
    yield "content", f"{event}_text.delta", {**place, "delta": part["text"]}
    yield "frame", f"{event}_text.done", {**place, "text": part["text"]}
    yield "frame", f"{event}_part.done", {**place, "part": part}


def _arguments(exchange: Exchange, item: dict[str, Any], place: dict[str, Any]) -> Iterator[_Step]:
    tool = exchange.answer.tools[int(item["call_id"].rpartition("_")[2])]
    event = "response.function_call_arguments"
    for piece in tool.pieces:
        yield "content", f"{event}.delta", {**place, "delta": piece}
    yield "frame", f"{event}.done", {**place, "name": tool.name, "arguments": tool.arguments}


def _items(exchange: Exchange) -> Iterator[dict[str, Any]]:
    answer, number = exchange.answer, exchange.received.number
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        yield {"type": "reasoning", "id": f"rs_{number}", "summary": summary}
    if answer.text or not answer.tools:
        text: dict[str, Any] = {
            "type": "output_text",
            "text": answer.text or "",
            "annotations": [],
            "logprobs": [],
        }
        yield {
            "type": "message",
            "id": f"msg_{number}",
            "role": "assistant",
            "status": "incomplete" if answer.finish in _UNFINISHED else "completed",
            "content": [text],
        }
    for index, tool in enumerate(answer.tools):
        yield {
            "type": "function_call",
            "id": f"fc_{number}_{index}",
            "call_id": f"call_{number}_{index}",
            "name": tool.name,
            "arguments": tool.arguments,
            "status": "completed",
        }


def _finished(exchange: Exchange) -> dict[str, Any]:
    tokens = exchange.tokens
    reason = _UNFINISHED.get(exchange.answer.finish)
    response = _response(exchange.received, exchange.model, "incomplete" if reason else "completed")
    response["incomplete_details"] = {"reason": reason} if reason else None
    response["output"] = list(_items(exchange))
    response["usage"] = {
        "input_tokens": tokens.input,
        "input_tokens_details": {
            "cached_tokens": tokens.cached,
            "cache_write_tokens": tokens.cache_write,
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }
    return response


def _response(received: Received, model: str, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{received.number}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }
