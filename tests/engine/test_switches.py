"""switch(): what refuses is turned off, to reporting only, or on again while the program runs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import agentguard as ag
from agentguard import errors, events
from agentguard.engine.switches import forget_switches, switch_all
from agentguard.testing import ScriptedModel
from tests.shapes import Harness, every_shape

BAD = "I will kill you"


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Nothing stays switched; guards are cycles, and locked ones are gone before the next test."""
    yield
    forget_switches()
    gc.collect()


def told(run: Any) -> list[Any]:
    """Return the refusals that were reported."""
    return [event for event in run.events if isinstance(event, events.Rejected)]


@every_shape
def test_a_check_is_switched_by_name(harness: Harness) -> None:
    """Shadow reports and lets through, off says nothing, on refuses again."""
    subject = harness.guard(ag.moderate(), "fine", "fine")
    ag.switch("moderate", "shadow")
    run = subject.call(BAD)
    assert run.text == "fine"
    assert [each.shadow for each in told(run)] == [True]
    ag.switch("moderate", "off")
    run = subject.call(BAD)
    assert run.text == "fine"
    assert told(run) == []
    ag.switch("moderate", "on")
    assert isinstance(subject.call(BAD).error, errors.InputRejected)


def test_it_holds_for_what_is_made_later() -> None:
    """A guard that is made after the switch is under it."""
    ag.switch("validate_input", "off")
    ask = ag.validate_input(max_chars=1)(ScriptedModel("fine").shape("sync"))
    assert ask("long") == "fine"
    ag.switch("validate_input", None)
    with pytest.raises(errors.InputRejected):
        ask("long")


def test_none_is_as_it_was_written() -> None:
    """What code put into shadow goes back into shadow."""
    ask = ag.shadow(ag.validate_input(max_chars=1))(ScriptedModel("1", "2").shape("sync"))
    ag.switch("validate_input", "on")
    with pytest.raises(errors.InputRejected):
        ask("long")
    ag.switch("validate_input", None)
    assert ask("long") == "1"


def test_one_policy_alone() -> None:
    """By object, others of its name are left alone."""
    mine, other = ag.validate_input(max_chars=1), ag.validate_input(max_chars=1)
    ask = mine(ScriptedModel("fine").shape("sync"))
    ask_other = other(ScriptedModel("never").shape("sync"))
    ag.switch(mine, "off")
    assert ask("long") == "fine"
    with pytest.raises(errors.InputRejected):
        ask_other("long")


@pytest.mark.parametrize("what", ["mask_pii", "retry"])
def test_what_refuses_nothing_cannot_be_switched(what: str) -> None:
    """Masking least of all."""
    policies: dict[str, Callable[[], ag.Policy]] = {"mask_pii": ag.mask_pii, "retry": ag.retry}
    policy = policies[what]()
    guarded = policy(ScriptedModel("fine").shape("sync"))
    for which in (what, policy):
        with pytest.raises(TypeError, match=what):
            ag.switch(which, "off")
    assert guarded("hello") == "fine"


def test_what_is_locked_cannot_be_switched() -> None:
    """Nor can others of its name, by name: nothing is switched by halves."""
    open_one, shut = ag.validate_input(max_chars=1), ag.locked(ag.validate_input(max_chars=1))
    ask, ask_shut = (p(ScriptedModel("fine").shape("sync")) for p in (open_one, shut))
    with pytest.raises(ValueError, match="is locked"):
        ag.switch("validate_input", "off")
    with pytest.raises(ValueError, match="is locked"):
        ag.switch(shut, "off")
    for each in (ask, ask_shut):
        with pytest.raises(errors.InputRejected):
            each("long")
    ag.switch(open_one, "off")
    assert ask("long") == "fine"


def test_a_lock_holds_against_an_earlier_switch() -> None:
    """What was switched before a locked policy was made does not touch it."""
    ag.switch("validate_input", "off")
    ask = ag.locked(ag.validate_input(max_chars=1))(ScriptedModel("never").shape("sync"))
    with pytest.raises(errors.InputRejected):
        ask("long")


