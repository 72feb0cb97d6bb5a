"""Requests and answers validated through every SDK, over real HTTP (complaint 25 of the field)."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import agentguard as ag
from agentguard import errors
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, Way, text_of, ways

pytestmark = LEFT_TO_THE_COLLECTOR
GOOD = '{"name": "Seoul", "people": 9}'
BAD = '{"name": "Seoul"}'

every_way = pytest.mark.parametrize("way", ways().values(), ids=ways())
unary_ways = pytest.mark.parametrize("way", ways(streams=False).values(), ids=ways(streams=False))


class City(BaseModel):
    name: str
    people: int


def asking(way: Way, *policies: ag.Policy, **options: Any) -> ag.guard:
    """A guard that validates what comes this way."""
    hold: Literal["all"] | None = "all" if way.streams else None
    return ag.guard(ag.validate_output(City, hold=hold, **options), *policies)


@every_way
def test_a_wrong_answer_is_asked_for_again_and_all_of_it_is_counted(
    provider: FakeProvider, way: Way
) -> None:
    """The second request has the first answer and the reasons; usage has both answers."""
    provider.script(BAD, f"Sorry!\n```json\n{GOOD}\n```")

    with ag.report() as seen, ag.usage() as used:
        answer = way.run(provider, asking(way))

    assert GOOD in text_of(answer)
    first, second = (json.dumps(each.body) for each in provider.journal)
    assert "people: Field required" not in first
    assert "people: Field required" in second
    assert json.dumps(BAD)[1:-1] in second
    assert len(seen.calls[0].attempts) == 2
    assert used.attempts == 2


@every_way
def test_the_asking_is_bounded(provider: FakeProvider, way: Way) -> None:
    """In attempts: the last error says which field is wrong, and usage has every answer."""
    provider.script(*[BAD] * 5)

    with ag.usage() as used, pytest.raises(errors.OutputRejected) as caught:
        way.run(provider, asking(way, then=ag.reask(2)))

    assert [str(each) for each in caught.value.findings] == ["people: Field required"]
    assert len(provider.journal) == 3
    assert used.attempts == 3


@unary_ways
def test_the_asking_is_bounded_in_tokens(provider: FakeProvider, way: Way) -> None:
    """When the answers have used so many, no other is asked for."""
    provider.script(*[BAD] * 5)

    with pytest.raises(errors.OutputRejected, match=r"not asked again: .* tokens"):
        way.run(provider, asking(way, then=ag.reask(4, tokens=1)))

    assert len(provider.journal) == 1


@unary_ways
def test_a_budget_inside_bounds_it_too(provider: FakeProvider, way: Way) -> None:
    """Each answer is charged before it is asked for."""
    provider.script(*[BAD] * 5)
    budget = ag.budget(requests=2, per="minute")

    with pytest.raises(errors.BudgetExceeded):
        way.run(provider, asking(way, budget, then=ag.reask(4)))

    assert len(provider.journal) == 2


@every_way
def test_an_answer_that_was_cut_off_says_so(provider: FakeProvider, way: Way) -> None:
    """The reason is not the field that the cut has taken away."""
    provider.script(fault.ok('{"name": "Seo', finish="length"))

    with pytest.raises(errors.OutputRejected) as caught:
        way.run(provider, asking(way, then=ag.stop))

    assert [each.rule for each in caught.value.findings] == ["truncated"]


@unary_ways
def test_a_methods_answer_is_parsed(provider: FakeProvider, way: Way) -> None:
    """`parse=True` around a bound method returns the object, LangChain's messages included."""
    provider.script(BAD, GOOD)

    found = way.run(provider, ag.guard(ag.validate_output(City, parse=True)))

    assert found == City(name="Seoul", people=9)


@every_way
def test_a_request_is_refused_before_it_is_sent(provider: FakeProvider, way: Way) -> None:
    """Nothing reaches the provider; a good one does."""
    for policy in (
        ag.validate_input(models={"none-*"}),
        ag.validate_input(system=True),
        ag.validate_input(max_tokens=1, max_chars=1),
    ):
        with pytest.raises(errors.InputRejected):
            way.run(provider, ag.guard(policy))
    assert provider.journal == []

    way.run(provider, ag.guard(ag.validate_input(models={"*"}, max_chars=99, max_tokens=99)))
    assert len(provider.journal) == 1


FORCED: dict[str, dict[str, Any]] = {
    "openai chat": {
        "tools": [{"type": "function", "function": {"name": "answer", "parameters": {}}}],
        "tool_choice": "required",
    },
    "openai responses": {
        "tools": [{"type": "function", "name": "answer", "parameters": {}, "strict": False}],
        "tool_choice": {"type": "function", "name": "answer"},
    },
    "anthropic": {
        "tools": [{"name": "answer", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "answer"},
    },
    "google-genai": {
        "config": {
            "tools": [{"function_declarations": [{"name": "answer"}]}],
            "tool_config": {"function_calling_config": {"mode": "ANY"}},
        }
    },
}
forcing_ways = pytest.mark.parametrize(
    "way",
    [way for way in ways().values() if way.fault in FORCED],
    ids=[name for name, way in ways().items() if way.fault in FORCED],
)


def tool(name: str) -> tuple[fault.Fault, fault.Fault]:
    """Two answers that only call a tool, with a field missing and with all of them."""
    whole = {"name": "Seoul", "people": 9}
    return fault.ok("", tools=[(name, {"name": "Seoul"})]), fault.ok("", tools=[(name, whole)])


@every_way
def test_the_arguments_of_a_tool_of_that_name_are_the_answer(
    provider: FakeProvider, way: Way
) -> None:
    """The tool bears the type's name, as libraries for structured outputs write it."""
    provider.script(*tool("City"))

    way.run(provider, asking(way))

    assert len(provider.journal) == 2


@forcing_ways
def test_the_arguments_of_a_forced_tool_are_the_answer(provider: FakeProvider, way: Way) -> None:
    """However each provider spells that the tool must be called."""
    provider.script(*tool("answer"))

    way._replace(arguments={**way.arguments, **FORCED[way.fault]}).run(provider, asking(way))

    assert len(provider.journal) == 2


@every_way
def test_a_call_of_another_tool_is_a_step_on_the_way(provider: FakeProvider, way: Way) -> None:
    """An agent's turn passes; what the tool is given is nobody's answer."""
    provider.script(*tool("search"))

    way.run(provider, asking(way))

    assert len(provider.journal) == 1
