"""Which variables are settings, which are misspelt, and which are somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentguard as ag
from agentguard.settings.schema import SECTIONS

KEYS = [f"{section}_{key}".upper() for section, keys in sorted(SECTIONS.items()) for key in keys]


@pytest.mark.parametrize("key", KEYS)
def test_a_slip_of_the_finger_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the section as in the key: a variable that is passed over in silence changes nothing."""
    for slip in (key[0] + key[2:], key[:-2] + key[-1]):
        variable = f"AGENTGUARD_{slip}"
        monkeypatch.setenv(variable, "1")
        with pytest.raises(ValueError, match=f"{variable}: there is no .*did you mean"):
            ag.presets.production("support")
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("key", [*KEYS, "NAME", "MODEL", "STORE", "ENV", "CONFIG"])
def test_an_empty_variable_says_nothing(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file of compose makes them of what is not set."""
    version = ag.presets.production("support").version
    monkeypatch.setenv(f"AGENTGUARD_{key}", "")
    assert ag.preset("support").version == version


@pytest.mark.parametrize(
    "key",
    [
        "CACHE_SERVICE_HOST",
        "CACHE_SERVICE_PORT",
        "CACHE_SERVICE_PORT_REDIS",
        "CACHE_PORT",
        "CACHE_PORT_6379_TCP_ADDR",
        "BUDGET_STORE_SERVICE_HOST",
        "PORT_80_TCP",
        "HOMEPAGE",
    ],
)
def test_variables_of_others_are_left_alone(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes makes some for a service that is named agentguard-cache."""
    monkeypatch.setenv(f"AGENTGUARD_{key}", "tcp://10.0.0.1:6379")
    ag.presets.production("support")


def state(preset: ag.presets.Preset) -> str:
    """Return where its budget is kept."""
    facts = {each["name"]: each for each in ag.describe(preset)["policies"]}
    return str(facts["budget"]["state"])


def test_the_nearer_of_store_and_scope_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store in code is not given up for a variable, nor a scope in code for one."""
    store = f"sqlite:///{tmp_path}/budgets.db"
    monkeypatch.setenv("AGENTGUARD_BUDGET_SCOPE", "process")
    assert "budgets.db" in state(ag.presets.production("support", usd_per_day=1, store=store))
    monkeypatch.setenv("AGENTGUARD_STORE", store)
    assert state(ag.presets.production("support", usd_per_day=1)) == "this process's memory"
    monkeypatch.delenv("AGENTGUARD_BUDGET_SCOPE")
    for preset in (ag.presets.production, ag.presets.staging):
        assert "budgets.db" in state(preset("support", usd_per_day=1))
        mine = preset("support", usd_per_day=1, scope="process")
        assert state(mine) == "this process's memory"
