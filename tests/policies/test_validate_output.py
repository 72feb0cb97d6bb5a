"""`validate_output` in every shape: what passes, what is asked for again, what is refused."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator

import agentguard as ag
from agentguard import errors, events
from agentguard.engine.scope import Block, Scope
from agentguard.testing import FakeRuntime
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes

PLANTED = "kim.minji" + "@example.com"
GOOD = '{"name": "Seoul", "people": 9}'
BAD = f'{{"name": "{PLANTED}", "people": "{PLANTED}"}}'


class City(BaseModel):
    name: str
    people: int

    @field_validator("name")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "Atlantis":
            raise ValueError(f"{value} does not exist")
        return value


def judging(wanted: Any = City, **options: Any) -> ag.Policy:
    """A policy that judges streams too."""
    return ag.validate_output(wanted, hold="all", **options)


@every_shape
def test_a_good_answer_is_passed_on_as_it_is(harness: Harness) -> None:
    """Fence, prose and all: only parse=True makes something else of it."""
    answer = f"Of course!\n```json\n{GOOD}\n```\nAnything else?"
    run = harness.run(judging(), [answer[:9], answer[9:]])
    assert run.text == answer
    assert len(run.calls) == 1


@every_shape
def test_the_model_is_asked_again_with_the_reasons(harness: Harness) -> None:
    """It is told which field is wrong; every answer is an attempt."""
    run = harness.run(judging(), [BAD], [GOOD])
    assert run.text == GOOD
    assert run.attempts == [("model", "completed", None)] * 2
    first, second = (str(call.args) + str(call.kwargs) for call in run.calls)
    assert "people" not in first
    assert "people: Input should be a valid integer" in second


@every_shape
def test_the_last_wrong_answer_is_refused(harness: Harness) -> None:
    """With fields and reasons; nothing of the answers is in the error or the events."""
    run = harness.run(judging(then=ag.reask(1)), [BAD], [BAD], ["never asked"])
    assert isinstance(run.error, errors.OutputRejected)
    assert [(each.where, each.rule) for each in run.error.findings] == [("people", "int_parsing")]
    assert len(run.calls) == 2
    rejected = [each for each in run.events if isinstance(each, events.Rejected)]
    assert [each.rules for each in rejected] == [("int_parsing",)] * 2
    told = "".join(traceback.format_exception(run.error)) + repr(run.error.__dict__)
    assert PLANTED not in told + repr(rejected)
    assert run.error.__cause__ is None
    assert run.error.__context__ is None
    assert pickle.loads(pickle.dumps(run.error)).findings == run.error.findings


@every_shape
def test_stop_asks_once(harness: Harness) -> None:
    """`then=stop` refuses the first answer that is not right."""
    run = harness.run(judging(then=ag.stop), [BAD], [GOOD])
    assert isinstance(run.error, errors.OutputRejected)
    assert len(run.calls) == 1


@every_shape
def test_replace_says_something_else(harness: Harness) -> None:
    """`then=replace(text)` gives the user that text."""
    run = harness.run(judging(then=ag.replace("no answer")), [BAD])
    assert run.text == "no answer"


@every_shape
def test_shadow_only_reports(harness: Harness) -> None:
    """The wrong answer comes out, and an event says that it is wrong."""
    run = harness.run(ag.shadow(judging()), [BAD])
    assert run.text == BAD
    (rejected,) = (each for each in run.events if isinstance(each, events.Rejected))
    assert rejected.shadow


@every_shape
def test_a_predicate_judges_the_text(harness: Harness) -> None:
    """And its own words are told to the model."""

    def brief(text: str) -> bool:
        if len(text) > 10:
            raise ValueError("at most ten characters, please")
        return True

    run = harness.run(judging(brief), ["much too ", "long"], ["short"])
    assert run.text == "short"
    assert "at most ten characters, please" in str(run.calls[1].args) + str(run.calls[1].kwargs)


@every_shape
@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("no idea", "no_json"),
        (" ", "empty"),
        ('{"name": "a", "people": 1} or {"name": "b", "people": 2}', "ambiguous"),
        (
            '{"name": "Seoul", "people": 9, "districts": [{"name": "a", "people": 1}, {"na',
            "truncated",
        ),
    ],
)
def test_answers_without_one_object_have_reasons_of_their_own(
    harness: Harness, answer: str, rule: str
) -> None:
    """No JSON, none at all, several that differ, and one that breaks off."""
    run = harness.run(judging(then=ag.stop), [answer])
    assert isinstance(run.error, errors.OutputRejected)
    assert [each.rule for each in run.error.findings] == [rule]


@every_shape
def test_the_same_object_twice_is_one(harness: Harness) -> None:
    """An answer that repeats itself is clear."""
    assert harness.run(judging(), [f"{GOOD}, as I said: {GOOD}"]).error is None


@every_shape
def test_references_and_examples_do_not_hide_the_object(harness: Harness) -> None:
    """JSON that does not fit is not what was meant."""
    assert harness.run(judging(), [f"As [1] says about {{}}: {GOOD} [2]"]).error is None


@stream_shapes
def test_a_stream_is_refused_without_hold(harness: Harness) -> None:
    """Half of it would be with the user: the sentence says what to pass."""
    with pytest.raises(TypeError, match='hold="all"'):
        raise harness.run(ag.validate_output(City), [GOOD]).error or AssertionError


@stream_shapes
def test_a_stream_cannot_be_parsed(harness: Harness) -> None:
    """It would be one object, and a stream of one is none."""
    with pytest.raises(TypeError, match="a stream cannot be one"):
        raise harness.run(ag.validate_output(City, parse=True), [GOOD]).error or AssertionError


@stream_shapes
def test_nothing_of_a_wrong_stream_gets_out(harness: Harness) -> None:
    """The items are held until all of them were judged."""
    run = harness.run(judging(then=ag.stop), [BAD[:5], BAD[5:]])
    assert run.items == []


@unary_shapes
def test_parse_returns_the_object(harness: Harness) -> None:
    """Of whatever stood around it."""
    run = harness.run(ag.validate_output(City, parse=True), BAD, f"Sure: {GOOD} Bye!")
    assert run.value == City(name="Seoul", people=9)
    assert len(run.calls) == 2


@unary_shapes
@pytest.mark.parametrize(
    ("wanted", "answer", "value"),
    [
        (list[City], f"[{GOOD}]", [City(name="Seoul", people=9)]),
        (Literal["yes", "no"], " yes\n", "yes"),
        (Literal["1", "2"], "1", "1"),
        (str, "just words [1]", "just words [1]"),
        (int | str, "42", 42),
        (City, {"name": "Seoul", "people": 9}, City(name="Seoul", people=9)),
        (City, City(name="Seoul", people=9), City(name="Seoul", people=9)),
    ],
    ids=str,
)
def test_texts_and_objects_are_parsed(
    harness: Harness, wanted: Any, answer: Any, value: object
) -> None:
    """Types of all kinds, from texts and from what a function returns by itself."""
    assert harness.run(ag.validate_output(wanted, parse=True), answer).value == value


def test_a_list_of_texts_is_a_value_of_its_own() -> None:
    """What a function returns is not taken for the pieces of a stream."""

    @ag.validate_output(list[str], parse=True, then=ag.stop)
    def words() -> list[str]:
        return ["a", "b"]

    assert words() == ["a", "b"]


@unary_shapes
def test_an_object_that_is_none_of_the_type_is_refused(harness: Harness) -> None:
    """Also what a function of the user's returned as a dict."""
    run = harness.run(ag.validate_output(City, then=ag.stop), {"name": PLANTED})
    assert isinstance(run.error, errors.OutputRejected)
    assert [str(each) for each in run.error.findings] == ["people: Field required"]


