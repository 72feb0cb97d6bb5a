"""The example service under load, a real Prometheus that scrapes it, an outage and an overspend."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from agentguard.monitoring.__main__ import files
from agentguard.monitoring.alerting import Alerting
from agentguard.monitoring.dashboard import dashboard
from agentguard.monitoring.objectives import Objectives
from agentguard.monitoring.recorded import Recorded
from tests.monitoring.prometheus import Prometheus, free_port, until

SERVICE = Path(__file__).with_name("service.py")

SCALE = 3 / 300  # five minutes are three seconds, and an hour is 36
GOAL = Objectives(
    scale=SCALE,
    window=3 / SCALE,  # an hour of costs and caches is three seconds
    history=21 / SCALE,
    circuit=2 / SCALE,
    usd=0.01,
)
OUTAGE = {"AgentguardErrorBurn", "AgentguardCircuitOpen"}
OVERSPEND = {"AgentguardBudgetNearlySpent", "AgentguardBudgetRefusing", "AgentguardCostAnomaly"}


class Load:
    """Users of a service: each asks, streams, and asks what was asked before, until the end."""

    def __init__(self, url: str, users: int = 4) -> None:
        self.url = url
        self.asked = itertools.count()
        self._end = threading.Event()
        self._users = [threading.Thread(target=self._use, daemon=True) for _ in range(users)]

    def __enter__(self) -> None:
        for user in self._users:
            user.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for user in self._users:
            user.join(30)

    def _use(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as browser:
            while not self._end.is_set():
                number = next(self.asked)
                questions = (f"Who is user{number}@example.com?", f"Why {number}?", "Why?")
                for path, question in zip(("/ask", "/stream", "/ask"), questions, strict=True):
                    with contextlib.suppress(httpx.TransportError):
                        browser.get(path, params={"q": question})
                with contextlib.suppress(httpx.TransportError):
                    browser.get("/rare")
                self._end.wait(0.05)


@pytest.fixture
def service() -> Iterator[httpx.Client]:
    """The example service in a process of its own, with 10 cents a day."""
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, str(SERVICE), str(port)],
        env={**os.environ, "USD_PER_DAY": "0.1"},
        stdout=subprocess.DEVNULL,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

        def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return http.get("/readyz").status_code == 200
            return False

        try:
            assert until(ready)
            yield http
        finally:
            child.kill()
            child.wait(30)


def asked(expr: str) -> str:
    """A panel's query as Grafana sends it."""
    for variable, value in {"rate_interval": "10s", "range": "60s"}.items():
        expr = expr.replace(f"$__{variable}", value)
    return re.sub(r"\$\w+", ".*", expr)


@pytest.mark.serial
@pytest.mark.timeout(240)
def test_dashboard_rules_and_alerts_work_on_a_service_under_load(
    tmp_path: Path, service: httpx.Client
) -> None:
    """Every query has data; an outage and an overspend fire their alerts; all is well in between."""
    for name, text in files(GOAL).items():
        (tmp_path / name).write_text(text)
    with Prometheus(tmp_path, service.base_url.port) as prometheus, Load(str(service.base_url)):
        fired = partial(prometheus.fired, but="rare")
        service.get("/provider/flaky")
        cost = f'{Recorded(GOAL).cost}{{name="support"}} offset 3s > 0'
        assert until(lambda: prometheus.over(cost)), prometheus.targets()
        assert not fired() & (OUTAGE | OVERSPEND)

        began = time.time()
        service.get("/provider/down")
        assert until(lambda: fired(began) >= OUTAGE), fired(began)
        assert service.get("/readyz").json() == {"status": "ok"}
        stands = service.get("/health").json()
        assert stands["status"] == "degraded"
        assert "open" in stands["circuits"].values()
        assert not fired() & OVERSPEND

        began = time.time()
        service.get("/provider/talkative")
        assert until(lambda: fired(began) >= OVERSPEND), fired(began)
        closed = 'agentguard_circuit_state{circuit=~".*gpt-5 at.*"} == 0'
        assert until(lambda: prometheus.over(closed, began)), "it was closed by hand"
        assert service.get("/health").json()["budgets"]["support"]["usd"]["used"] > 0.08

        rules = [rule for group in prometheus.get("/rules")["groups"] for rule in group["rules"]]
        assert [rule for rule in rules if rule["health"] != "ok"] == []
        assert len(rules) == 45
        queries = {
            f"panel {panel['title']}": asked(target["expr"])
            for panel in dashboard(GOAL)["panels"]
            for target in panel.get("targets", ())
        }
        recorded = Recorded(GOAL)
        for group in recorded.groups().values():
            queries |= {rule.name: rule.name for rule in group}
        for group in Alerting(recorded).groups().values():
            for alert in group:
                for condition in alert.conditions:
                    queries[f"{alert.name}: {condition.left}"] = condition.left
        series = {name: partial(prometheus.over, query) for name, query in queries.items()}
        assert [name for name, found in series.items() if not until(found, 20)] == []
