"""google-genai's clients under `cache`, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import pytest
from google import genai
from google.genai import types

from agentguard import cache, guard, report, usage
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import GENERATION
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, text_of

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


def client_of(provider: FakeProvider, key: str = "test-key") -> genai.Client:
    """A client of the SDK's own making."""
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=provider.google_url))


class Way(NamedTuple):
    """One way to ask a client.

    Attributes:
        is_async: through `aio`.
        streams: the answer is read in chunks.
        chat: through `chats.create(...)`.
    """

    is_async: bool
    streams: bool
    chat: bool

    def __str__(self) -> str:
        words = ("async" if self.is_async else "sync", "chat" if self.chat else "models")
        return "-".join((*words, "stream" if self.streams else "whole"))

    def ask(self, client: Any, contents: Any, config: Any, model: str) -> Any:
        """Start to ask."""
        source, ending = client.aio if self.is_async else client, "_stream" if self.streams else ""
        if self.chat:
            chat = source.chats.create(model=model, config=config)
            return getattr(chat, f"send_message{ending}")(contents)
        ask = getattr(source.models, f"generate_content{ending}")
        return ask(model=model, contents=contents, config=config)

    def answers(
        self,
        client: Any,
        times: int = 1,
        contents: Any = "hi",
        config: Any = None,
        model: str = "gemini-2.5-flash",
    ) -> list[Any]:
        """Ask some times: each time the answer, of a stream its chunks."""

        async def one() -> Any:
            answer = await self.ask(client, contents, config, model)
            return [item async for item in answer] if self.streams else answer

        async def there() -> list[Any]:
            try:
                return [await one() for _ in range(times)]
            finally:
                await client.aio.aclose()

        if self.is_async:
            return asyncio.run(there())
        found = (self.ask(client, contents, config, model) for _ in range(times))
        return [list(each) if self.streams else each for each in found]


WAYS = [Way(a, s, c) for a in (False, True) for s in (False, True) for c in (False, True)]
every_way = pytest.mark.parametrize("way", WAYS, ids=map(str, WAYS))


@every_way
def test_asked_three_times_it_is_one_request(provider: FakeProvider, way: Way) -> None:
    """The answers are equal, their figures too."""
    with client_of(provider) as bare, report() as seen, usage() as used:
        first, second, third = way.answers(guard(cache())(bare), 3)

    assert len(provider.journal) == 1
    assert [len(call.attempts) for call in seen.calls] == [1, 0, 0]
    assert (used.attempts, used.hits, used.output_tokens) == (1, 2, 6)
    assert first == second == third
    assert text_of(third) == WHOLE
    last = third[-1] if way.streams else third
    assert type(last) is types.GenerateContentResponse
    assert last.usage_metadata.candidates_token_count == 6
    assert {call.model for call in seen.calls} == {"gemini-2.5-flash"}


@every_way
def test_a_file_serves_another_client(provider: FakeProvider, way: Way, tmp_path: Path) -> None:
    """As after a restart, and with another key, which is not in the file."""
    found = []
    for key in ("first-key", "second-key"):
        safe = guard(cache(store=f"sqlite:///{tmp_path}/answers.db", name="n"))
        with client_of(provider, key) as bare:
            found += way.answers(safe(bare), contents="tell me a secret")
    assert found[0] == found[1]
    assert len(provider.journal) == 1
    written = (tmp_path / "answers.db").read_bytes()
    assert not any(word in written for word in (b"secret", b"first-key", b"second-key"))


class Sky(pydantic.BaseModel):
    """How it looks."""

    look: str


def weather(city: str) -> str:
    """Tell the weather."""
    return f"sun in {city}"


def clock(city: str) -> str:
    """Tell the time."""
    return f"noon in {city}"


for each in (weather, clock):  # the previous SDK cannot read annotations that are text
    each.__annotations__ = {"city": str, "return": str}

CHANGES: list[dict[str, Any]] = [
    {},
    {"contents": "hello"},
    {"model": "gemini-2.5-pro"},
    {"config": {"temperature": 0.5}},
    {"config": {"system_instruction": "Be kind."}},
    {"config": {"system_instruction": "Be rude."}},
    {"config": {"tools": [weather]}},
    {"config": {"tools": [clock]}},
    {"config": {"response_mime_type": "application/json", "response_schema": Sky}},
    {"config": {"response_mime_type": "application/json"}},
    {"config": {"stop_sequences": ["six"]}},
]


