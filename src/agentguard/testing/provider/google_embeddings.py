"""Google's batchEmbedContents: vectors as those of `openai.embeddings`, in Google's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.testing.provider.google_generate import GoogleGenerate
from agentguard.testing.provider.openai_embeddings import DIMENSIONS, vector_of

if TYPE_CHECKING:
    from agentguard.testing.provider.journal import Received
    from agentguard.testing.provider.protocol import Exchange


class GoogleEmbeddings(GoogleGenerate):
    """`POST .../models/{model}:batchEmbedContents`; fails as `google` does."""

    name = "google.embeddings"
    streaming = False

    def matches(self, path: str) -> bool:
        """Serve every version of the API."""
        return path.endswith(":batchEmbedContents")

    def streams(self, received: Received) -> bool:
        """Never."""
        return False

    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return one vector for each request in the batch."""
        found: list[dict[str, Any]] = []
        for each in exchange.received.body.get("requests", []):
            size = int(each.get("outputDimensionality") or DIMENSIONS)
            text = "".join(part.get("text", "") for part in each["content"]["parts"])
            found.append({"values": vector_of(text, size)})
        return {"embeddings": found}
