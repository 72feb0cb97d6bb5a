"""What a provider's protocol must be able to say; each protocol has its own file beside this."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from agentguard.testing.provider.answer import Answer, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.testing.provider.fault import Fault
    from agentguard.testing.provider.journal import Received
    from agentguard.testing.provider.prompt_caches import Served

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
    """One error, to be put in words by a protocol; `sent` events of its stream have gone out."""

    __slots__ = ("event", "kind", "message", "received", "retry_after", "sent", "status")

    def __init__(self, fault: Fault, received: Received, *, sent: int = 0) -> None:
        self.kind = fault.kind
        self.status = fault.status
        self.message = fault.message
        self.retry_after = fault.retry_after
        self.event = fault.event
        self.received = received
        self.sent = sent


class Exchange:
    """What a protocol needs to answer one request."""

    __slots__ = ("answer", "received", "tokens")

    def __init__(self, received: Received, answer: Answer, served: Served | None = None) -> None:
        self.received = received
        self.answer = answer
        self.tokens = Tokens(received.body, answer, served)

    @property
    def model(self) -> str:
        """Return the model that claims to have served the call."""
        return self.answer.model or self.received.model


class Protocol(ABC):
    """One endpoint of one provider: how it answers, streams and fails."""

    name: ClassVar[str]
    streaming: ClassVar[bool] = True
    content_event: ClassVar[str | None] = None
    """Name of the server-sent event that carries content; None where events have no names."""

    @abstractmethod
    def matches(self, path: str) -> bool:
        """Tell whether a request to this (unquoted) path speaks this protocol."""

    def streams(self, received: Received) -> bool:
        """Tell whether the request asks for a stream."""
        return self.streaming and received.body.get("stream") is True

    @abstractmethod
    def unary(self, exchange: Exchange) -> dict[str, Any]:
        """Return the body of a complete answer."""

    def events(self, exchange: Exchange) -> Iterator[Event]:
        """Yield the events of a complete stream; none where the protocol never streams."""
        del exchange
        yield from ()

    @abstractmethod
    def error(self, problem: Problem) -> dict[str, Any]:
        """Return the error body of this provider."""

    def error_event(self, problem: Problem) -> Event:
        """Return the error as an event in a stream that has answered 200."""
        return Event("frame", self.error(problem))

    def malformed_event(self) -> bytes:
        """Return an event whose data is not JSON."""
        name = f"event: {self.content_event}\n" if self.content_event else ""
        return f'{name}data: {{"type": "{self.content_event or ""}", "broken\n\n'.encode()