def test_wrong_switches_say_what_to_write() -> None:
    """A misspelt name at night must not pass for a switch."""
    with pytest.raises(ValueError, match="did you mean 'moderate'"):
        ag.switch("modrate", "off")
    with pytest.raises(ValueError, match='takes "on", "shadow", "off" or None'):
        ag.switch("moderate", "disabled")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="modrate"):
        switch_all({"ground": "off", "modrate": "off"})
    assert ag.ground(sources=["x"]).mode == "on"
    with pytest.raises(TypeError, match="locked"):
        ag.locked(ag.retry())


@every_shape
def test_a_budget_in_shadow_counts_and_lets_through(harness: Harness) -> None:
    """It reports each call that it would have refused; on again it refuses."""
    spent: Any = ag.budget(requests=1)
    subject = harness.guard(spent, "1", "2", "3")
    ag.switch("budget", "shadow")
    assert told(subject.call("a")) == []
    run = subject.call("b")
    assert run.text == "2"
    assert [(each.rules, each.shadow) for each in told(run)] == [(("requests",), True)]
    assert spent.used == 2
    ag.switch("budget", "on")
    assert isinstance(subject.call("c").error, errors.BudgetExceeded)
    ag.switch("budget", "off")
    assert subject.call("d").text == "3"
    assert spent.used == 2


@every_shape
def test_a_breaker_in_shadow_counts_and_lets_through(harness: Harness) -> None:
    """An open circuit is told of, and the provider is asked all the same."""
    subject = harness.guard(ag.breaker(fail_max=1), ConnectionError("down"), "2", "3")
    ag.switch("breaker", "shadow")
    subject.call("a")
    run = subject.call("b")
    assert run.text == "2"
    assert [type(each) for each in run.events].count(events.CircuitRejected) == 1
    ag.switch("breaker", "off")
    run = subject.call("c")
    assert run.text == "3"
    assert [type(each) for each in run.events].count(events.CircuitRejected) == 0
    ag.switch("breaker", "on")
    assert isinstance(subject.call("d").error, errors.CircuitOpen)


def test_explain_shows_what_was_switched() -> None:
    """For whoever wonders at night why nothing is refused."""
    ask = ag.moderate()(ScriptedModel("never").shape("sync"))
    assert "switched" not in ag.explain(ask)
    ag.switch("moderate", "shadow")
    assert "switched=shadow" in ag.explain(ask)
    ag.switch("moderate", None)
    assert "switched" not in ag.explain(ask)


def test_what_is_locked_later_does_not_keep_the_others_off() -> None:
    """Off at night, a locked one is made, and in the morning all is as it was written."""
    loose, fixed = ag.budget(requests=1), ag.locked(ag.budget(requests=1))
    first = loose(lambda _: "42")
    ag.switch("budget", "off")
    second = fixed(lambda _: "42")
    ag.switch("budget", None)
    for ask in (first, second):
        ask("?")
        with pytest.raises(errors.BudgetExceeded):
            ask("?")


@pytest.mark.parametrize("make", [ag.breaker, ag.moderate], ids=["breaker", "moderate"])
def test_locked_is_as_it_was_written(make: Callable[[], Any]) -> None:
    """What is off when it is locked would be off for ever."""
    loose = make()
    ag.switch(loose, "off")
    assert ag.locked(loose).mode == "on"
    assert loose.mode == "off"


@pytest.mark.parametrize("what", [ag.moderate, 5, None], ids=["factory", "number", "none"])
def test_what_is_no_policy_is_told_what_to_write(what: Any) -> None:
    """The parentheses that were forgotten are not blamed on the policy."""
    with pytest.raises(TypeError, match="takes the name of a policy, as in"):
        ag.switch(what, "off")
    with pytest.raises(TypeError, match=r"with_\(\) takes a policy, as in with_\(retry\(\)\)"):
        ag.guard(ag.retry()).with_(what)


def test_a_switch_leaves_what_was_forced_by_hand() -> None:
    """When the switch is taken back, a circuit that was held open is held open again."""
    broken = ag.breaker().force_open()
    ask = broken(ScriptedModel("fine").shape("sync"))
    ag.switch("breaker", "off")
    assert ask("?") == "fine"
    ag.switch("breaker", None)
    with pytest.raises(errors.CircuitOpen):
        ask("?")
