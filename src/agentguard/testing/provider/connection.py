"""One client's connection: HTTP/1.1 read and written by hand, so that it can be broken on purpose."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from agentguard.testing.provider.journal import Headers

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

_MAX_HEAD = 1 << 16
_PATIENCE = 3600.0  # "for ever" of a stall: longer than any test, still ended by close()


class Gone(Exception):
    """The client left, or the provider is closing; nothing more can be written."""


class Request:
    """One request as it came over the wire."""

    __slots__ = ("body", "headers", "keep_alive", "method", "target")

    def __init__(self, method: str, target: str, version: str, headers: Headers) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = b""
        asked = headers.get("connection", "").lower()
        self.keep_alive = asked == "keep-alive" or (asked != "close" and version != "HTTP/1.0")


class Connection:
    """A socket with a client at the other end; used by one thread, closed by any."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        self._sock = sock
        self._closing = closing
        self._buffer = bytearray()
        with contextlib.suppress(OSError):  # the client may be gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_request(self) -> Request | None:
        """Wait for the next request; None when the client has closed the connection."""
        self._sock.settimeout(None)
        try:
            while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                if len(self._buffer) > _MAX_HEAD or not self._fill():
                    return None
            head = bytes(self._buffer[:end]).decode("latin-1")
            del self._buffer[: end + 4]
            first, *lines = head.split("\r\n")
            method, target, version = first.split(" ", 2)
            pairs = (line.partition(":") for line in lines)
            headers = Headers((name.strip(), value.strip()) for name, _, value in pairs)
            request = Request(method, target, version, headers)
            if headers.get("expect", "").lower() == "100-continue":
                self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if headers.get("transfer-encoding", "").lower() == "chunked":
                request.body = self._read_chunked()
            else:
                request.body = self._read(int(headers.get("content-length", "0")))
        except (OSError, ValueError, Gone):
            # A client that vanished, or something that is not HTTP: neither has an answer.
            return None
        return request

    def send(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            Gone: the client is not there any more.
        """
        self._sock.settimeout(None)
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Gone from error

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the status line and headers."""
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = "Overloaded" if status == 529 else "Unknown"
        lines = [f"HTTP/1.1 {status} {reason}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send_chunk(self, data: bytes) -> None:
        """Write one chunk of a chunked body; the empty one ends it."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def wait(self, seconds: float | None) -> None:
        """Pass this time (None: for ever) while watching the client; 0 only looks.

        Raises:
            Gone: the client left or the provider is closing.
        """
        deadline = time.monotonic() + (_PATIENCE if seconds is None else seconds)
        while True:
            left = max(0.0, deadline - time.monotonic())
            self._sock.settimeout(left)
            try:
                seen = self._sock.recv(1, socket.MSG_PEEK)
            except (TimeoutError, BlockingIOError):
                seen = None
            except OSError as error:
                raise Gone from error
            if seen == b"" or self._closing.is_set():
                raise Gone
            if seen is None and left <= 0:
                return
            if seen:
                # The next request is already here, so the socket cannot tell any more.
                if self._closing.wait(left):
                    raise Gone
                return

    def reset(self) -> None:
        """Close with a TCP RST; what was written before has reached a client on this machine."""
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):  # already closed by the other side
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._sock.close()

    def close(self) -> None:
        """Close in order, so that what was written still arrives."""
        self.interrupt()
        self._sock.close()

    def interrupt(self) -> None:
        """End the connection from another thread; the one that serves it closes the socket."""
        with contextlib.suppress(OSError):  # already closed by the other side
            self._sock.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Let go of the socket in a forked child, without touching the parent's connection."""
        self._sock.close()

    def _fill(self) -> bool:
        data = self._sock.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._fill():
                raise Gone
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _read_line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not self._fill():
                raise Gone
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_chunked(self) -> bytes:
        body = bytearray()
        while size := int(self._read_line().partition(b";")[0], 16):
            body += self._read(size)
            self._read_line()
        while self._read_line():
            pass
        return bytes(body)
