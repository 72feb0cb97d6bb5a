"""What SDKs really answer over HTTP: out of the store it is the same, and the SDK goes on with it."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pydantic
import pytest

from agentguard import Call, Next, Policy, Reply, guard
from agentguard.caching.answers import About, Answers
from agentguard.testing import FakeProvider, fault
from tests.caching.pictures import picture
from tests.caching.ways import EVERY, GOOGLE, Ask
from tests.providers.sdk_targets import (
    GENERATION,
    QUESTION,
    google_client,
    openai_client,
    stream_targets,
    unary_targets,
)
from tests.providers.test_shapes_sdk import SOURCES
from tests.providers.wire import litellm_types, own_loop
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR

ABOUT = About("gpt-4o-mini", None, "openai")
WEATHER = fault.ok(tools=[("weather", {"city": "Seoul", "days": 3})])


class City(pydantic.BaseModel):
    """What is asked for as structured output."""

    name: str
    people: int


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider of its own for each test."""
    with FakeProvider(answer="Seoul, 서울, has 9 million people.") as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def fresh(answers: Answers, value: Any) -> Any:
    """The value out of the bytes, as a process would that has seen none of it packed."""
    packed = answers.pack(value, ABOUT)
    found = Answers(types=[City]).unpack(packed)
    assert not found.streamed
    assert found.about == ABOUT
    return found.value


class Stored(Policy):
    """Puts every answer through bytes, and compares; the caller goes on with what came out.

    Attributes:
        seen: what came out.
    """

    def __init__(self) -> None:
        self.answers = Answers(types=[City])
        self.seen: list[Any] = []

    async def around(self, call: Call, next: Next) -> Reply:
        """Pack, unpack, compare."""
        reply = await next(call)
        if reply.source is not None:
            items = await reply.source.hold()
            times = [0.001 * number for number in range(len(items))]
            packed = self.answers.pack_stream(items, times, ABOUT)
            found = Answers(types=[City]).unpack(packed)
            assert found.streamed
            assert found.times == pytest.approx(times)
            assert [picture(item) for item in found.items] == [picture(item) for item in items]
            self.seen += found.items
            reply.source.opening.clear()
            reply.source.opening.extend(found.items)
        else:
            value = fresh(self.answers, reply.value)
            assert picture(value) == picture(reply.value)
            self.seen.append(value)
            reply.value = value
        return reply


@pytest.mark.parametrize("target", unary_targets().items(), ids=lambda item: item[0])
def test_a_whole_answer_comes_back_as_it_was(provider: FakeProvider, target: Any) -> None:
    """Every class, field, and note of what was set; equal by the SDK's own measure too."""
    with warnings.catch_warnings(), own_loop():
        warnings.simplefilter("ignore")
        answer = target[1](provider, 10)
    found = fresh(Answers(), answer)
    assert picture(found) == picture(answer)
    assert found.model_dump_json() == answer.model_dump_json()
    assert found.model_dump_json(exclude_unset=True) == answer.model_dump_json(exclude_unset=True)
    assert repr(found) == repr(answer)


@pytest.mark.parametrize("target", unary_targets().items(), ids=lambda item: item[0])
def test_an_answer_with_tool_calls_comes_back(provider: FakeProvider, target: Any) -> None:
    """Calls of tools are answers like others."""
    provider.always(WEATHER)
    with warnings.catch_warnings(), own_loop():
        warnings.simplefilter("ignore")
        answer = target[1](provider, 10)
    assert picture(fresh(Answers(), answer)) == picture(answer)


@pytest.mark.parametrize("target", stream_targets().items(), ids=lambda item: item[0])
def test_a_stream_comes_back_as_it_was(provider: FakeProvider, target: Any) -> None:
    """Every chunk or event."""
    with warnings.catch_warnings(), own_loop():
        warnings.simplefilter("ignore")
        items = target[1](provider, 10)
    packed = Answers().pack_stream(items, [0.0] * len(items), ABOUT)
    assert [picture(each) for each in Answers().unpack(packed).items] == list(map(picture, items))


@pytest.mark.parametrize("source", SOURCES.items(), ids=lambda item: item[0])
def test_a_stream_with_tools_and_thoughts_comes_back(provider: FakeProvider, source: Any) -> None:
    """The events of the SDKs' helpers, too, which hold snapshots."""
    provider.always(fault.ok(tools=[("weather", {"city": "Seoul"})], thinking="hm, 음"))
    items = list(source[1](provider))
    packed = Answers().pack_stream(items, [0.0] * len(items), ABOUT)
    assert [picture(each) for each in Answers().unpack(packed).items] == list(map(picture, items))


@pytest.mark.parametrize("source", SOURCES.items(), ids=lambda item: item[0])
def test_a_stream_costs_what_is_in_it(provider: FakeProvider, source: Any) -> None:
    """What the chunks repeat costs little: a fifth of their JSON, or less."""
    provider.always(fault.ok(chunks=[f"word {number} " for number in range(100)]))
    items = list(source[1](provider))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = sum(len(item.model_dump_json()) for item in items)
    assert len(Answers().pack_stream(items, [0.0] * len(items), ABOUT)) < plain / 5


