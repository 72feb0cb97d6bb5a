"""Gunicorn with --preload: workers forked from a parent that has used its guards already."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentguard.testing import FakeProvider

ROOT = Path(__file__).parents[2]
APP = "tests.integrations.prefork_app"


class Server(NamedTuple):
    """A running gunicorn, and the file that asks its parent to read on."""

    process: subprocess.Popen[bytes]
    url: str
    asked: Path
    log: Path

    def get(self, path: str) -> Any:
        """Ask one of the workers."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """Run the provider that parent and children ask."""
    with FakeProvider(answer="one two three four") as running:
        yield running


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("sync", "wsgi"), id="sync"),
        pytest.param(("asgi", "asgi"), id="asgi", marks=pytest.mark.long),
        pytest.param(
            ("uvicorn.workers.UvicornWorker", "asgi"), id="uvicorn", marks=pytest.mark.long
        ),
    ],
)
def server(
    request: pytest.FixtureRequest,
    provider: FakeProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """Run two workers, of plain WSGI or of ASGI."""
    folder = tmp_path_factory.mktemp("prefork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kind, app = request.param
    config = folder / "conf.py"
    config.write_text(
        f"def when_ready(server):\n    from {APP} import when_ready\n    when_ready(server)\n"
    )
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-c", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{port}", "-k", kind, f"{APP}:{app}"],
            cwd=ROOT,
            env={
                **os.environ,
                "PROVIDER_URL": provider.openai_url,
                "PARENT_READS": str(folder / "asked"),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = Server(process, f"http://127.0.0.1:{port}", folder / "asked", folder / "log")
    try:
        ready(running)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, "nothing that guards have started keeps it from ending"


def ready(server: Server) -> None:
    """Wait until a worker answers."""
    for _ in range(600):
        try:
            server.get("/flush")
        except OSError:
            assert server.process.poll() is None, server.log.read_text()
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(server.log.read_text())


def test_children_work(server: Server):
    """Calls, time bounds, streams and failures work in children of a parent that used them."""
    assert server.get("/ask") == "one two three four"
    assert server.get("/stream") == "one two three four"
    assert server.get("/fails") == "half"
    assert server.get("/flush") is True


def test_children_have_nothing_of_their_parents(server: Server):
    """No open stream, nothing to settle and no hung worker of the parent is theirs."""
    with ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(lambda _: server.get("/state"), range(16)))
    for each in seen:
        assert each["pid"] != each["parent"]
        assert (each["open"], each["lost"]) == (0, 0)
        assert each["hung"] == "free", "a worker that hangs in the parent takes no room here"
        assert each["circuit"] == "CircuitOpen", "what the parent knew of a provider is kept"


def test_the_parents_stream_is_left_open(server: Server):
    """After children have worked, settled and ended, the parent reads on where it stood."""
    for _ in range(8):
        server.get("/flush")
        server.get("/ask")
    before = server.get("/state")["pid"]
    os.kill(before, signal.SIGTERM)  # gunicorn starts another
    while Path(f"/proc/{before}").exists():
        time.sleep(0.05)
    ready(server)
    for _ in range(8):
        assert server.get("/ask") == "one two three four"
    server.asked.touch()
    read = server.asked.with_suffix(".read")
    for _ in range(200):
        if read.exists() and read.read_text():
            break
        time.sleep(0.05)
    assert read.read_text() == " two three four"


def test_many_at_once(server: Server):
    """Workers answer many requests at once, each on connections of its own."""
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: server.get("/ask"), range(64)))
    assert set(answers) == {"one two three four"}