@every_way
def test_whatever_changes_the_answer_is_part_of_the_key(provider: FakeProvider, way: Way) -> None:
    """Each of them makes another request, and asked again, as an object, none."""
    provider.always('{"look": "blue"}')
    safe = guard(cache())
    for number, change in enumerate(CHANGES, 1):
        config = change.get("config")
        again = {**(config or {}), "http_options": {"timeout": 20_000 + number}}
        for each in (config, types.GenerateContentConfig(**again)):
            with client_of(provider) as bare:
                way.answers(safe(bare), **{**change, "config": each})
            assert len(provider.journal) == number


@every_way
@pytest.mark.parametrize("many", [False, True], ids=["one", "list"])
def test_a_parsed_answer_is_parsed_again(provider: FakeProvider, way: Way, *, many: bool) -> None:
    """Of the class in the request's configuration."""
    provider.always('[{"look": "blue"}]' if many else '{"look": "blue"}')
    kind: Any = list[Sky] if many else Sky
    config = {"response_mime_type": "application/json", "response_schema": kind}
    with client_of(provider) as bare:
        answers = way.answers(guard(cache())(bare), 3, config=config)
    assert len(provider.journal) == 1
    assert answers[0] == answers[1] == answers[2]
    if not way.streams:
        assert answers[2].parsed == ([Sky(look="blue")] if many else Sky(look="blue"))


# The previous SDK forgets a streamed function call when another chunk follows it.
AUTOMATIC = [way for way in WAYS if GENERATION == "current" or not way.streams]


@pytest.mark.parametrize("way", AUTOMATIC, ids=map(str, AUTOMATIC))
def test_automatic_function_calling_comes_from_the_cache(provider: FakeProvider, way: Way) -> None:
    """Each of its two requests; the function runs each time, as it may read what has changed."""
    ran: list[str] = []

    def look(city: str) -> str:
        """Tell the weather."""
        ran.append(city)
        return "sunny"

    look.__annotations__.update(city=str)
    provider.script(fault.ok(tools=[("look", {"city": "Rome"})]), "It is sunny.")
    with client_of(provider) as bare, usage() as used:
        answers = way.answers(guard(cache())(bare), 3, config={"tools": [look]})
    assert len(provider.journal) == 2
    assert ran == ["Rome"] * 3
    assert (used.attempts, used.hits) == (2, 4)
    assert {text_of(each[-1:] if way.streams else each) for each in answers} <= {
        "It is sunny.",
        " sunny.",
        "",
    }


def test_a_chat_goes_on_from_the_cache(provider: FakeProvider) -> None:
    """The history is part of the key, and that of hits is the same."""
    provider.schedule(lambda number, _: fault.ok(f"answer {number}"))
    safe = guard(cache())
    histories = []
    for _ in range(2):
        with client_of(provider) as bare:
            chat = safe(bare).chats.create(model="gemini-2.5-flash")
            for question in ("one", "two", "one"):
                chat.send_message(question)
            histories.append(chat.get_history())
    assert len(provider.journal) == 3
    assert histories[0] == histories[1]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_embeddings_are_kept_one_by_one(provider: FakeProvider, *, is_async: bool) -> None:
    """Only the missing texts are sent, in their order."""
    safe, model = guard(cache()), "gemini-embedding-001"

    async def use(client: Any) -> None:
        async def embed(*texts: str, **config: Any) -> list[Any]:
            source = client.aio if is_async else client
            found = source.models.embed_content(model=model, contents=[*texts], config=config)
            found = await found if is_async else found
            return [each.values for each in found.embeddings]

        one, two = await embed("a", "b")
        three, again = await embed("c", "a")
        assert again == one
        assert await embed("b", "c", "a", "b") == [two, three, one, two]
        assert [len(each) for each in await embed("a", output_dimensionality=4)] == [4]
        if is_async:
            await client.aio.aclose()

    run: Callable[[Any], Any] = asyncio.run
    with client_of(provider) as bare:
        if is_async:
            run(use(safe(bare)))
        else:
            with pytest.raises(StopIteration):
                use(safe(bare)).send(None)
    asked = [
        [part["content"]["parts"][0]["text"] for part in each.body["requests"]]
        for each in provider.journal
    ]
    assert asked == [["a", "b"], ["c"], ["a"]]
