"""What a provider's protocol must be able to say; each protocol has its own file beside this."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from agentguard.testing.provider.answer import Answer, Tokens
from agentguard.testing.provider.fault import ErrorEvent
from agentguard.testing.provider.journal import Received

Part = Literal["frame", "content", "finish"]
"""What a stream's event is: content, the terminal signal, or the frame around them."""


class Event:
    """One server-sent event, encoded, and what it is in the stream."""

    __slots__ = ("data", "part")

    def __init__(self, part: Part, payload: object, name: str | None = None) -> None:
        self.part: Part = part
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        line = f"data: {text}\n\n" if name is None else f"event: {name}\ndata: {text}\n\n"
        self.data = line.encode()


class Problem:
    """One error, to be put in words by a protocol."""

    __slots__ = ("kind", "message", "received", "retry_after", "status")

    def __init__(
        self,
        kind: str,
        status: int,
        received: Received,
        *,
        message: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.kind = kind
        self.status = status
        self.received = received
        self.message = message
        self.retry_after = retry_after


class Exchange:
    """What a protocol needs to answer one request."""

    __slots__ = ("answer", "received", "tokens")

    def __init__(self, received: Received, answer: Answer) -> None:
        self.received = received
        self.answer = answer
        self.tokens = Tokens(received.body, answer)

    @property
    def model(self) -> str:
        """Return the model that claims to have served the call."""
        return self.answer.model or self.received.model


class Protocol(ABC):
    """One endpoint of one provider: how it answers, streams and fails."""

    name: ClassVar[str]
    content_event: ClassVar[str | None] = None
    """Name of the server-sent event that carries content; None where events have no names."""

    @abstractmethod
    def matches(self, path: str) -> bool:
        """Tell whether a request to this (unquoted) path speaks this protocol."""

    def streams(self, path: str, body: Any) -> bool:
        """Tell whether the request asks for a stream."""
        return isinstance(body, dict) and body.get("stream") is True

    @abstractmethod
    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return the body of a complete answer."""

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Yield the events of a complete stream; none where the protocol never streams."""
        yield from ()

    @abstractmethod
    def error(self, problem: Problem) -> dict[str, Any]:
        """Return the error body of this provider."""

    def error_event(self, problem: Problem, event: ErrorEvent, sent: int) -> Event:
        """Return the error as an event in a stream of which `sent` events have gone out."""
        return Event("frame", self.error(problem))

    def malformed_event(self) -> bytes:
        """Return an event whose data is not JSON."""
        name = f"event: {self.content_event}\n" if self.content_event else ""
        return f'{name}data: {{"type": "{self.content_event or ""}", "broken\n\n'.encode()