@unary_shapes
def test_a_cache_keeps_the_answer_and_not_the_object(harness: Harness) -> None:
    """A hit is parsed anew; a wrong answer is never kept."""
    answers = ag.cache(ttl=60)
    subject = harness.guard([answers, ag.validate_output(City, parse=True)], BAD, GOOD)
    first, second = subject.call(), subject.call()
    assert first.value == second.value == City(name="Seoul", people=9)
    assert first.value is not second.value
    assert (len(first.calls), len(second.calls)) == (2, 0)
    assert answers.cache_info().hits == 1


@unary_shapes
def test_an_answer_from_further_out_is_judged_too(harness: Harness) -> None:
    """A fallback around it answers past it; what is returned is an object all the same."""
    backup = harness.target("no object")
    policies = [ag.fallback(backup), ag.validate_output(City, parse=True, then=ag.stop)]
    run = harness.run(policies, BAD)
    assert isinstance(run.error, errors.OutputRejected)


@every_shape
def test_a_retry_around_does_not_repeat_a_refusal(harness: Harness) -> None:
    """The re-asks have been made; a retry further out makes no more of them."""
    run = harness.run([ag.retry(attempts=3), judging(then=ag.reask(1))], [BAD], [BAD], [GOOD])
    assert isinstance(run.error, errors.OutputRejected)
    assert len(run.calls) == 2


