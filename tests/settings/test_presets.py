"""The presets: their order, their budget, their cache, their model, around whatever is called."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import agentguard as ag
from agentguard.engine.order import CANONICAL
from agentguard.testing import FakeProvider, FakeRuntime, fault
from tests.shapes import Harness, every_shape

KINDS = ("development", "staging", "production", "internal_tool")

every_preset = pytest.mark.parametrize("kind", KINDS)


def make(kind: str, *args: Any, **kwargs: Any) -> ag.presets.Preset:
    """Make a preset by its name, with metrics of its own."""
    return getattr(ag.presets, kind)(*args, registry=CollectorRegistry(), **kwargs)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider for one test."""
    with FakeProvider(answer="fine") as running:
        yield running


def names(guard: ag.guard) -> list[str]:
    """Return the names of its policies, outermost first."""
    return [policy.name for policy in guard.policies]


@every_preset
def test_policies_stand_in_the_canonical_order(kind: str) -> None:
    """Whatever is given."""
    preset = make(kind, "support", model="m", usd_per_day=1, fallback="n", scope="process")
    found = names(preset)
    assert found == sorted(found, key=CANONICAL.index)
    assert not ag.describe(preset)["warnings"]


@every_preset
@every_shape
def test_every_shape_answers(harness: Harness, kind: str) -> None:
    """Around every callable, one failure on the way included."""
    with FakeRuntime():
        run = harness.run(make(kind, "support").policies, ConnectionError("down"), "42")
    assert run.text == "42"
    assert len(run.calls) == 2


@every_preset
def test_clients_answer(kind: str, provider: FakeProvider) -> None:
    """Around an SDK's client, streams and a failure included."""
    openai = pytest.importorskip("openai")
    client = make(kind, "support", model="gpt-4o-mini")(
        openai.OpenAI(base_url=provider.openai_url, api_key="sk-fake")
    )
    asked: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hello"}],
    }
    provider.script(fault.status(503, retry_after=0))
    assert client.chat.completions.create(**asked).choices[0].message.content == "fine"
    stream = client.chat.completions.create(**asked, stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in stream if each.choices) == "fine"


def test_with_and_without_keep_the_preset() -> None:
    """What is put in goes where it belongs; explain still knows where values came from."""
    preset = make("production", "support")
    other = preset.with_(ag.moderate()).with_(ag.retry(attempts=9)).without("log")
    assert isinstance(other, ag.presets.Preset)
    found = names(other)
    assert found == sorted(found, key=CANONICAL.index)
    assert {"moderate"} <= set(found)
    assert "log" not in found
    assert ag.describe(other)["preset"] == "production"
    assert "retry.attempts = 3 (default)" in ag.explain(preset)


# The budget


@pytest.mark.parametrize(
    "limit", [{"usd_per_day": 20}, {"tokens_per_day": 1000}], ids=["usd", "tokens"]
)
def test_a_daily_budget_of_production_needs_a_store(limit: dict[str, Any]) -> None:
    """One that is only this process's would be spent again by every other."""
    with pytest.raises(ValueError, match=r"needs a store that they share.*AGENTGUARD_STORE"):
        make("production", "support", **limit)
    assert "budget" in names(make("production", "support", scope="process", **limit))


def test_the_store_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AGENTGUARD_STORE is enough, also where the preset's own budget is for one process."""
    monkeypatch.setenv("AGENTGUARD_STORE", f"sqlite:///{tmp_path}/budgets.db")
    for kind in ("production", "staging"):
        facts = ag.describe(make(kind, "support", usd_per_day=20))["policies"]
        assert "budgets.db" in next(each for each in facts if each["name"] == "budget")["state"]
    mine = ag.describe(make("production", "support", usd_per_day=20, scope="process"))["policies"]
    assert next(each for each in mine if each["name"] == "budget")["state"] == (
        "this process's memory"
    )


def test_a_store_needs_a_name(tmp_path: Path) -> None:
    """Under which the spend is found again."""
    with pytest.raises(ValueError, match="needs a name under which it is kept"):
        make("production", usd_per_day=20, store=f"sqlite:///{tmp_path}/budgets.db")


CHILD = """
import sys, agentguard as ag
from prometheus_client import CollectorRegistry
safe = ag.presets.production(
    "support", tokens_per_day=100, store=sys.argv[1], registry=CollectorRegistry()
)
@safe.without("log")
def ask(question: str, model: str = "gpt-4o-mini"):
    usage = {"prompt_tokens": 30, "completion_tokens": 10}
    return {"model": model, "choices": [{"message": {"content": "x"}}], "usage": usage}
for _ in range(5):
    try:
        ask("?", model="gpt-4o-mini")
        print("asked")
    except ag.errors.BudgetExceeded:
        print("refused")
"""


def test_two_processes_share_the_day(tmp_path: Path) -> None:
    """A second process spends what the first has left, and not a token more."""
    store = f"sqlite:///{tmp_path}/budgets.db"
    told: list[str] = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", CHILD, store], capture_output=True, text=True, check=True
        )
        told += run.stdout.split()
    assert told == ["asked"] * 3 + ["refused"] * 7  # the third was promised the last 20 tokens


# The cache


def test_only_what_can_be_repeated_is_cached(provider: FakeProvider) -> None:
    """Temperature 0 and embeddings; not a conversation, whose next answer may be another."""
    openai = pytest.importorskip("openai")
    client = make("production", "support")(
        openai.OpenAI(base_url=provider.openai_url, api_key="sk-fake")
    )
    asked: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hello"}],
    }
    for times, more in ((2, {}), (1, {"temperature": 0}), (2, {"temperature": 0.5})):
        before = provider.requests
        for _ in range(2):
            client.chat.completions.create(**asked, **more)
        assert provider.requests - before == times
    before = provider.requests
    for _ in range(2):
        client.embeddings.create(model="text-embedding-3-small", input="hello")
    assert provider.requests - before == 1


