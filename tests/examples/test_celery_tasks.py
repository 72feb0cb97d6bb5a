"""The example of a Celery task does what it says, by itself and with a real worker and broker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from agentguard.testing import FakeProvider, fault
from tests.examples.running import EXAMPLES, run
from tests.policies.redis_server import RedisServer


def test_here_and_now() -> None:
    """Without a broker: a summary, and the report of a call that was tried again."""
    said = run("celery_tasks.py").stdout.splitlines()

    (line,) = (each for each in said if each.startswith("{"))  # written by a thread of its own
    assert json.loads(line)["attempts"] == 2
    summary, call, *rest = (each for each in said if each != line)
    assert summary == "a summary"
    assert call.startswith("OpenAI.chat.completions  completed")
    assert sum("overloaded" in each for each in rest) == 1


@pytest.fixture
def broker() -> Iterator[str]:
    """Run a Redis server of this test's own."""
    server = RedisServer()
    server.start()
    yield f"redis://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Answer in the stead of OpenAI."""
    with FakeProvider(answer="a summary") as running:
        yield running


def lines(log: Path) -> list[dict[str, object]]:
    """What the worker's log says of calls."""
    found = re.findall(r"\{.*model_call.*\}", log.read_text(encoding="utf-8"))
    return [json.loads(each) for each in found]


def test_with_a_worker(broker: str, provider: FakeProvider, tmp_path: Path) -> None:
    """A worker's process answers for the user who sent the task, and what it counts can be read."""
    counts, log = tmp_path / "counts", tmp_path / "worker.log"
    counts.mkdir()
    env = {
        "BROKER": broker,
        "OPENAI_BASE_URL": provider.openai_url,
        "OPENAI_API_KEY": "test-key",
        "PROMETHEUS_MULTIPROC_DIR": str(counts),
    }
    command = ["celery", "--workdir", str(EXAMPLES), "-A", "celery_tasks", "worker", "-c", "2"]
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", *command, "-l", "info"],
            env={**os.environ, **env},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        provider.script(fault.status(503))
        ran = [run("celery_tasks.py", "--send", **env) for _ in range(2)]
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)

    assert [each.stdout for each in ran] == ["a summary\n"] * 2
    assert len(provider.journal) == 3
    assert not any("kim@example.com" in str(each.body) for each in provider.journal)
    told = lines(log)
    assert [line["user"] for line in told] == ["ann", "ann"]
    assert sorted(line["attempts"] for line in told) == [1, 2]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(counts))
    ended = {"name": "summaries", "outcome": "completed", "kind": ""}
    assert registry.get_sample_value("agentguard_requests_total", ended) == 2
