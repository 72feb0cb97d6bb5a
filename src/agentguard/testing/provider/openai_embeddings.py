"""OpenAI embeddings: unit vectors that are equal for equal texts and differ otherwise."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import TYPE_CHECKING, Any

from agentguard.testing.provider.openai_error import error_body
from agentguard.testing.provider.protocol import Exchange, Problem, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

DIMENSIONS = 8


class OpenAIEmbeddings(Protocol):
    """`POST .../embeddings`; `dimensions` numbers a vector, 8 when the request has none."""

    name = "openai.embeddings"
    streaming = False

    def matches(self, path: str) -> bool:
        """Serve any base path, so that gateways work."""
        return path.endswith("/embeddings")

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return one vector for each input, as floats or as base64, which the SDK asks for."""
        body = exchange.received.body
        size = int(body.get("dimensions") or DIMENSIONS)
        packed = body.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _pack(vector) if packed else vector,
            }
            for index, vector in enumerate(vector_of(text, size) for text in _inputs(body))
        ]
        tokens = exchange.tokens.input
        return {
            "object": "list",
            "data": data,
            "model": exchange.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def error(self, problem: Problem) -> dict[str, Any]:
        """Return OpenAI's error body."""
        return error_body(problem)


def _inputs(body: dict[str, Any]) -> Iterator[str]:
    """Yield each input; a list of numbers is one text, given as tokens."""
    given = body.get("input", "")
    single = isinstance(given, str) or (given and isinstance(given[0], int))
    for item in [given] if single else given:
        yield str(item)


def vector_of(text: str, size: int) -> list[float]:
    """The unit vector of a text."""
    seed = hashlib.sha256(text.encode()).digest()
    raw = [
        int.from_bytes(hashlib.sha256(seed + struct.pack("<I", i)).digest()[:4]) / 2**31 - 1
        for i in range(size)
    ]
    length = math.hypot(*raw) or 1.0
    return [value / length for value in raw]


def _pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
