"""`validate_input` in every shape: what is refused before anything is sent, and in which words."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

import agentguard as ag
from agentguard import errors, events
from agentguard.tokens import count as counting
from tests.shapes import Harness, every_shape

PLANTED = "kim.minji" + "@example.com"


class Ask(BaseModel):
    question: str = Field(min_length=3, max_length=40)
    n: int = Field(le=3)


def findings(policy: ag.Policy, /, *args: Any, **kwargs: Any) -> list[str]:
    """What the policy finds in a call of a function with two parameters and any keywords."""
    sent: list[object] = []

    @policy
    def ask(question: str = "what?", n: int = 1, **settings: Any) -> str:
        sent.append(question)
        return "42"

    try:
        ask(*args, **kwargs)
    except errors.InputRejected as error:
        assert not sent
        return [str(each) for each in error.findings]
    assert sent
    return []


@every_shape
def test_a_refused_request_is_never_sent(harness: Harness) -> None:
    """No attempt is made, and an event says why."""
    run = harness.run([ag.validate_input(max_chars=1), ag.retry()], "never")
    assert isinstance(run.error, errors.InputRejected)
    assert run.error.kind == "rejected"
    assert (run.calls, run.slept, run.attempts) == ([], [], [])
    (rejected,) = (each for each in run.events if isinstance(each, events.Rejected))
    assert (rejected.policy, rejected.rules) == ("validate_input", ("too_long",))


@every_shape
def test_a_good_request_passes(harness: Harness) -> None:
    """And is sent as it was."""
    run = harness.run(ag.validate_input(max_chars=1000, max_tokens=1000), ["an", "swer"])
    assert run.text == "answer"
    assert run.calls[0].args == ("hi",)


@every_shape
def test_shadow_only_reports(harness: Harness) -> None:
    """The request is sent, and an event says that it would have been refused."""
    run = harness.run(ag.shadow(ag.validate_input(max_chars=1)), "answer")
    assert run.text == "answer"
    (rejected,) = (each for each in run.events if isinstance(each, events.Rejected))
    assert rejected.shadow


@every_shape
def test_a_fallback_is_no_answer_to_it(harness: Harness) -> None:
    """Another model would get the same bad request."""
    backup = harness.target("from the backup")
    run = harness.run([ag.fallback(backup), ag.validate_input(max_chars=1)], "never")
    assert isinstance(run.error, errors.InputRejected)
    assert backup.model.calls == []


def test_a_model_judges_the_arguments_by_name() -> None:
    """Positional ones, keywords and defaults alike, each field with a reason of its own."""
    policy = ag.validate_input(Ask)
    assert findings(policy, "what?") == []
    assert findings(policy, n=2, question="what?") == []
    assert findings(policy, "?", 4) == [
        "question: String should have at least 3 characters",
        "n: Input should be less than or equal to 3",
    ]


def test_nothing_of_a_request_is_quoted() -> None:
    """Not in the error, its causes, its traceback, or a representation of either."""

    @ag.validate_input(Ask, lambda given: PLANTED not in given["question"])
    def ask(question: str, n: int = 1) -> str:
        return "42"

    with pytest.raises(errors.InputRejected) as caught:
        ask(PLANTED * 3, n=PLANTED)  # type: ignore[arg-type]
    error = caught.value
    assert len(error.findings) == 3
    assert PLANTED not in "".join(traceback.format_exception(error)) + repr(vars(error))
    assert (error.__cause__, error.__context__) == (None, None)


def test_a_predicate_gets_the_arguments_by_name() -> None:
    """As a dict of its own."""
    seen: list[Mapping[str, Any]] = []

    def polite(given: dict[str, Any]) -> bool:
        seen.append(dict(given))
        given.clear()
        return "please" in seen[-1]["question"]

    assert findings(ag.validate_input(polite), "please?", top_p=1) == []
    assert seen == [{"question": "please?", "n": 1, "top_p": 1}]
    assert findings(ag.validate_input(polite)) == ["polite says that it is not good"]


def test_arguments_that_do_not_fit_are_the_callables_own_matter() -> None:
    """A wrong call fails as it would without a guard."""

    @ag.validate_input(Ask)
    def ask(question: str, n: int) -> str:
        return question * n

    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        ask("?", m=1)  # type: ignore[call-arg]


def test_methods_are_judged_without_their_object() -> None:
    """`self` is no argument of the request."""

    class Agent:
        @ag.validate_input(Ask, max_chars=20)
        def ask(self, question: str, n: int = 1) -> str:
            return question

    assert Agent().ask("what?") == "what?"
    with pytest.raises(errors.InputRejected):
        Agent().ask("?")


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ((0, 1), [0, 1, 0.5], [-0.1, 2, True, "1", float("nan")]),
        ((None, 5), [5, -9], [6]),
        ((5, None), [5, 99], [4]),
        ({1, 2}, [1, 2], [3, True, 1.0]),
        (["low", "high"], ["low"], ["LOW", ["low"]]),
        (str, ["x"], [1]),
        (lambda value: value % 2 == 0, [2], [3]),
    ],
    ids=lambda each: "function" if callable(each) and not isinstance(each, type) else str(each),
)
def test_settings_must_be_as_allowed(rule: Any, good: list[Any], bad: list[Any]) -> None:
    """Ranges, values, types and predicates; one that is left out passes."""
    policy = ag.validate_input(parameters={"temperature": rule})
    assert findings(policy) == findings(policy, temperature=None) == []
    for value in good:
        assert findings(policy, temperature=value) == [], value
    for value in bad:
        (found,) = findings(policy, temperature=value)
        assert found.startswith("temperature: "), value


@pytest.mark.parametrize(
    "place",
    [
        {"temperature": 2},
        {"config": {"temperature": 2}},
        {"extra_body": {"temperature": 2}},
        {"temperature": 0, "extra_body": {"temperature": 2}},
    ],
    ids=str,
)
def test_a_setting_is_seen_wherever_it_stands(place: dict[str, Any]) -> None:
    """What an SDK merges into the request is not a way past the rule."""
    for policy in (
        ag.validate_input(parameters={"temperature": (0, 1)}),
        ag.validate_input(forbidden={"temperature"}),
    ):
        found = findings(policy, **place)
        assert len(found) == 1
        assert found[0].startswith("temperature: ")


def test_only_some_models_may_be_asked() -> None:
    """By name or pattern; where none is seen, none is allowed."""
    policy = ag.validate_input(models={"gpt-4o", "claude-*"})
    assert findings(policy, model="gpt-4o") == findings(policy, model="claude-haiku-4-5") == []
    assert findings(policy, model="gpt-4o-mini") == ["model: is not one of the models allowed"]
    assert findings(policy, model="gpt-4o", extra_body={"model": "o3"})
    assert findings(policy) == ["model: no model is named, and only some are allowed"]


@pytest.mark.parametrize(
    ("request_", "instructed"),
    [
        ({"messages": [{"role": "system", "content": "be kind"}]}, True),
        ({"messages": [{"role": "developer", "content": [{"type": "text", "text": "be"}]}]}, True),
        ({"messages": [{"role": "user", "content": "hi"}]}, False),
        ({"messages": [{"role": "system", "content": "  "}]}, False),
        ({"messages": [{"role": "user", "content": "system: be kind"}]}, False),
        ({"messages": [("system", "be kind"), ("human", "hi")]}, True),
        ({"system": "be kind"}, True),
        ({"system": [{"type": "text", "text": "be kind"}]}, True),
        ({"system": ""}, False),
        ({"instructions": "be kind", "input": "hi"}, True),
        ({"input": [{"role": "system", "content": "be kind"}]}, True),
        ({"contents": "hi", "config": {"system_instruction": "be kind"}}, True),
        ({"contents": "hi", "config": {"system_instruction": {"parts": [{"text": "be"}]}}}, True),
        ({}, False),
    ],
    ids=str,
)
def test_a_system_prompt_may_be_required(request_: dict[str, Any], instructed: bool) -> None:
    """However a provider spells it; an empty one is none."""
    found = findings(ag.validate_input(system=True), **request_)
    assert found == ([] if instructed else ["there is no system prompt"])


def test_characters_are_counted_over_all_texts() -> None:
    """Of messages, tool results and nested arguments together; exactly as many still pass."""
    messages = [{"role": "user", "content": "abc"}, {"role": "tool", "content": "defg"}]

    def sent(most: int) -> list[str]:
        return findings(ag.validate_input(max_chars=most), "", messages=messages)

    size = next(n for n in range(1, 100) if not sent(n))
    assert size >= 7
    messages[0]["content"] = "abc!"
    assert sent(size) == [f"has more than {size} characters"]


def test_tokens_are_counted_only_where_the_bound_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cheap bound lets short texts through; what it does not is counted exactly."""
    counted: list[object] = []
    real = counting.count_tokens

    def count(thing: object, model: str) -> object:
        counted.append(thing)
        return real(thing, model)

    monkeypatch.setattr(counting, "count_tokens", count)
    text = "hello " * 100
    exact = int(real([text], "gpt-4o"))
    assert findings(ag.validate_input(max_tokens=10_000), text, model="gpt-4o") == []
    assert counted == []
    assert findings(ag.validate_input(max_tokens=exact + 50), text, model="gpt-4o") == []
    assert len(counted) == 1
    assert findings(ag.validate_input(max_tokens=exact - 50), text, model="gpt-4o") == [
        f"has more than {exact - 50} tokens"
    ]


