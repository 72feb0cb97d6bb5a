"""What the fields of requests hold, by name: texts, JSON, schemas, or what must stay as it is."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["AUTHORISES", "BYTES", "CONVERSATION", "DATA", "FIXED", "OPENING", "SCHEMAS", "SOURCE"]

FIXED: Final = frozenset(
    {
        "id",
        "type",
        "role",
        "name",
        "model",
        "models",
        "object",
        "status",
        "index",
        "kind",
        "part_kind",
        "tool_name",
        "tool_choice",
        "toolChoice",
        "tool_config",
        "toolConfig",
        "media_type",
        "mime_type",
        "mimeType",
        "format",
        "detail",
        "effort",
        "signature",
        "thought_signature",
        "thoughtSignature",
        "encrypted_content",
        "encrypted_index",
        "cache_control",
        "cachedContent",
        "cached_content",
        "conversation",
        "container",
        "include",
        "usage",
        "usage_metadata",
        "response_metadata",
        "provider_details",
        "logprobs",
        "artifact",
        "state",
        "runtime",
        "timestamp",
        "created_at",
        "service_tier",
        "safety_settings",
        "safetySettings",
        "http_options",
        "httpOptions",
        "http_client",
        "client",
        "run_manager",
        "callbacks",
        "timeout",
        "request_timeout",
        "stream_options",
        "api_base",
        "base_url",
        "api_version",
        "custom_llm_provider",
        "encoding_format",
    }
)
"""In requests: names, ids, settings and seals of a provider's, which no text of a person is in."""

AUTHORISES: Final = re.compile(
    r"(?:^|_)(?:api_?key|access_key_id|token|secret|password|credentials?|authorization"
    r"|headers|extra_headers|extra_query)$",
    re.IGNORECASE,
)
"""Arguments by which a caller is known to a server. They do not reach the model."""

SOURCE: Final = frozenset({"arguments", "args", "partial_json"})
"""Where a text is JSON source."""

DATA: Final = frozenset(
    {"input", "args", "arguments", "response", "metadata", "variables", "custom_metadata"}
)
"""Where an object is somebody's data, with names of its own."""

SCHEMAS: Final = frozenset(
    {
        "tools",
        "functions",
        "response_format",
        "responseFormat",
        "text_format",
        "output_format",
        "output_config",
        "input_schema",
        "inputSchema",
        "output_schema",
        "parameters",
        "json_schema",
        "response_schema",
        "responseSchema",
        "response_json_schema",
        "responseJsonSchema",
        "mcp_servers",
    }
)
"""Tools and schemas: of these only descriptions are texts."""

BYTES: Final = frozenset(
    {
        "data",
        "url",
        "uri",
        "base64",
        "image_url",
        "file_url",
        "file_uri",
        "fileUri",
        "file_data",
        "fileData",
        "inline_data",
        "inlineData",
        "input_audio",
        "audio",
    }
)
"""Where an attachment is, or the way to it."""

OPENING: Final = ("tools", "functions", "system", "instructions", "system_instruction", "config")
CONVERSATION: Final = ("contents", "prompt", "input", "messages")
"""Arguments that a provider reads first, and those that grow at their end from call to call."""
