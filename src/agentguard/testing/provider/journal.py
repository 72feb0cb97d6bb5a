"""What the fake provider received, one record a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECRET = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization"}
)


class Headers(dict[str, str]):
    """Request headers under lower-case names; credentials are left out of its repr."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__((name.lower(), value) for name, value in pairs)

    def __repr__(self) -> str:
        shown = {k: "[redacted]" if k in _SECRET else v for k, v in self.items()}
        return repr(shown)


class Received:
    """One request and what became of it.

    Attributes:
        number: 1 for the first request since the provider started.
        at: seconds since the provider started when the request was complete.
        ended: seconds since the provider started when its answer was over, None until then.
        method: the HTTP method.
        path: the path as sent, without the query.
        protocol: "openai.chat", "openai.responses", "openai.embeddings", "anthropic",
            "anthropic.count_tokens", "google", "google.embeddings", or "unknown".
        stream: whether a stream was asked for.
        body: the parsed JSON body, empty when it is not a JSON object.
        headers: the request headers, lower-case; credentials do not show in the repr.
        request_id: what the answer carries as x-request-id and request-id.
        answered: the fault that was played, None before it is chosen and for default answers.
        status: the HTTP status answered, None when the connection ended before it.
        chunks: content events of a stream that were written.
        client_disconnected: the client left before its answer was complete.
    """

    __slots__ = (
        "answered",
        "at",
        "body",
        "chunks",
        "client_disconnected",
        "ended",
        "headers",
        "method",
        "number",
        "path",
        "protocol",
        "request_id",
        "status",
        "stream",
    )

    def __init__(
        self,
        number: int,
        *,
        at: float,
        method: str,
        path: str,
        protocol: str,
        body: dict[str, Any],
        headers: Headers,
    ) -> None:
        self.number = number
        self.at = at
        self.ended: float | None = None
        self.method = method
        self.path = path
        self.protocol = protocol
        self.stream = False
        self.body = body
        self.headers = headers
        self.request_id = f"req_fake_{number:06d}"
        self.answered: object = None
        self.status: int | None = None
        self.chunks = 0
        self.client_disconnected = False

    @property
    def model(self) -> str:
        """Return the model that was asked for, `"fake-model"` where the request names none."""
        name = self.body.get("model")
        if name is None and "/models/" in self.path:
            name = self.path.rpartition("/models/")[2].partition(":")[0]
        return str(name or "fake-model")

    def __repr__(self) -> str:
        shape = "stream" if self.stream else "unary"
        state = "running" if self.ended is None else f"status={self.status}"
        left = ", client_disconnected" if self.client_disconnected else ""
        return (
            f"<Received {self.number} {self.method} {self.path} {self.protocol} {shape}: "
            f"{state}, chunks={self.chunks}{left}, {self.answered!r}>"
        )
