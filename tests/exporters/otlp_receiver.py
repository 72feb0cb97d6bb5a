"""An OTLP/HTTP receiver of the standard library: keeps spans and metrics, is slow or fails on request."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Receiver", "receiving", "value"]


class Receiver:
    """What arrived.

    Attributes:
        url: of the receiver, without the path of a signal.
        spans: as protobuf messages, in the order in which they came.
        scopes: the instrumentation scopes, with the schema's URL.
        metrics: as protobuf messages.
        raw: the bodies.
        status: it answers with.
        gate: it answers when this is set.
        asked: is set by the first request.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Any] = []
        self.scopes: list[tuple[str, str]] = []
        self.metrics: list[Any] = []
        self.raw: list[bytes] = []
        self.status = 200
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()

    def receive(self, path: str, body: bytes) -> None:
        """Keep what a request brings."""
        self.raw.append(body)
        if path.endswith("/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.scopes.append((scope.scope.name, scope.schema_url))
                    self.spans += scope.spans
        else:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics += scope.metrics


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.asked.set()
            receiver.gate.wait(60)
            if receiver.status == 200:
                receiver.receive(self.path, body)
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def value(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict of plain values."""
    found = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        told = getattr(each.value, kind)
        found[each.key] = [v.string_value for v in told.values] if kind == "array_value" else told
    return found