@every_shape
def test_a_failure_inside_is_retried_within_an_answer(harness: Harness) -> None:
    """A retry further in works for every answer."""
    run = harness.run([judging(), ag.retry()], ConnectionError(), [BAD], ConnectionError(), [GOOD])
    assert run.text == GOOD
    assert len(run.calls) == 4


@every_shape
def test_every_answer_is_charged(harness: Harness) -> None:
    """A budget further in counts each of them, and ends the asking when it is used up."""
    budget = ag.budget(requests=2, per="minute")
    run = harness.run([judging(then=ag.reask(5)), budget], [BAD], [BAD], [GOOD])
    assert isinstance(run.error, errors.BudgetExceeded)
    assert len(run.calls) == 2


@every_shape
def test_the_deadline_bounds_the_asking(harness: Harness) -> None:
    """No answer is asked for when the time is up."""
    with FakeRuntime() as time, ag.deadline(5):

        def slow(text: str) -> bool:
            time.advance(10)
            return False

        run = harness.run(judging(slow), [BAD], [GOOD])
    assert isinstance(run.error, errors.DeadlineExceeded)
    assert len(run.calls) == 1


class Vault:
    """Knows one value by its placeholder."""

    def restore(self, text: str) -> str:
        return text.replace("<NAME_1>", 'Kim "Minji" \\ \n' + PLANTED)


class Masked(Block):
    """A scope in which that value is masked."""

    def surround(self, outer: Scope) -> Scope:
        return outer.within(vault=Vault())


@every_shape
def test_what_is_masked_is_judged_as_it_is_and_passed_on_masked(harness: Harness) -> None:
    """Values check the restored answer; the model is told nothing that quotes one."""
    seen: list[str] = []

    class Named(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def whole(cls, value: str) -> str:
            seen.append(value)
            if len(seen) == 1:
                raise ValueError(f"{value} is not enough")
            return value

    answer = '{"name": "<NAME_1>"}'
    with Masked():
        run = harness.run(judging(Named), [answer[:12], answer[12:]], [answer])
    assert run.text == answer
    assert seen == ['Kim "Minji" \\ \n' + PLANTED] * 2
    assert PLANTED not in str([(call.args, call.kwargs) for call in run.calls])
    assert "name: a validator refused it" in str([(c.args, c.kwargs) for c in run.calls])


def test_what_makes_no_sense_is_refused_at_once() -> None:
    """With what to write instead."""

    def ask(question: str) -> str:
        return question

    for options, match in (
        ({"parse": True, "hold": "all"}, "stream"),
        ({"parse": True, "then": ag.replace("x")}, "then="),
        ({"hold": "some"}, "hold="),
        ({"then": 3}, "then="),
        ({"max_retries": 3}, "then=reask"),
    ):
        with pytest.raises((TypeError, ValueError), match=match):
            ag.validate_output(City, **options)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="needs a type or a schema"):
        ag.validate_output(len, parse=True)
    with pytest.raises(TypeError, match="refuses nothing"):
        ag.shadow(ag.validate_output(City, parse=True))
    assert repr(ag.validate_output(City, parse=True)) == "validate_output(City, parse=True)"
    described = ag.describe(ag.validate_output(City, then=ag.reask(2))(ask))
    assert described["requests"] == 3
    assert described["policies"][0]["wanted"] == "City"


async def test_one_policy_serves_many_calls_at_once() -> None:
    """The reasons of one call never reach another: each model is told its own."""
    policy = ag.validate_output(City, parse=True)
    told: dict[int, list[str]] = {}

    @policy
    async def ask(number: int, feedback: str = "") -> str:
        told.setdefault(number, []).append(feedback)
        await asyncio.sleep(0)
        if feedback:
            return GOOD
        return '{"people": 1}' if number % 2 else '{"name": "x"}'

    await asyncio.gather(*(ask(number) for number in range(50)))
    for number, (first, second) in told.items():
        assert first == ""
        assert ("name: Field required" in second) is bool(number % 2)
        assert ("people: Field required" in second) is not bool(number % 2)
