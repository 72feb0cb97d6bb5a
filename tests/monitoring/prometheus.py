"""A real Prometheus of a test's own."""

from __future__ import annotations

import math
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

CONFIG = """\
global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}
rule_files: [ '*.rules.yml' ]
scrape_configs:
  - job_name: example
    static_configs: [ {{ targets: [ '127.0.0.1:{port}' ] }} ]
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until something holds, and return it; its last value where it never does."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.1)


class Prometheus:
    """Prometheus as a child process, scraping a service on this machine.

    Args:
        folder: where its rules lie, and where it keeps what it scrapes.
        target: the service's port.
    """

    def __init__(self, folder: Path, target: int) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "prometheus.yml").write_text(CONFIG.format(port=target))
        self.began = time.time()

    def __enter__(self) -> Self:
        if shutil.which("prometheus") is None:
            pytest.skip("prometheus is not installed")
        with (self.folder / "prometheus.log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=30)
        assert until(self._ready), (self.folder / "prometheus.log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._process.kill()
        self._process.wait()

    def _ready(self) -> bool:
        try:
            return self._http.get("/status/runtimeinfo").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: object) -> Any:
        """What its API answers."""
        answer = self._http.get(path, params=parameters).json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def targets(self) -> list[tuple[str, str]]:
        """How each of its targets is, for messages."""
        return [
            (each["health"], each["lastError"]) for each in self.get("/targets")["activeTargets"]
        ]

    def over(self, query: str, since: float | None = None) -> list[Any]:
        """The series of a query at any time since then or the beginning, NaN apart."""
        found = self.get(
            "/query_range", query=query, start=since or self.began, end=time.time(), step=0.25
        )
        return [
            series["metric"]
            for series in found["result"]
            if any(not math.isnan(float(value)) for _, value in series["values"])
        ]

    def fired(self, since: float | None = None, *, but: str) -> set[str]:
        """The names of the alerts that fired since then, but for those of one guard."""
        query = f'ALERTS{{alertstate="firing", name!="{but}"}}'
        return {series["alertname"] for series in self.over(query, since)}
