"""A webhook's receiver on this machine: real HTTP, which answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

__all__ = ["Answer", "Message", "Receiver"]


class Answer(NamedTuple):
    """What the receiver says to one message."""

    status: int = 200
    headers: Mapping[str, str] = {}
    gate: threading.Event | None = None
    hangs_up: bool = False


class Message(NamedTuple):
    """One message that arrived; its headers' names in small letters."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return what it says."""
        return json.loads(self.body)


class Receiver:
    """Keeps what arrives, and answers with `answers` in turn, then with 200."""

    def __init__(self, *answers: Answer) -> None:
        self.messages: list[Message] = []
        self.answers = [*answers]
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.messages.append(Message(self.path, headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else Answer()
                if answer.gate is not None:
                    answer.gate.wait(30)
                if answer.hangs_up:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/{'a1' * 12}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
