"""What stands in for LangSmith: takes runs in every form that its client sends, or misbehaves."""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

Manner = Literal["multipart", "zstd", "batch"]

PROJECT: Final = "01a2073b-2a97-705f-91ca-5f2c1281f176"
SESSION: Final = {
    "id": PROJECT,
    "name": "p",
    "tenant_id": PROJECT,
    "reference_dataset_id": None,
    "start_time": "2026-01-01T00:00:00",
}
PARTS: Final = frozenset({"inputs", "outputs", "events", "extra", "error", "serialized"})


class Receiver:
    """One server; `runs` is what a reader of LangSmith would see.

    Attributes:
        manner: how it wants runs, as it says in answer to `GET /info`.
        status: of its answers to runs: 202, or 500 to fail.
        gate: what it waits for before it answers: cleared, it hangs.
        bodies: every request as it came, decompressed, headers first.
        operations: pairs of "post" or "patch" and what was told of a run, in order.
        feedback: what was told about runs.
    """

    def __init__(self, manner: Manner = "multipart") -> None:
        self.manner = manner
        self.status = 202
        self.gate = threading.Event()
        self.gate.set()
        self.bodies: list[bytes] = []
        self.operations: list[tuple[str, dict[str, Any]]] = []
        self.feedback: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                receiver.hear(self)
                receiver.gate.wait()
                sessions = "/sessions" in self.path
                self.reply(200, [SESSION] if sessions else receiver.info())

            def do_POST(self) -> None:
                body = receiver.hear(self)
                receiver.gate.wait()
                if receiver.status < 300:
                    receiver.take(self.command, self.path, self.headers, body)
                self.reply(receiver.status, {})

            do_PATCH = do_POST  # noqa: N815  the server's name

            def reply(self, status: int, body: object) -> None:
                told = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no trouble."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def info(self) -> dict[str, Any]:
        """What its client asks first."""
        return {
            "version": "0.13.0",
            "instance_flags": {"zstd_compression_enabled": self.manner == "zstd"},
            "batch_ingest_config": {
                "use_multipart_endpoint": self.manner != "batch",
                "size_limit": 100,
                "size_limit_bytes": 20_971_520,
                "scale_up_nthreads_limit": 4,
                "scale_up_qsize_trigger": 1000,
                "scale_down_nempty_trigger": 4,
            },
        }

    def hear(self, request: BaseHTTPRequestHandler) -> bytes:
        """Keep everything of a request but LangSmith's own key, which is there to be sent."""
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        if request.headers.get("transfer-encoding") == "chunked":
            body = chunks(request)
        if request.headers.get("content-encoding") == "zstd":
            import zstandard

            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        head = "".join(
            f"{name}: {value}\n"
            for name, value in request.headers.items()
            if name.lower() != "x-api-key"
        )
        with self.changed:
            self.bodies.append(f"{request.command} {request.path}\n{head}\n".encode() + body)
            self.changed.notify_all()
        return body

    def take(self, method: str, path: str, headers: Any, body: bytes) -> None:
        """What a request says."""
        with self.changed:
            if path.endswith("/runs/multipart"):
                self._parts(headers["content-type"], body)
            elif path.endswith("/runs/batch"):
                for kind, runs in json.loads(body).items():
                    self.operations += [(kind, run) for run in runs]
            elif path.endswith("/feedback"):
                self.feedback.append(json.loads(body))
            elif method == "POST":
                self.operations.append(("post", json.loads(body)))
            else:
                self.operations.append(
                    ("patch", json.loads(body) | {"id": path.rpartition("/")[2]})
                )
            self.changed.notify_all()

    def _parts(self, kind: str, body: bytes) -> None:
        boundary = kind.partition("boundary=")[2].strip('"').encode()
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, data = part.strip(b"\r\n").partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]+)"', head)
            assert name is not None, head
            operation, id_, *field = name[1].decode().split(".")
            if operation == "feedback":
                self.feedback.append(json.loads(data))
                continue
            run = found.setdefault((operation, id_), {"id": id_})
            if field:
                assert field[0] in PARTS, field
                run[field[0]] = json.loads(data)
            else:
                run |= json.loads(data)
        self.operations += [(operation, run) for (operation, _), run in found.items()]

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        """Each run, by its id, with all that was told of it."""
        with self.changed:
            found: dict[str, dict[str, Any]] = {}
            for _, run in self.operations:
                told = {name: value for name, value in run.items() if value is not None}
                found.setdefault(str(run["id"]), {}).update(told)
            return found

    def named(self, name: str) -> list[dict[str, Any]]:
        """The runs of this name, in the order in which they began."""
        runs = [run for run in self.runs.values() if run["name"] == name]
        return sorted(runs, key=lambda run: str(run["dotted_order"]))

    def children(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The runs directly inside this one."""
        inside = [each for each in self.runs.values() if each.get("parent_run_id") == run["id"]]
        return sorted(inside, key=lambda each: str(each["dotted_order"]))

    def wait(self, until: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for a condition on what has come."""
        with self.changed:
            assert self.changed.wait_for(until, seconds), (len(self.bodies), self.operations)

    def everything(self) -> bytes:
        """Every byte that came."""
        with self.changed:
            return b"\n".join(self.bodies)

    def tree_is_whole(self) -> None:
        """Every run has ended, is a version 7 id, and stands right under its parent."""
        runs = self.runs
        for run in runs.values():
            assert uuid.UUID(str(run["id"])).version == 7, run
            assert run.get("end_time"), run
            assert str(run["start_time"]) <= str(run["end_time"])
            order = str(run["dotted_order"])
            assert order.endswith(str(run["id"]))
            parent = runs.get(str(run.get("parent_run_id")))
            if run.get("parent_run_id"):
                assert parent is not None, run
                assert order.rpartition(".")[0] == parent["dotted_order"]
                assert run["trace_id"] == parent["trace_id"]
            else:
                assert run["trace_id"] == run["id"]

    def stop(self) -> None:
        """Close; what hangs is let go."""
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def chunks(request: BaseHTTPRequestHandler) -> bytes:
    """A body sent in chunks."""
    body = b""
    while size := int(request.rfile.readline().strip() or b"0", 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


@contextmanager
def receiving(manner: Manner = "multipart") -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""
    receiver = Receiver(manner)
    try:
        yield receiver
    finally:
        receiver.stop()


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
