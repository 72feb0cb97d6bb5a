"""Presets around whole clients, over real HTTP: failures, silences, personal data, a shared day."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import agentguard as ag
from agentguard.testing import FakeProvider, fault
from tests.integrations.clients import PLAIN, WAYS, WHOLE, Way
from tests.policies.redis_server import RedisServer
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
PLANTED = "kim.minji" + "@example.com"
plain_ways = pytest.mark.parametrize("way", PLAIN, ids=[way.name for way in PLAIN])


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set from outside."""
    for name in ("ENV", "STORE", "CONFIG"):
        monkeypatch.delenv(f"AGENTGUARD_{name}", raising=False)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


def made(kind: str = "production", **arguments: Any) -> ag.presets.Preset:
    """Make a preset with a budget of this process, and metrics of its own."""
    arguments = {"tokens_per_day": 100_000, "scope": "process", **arguments}
    return getattr(ag.presets, kind)("support", registry=CollectorRegistry(), **arguments)


@pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
def test_production_outlasts_a_failure_however_one_asks(provider: FakeProvider, way: Way) -> None:
    """The second attempt answers."""
    provider.script(fault.status(503, retry_after=0))
    assert way.run(provider, made()) == WHOLE
    assert len(provider.journal) == 2


@pytest.mark.parametrize("kind", ["development", "staging", "internal_tool"])
@plain_ways
def test_the_other_presets_do_too(provider: FakeProvider, way: Way, kind: str) -> None:
    """All of them retry."""
    provider.script(fault.status(503, retry_after=0))
    assert way.run(provider, made(kind)) == WHOLE
    assert len(provider.journal) == 2


@plain_ways
def test_a_provider_that_is_silent_is_left_in_time(provider: FakeProvider, way: Way) -> None:
    """A sync client's too, though nothing runs in a thread: the SDK is told the bound."""
    provider.script(*[fault.stall()] * 3)
    with pytest.raises(Exception, match=r"(?i)time") as caught:
        way.run(provider, made(timeout=0.2, deadline=1), timeout=600.0)
    assert isinstance(caught.value, TimeoutError) or "Timeout" in type(caught.value).__name__


@plain_ways
def test_a_stream_that_falls_silent_is_left_in_time(provider: FakeProvider, way: Way) -> None:
    """What it said so far stands on the error."""
    if not way.streams:
        return
    provider.script(fault.stall(after=2))
    with pytest.raises(Exception, match=r"(?i)time|idle|silen") as caught:
        way.run(provider, made(timeout=0.3, deadline=5), timeout=600.0)
    partial = ag.errors.partial(caught.value)
    assert partial is not None
    assert partial.text


@pytest.mark.parametrize("kind", ["development", "staging", "internal_tool"])
def test_a_budget_that_nobody_asked_for_lets_a_model_without_a_price_pass(
    provider: FakeProvider, kind: str
) -> None:
    """One of one's own, say. A budget that was asked for would count it as nothing: it refuses."""
    way = next(each for each in PLAIN if each.name == "chat")
    own = way._replace(arguments={**way.arguments, "model": f"our-{kind}"})
    with pytest.warns(UserWarning, match=f"our-{kind}"):
        assert own.run(provider, made(kind)) == WHOLE
    with pytest.raises(ag.errors.BudgetExceeded, match="no price is known"):
        own.run(provider, made(kind, usd_per_day=5))


@pytest.mark.parametrize("kind", ["production", "development"])
@plain_ways
def test_personal_data_stays_here(provider: FakeProvider, way: Way, kind: str) -> None:
    """It is neither in what is sent nor lost in what comes back."""
    provider.script("write to <EMAIL_1>")
    (said,) = [key for key in ("messages", "input") if key in way.arguments]
    asked = f"my address is {PLANTED}"
    content: Any = asked if said == "input" else [{"role": "user", "content": asked}]
    told = way._replace(arguments={**way.arguments, said: content})
    assert told.run(provider, made(kind)) == f"write to {PLANTED}"
    assert PLANTED not in repr([each.body for each in provider.journal])


CHILD = """
import sys, threading
import openai, agentguard as ag
from prometheus_client import CollectorRegistry
store, url = sys.argv[1:]
safe = ag.presets.production("support", tokens_per_day=400, store=store, registry=CollectorRegistry())
client = safe.without("log")(openai.OpenAI(base_url=url, api_key="sk-test"))
print("ready", flush=True)
sys.stdin.readline()
told = []
def ask():
    try:
        answer = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], max_tokens=40
        )
        told.append(str(answer.usage.total_tokens))
    except ag.errors.BudgetExceeded:
        told.append("refused")
threads = [threading.Thread(target=ask) for _ in range(20)]
for each in threads: each.start()
for each in threads: each.join()
print(*told)
"""


@pytest.fixture
def redis() -> Iterator[str]:
    """A server of the test's own."""
    server = RedisServer()
    server.start()
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_processes_that_ask_at_once_share_the_day(
    provider: FakeProvider, store: str, tmp_path: Path, redis: str
) -> None:
    """Two processes with twenty threads each spend what one may, and not a token more."""
    where = redis if store == "redis" else f"sqlite:///{tmp_path}/budgets.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, where, provider.openai_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for each in processes:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    told = [word for each in processes for word in each.communicate("go\n", 50)[0].split()]
    assert len(told) == 40
    spent = [int(word) for word in told if word != "refused"]
    assert len(provider.journal) == len(spent)
    assert 0 < sum(spent) <= 400
    assert "refused" in told
