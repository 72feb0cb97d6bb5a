"""Requests and answers in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from agentguard.providers.embeddings import argument as embedded
from agentguard.providers.evidence import read
from agentguard.providers.items import fields
from agentguard.providers.output_limits import asked_output
from agentguard.providers.prompt import langchain_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentguard.engine.call import Attempt, Call
    from agentguard.engine.records import AttemptRecord
    from agentguard.exporters.opentelemetry_call import AttemptSpan
    from agentguard.providers.endpoint import Endpoint
    from agentguard.providers.usage import Usage

__all__ = ["Asked", "answer"]

_HOSTS: Final = {
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "amazonaws.com": "aws.bedrock",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "api.cohere.com": "cohere",
}
"""Who answers at a host, where an SDK of another provider asks there."""

_PROVIDERS: Final = {"google": "gcp.gen_ai", "mistralai": "mistral_ai", "bedrock": "aws.bedrock"}
"""Names of SDKs that the conventions call otherwise."""

_LITELLM: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""How LiteLLM's names of models begin."""

_NUMBERS: Final = {
    "temperature": float,
    "top_p": float,
    "top_k": float,
    "frequency_penalty": float,
    "presence_penalty": float,
    "seed": int,
}
_PORTS: Final = {"https": 443, "http": 80}


class Asked:
    """What an attempt asks for.

    Attributes:
        operation: "chat", "embeddings", ...; None where no model call is seen.
        name: of its span.
        remote: whether it is a request to a provider.
        attributes: of its span from the beginning on, and of its measurements.
    """

    __slots__ = ("attributes", "name", "operation", "remote")

    def __init__(self, call: Call, record: AttemptRecord) -> None:
        target, seen = call.target, call.target.endpoint
        self.remote = seen.provider is not None and not target.tool
        self.name = record.target
        self.operation: str | None = None
        self.attributes: dict[str, Any] = {}
        if target.tool:
            self.operation = "execute_tool"
            self.name = f"execute_tool {record.target}"
            self.attributes["gen_ai.tool.name"] = record.target
        elif self.remote:
            self.operation = _operation(call, seen)
            self.attributes["gen_ai.provider.name"] = _provider(seen, record.asked)
            if record.asked is not None:
                self.name = f"{self.operation} {record.asked}"
                self.attributes["gen_ai.request.model"] = record.asked
            else:
                self.name = self.operation
            self.attributes |= _server(seen)
        if self.operation is not None:
            self.attributes["gen_ai.operation.name"] = self.operation


def answer(known: AttemptSpan, record: AttemptRecord) -> tuple[str, dict[str, Any]]:
    """The name and the attributes of an attempt's span at its end.

    Args:
        known: of the attempt.
        record: that says how it ended.
    """
    asked, attempt = known.asked, known.attempt
    told: dict[str, Any] = {}
    if asked is None or attempt is None:
        return record.target, told
    name, bill = asked.name, record.bill
    counted = bill is not None and bill.counted
    if asked.operation is None and counted and (record.model or record.asked) is not None:
        # A function of the user's own that asked a model, as its answer or its arguments tell.
        model = record.asked or record.model
        name = f"chat {model}"
        told["gen_ai.operation.name"] = "chat"
        told["gen_ai.request.model"] = record.asked
    if asked.remote:
        told |= _settings(attempt.call)
    if asked.operation == "execute_tool" or (asked.operation is None and not told):
        return name, told
    told["gen_ai.response.model"] = record.model
    told |= _response(attempt, record, known.began)
    if bill is not None and bill.counted and not bill.estimated:
        told |= usage(bill.usage)
    return name, told


def usage(used: Usage | None) -> dict[str, int]:
    """Tokens; cached ones are a part of the input, reasoning is one of the output.

    What is not known is left out, and not zero.
    """
    if used is None:
        return {}
    parts = {
        "gen_ai.usage.cache_read.input_tokens": used.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": used.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": used.reasoning_tokens,
    }
    return {
        "gen_ai.usage.input_tokens": used.input_tokens,
        "gen_ai.usage.output_tokens": used.output_tokens,
        **{name: tokens for name, tokens in parts.items() if tokens},
    }


def first_chunk(record: AttemptRecord, began: float) -> float | None:
    """Seconds from the request to the first content of a stream."""
    if not record.streamed or record.first_token is None:
        return None
    return max(0.0, record.started + record.first_token - began)


def _response(attempt: Attempt, record: AttemptRecord, began: float) -> dict[str, Any]:
    reading = attempt.reading
    reasons = [*([reading.finish_reason] if reading.finish_reason else ()), *reading.others]
    own = None if attempt.value is None else fields(attempt.value).get("id")
    return {
        "gen_ai.response.id": own if isinstance(own, str) else None,
        "gen_ai.response.finish_reasons": reasons or None,
        "gen_ai.response.time_to_first_chunk": first_chunk(record, began),
        "agentguard.request_id": record.request_id or reading.request_id,
        "http.response.status_code": record.status,
    }


def _settings(call: Call) -> dict[str, Any]:
    """What of the request's parameters the conventions have a name for."""
    known: dict[str, Any] = dict(call.target.given(call.kwargs))
    if "config" in known:  # Google's
        known |= fields(known["config"])
    model = langchain_model(call.target)
    told: dict[str, Any] = {}
    for name, kind in _NUMBERS.items():
        value = known.get(name, None if model is None else read(model, name))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            told[f"gen_ai.request.{name}"] = kind(value)
    told["gen_ai.request.max_tokens"] = asked_output(call.target, call.kwargs)
    stop = next((known[each] for each in ("stop", "stop_sequences") if known.get(each)), None)
    if isinstance(stop, str):
        stop = [stop]
    if isinstance(stop, (list, tuple)):
        several = cast("list[object]", stop)
        told["gen_ai.request.stop_sequences"] = [each for each in several if isinstance(each, str)]
    if known.get("stream") is True:
        told["gen_ai.request.stream"] = True
    count = known.get("n", known.get("candidate_count"))
    if isinstance(count, int) and count != 1:
        told["gen_ai.request.choice.count"] = count
    if _json(known):
        told["gen_ai.output.type"] = "json"
    return told


def _json(known: Mapping[str, Any]) -> bool:
    wanted = known.get("response_format")
    kind = fields(wanted).get("type") if isinstance(wanted, dict) else None
    return kind in {"json_object", "json_schema"} or (
        known.get("response_mime_type") == "application/json"
    )


def _operation(call: Call, seen: Endpoint) -> str:
    if embedded(call.target) is not None:
        return "embeddings"
    if seen.provider == "google":
        return "generate_content"
    kwargs = call.kwargs
    if "prompt" in kwargs and "messages" not in kwargs:
        return "text_completion"
    return "chat"


def _provider(seen: Endpoint, asked: str | None) -> str:
    host = urlsplit(seen.base_url or "").hostname or ""
    for end, name in _HOSTS.items():
        if host == end or host.endswith(("." + end, "-" + end)):
            return name
    provider = str(seen.provider)
    if provider == "litellm" and asked is not None and "/" in asked:
        prefix = asked.partition("/")[0]
        return _LITELLM.get(prefix, prefix)
    return _PROVIDERS.get(provider, provider)


def _server(seen: Endpoint) -> dict[str, Any]:
    try:
        parts = urlsplit(seen.base_url or "")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return {}
    if parts.hostname is None:
        return {}
    return {"server.address": parts.hostname} | ({} if port is None else {"server.port": port})
