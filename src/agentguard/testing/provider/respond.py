"""Plays one fault on one connection: where it strikes, and what the client gets to see."""

from __future__ import annotations

import json
from email.utils import formatdate
from math import ceil
from time import time
from typing import TYPE_CHECKING

from agentguard.testing.provider.protocol import Event, Exchange, Problem, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.testing.provider.answer import Answer
    from agentguard.testing.provider.connection import Connection
    from agentguard.testing.provider.fault import Fault
    from agentguard.testing.provider.journal import Received
    from agentguard.testing.provider.prompt_caches import PromptCaches

_HTML = (
    b"<html>\r\n<head><title>Bad Gateway</title></head>\r\n"
    b"<body><center><h1>Bad Gateway</h1></center></body>\r\n</html>\r\n"
)


class Response:
    """The answer to one request.

    `play` returns whether the connection can serve another request, and raises `Gone` when the
    client left in the middle.
    """

    def __init__(
        self,
        connection: Connection,
        protocol: Protocol,
        received: Received,
        fault: Fault,
        answer: Answer,
        prompts: PromptCaches,
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        self._received = received
        self._fault = fault
        self._answer = answer
        self._prompts = prompts
        self._sent = 0

    def play(self) -> bool:
        """Write the response, or break it."""
        fault = self._fault
        if fault.act == "status":
            return self._refuse()
        before = fault.after is None and fault.act in ("drop", "reset", "stall")
        if before and not self._strike():
            return False
        exchange = Exchange(self._received, self._answer, self._prompts.serve(self._received))
        if self._received.stream:
            return self._stream(list(self._protocol.events(exchange)))
        return self._unary(json.dumps(self._protocol.unary(exchange)).encode())

    def _refuse(self) -> bool:
        fault = self._fault
        self._connection.wait(self._answer.first)
        extra = _asked_to_wait(fault)
        if fault.kind == "html":
            return self._whole(fault.status, _HTML, "text/html; charset=utf-8", extra)
        body = self._protocol.error(self._problem())
        return self._whole(fault.status, json.dumps(body).encode(), extra=extra)

    def _unary(self, body: bytes) -> bool:
        fault = self._fault
        self._connection.wait(self._answer.seconds())
        if fault.act == "malform":
            return self._whole(200, b'{"id": "broken", "choices": [{"ind')
        if fault.act == "empty":
            return self._whole(200, b"")
        if fault.act == "error":
            return self._whole(200, json.dumps(self._protocol.error(self._problem())).encode())
        if fault.act == "cut" and fault.after != "finish":
            return self._whole(200, body[: len(body) // 2])
        if fault.act in ("answer", "cut") or fault.after is None:
            return self._whole(200, body)
        if fault.after == "finish":
            return self._whole(200, body) and self._strike()
        half = len(body) // 2
        self._head(200, "application/json", {"content-length": str(len(body))})
        self._connection.send(body[:half])
        if self._strike():
            self._connection.send(body[half:])
            return True
        return False

    def _stream(self, events: Sequence[Event]) -> bool:
        fault, connection, answer = self._fault, self._connection, self._answer
        content_type = "text/event-stream; charset=utf-8"
        self._head(200, content_type, {"transfer-encoding": "chunked", "cache-control": "no-cache"})
        strikes_at = strike_index(events, fault)
        for index, event in enumerate(events):
            if index == strikes_at and not self._strike():
                return self._end()
            if event.part == "content":
                connection.wait(answer.each if self._received.chunks else answer.first)
            connection.send_chunk(event.data)
            self._sent += 1
            if event.part == "content":
                self._received.chunks += 1
        if strikes_at == len(events) and not self._strike():
            return self._end()
        connection.send_chunk(b"")
        return True

    def _strike(self) -> bool:
        """Do what the fault does; tell whether the response goes on afterwards."""
        fault, connection = self._fault, self._connection
        if fault.act == "stall":
            connection.wait(fault.seconds)
            return True
        if fault.act == "malform":
            connection.send_chunk(self._protocol.malformed_event())
            return True
        if fault.act == "error":
            problem = Problem(fault, self._received, sent=self._sent)
            connection.send_chunk(self._protocol.error_event(problem).data)
        elif fault.act == "reset":
            connection.reset()
        elif fault.act in ("drop", "truncate"):
            connection.close()
        return False

    def _end(self) -> bool:
        """End the stream after a strike; tell whether the connection is still usable."""
        if self._fault.act in ("drop", "truncate", "reset"):
            return False
        self._connection.send_chunk(b"")
        return True

    def _whole(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        extra: dict[str, str] | None = None,
    ) -> bool:
        self._head(status, content_type, {"content-length": str(len(body)), **(extra or {})})
        self._connection.send(body)
        return True

    def _head(self, status: int, content_type: str, extra: dict[str, str]) -> None:
        headers = {
            "date": formatdate(usegmt=True),
            "server": "fake-provider",
            "content-type": content_type,
            "x-request-id": self._received.request_id,
            "request-id": self._received.request_id,
            **extra,
            **self._answer.headers,
        }
        # Before the bytes: a test may look at the journal as soon as its client has them.
        self._received.status = status
        self._connection.send_head(status, headers)

    def _problem(self) -> Problem:
        return Problem(self._fault, self._received)


def strike_index(events: Sequence[Event], fault: Fault) -> int:
    """Return how many events go out before the fault strikes, -1 when it strikes elsewhere.

    An answer with less content than `after` asks for is struck before its terminal signal.
    """
    if fault.act == "answer" or fault.after is None:
        return -1
    content = [index for index, event in enumerate(events) if event.part == "content"]
    finish = next((i for i, event in enumerate(events) if event.part == "finish"), len(events))
    after = max(1, len(content) // 2) if fault.act == "truncate" else fault.after
    if isinstance(after, str):
        opened = content[0] if content else finish
        return opened if after == "opening" else finish + 1
    if after > len(content):
        return finish
    return content[after - 1] + 1 if after else 0


def _asked_to_wait(fault: Fault) -> dict[str, str]:
    headers: dict[str, str] = {}
    if fault.should_retry is not None:
        headers["x-should-retry"] = "true" if fault.should_retry else "false"
    if fault.retry_after is None:
        return headers
    if fault.form == "seconds":
        headers["retry-after"] = f"{fault.retry_after:g}"
    elif fault.form == "ms":
        headers["retry-after-ms"] = f"{fault.retry_after * 1000:g}"
    elif fault.form == "date":
        headers["retry-after"] = formatdate(ceil(time() + fault.retry_after), usegmt=True)
    return headers