@pytest.mark.parametrize(
    ("when", "times"),
    [(None, 1), ("repeatable", 2), (lambda call: "x" in call.args, 2)],
    ids=["all", "repeatable", "function"],
)
def test_cache_when(when: Any, times: int) -> None:
    """Which calls are cached is said by a word or a function."""
    calls: list[str] = []

    @ag.cache(when=when)
    def ask(question: str) -> str:
        calls.append(question)
        return "42"

    ask("?")
    ask("?")
    assert len(calls) == times


def test_cache_when_is_checked() -> None:
    """Anything else says what it may be."""
    with pytest.raises(TypeError, match='"repeatable", or a function of the call'):
        ag.cache(when="temperature")  # type: ignore[arg-type]


# The model


def test_the_model_is_filled_in_where_it_was_not_given(provider: FakeProvider) -> None:
    """For what takes one; what the caller says wins, and embeddings are left alone."""
    seen: list[Any] = []

    def ask(question: str, model: str | None = None) -> str:
        seen.append(model)
        return "42"

    guarded = make("production", model="m-1").without("log")(ask)
    guarded("?")
    guarded("?", model="m-2")
    guarded("?", "m-3")
    assert seen == ["m-1", "m-2", "m-3"]
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=provider.openai_url, api_key="sk-fake")
    create = make("production", model="m-1").without("log")(client.chat.completions.create)
    assert create(messages=[{"role": "user", "content": "hello"}]).model == "m-1"


def test_the_model_is_filled_in_wherever_it_stands() -> None:
    """None given by place is none given; what has no name cannot be given by name."""
    fill = make("production", model="m-1").without("log")

    def ask(question: str, model: str | None = None) -> str:
        return f"{model}"

    def unnamed(question: str, model: str | None = None, /, **other: str) -> str:
        return f"{model} {other}"

    assert fill(ask)("?", None) == "m-1"
    assert fill(ask)("?", model=None) == "m-1"  # type: ignore[arg-type]
    assert fill(unnamed)("?") == "None {}"


def test_elsewhere_the_model_prices_and_labels() -> None:
    """Of a function that takes none; explain says so."""
    guarded = make("production", model="gpt-4o-mini").without("log")(lambda question: "42")
    with ag.report() as r:
        guarded("hello")
    attempt = r.calls[0].attempts[0]
    assert attempt.asked == "gpt-4o-mini"
    assert attempt.cost is not None
    assert "nothing takes model=, gpt-4o-mini prices and labels" in ag.explain(guarded)


# Which one


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ("production", "production"),
        ("prod", "production"),
        ("stage", "staging"),
        ("DEV", "development"),
        ("internal_tool", "internal_tool"),
        ("", "production"),
    ],
)
def test_the_environment_chooses(
    environment: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name or alias, in any case of its letters."""
    monkeypatch.setenv("AGENTGUARD_ENV", environment)
    assert ag.preset("support", registry=CollectorRegistry()).kind == kind


def test_an_unknown_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt one is not production by accident."""
    monkeypatch.setenv("AGENTGUARD_ENV", "producton")
    with pytest.raises(ValueError, match="names one of production, staging"):
        ag.preset()


def test_that_nothing_was_chosen_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At level info, for the process."""
    monkeypatch.setattr(ag.presets, "_told", set())
    with caplog.at_level(logging.INFO, "agentguard"):
        ag.preset("support", registry=CollectorRegistry())
        ag.preset("support", registry=CollectorRegistry())
    assert [each.message for each in caplog.records].count(
        "AGENTGUARD_ENV is not set: the preset is production. Set it to one of development, "
        "staging, production, internal_tool"
    ) == 1


def test_a_deadline_bounds_all_attempts() -> None:
    """No retry begins that could not end in time."""
    calls: list[float] = []

    @make("production", deadline=1, timeout=1).without("log")
    def ask(question: str) -> str:
        calls.append(time.now)
        raise ConnectionError("down")

    with FakeRuntime() as time, pytest.raises(ConnectionError):
        ask("?")
    assert all(each <= 1 for each in calls)


@pytest.mark.parametrize("make", [ag.presets.production, ag.presets.development, ag.preset])
def test_an_argument_that_is_misspelt_is_named(make: Any) -> None:
    """With what was meant, or with where else things are set."""
    with pytest.raises(TypeError, match=r"has no usd_per_dy=: write usd_per_day="):
        make(usd_per_dy=1)
    with pytest.raises(TypeError, match=r"has no ttl=: it takes name, model, .* \.with_\("):
        make(ttl=60)


def test_a_preset_is_a_whole_stack() -> None:
    """Neither another preset nor a guard of one's own is made of it."""
    inner = make("staging")(lambda question: question)
    with pytest.raises(TypeError, match=r"staging\(\) is around this callable already, and dev"):
        make("development")(inner)
    with pytest.raises(TypeError, match=r"a whole stack .* \.with_\(retry\(\)\)"):
        ag.guard(ag.retry(), make("production"))  # type: ignore[arg-type]
    assert ag.guard(ag.on_event(ag.events.CallEnded, print))(inner) is not inner


def test_a_preset_without_its_parentheses_is_refused() -> None:
    """The callable would be its name."""

    def ask(question: str) -> str:
        return question

    with pytest.raises(TypeError, match=r"write presets\.production\(\) with its parentheses"):
        ag.presets.production(ask)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r'production\(name=\) is a name, as in "support", not '):
        ag.presets.production(3)  # type: ignore[arg-type]
