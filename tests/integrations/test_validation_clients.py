"""Validation around whole clients and models, and under a mask, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

import agentguard as ag
from agentguard import errors
from agentguard.testing import FakeProvider, fault
from tests.integrations.clients import PLAIN, Way, opened
from tests.scenarios.ways import CHAT, LEFT_TO_THE_COLLECTOR, text_of

pytestmark = LEFT_TO_THE_COLLECTOR
GOOD = '{"name": "Seoul", "people": 9}'
PLANTED = "kim.minji" + "@example.com"
plain_ways = pytest.mark.parametrize("way", PLAIN, ids=[way.name for way in PLAIN])


class City(BaseModel):
    name: str
    people: int


class Person(BaseModel):
    name: str
    mail: str


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider() as running:
        yield running


@plain_ways
def test_a_whole_client_is_validated(provider: FakeProvider, way: Way) -> None:
    """Its first answer is wrong, its second right, and only that one comes out."""
    provider.script("no idea", GOOD)
    chain = ag.guard(ag.validate_input(max_chars=1000), ag.validate_output(City, hold="all"))
    assert way.run(provider, chain) == GOOD
    assert len(provider.journal) == 2


@plain_ways
def test_a_client_refuses_a_request_before_it_is_sent(provider: FakeProvider, way: Way) -> None:
    """Settings are read from the request's keywords."""
    with pytest.raises(errors.InputRejected, match="model"):
        way.run(provider, ag.guard(ag.validate_input(models={"none"})))
    assert provider.journal == []


def test_a_client_must_answer_as_itself(provider: FakeProvider) -> None:
    """`parse=True` is for functions: around a client it is refused at once."""
    with pytest.raises(TypeError, match="OpenAI must answer as itself"):
        ag.guard(ag.validate_output(City, parse=True))(opened(provider, "openai", is_async=False))


def test_a_request_for_a_stream_cannot_be_parsed(provider: FakeProvider) -> None:
    """A bound method that is asked for a stream says so, and leaves no connection behind."""
    with opened(provider, "openai", is_async=False) as client:
        ask = ag.validate_output(City, parse=True)(client.chat.completions.create)
        with pytest.raises(TypeError, match="a stream cannot be one"):
            ask(**CHAT, stream=True)


def test_every_choice_must_be_right(provider: FakeProvider) -> None:
    """Of `n=2` no choice comes out unjudged."""
    right = {"index": 0, "message": {"role": "assistant", "content": GOOD}, "finish_reason": "stop"}
    wrong = {"index": 1, "message": {"role": "assistant", "content": "no"}, "finish_reason": "stop"}

    @ag.validate_output(City, then=ag.stop)
    def ask(*choices: dict[str, object]) -> dict[str, object]:
        return {"object": "chat.completion", "model": "m", "choices": [*choices]}

    ask(right, right)
    with pytest.raises(errors.OutputRejected):
        ask(right, wrong)


def test_under_a_mask_the_object_has_the_values_and_nothing_leaves(provider: FakeProvider) -> None:
    """Masked on the wire, in the re-ask and in the cache; whole in the object, from a hit too."""
    provider.script(
        '{"name": "Kim", "mail": "<EMAIL_1>", "x"', '{"name": "Kim", "mail": "<EMAIL_1>"}'
    )
    answers = ag.cache(ttl=60)
    with opened(provider, "openai", is_async=False) as client:

        @ag.guard(ag.mask_pii(), answers, ag.validate_output(Person, parse=True))
        def ask(*, model: str, messages: list[dict[str, str]]) -> object:
            return client.chat.completions.create(model=model, messages=messages)  # type: ignore[arg-type]

        request = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": f"I am {PLANTED}"}],
        }
        first = ask(**request)  # type: ignore[arg-type]
        second = ask(**request)  # type: ignore[arg-type]

    assert first == second == Person(name="Kim", mail=PLANTED)
    assert len(provider.journal) == 2
    assert answers.cache_info().hits == 1
    assert PLANTED not in json.dumps([each.body for each in provider.journal])
    assert "breaks off" in json.dumps(provider.journal[1].body)


def test_langchain_models_are_validated_as_they_are_held(provider: FakeProvider) -> None:
    """Their requests and answers, tool calls of structured outputs included."""
    openai = pytest.importorskip("langchain_openai")
    model = openai.ChatOpenAI(
        model="gpt-4o-mini", base_url=provider.openai_url, api_key="sk-test", temperature=1.5
    )
    provider.script("no idea", GOOD)
    answer = ag.guard(ag.validate_output(City))(model).invoke("hi")
    assert answer.content == GOOD

    with pytest.raises(errors.InputRejected, match="temperature: must be"):
        ag.guard(ag.validate_input(parameters={"temperature": (0, 1)}))(model).invoke("hi")
    with pytest.raises(errors.InputRejected, match="system prompt"):
        ag.guard(ag.validate_input(system=True))(model).invoke("hi")
    ag.guard(ag.validate_input(system=True))(model).invoke([("system", "be kind"), ("human", "hi")])

    provider.script(
        fault.ok("", tools=[("City", {"name": "Seoul"})]),
        fault.ok("", tools=[("City", {"name": "Seoul", "people": 9})]),
    )
    before = len(provider.journal)
    guarded = ag.guard(ag.validate_output(City))(model)
    structured = guarded.with_structured_output(City, method="function_calling")
    assert structured.invoke("hi") == City(name="Seoul", people=9)
    assert len(provider.journal) == before + 2
    assert text_of(answer) == GOOD