@pytest.mark.parametrize("ask", EVERY.values(), ids=EVERY.keys())
def test_a_guarded_client_goes_on_with_it(provider: FakeProvider, ask: Ask) -> None:
    """What stands in the chain of a guarded client comes back, and the SDK takes it as its own."""
    stored = Stored()
    assert ask(provider, guard(stored))
    assert stored.seen


def test_several_choices_and_a_raw_response_come_back(provider: FakeProvider) -> None:
    """Where the caller asked for them."""
    stored = Stored()
    with openai_client(provider, 10) as client:
        chat = guard(stored)(client).chat.completions
        raw = chat.with_raw_response.create(model="gpt-4o-mini", messages=QUESTION, n=2)
        assert "Seoul" in raw.parse().choices[0].message.content
    assert len(stored.seen) == 1


def parse_chat(client: Any) -> Any:
    """`chat.completions.parse`, which stood under `beta` before."""
    chat = client.chat.completions
    parse = chat.parse if hasattr(chat, "parse") else client.beta.chat.completions.parse
    return parse(model="gpt-4o-mini", messages=QUESTION, response_format=City)


def parse_response(client: Any) -> Any:
    """`responses.parse`."""
    return client.responses.parse(model="gpt-4o-mini", input="hi", text_format=City)


PARSING: dict[str, Callable[[Any], Any]] = {"chat": parse_chat, "responses": parse_response}


@pytest.mark.parametrize("way", PARSING.values(), ids=PARSING.keys())
def test_structured_output_is_parsed_anew(
    provider: FakeProvider, way: Callable[[Any], Any]
) -> None:
    """`parse` makes its object of what came out, so `types=` is not needed with a guarded client."""
    provider.always('{"name": "Seoul", "people": 9000000}')
    stored = Stored()
    stored.answers = Answers()
    with openai_client(provider, 10) as client:
        answer = way(guard(stored)(client))
    parsed = answer.output_parsed if hasattr(answer, "output") else answer.choices[0].message.parsed
    assert parsed == City(name="Seoul", people=9_000_000)
    assert stored.seen


@pytest.mark.parametrize("way", PARSING.values(), ids=PARSING.keys())
def test_what_parse_returns_is_stored_with_the_class_that_it_parsed(
    provider: FakeProvider, way: Callable[[Any], Any]
) -> None:
    """A function that returns a parsed answer keeps it, when it says which class is in it."""
    provider.always('{"name": "Seoul", "people": 9000000}')
    with openai_client(provider, 10) as client:
        answer = way(client)
    assert picture(fresh(Answers(types=[City]), answer)) == picture(answer)
    with pytest.raises(TypeError, match=r"types=\[City\]"):
        Answers().pack(answer, ABOUT)


if GOOGLE:

    def test_structured_output_of_google_needs_its_class(provider: FakeProvider) -> None:
        """Google parses inside the call: the object in the answer comes back with `types=`."""
        provider.always('{"name": "Seoul", "people": 9000000}')
        config = {"response_mime_type": "application/json", "response_schema": City}
        client = google_client(provider, 10)
        answer = client.models.generate_content(model="gemini-x", contents="hi", config=config)
        found = fresh(Answers(types=[City]), answer)
        assert picture(found) == picture(answer)
        assert type(found.parsed) is City
        with pytest.raises(TypeError, match=r"types=\[City\]"):
            Answers().pack(answer, ABOUT)

    def test_documents_and_messages_come_back() -> None:
        """What retrievers find, and every kind of message."""
        from langchain_core.documents import Document
        from langchain_core.messages import (
            AIMessage,
            AIMessageChunk,
            HumanMessage,
            SystemMessage,
            ToolMessage,
        )

        kept = [
            Document("text", metadata={"page": 3, "tags": ("a",)}),
            HumanMessage("hi"),
            SystemMessage([{"type": "text", "text": "be kind"}]),
            ToolMessage("42", tool_call_id="1", artifact={"rows": [1, 2]}),
            AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "1"}]),
            AIMessageChunk(
                "he", tool_call_chunks=[{"name": "f", "args": "{", "id": "1", "index": 0}]
            ),
        ]
        assert picture(fresh(Answers(), kept)) == picture(kept)


if GENERATION == "litellm":

    def test_a_call_of_litellm_comes_back(provider: FakeProvider) -> None:
        """Its classes come back with the private attributes that they start with."""
        litellm_types()
        import litellm

        with warnings.catch_warnings(), own_loop():
            warnings.simplefilter("ignore")
            vectors = litellm.embedding(
                "openai/text-embedding-3-small",
                input=["a", "b"],
                api_base=provider.openai_url,
                api_key="sk-test",
            )
        found = fresh(Answers(), vectors)
        assert picture(found) == picture(vectors)
        assert found._hidden_params == {}