def test_what_makes_no_sense_is_refused_at_once() -> None:
    """With what to write instead."""
    for options, match in (
        ({}, "nothing to check"),
        ({"models": "gpt-4o"}, "set of names"),
        ({"models": set[str]()}, "no model at all"),
        ({"forbidden": "tools"}, "set of names"),
        ({"parameters": {"n": (1, 2, 3)}}, "range of two numbers"),
        ({"parameters": {"n": (2, 1)}}, "ends before it begins"),
        ({"parameters": {"n": 3}}, "takes for 'n'"),
        ({"max_chars": 0}, "at least 1"),
        ({"max_length": 3}, "max_chars="),
    ):
        with pytest.raises((TypeError, ValueError), match=match):
            ag.validate_input(**options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a pydantic model"):
        ag.validate_input("question")


def test_explain_names_the_checks() -> None:
    """Names and bounds, as they were given."""
    policy = ag.validate_input(Ask, max_chars=9, models={"m"}, forbidden=("tools",), system=True)
    assert dict(policy.explain()) == {
        "checks": "Ask",
        "max_chars": 9,
        "models": "m",
        "forbidden": "tools",
        "system": True,
    }


def test_a_generator_is_judged_when_it_is_first_pulled() -> None:
    """As its body would run then, and not before."""

    @ag.validate_input(Literal["never"])
    def ask(question: str) -> Iterator[str]:
        yield question

    stream = ask("hi")
    with pytest.raises(errors.InputRejected):
        next(stream)
