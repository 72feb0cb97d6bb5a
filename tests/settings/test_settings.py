"""Defaults from the environment and from a file: what wins, what is refused, what is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import agentguard as ag
from agentguard.settings.schema import SECTIONS

Config = Callable[[str], Path]


def value(preset: ag.presets.Preset, key: str) -> tuple[Any, str]:
    """Return a value of a preset, and where it came from."""
    found = preset.values[key]
    return found.value, found.source


def test_a_default_says_so() -> None:
    """Nothing is set."""
    assert value(ag.presets.production(), "retry.attempts") == (3, "default")


def test_what_is_nearer_wins(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset's section before that of all, the environment before the file, code before both."""
    path = config("[default.timeout]\nseconds = 40\n")
    assert value(ag.presets.production(), "timeout.seconds") == (40, f"{path} [default.timeout]")
    config("[default.timeout]\nseconds = 40\n[production.timeout]\nseconds = 50\n")
    assert value(ag.presets.production(), "timeout.seconds")[0] == 50
    assert value(ag.presets.staging(), "timeout.seconds")[0] == 40
    monkeypatch.setenv("AGENTGUARD_TIMEOUT_SECONDS", "20")
    found = value(ag.presets.production(), "timeout.seconds")
    assert found == (20, "AGENTGUARD_TIMEOUT_SECONDS")
    assert value(ag.presets.production(timeout=10), "timeout.seconds") == (10, "argument")


def test_what_is_set_is_what_the_policies_get(config: Config) -> None:
    """Each section reaches its policy."""
    config(
        "[default]\nname = 'support'\nmodel = 'gpt-4o-mini'\n"
        "[default.retry]\nattempts = 7\n[default.breaker]\nfail_max = 9\n"
        "[default.cache]\nttl = '2h'\nwhen = 'all'\n[default.validate_input]\nmax_tokens = 5\n"
        "[default.deadline]\nseconds = 33\n[default.budget]\nusd_per_day = 2\nscope = 'process'\n"
        "[default.fallback]\nmodel = 'gpt-4.1-nano'\n[default.prompt_cache]\nenabled = true\n"
    )
    facts = {each["name"]: each for each in ag.describe(ag.presets.production())["policies"]}
    assert facts["retry"]["attempts"] == 7
    assert facts["breaker"]["fail_max"] == 9
    assert facts["cache"]["ttl"] == "7200 s"
    assert "when" not in facts["cache"]
    assert facts["validate_input"]["max_tokens"] == 5
    assert facts["deadline"]["total"] == 33
    assert facts["budget"]["usd"] == 2
    assert facts["fallback"]["targets"] == "model=gpt-4.1-nano"
    assert facts["model"]["model"] == "gpt-4o-mini"
    assert "prompt_cache" in facts


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_section_can_be_left_out(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`enabled = false` takes the policy away."""
    monkeypatch.setenv(f"AGENTGUARD_{section.upper()}_ENABLED", "false")
    names = [each["name"] for each in ag.describe(ag.presets.production())["policies"]]
    assert section not in names


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("AGENTGUARD_RETRY_ATTEMPTS", "many", "AGENTGUARD_RETRY_ATTEMPTS: retry.attempts: input"),
        ("AGENTGUARD_RETRY_ATTEMPTS", "0", "greater than or equal to 1"),
        ("AGENTGUARD_RETRY_ATEMPTS", "3", "did you mean 'attempts'"),
        ("AGENTGUARD_TIMEOUT_SECONDS", "nan", "AGENTGUARD_TIMEOUT_SECONDS"),
        ("AGENTGUARD_CACHE_WHEN", "never", "'repeatable' or 'all'"),
    ],
)
def test_wrong_variables_are_named(
    variable: str, text: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which variable, and what it may be."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=told):
        ag.presets.production()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[default.retry]\natempts = 3\n", r"\[default.retry\]: there is no key 'atempts' \(did"),
        (
            "[default.rety]\nattempts = 3\n",
            r"\[default.rety\]: there is no key 'rety' \(did you me",
        ),
        ("[prodution.retry]\nattempts = 3\n", r"\[prodution\]: there is no section 'prodution'"),
        ("[default.retry]\nattempts = 'x'\n", r"\[default.retry\]: retry.attempts: input should"),
        ("[default]\nretries = 3\n", r"\[default\]: there is no key 'retries' \(did you mean"),
        ("default = 3\n", r"default is a section: write \[default\]"),
        ("[default\n", "is not TOML"),
        ("[switches]\nmodrate = 'off'\n", r"\[switches\]: no policy .*did you mean 'moderate'"),
        ("[switches]\nmoderate = 'of'\n", r'\[switches\]: switch\(\) takes "on", "shadow", "off"'),
        ("[switches]\nmask_pii = 'off'\n", r"\[switches\]: mask_pii cannot be switched"),
    ],
)
def test_wrong_files_are_named(text: str, told: str, config: Config) -> None:
    """The message says which file and section, and what was meant."""
    path = config(text)
    with pytest.raises((ValueError, TypeError), match=told) as caught:
        ag.presets.production()
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and which variable names it."""
    monkeypatch.setenv("AGENTGUARD_CONFIG", "missing.toml")
    with pytest.raises(ValueError, match=r"AGENTGUARD_CONFIG names missing\.toml"):
        ag.presets.production()


def test_variables_of_kubernetes_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service named agentguard makes such variables in every pod."""
    monkeypatch.setenv("AGENTGUARD_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("AGENTGUARD_SERVICE_HOST", "10.0.0.1")
    ag.presets.production()


def test_a_value_never_stands_in_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set wrong may be a secret in the wrong place."""
    secret = "sk-" + "a1" * 12
    monkeypatch.setenv("AGENTGUARD_RETRY_ATTEMPTS", secret)
    with pytest.raises(ValueError, match="AGENTGUARD_RETRY_ATTEMPTS") as caught:
        ag.presets.production()
    assert secret not in f"{caught.value!r} {caught.value.__context__!r}"


def test_passwords_of_stores_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in explain nor in describe; the version does not know them either."""
    monkeypatch.setenv("AGENTGUARD_STORE", "redis://ann:hunter2@cache:6379/0?password=hunter2")
    one = ag.presets.production("support", usd_per_day=1)
    assert "hunter2" not in ag.explain(one) + json.dumps(ag.describe(one), default=str) + repr(
        one.facts()
    )
    assert "cache:6379" in ag.explain(one)


def test_the_version_changes_with_any_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is the same in another process."""
    version = ag.presets.production("support").version
    assert ag.presets.production("support").version == version
    assert ag.presets.production("support", timeout=59).version != version
    assert ag.presets.staging("support").version != version
    code = "import agentguard as ag; print(ag.presets.production('support').version)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert told.stdout.strip() == version
    monkeypatch.setenv("AGENTGUARD_RETRY_ATTEMPTS", "2")
    assert ag.presets.production("support").version != version


KEYS = [f"{section}.{key}" for section, keys in sorted(SECTIONS.items()) for key in keys]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    key=st.sampled_from(KEYS),
    given_value=st.one_of(
        st.integers(), st.floats(), st.booleans(), st.text("abc=[]'\n\\\u00e9", max_size=8)
    ),
)
def test_any_value_is_taken_or_refused_by_name(key: str, given_value: Any, config: Config) -> None:
    """Whatever stands in a file, a preset is made, or an error names the key."""
    section, name = key.split(".")
    text = json.dumps(given_value) if isinstance(given_value, (str, bool)) else repr(given_value)
    config(f"[default.{section}]\n{name} = {text}\n")
    try:
        ag.presets.production("support")
    except (ValueError, TypeError) as error:
        assert section in str(error) or name in str(error)  # noqa: PT017  either may come


