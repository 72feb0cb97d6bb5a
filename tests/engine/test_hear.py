"""Policies that hear events: of the calls they stand around, and of those made inside."""

from __future__ import annotations

from typing import ClassVar

import agentguard as ag
from agentguard import events
from agentguard.testing import disabled
from tests.shapes import Harness, every_shape

WHOLE = ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]


class Ear(ag.Policy):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[events.Event] = []

    def hear(self, event: events.Event) -> None:
        """Keep it."""
        self.heard.append(event)

    @property
    def kinds(self) -> list[str]:
        """Return what was heard, by name."""
        return [type(each).__name__ for each in self.heard]

    @property
    def own(self) -> list[str]:
        """Return the names of the calls it stands around."""
        return [each.call.name for each in self.heard if self in each.call.policies]


class Innermost(Ear):
    """Gives way to one of its name further in."""

    name: ClassVar[str] = "ear"
    innermost: ClassVar[bool] = True


class Deaf(Ear):
    """Raises instead of hearing."""

    def hear(self, event: events.Event) -> None:
        """Fail."""
        raise RuntimeError("a listener's own bug")


@every_shape
def test_a_policy_hears_the_call_it_stands_around(harness: Harness) -> None:
    """Its beginning, its attempts and its end, with records."""
    ear = Ear()
    run = harness.run(ear, ["42"])
    assert run.text == "42"
    assert ear.kinds == WHOLE
    assert len(ear.own) == len(WHOLE)
    assert ear.heard[-1].call.outcome == "completed"


@every_shape
def test_what_it_raises_breaks_nothing(harness: Harness) -> None:
    """The call answers as if nobody listened."""
    assert harness.run(Deaf(), ["42"]).text == "42"


def test_an_outer_policy_hears_of_calls_made_inside() -> None:
    """They are children of the call that is its own."""
    outer = Ear()

    @ag.retry
    def inner() -> str:
        return "42"

    @outer
    def answer() -> str:
        return inner()

    assert answer() == "42"
    assert outer.kinds == [*WHOLE[:2], *WHOLE, *WHOLE[2:]]
    assert len(outer.own) == len(WHOLE)
    child = outer.heard[2].call
    assert child.parent is outer.heard[0].call


def test_the_innermost_of_a_name_hears_alone() -> None:
    """So that nothing is counted twice; other names hear all."""
    outer, inner, other = Innermost(), Innermost(), Ear()

    @inner
    def ask() -> str:
        return "42"

    @ag.guard(other, outer)
    def answer() -> str:
        return ask()

    answer()
    assert outer.kinds == WHOLE
    assert inner.kinds == WHOLE
    assert len(other.kinds) == 2 * len(WHOLE)


def test_the_same_policy_twice_hears_once() -> None:
    """Around a function and around what it calls."""
    ear = Ear()

    @ear
    def ask() -> str:
        return "42"

    @ag.guard(ear)
    def answer() -> str:
        return ask()

    answer()
    assert len(ear.kinds) == 2 * len(WHOLE)


def test_the_same_policy_twice_in_one_chain_hears_once() -> None:
    """As where a function is decorated twice."""
    ear = Ear()

    @ear
    @ag.retry
    @ear
    def ask() -> str:
        return "42"

    ask()
    assert ear.kinds == WHOLE


def test_blocks_and_policies_hear_beside_each_other() -> None:
    """A report inside or around changes nothing for the policy."""
    ear = Ear()

    @ear
    def ask() -> str:
        return "42"

    with ag.report() as r, ag.budget(requests=5):
        ask()
    assert len(r.calls) == 1
    assert ear.kinds[0] == "CallStarted"
    assert [each.name for each in r.calls[0].policies] == ["budget", "ear"]


def test_nothing_is_heard_where_guards_are_disabled() -> None:
    """`disabled()` takes the policies away, those that hear included."""
    ear = Ear()

    @ear
    def ask() -> str:
        return "42"

    with disabled():
        ask()
    assert ear.kinds == []


def test_nobody_listens_unless_a_policy_hears() -> None:
    """No record is made for a call that nobody hears of."""
    seen: list[object] = []

    class Look(ag.Policy):
        async def around(self, call: ag.Call, next: ag.Next) -> ag.Reply:
            seen.append(call.record)
            return await next(call)

    @ag.guard(Look(), ag.retry())
    def ask() -> str:
        return "42"

    ask()
    assert seen == [None]


def test_records_tell_what_was_asked() -> None:
    """The model asked for stands on the attempt, also where the provider serves another."""
    ear = Ear()

    @ear
    def ask(*, model: str) -> dict[str, object]:
        return {"model": f"{model}-2026", "choices": [{"message": {"content": "42"}}]}

    ask(model="m")
    attempt = ear.heard[-1].call.attempts[0]
    assert (attempt.asked, attempt.model, attempt.provider) == ("m", "m-2026", None)
