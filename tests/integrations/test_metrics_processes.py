"""metrics() in several processes: what all of them count together is what was called."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import celery
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from agentguard import count_tokens, prices
from agentguard.exporters.instruments import INSTRUMENTS
from agentguard.providers.usage import Usage
from tests.exporters.counted import Counted
from tests.policies.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
MODEL = "gpt-4o-mini"
ESTIMATED = count_tokens("onetwo", MODEL)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of processes that count together."""
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder), **more}


def together(folder: Path) -> Counted:
    """What the processes that count in a folder have counted."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return Counted(registry)


def until(true: Callable[[], bool], log: Path) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def assert_counted(counted: Counted, rounds: int) -> None:
    """Each round is one answer, one stream without figures and one failure that was tried twice."""
    assert counted("requests_total", name="app", outcome="completed") == 2 * rounds
    assert counted("requests_total", outcome="failed", kind="connection") == rounds
    assert counted("attempts_total") == 4 * rounds
    assert counted("retries_total") == rounds
    assert counted("request_duration_seconds_count") == 3 * rounds
    assert counted("time_to_first_token_seconds_count") == rounds
    assert counted("tokens_total", type="input") == 1000 * rounds
    assert counted("tokens_total", type="output") == (100 + ESTIMATED) * rounds
    used = Usage(1000, 100 + ESTIMATED)
    cost = prices.price(MODEL, used) or 0
    assert counted("cost_usd_total", name="app", model=MODEL) == pytest.approx(float(cost) * rounds)
    assert counted("requests_in_flight") == 0
    assert all("pid" not in labels for labels in counted.labels())


def test_forked_processes_and_their_threads(tmp_path: Path) -> None:
    """A parent that counts before and after it forks, and three children."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.integrations.metrics_app"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    counted = together(tmp_path)
    assert_counted(counted, 2 + 3 * 2)
    modes = {path.name.partition("_")[2].rpartition("_")[0] for path in tmp_path.glob("gauge_*")}
    assert modes <= {each.mode for each in INSTRUMENTS}
    # Of a budget that is kept in each process for itself, the latest word.
    assert 0 < counted("budget_used_ratio", budget="team", unit="tokens") < 0.01


class Server(NamedTuple):
    """A running gunicorn."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> str:
        """Ask one of the workers."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def answers(self) -> bool:
        """Whether a worker answers."""
        try:
            return self.get("/ready") == "yes"
        except OSError:
            assert self.process.poll() is None, self.log.read_text()
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run three workers, forked from a parent that has loaded the application."""
    folder = tmp_path / "counted"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config, log = tmp_path / "conf.py", tmp_path / "log"
    config.write_text("from tests.integrations.metrics_app import child_exit as child_exit\n")
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "3", "-c", str(config)]
    with log.open("wb") as to:
        process = subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{port}", "tests.integrations.metrics_app:wsgi"],
            cwd=ROOT,
            env=environment(folder),
            stdout=to,
            stderr=subprocess.STDOUT,
        )
    running = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        until(running.answers, log)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_gunicorn_workers(server: Server, tmp_path: Path) -> None:
    """Totals are those of all workers, also of those that ended; what hung in one is gone with it."""
    with ThreadPoolExecutor(8) as threads:
        pids = list(threads.map(lambda _: server.get("/work"), range(24)))
    server.get("/hang")
    assert in_flight(server) == 1
    gone = set(pids)
    for pid in gone:
        os.kill(int(pid), signal.SIGTERM)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in gone), server.log)
    until(server.answers, server.log)
    more = [server.get("/work") for _ in range(6)]
    until(lambda: in_flight(server) == 0, server.log)
    rounds, folder = len(pids) + len(more), tmp_path / "counted"
    output = rounds * (100 + ESTIMATED)  # estimates are made beside the calls
    until(lambda: together(folder)("tokens_total", type="output") >= output, server.log)
    assert_counted(together(folder), rounds)
    scraped = server.get("/metrics")
    assert 'agentguard_requests_total{kind="",name="app",outcome="completed"} 60.0' in scraped


def in_flight(server: Server) -> float:
    """What is in flight by the application's own /metrics."""
    families = text_string_to_metric_families(server.get("/metrics"))
    samples = [sample for family in families for sample in family.samples]
    return sum(each.value for each in samples if each.name == "agentguard_requests_in_flight")


@pytest.mark.long
def test_celery_prefork(tmp_path: Path) -> None:
    """A worker of two processes, which runs tasks that call what is guarded."""
    folder, log = tmp_path / "counted", tmp_path / "log"
    folder.mkdir()
    redis = RedisServer()
    redis.start()
    broker = f"redis://127.0.0.1:{redis.port}"
    command = [sys.executable, "-m", "celery", "-A", "tests.integrations.metrics_work", "worker"]
    try:
        with log.open("wb") as to:
            process = subprocess.Popen(
                [*command, "-P", "prefork", "-c", "2"],
                cwd=ROOT,
                env=environment(folder, CELERY_BROKER=broker),
                stdout=to,
                stderr=subprocess.STDOUT,
            )
        try:
            with celery.Celery("client", broker=broker, backend=broker) as client:
                sent = [client.send_task("tests.integrations.metrics_work.work") for _ in range(20)]
                pids = {each.get(timeout=60) for each in sent}
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
    finally:
        redis.stop()
    assert pids
    assert_counted(together(folder), 20)
