"""The pytest plugin, in test runs of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agentguard.testing.live import HOSTS, NoLive, live

HEADER = "from __future__ import annotations\n"


def run(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test file with nothing but the plugin."""
    (folder / "test_it.py").write_text(HEADER + test, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "agentguard.testing.plugin"]
    command += ["-p", "no:cacheprovider", *options, "test_it.py"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        environment.pop(name, None)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_fixtures_are_there(tmp_path: Path) -> None:
    """Virtual time, a provider and a report, each for one test."""
    done = run(
        tmp_path,
        """
import urllib.request
from agentguard import retry
from agentguard.engine import clock
from agentguard.testing import FakeProvider, FakeRuntime, ScriptedModel

def test_time(fake_runtime, guard_report):
    assert isinstance(fake_runtime, FakeRuntime) and clock.now() is fake_runtime
    assert retry(attempts=2)(ScriptedModel(ConnectionError("reset"), "ok").sync)() == "ok"
    assert len(fake_runtime.slept) == 1
    assert [a.kind for a in guard_report.calls[0].attempts] == ["connection", None]

def test_no_time_is_left_over():
    assert not isinstance(clock.now(), FakeRuntime)

def test_provider(fake_provider):
    assert isinstance(fake_provider, FakeProvider)
    assert fake_provider.openai_url.startswith("http://127.0.0.1:")
""",
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_report_reaches_async_tests(tmp_path: Path) -> None:
    """pytest-asyncio runs a test in a copy of the context that fixtures left."""
    done = run(
        tmp_path,
        """
from agentguard import retry

async def test_it(guard_report):
    async def ask():
        return "ok"
    assert await retry(ask)() == "ok"
    assert guard_report.calls[0].outcome == "completed"
""",
        "-p",
        "pytest_asyncio.plugin",
        "-o",
        "asyncio_mode=auto",
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_state_is_reset_after_each_test(tmp_path: Path) -> None:
    """Retry budgets are full again, and streams that a test left open are closed."""
    done = run(
        tmp_path,
        """
from agentguard import retry
from agentguard.testing import ScriptedModel, no_wait

failing = ScriptedModel(ConnectionError("reset"), repeat_last=True)
ask = retry(attempts=3)(failing.sync)
model = ScriptedModel(["a", "b"])
left = []

def test_an_outage():
    with no_wait():
        for _ in range(60):
            try:
                ask()
            except ConnectionError:
                pass
    assert len(failing.calls) < 180
    failing.calls.clear()
    left.append(retry(model.returns_stream)())
    assert next(left[0]) == "a" and model.closed == 0

def test_after_it():
    with no_wait():
        try:
            ask()
        except ConnectionError:
            pass
    assert len(failing.calls) == 3
    assert model.closed == 1
""",
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


LIVE = """
import socket
from agentguard import fallback, guard, retry
from agentguard.testing import no_wait

def connect():
    socket.create_connection(("api.openai.com", 443), timeout=0.01)

def test_it():
    with no_wait():
        guard(fallback(lambda: "hidden"), retry(attempts=3))(connect)()
"""


@pytest.mark.parametrize("option", [["--agentguard-no-live"], ["-o", "agentguard_no_live=true"]])
def test_live_providers_are_forbidden_on_request(tmp_path: Path, option: list[str]) -> None:
    """A test that connects to one fails at once, whatever guards stand around, and says why."""
    done = run(tmp_path, LIVE, *option)
    assert done.returncode == 1
    assert "connects to the live provider api.openai.com" in done.stdout
    assert "fake_provider" in done.stdout


def test_they_are_not_forbidden_otherwise(tmp_path: Path) -> None:
    """Without the option nothing is patched."""
    done = run(
        tmp_path,
        """
import socket
def test_it():
    assert socket.getaddrinfo.__module__ == "socket"
""",
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


SDKS = """
import asyncio
import pytest

def test_openai():
    openai = pytest.importorskip("openai")
    openai.OpenAI(api_key="test-key").models.list()

def test_async_openai():
    openai = pytest.importorskip("openai")
    async def ask():
        await openai.AsyncOpenAI(api_key="test-key").models.list()
    asyncio.run(ask())

def test_anthropic():
    anthropic = pytest.importorskip("anthropic")
    anthropic.Anthropic(api_key="test-key").messages.create(
        model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
"""


def test_real_clients_are_stopped(tmp_path: Path) -> None:
    """The SDKs' own retries and error classes do not hide it, nor does a proxy."""
    done = run(tmp_path, SDKS, "--agentguard-no-live", "--tb=line")
    assert "3 failed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("connects to the live provider api.openai.com") >= 2
    assert "connects to the live provider api.anthropic.com" in done.stdout


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.openai.com", True),
        (b"API.OpenAI.com.", True),
        ("myorg.openai.azure.com", True),
        ("europe-west1-aiplatform.googleapis.com", True),
        ("bedrock-runtime.us-east-1.amazonaws.com", True),
        ("api.anthropic.com", True),
        ("s3.amazonaws.com", False),
        ("notopenai.com", False),
        ("localhost", False),
        ("127.0.0.1", False),
        (None, False),
    ],
)
def test_what_counts_as_live(host: object, expected: bool) -> None:
    """Official hosts, those below them and the regional ones; nothing else."""
    assert live(host) is expected


def test_everything_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping restores the lookup and the proxy settings, and may be done twice."""
    monkeypatch.setenv("NO_PROXY", "internal")
    monkeypatch.delenv("no_proxy", raising=False)
    lookup = socket.getaddrinfo
    forbid = NoLive(RuntimeError)
    forbid.start()
    try:
        assert os.environ["NO_PROXY"].split(",")[0] == "internal"
        assert set(HOSTS) <= set(os.environ["no_proxy"].split(","))
        assert socket.getaddrinfo("127.0.0.1", 80)
        with pytest.raises(RuntimeError, match="live provider"):
            socket.getaddrinfo("api.openai.com", 443)
    finally:
        forbid.stop()
        forbid.stop()
    assert socket.getaddrinfo is lookup
    assert os.environ["NO_PROXY"] == "internal"
    assert "no_proxy" not in os.environ
