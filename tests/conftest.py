"""Settings for every test: in CI a skip must be one that is expected."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ALLOWED = Path(__file__).with_name("allowed_skips.txt")

# LangSmith's client asks its server as soon as it is made, and keeps the process until it has.
os.environ.setdefault("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
os.environ.setdefault("LANGSMITH_USE_DAEMON", "true")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Keep memory addresses out of test names: the workers of a run must agree on them."""
    text = repr(val)
    stable = re.sub(r"( at)? 0x[0-9a-f]+| id='\d+'", "", text)
    return None if stable == text else stable


@pytest.fixture(autouse=True)
def _loop_of_litellm(request: pytest.FixtureRequest) -> Iterator[None]:
    """LiteLLM's sync calls make an event loop for the thread, which nobody else would close."""
    yield
    if "litellm" not in sys.modules or inspect.iscoroutinefunction(request.function):
        return
    loop = getattr(getattr(asyncio.get_event_loop_policy(), "_local", None), "_loop", None)
    if loop is not None:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.fixture(autouse=True)
def _exporters_of_one_test() -> Iterator[None]:
    """A receiver that hangs in one test does not keep the `flush` of another waiting."""
    before = {*_waiting()}
    yield
    for each in {*_waiting()} - before:
        if getattr(each, "name", "") != "metrics":  # of a registry, which other tests may share
            _waiting().discard(each)


def _waiting() -> Any:
    flushing = sys.modules.get("agentguard.engine.flush")
    return set() if flushing is None else flushing.waiting


def allowed_reasons() -> set[str]:
    """Read the reasons for which CI accepts a skip."""
    lines = (line.strip() for line in ALLOWED.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line and not line.startswith("#")}


class UnexpectedSkips:
    """Fails the run when a test was skipped for a reason that is not listed."""

    def __init__(self) -> None:
        self.reasons: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note why a test was skipped; an expected failure is not a skip."""
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note why a whole module was skipped."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons.add(report.longrepr[2].removeprefix("Skipped: "))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a green run red; one that failed keeps its own exit code."""
        if self.reasons - allowed_reasons() and session.exitstatus in (0, 5):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the reasons, so that the log says what to do."""
        unexpected = sorted(self.reasons - allowed_reasons())
        if unexpected:
            terminalreporter.section("skips that CI does not accept", red=True)
            for reason in unexpected:
                terminalreporter.line(reason)
            terminalreporter.line(f"add a reason to tests/{ALLOWED.name} only if CI cannot meet it")


def pytest_configure(config: pytest.Config) -> None:
    """Watch skips in CI; the workers of xdist report to the process that does."""
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(UnexpectedSkips(), "unexpected-skips")
