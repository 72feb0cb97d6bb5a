from __future__ import annotations

import json
from pathlib import Path

import pytest

import agentguard as ag
from agentguard.testing import FakeRuntime, ScriptedModel


def test_it_tells_of_circuits_and_budgets() -> None:
    """Used, limit, left and renewal by unit; the state of each circuit; as JSON."""
    model = ScriptedModel("one", "two", ConnectionError("down"), repeat_last=True)
    ask = ag.guard(
        ag.budget(requests=4, per="1m", name="answers"), ag.breaker(fail_max=2, name="model")
    )(model.sync)
    with FakeRuntime():
        ask("?")
        told = ag.health(ask)
        assert told["status"] == "ok"
        assert told["circuits"] == {"model": "closed"}
        assert told["budgets"]["answers"]["requests"].items() >= {
            "used": 1, "limit": 4, "left": 3
        }.items()  # fmt: skip
        assert told["budgets"]["answers"]["requests"]["renews"] > 0
        ask("?")
        for _ in range(2):
            with pytest.raises(ConnectionError):
                ask("?")
        told = ag.health(ask)
        assert told["status"] == "degraded"
        assert told["circuits"] == {"model": "open"}
        assert told["budgets"]["answers"]["requests"]["left"] == 0
    assert json.loads(json.dumps(told)) == told


def test_money_is_told_as_a_number() -> None:
    """Dollars are decimals inside, and plain numbers here."""
    told = ag.health(ag.budget(usd=0.50, per="1m"))
    assert told["budgets"]["budget"]["usd"]["left"] == 0.5
    assert json.dumps(told)


def test_nobody_is_named() -> None:
    """Of budgets and circuits for each user it tells what they are kept by, and how many there are."""
    model = ScriptedModel(ConnectionError("down"), repeat_last=True)
    ask = ag.guard(
        ag.budget(requests=4, per="1m", by="user", name="each"),
        ag.breaker(key=lambda call: call.scope.tags["user"], fail_max=1),
    )(model.sync)
    for user in ("ann@example.com", "bob@example.com"):
        with ag.context(user=user), pytest.raises(ConnectionError):
            ask("?")

    told = ag.health(ask, ag.budget(usd=1, per="request", name="one"))

    assert "example.com" not in repr(told)
    assert told["circuits"] == {"breaker by key": {"open": 2}}
    assert told["budgets"] == {"each": {"by": "user"}, "one": {"by": "request"}}
    assert told["status"] == "degraded"


def test_a_policy_that_is_switched_is_named() -> None:
    """What was turned off in the night is seen in the morning."""
    ask = ag.guard(ag.moderate(), ag.breaker())(ScriptedModel("one").sync)
    assert ag.health(ask)["switched"] == {}
    ag.switch("moderate", "off")
    assert ag.health(ask)["switched"] == {"moderate": "off"}
    assert ag.health(ask)["status"] == "degraded"


def test_a_circuit_that_is_forced_open_is_told_of() -> None:
    """A breaker that refuses by hand is not well, whatever its circuits say."""
    breaker = ag.breaker().force_open()
    assert ag.health(breaker)["switched"] == {"breaker": "forced_open"}
    assert ag.health(breaker)["status"] == "degraded"


def test_a_store_that_cannot_be_reached_is_told_of(tmp_path: Path) -> None:
    """The page is shown all the same, and says where the store is."""
    path = tmp_path / "budgets.db"
    limited = ag.budget(requests=3, per="1m", store=f"sqlite:///{path}", name="shared")
    assert ag.health(limited)["status"] == "ok"
    path.unlink()
    for each in tmp_path.iterdir():
        each.unlink()
    path.mkdir()
    other = ag.budget(requests=3, per="1m", store=f"sqlite:///{path}", name="shared")

    told = ag.health(other)

    assert told["status"] == "degraded"
    assert list(told["budgets"]["shared"]) == ["unreachable"]


def test_a_policy_around_several_things_is_told_of_once() -> None:
    """Clients that share a breaker share a line; a guard and a policy can be asked, too."""
    shared = ag.breaker(name="one")
    first, second = ag.guard(shared)(len), ag.guard(shared)(len)
    first([])
    assert ag.health(first, second, ag.guard(shared), shared)["circuits"] == {"one len": "closed"}


def test_what_is_not_guarded_is_refused() -> None:
    """A page that shows nothing would say that all is well."""
    with pytest.raises(TypeError, match="len is not guarded"):
        ag.health(len)