# Switches


@ag.moderate()
def ask(question: str) -> str:
    """Answer."""
    return "42"


def test_the_file_switches_what_refuses(config: Config) -> None:
    """From the first preset on, again at each reload, and back when it says so no more."""
    bad = "I will kill you"
    config("[switches]\nmoderate = 'off'\n")
    ag.presets.production()
    assert ask(bad) == "42"
    config("[switches]\n")
    ag.settings.reload()
    with pytest.raises(ag.errors.InputRejected):
        ask(bad)


def test_a_bad_reload_changes_nothing(config: Config) -> None:
    """What held before goes on."""
    bad = "I will kill you"
    config("[switches]\nmoderate = 'off'\n")
    ag.settings.reload()
    config("[switches]\nmoderate = 'on'\nground = 'sometimes'\n")
    with pytest.raises(ValueError, match="sometimes"):
        ag.settings.reload()
    assert ask(bad) == "42"


def test_a_later_preset_does_not_undo_the_hand(config: Config) -> None:
    """The file's switches are read with the first preset, then only at a reload."""
    config("[switches]\nvalidate_input = 'shadow'\n")
    ask = ag.presets.production(max_chars=3).without("log")(lambda _: "42")
    assert ask("too long") == "42"
    ag.switch("validate_input", None)
    ag.presets.production()
    with pytest.raises(ag.errors.InputRejected):
        ask("too long")
    ag.settings.reload()
    assert ask("too long") == "42"


@pytest.mark.parametrize(
    "key", ["usd_per_day", "tokens_per_day", "max_chars", "timeout", "deadline"]
)
def test_true_is_no_number(key: str) -> None:
    """A limit that was meant to be switched on is not a limit of one."""
    arguments: dict[str, Any] = {key: True}
    with pytest.raises(ValueError, match="a number, not a boolean"):
        ag.presets.production("support", scope="process", **arguments)


def test_true_in_the_file_is_no_number(config: Config) -> None:
    """Nor there."""
    config("[default.retry]\nattempts = true\n")
    with pytest.raises(ValueError, match=r"\[default.retry\]: retry.attempts.* not a boolean"):
        ag.presets.production()


def test_a_budget_of_a_wrong_type_says_so() -> None:
    """Also where it lacks a store."""
    with pytest.raises((TypeError, ValueError), match="usd_per_day"):
        ag.presets.production(usd_per_day=[1])  # type: ignore[arg-type]
