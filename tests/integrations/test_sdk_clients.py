"""Clients of openai and anthropic under a guard, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import anthropic
import openai
import pydantic
import pytest

from agentguard import (
    Call,
    Policy,
    Reply,
    breaker,
    describe,
    errors,
    explain,
    fallback,
    flush,
    guard,
    moderate,
    replace,
    report,
    timeout,
)
from agentguard.testing import FakeProvider, fault
from tests.integrations.clients import (
    EMBED,
    PLAIN,
    WAYS,
    WHOLE,
    Broken,
    Way,
    entered,
    items_of,
    left,
    manager,
    opened,
    settled,
    stream,
    text_stream,
    unary,
)
from tests.providers.sdk_targets import version
from tests.scenarios.ways import (
    CHAT,
    CLAUDE,
    LEFT_TO_THE_COLLECTOR,
    MESSAGES,
    RESPONSES,
    arrived,
    at_once,
    kinds,
    text_of,
)

pytestmark = LEFT_TO_THE_COLLECTOR

every_way = pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
plain_ways = pytest.mark.parametrize("way", PLAIN, ids=[way.name for way in PLAIN])
SHORT = [way for way in WAYS if way.ask in (unary, stream, manager) and "beta" not in way.name]
short_ways = pytest.mark.parametrize("way", SHORT, ids=[way.name for way in SHORT])
STREAMS = [way for way in WAYS if way.streams]
every_stream = pytest.mark.parametrize("way", STREAMS, ids=[way.name for way in STREAMS])
COUNTED = {"model": "claude-x", "messages": MESSAGES}
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
sdks = pytest.mark.parametrize("sdk", ["openai", "anthropic"])


class Loud(Policy):
    """Changes what goes out and what comes back, as masking does."""

    async def around(self, call: Call, next: Any) -> Reply:
        reply: Reply = await next(call.replace(kwargs={**call.kwargs, "model": "loud-model"}))
        reply.transform(Step)
        return reply


class Step:
    """Text in capitals."""

    def feed(self, text: str) -> str:
        return text.upper()

    def flush(self) -> str:
        return ""


class Sees(Policy):
    """Remembers the arguments of each call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def around(self, call: Call, next: Any) -> Reply:
        self.calls.append(call)
        found: Reply = await next(call)
        return found


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what another thread does."""
    last = time.monotonic() + seconds
    while not true() and time.monotonic() < last:
        time.sleep(0.01)


@every_way
def test_every_way_to_ask_is_retried_by_the_guard_alone(provider: FakeProvider, way: Way):
    """A rate limit with Retry-After and a server's error, then the answer: three requests."""
    provider.script(fault.status(429, retry_after=0.05), fault.status(500))

    with report() as seen:
        text = way.run(provider, guard(at_once(), timeout(20)))

    (call,) = seen.calls
    assert text == WHOLE
    assert kinds(seen) == ["rate_limited", "server", None]
    assert call.attempts[1].wait == 0.05
    assert call.name == f"{way.client(provider).__class__.__name__}.{way.path}"
    assert call.model == way.arguments["model"]
    assert len(provider.journal) == 3


@every_way
def test_no_way_to_ask_goes_past_the_guard(provider: FakeProvider, way: Way):
    """What a policy changes of the request is sent, and what it changes of the answer is read."""
    text = way.run(provider, Loud())

    assert text == WHOLE.upper()
    assert provider.journal[0].body["model"] == "loud-model"


@every_stream
def test_an_error_in_the_first_event_is_retried(provider: FakeProvider, way: Way):
    """An overload inside a 200: the reader sees the second stream alone."""
    provider.script(fault.error("overloaded", after=0))

    assert way.run(provider, at_once()) == WHOLE
    assert len(provider.journal) == 2


@every_stream
def test_a_stream_that_breaks_after_its_first_word_is_not_replayed(
    provider: FakeProvider, way: Way
):
    """The connection is lost: one request, and the text so far."""
    provider.script(fault.drop(after=2))

    with pytest.raises(Exception) as caught:
        way.run(provider, at_once())

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert len(provider.journal) == 1


@every_stream
def test_a_stream_that_is_cut_fails(provider: FakeProvider, way: Way):
    """No SDK says so when a stream just ends."""
    provider.script(fault.cut(after=2))

    with pytest.raises(errors.StreamTruncated):
        way.run(provider, guard(at_once(), strict_streams=True))


@plain_ways
def test_another_model_answers(provider: FakeProvider, way: Way):
    """`fallback(model=...)` sends the same request for another model."""
    provider.script(fault.status(503))

    with report() as seen:
        text = way.run(provider, guard(fallback(model="other"), at_once(attempts=1)))

    assert text == WHOLE
    assert [each.model for each in provider.journal] == [way.arguments["model"], "other"]
    assert provider.journal[0].body == {**provider.journal[1].body, "model": way.arguments["model"]}
    assert seen.calls[0].model == "other"


@plain_ways
def test_a_function_answers(provider: FakeProvider, way: Way):
    """A fallback function is called with what `create` would be called with."""
    asked: list[dict[str, Any]] = []

    def canned(**request: Any) -> Any:
        asked.append(request)
        return iter(["from ", "the can"]) if request.get("stream") else "from the can"

    provider.always(fault.status(503))

    assert way.run(provider, guard(fallback(canned), at_once())) == "from the can"
    (request,) = asked
    assert {name: request[name] for name in way.arguments} == way.arguments
    assert len(provider.journal) == 3


@plain_ways
def test_a_circuit_opens(provider: FakeProvider, way: Way):
    """Two failures, then the third call makes no request."""
    provider.always(fault.status(503))
    circuit = breaker(fail_max=2)

    for _ in range(2):
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
            way.run(provider, circuit)
    with pytest.raises(errors.CircuitOpen):
        way.run(provider, circuit)

    assert len(provider.journal) == 2


@short_ways
def test_silence_is_bounded(provider: FakeProvider, way: Way):
    """A provider that says nothing: the caller hears so, and the provider sees it leave."""
    provider.always(fault.stall())

    with pytest.raises(errors.Timeout):
        way.run(provider, timeout(0.2))

    assert provider.settle()
    assert provider.journal[0].client_disconnected


@both
def test_embeddings_are_decoded_outside_the_chain(provider: FakeProvider, is_async: bool):
    """Policies see what the provider sent; the caller gets vectors, as the SDK gives them."""
    provider.script(fault.status(503))
    sees = Sees()

    async def use() -> Any:
        client = guard(sees, at_once())(opened(provider, "openai", is_async=is_async))
        answer = await settled(client.embeddings.create(**EMBED))
        bare = await settled(client.with_options().embeddings.create(**EMBED))
        await settled(client.close())
        return answer, bare

    with report() as seen:
        answer, bare = PLAIN[is_async].driven(use())

    assert answer.data[0].embedding == bare.data[0].embedding
    assert isinstance(answer.data[0].embedding[0], float)
    assert answer._request_id == provider.journal[1].request_id
    assert sees.calls[0].kwargs["model"] == EMBED["model"]
    assert seen.calls[0].name == f"{'Async' if is_async else ''}OpenAI.embeddings"
    assert seen.calls[0].attempts[1].usage is not None


class Weather(pydantic.BaseModel):
    """What a structured answer is parsed into."""

    degrees: int


PARSES = [
    ("openai", "chat.completions.parse", CHAT, "response_format", "choices.0.message.parsed"),
    ("openai", "responses.parse", RESPONSES, "text_format", "output_parsed"),
    ("anthropic", "messages.parse", CLAUDE, "output_format", "parsed_output"),
]


@both
@pytest.mark.parametrize(
    "row", [row for row in PARSES if row[0] == "openai" or anthropic.__version__[0] != "0"]
)
def test_structured_answers_are_parsed(provider: FakeProvider, row: Any, is_async: bool):
    """`parse` works, plain and raw; a policy sees the schema that is sent, and the plain text."""
    sdk, method, arguments, name, place = row
    provider.script(fault.status(503), fault.ok('{"degrees": 21}'), fault.ok('{"degrees": 22}'))
    resource, _, last = method.rpartition(".")
    asked = {**arguments, name: Weather}

    def parsed(answer: Any) -> Any:
        for step in place.split("."):
            answer = answer[int(step)] if step.isdigit() else getattr(answer, step)
        return answer

    async def use() -> list[Any]:
        client = at_once()(opened(provider, sdk, is_async=is_async))
        plain = await settled(attrgetter(method)(client)(**asked))
        found = [parsed(plain)]
        assert plain._request_id == provider.journal[1].request_id
        if hasattr(attrgetter(resource)(client).with_raw_response, last):
            whole = await settled(
                getattr(attrgetter(resource)(client).with_raw_response, last)(**asked)
            )
            found.append(parsed(await settled(whole.parse())))
        await settled(client.close())
        return found

    found = PLAIN[is_async].driven(use())
    assert found in ([Weather(degrees=21), Weather(degrees=22)], [Weather(degrees=21)])
    assert len(provider.journal) == 1 + len(found)


def test_a_wrong_structured_answer_is_not_retried(provider: FakeProvider):
    """The SDK's parser runs after the chain: what it refuses is no failure of the provider."""
    provider.always(fault.ok("no JSON"))
    client = at_once()(opened(provider, "openai", is_async=False))

    with report() as seen, pytest.raises(pydantic.ValidationError):
        client.chat.completions.parse(**CHAT, response_format=Weather)

    client.close()
    assert seen.calls[0].outcome == "completed"
    assert len(provider.journal) == 1


@both
@sdks
def test_what_reads_a_raw_stream_past_the_guard_is_refused(
    provider: FakeProvider, sdk: str, is_async: bool
):
    """Status and headers are there; each way to the body says what to use."""
    resource, arguments = ("chat.completions", CHAT) if sdk == "openai" else ("messages", CLAUDE)
    readers = ["text", "content", "json", "read", "iter_bytes", "iter_text", "iter_lines"]

    async def use() -> list[str]:
        client = at_once()(opened(provider, sdk, is_async=is_async))
        refused = []
        for kind in ("with_raw_response", "with_streaming_response"):
            found = getattr(attrgetter(resource)(client), kind).create(**arguments, stream=True)
            response = await (settled(found) if kind == "with_raw_response" else entered(found))
            assert response.status_code == 200
            assert response.http_response.headers["request-id"]
            for name in readers:
                for holder in (response, response.http_response):
                    try:
                        reader = getattr(holder, name)
                        await items_of(reader() if "iter" in name else await settled(reader()))
                    except AttributeError as error:
                        refused.append(str(error))
                    else:
                        raise AssertionError(f"{kind}: {name} read the stream")
            with pytest.raises(TypeError, match=r"call parse\(\)"):
                await settled(response.parse(to=dict))
            await settled((await settled(response.parse())).close())
            if kind == "with_streaming_response":
                await left(found)
        await settled(client.close())
        return refused

    refused = PLAIN[is_async].driven(use())
    assert len(refused) == 4 * len(readers)
    asked = [each for each in refused if "no attribute" not in each]
    assert len(asked) >= 2 * len(readers)
    assert all("Iterate the stream" in each for each in asked)


@both
def test_a_raw_unary_answer_keeps_its_body(provider: FakeProvider, is_async: bool):
    """Text, headers and request id of the attempt that served, beside the guarded answer."""
    provider.script(fault.status(503))

    async def use() -> tuple[Any, Any]:
        client = at_once()(opened(provider, "openai", is_async=is_async))
        response = await settled(client.chat.completions.with_raw_response.create(**CHAT))
        block = client.chat.completions.with_streaming_response.create(**CHAT)
        body = await settled((await entered(block)).read())
        await left(block)
        await settled(client.close())
        return response, body

    response, body = PLAIN[is_async].driven(use())
    assert WHOLE in response.text
    assert WHOLE.encode() in body
    assert response.request_id == provider.journal[1].request_id
    assert isinstance(response, openai._legacy_response.LegacyAPIResponse)
    assert response.parse() is response.parse()


@both
@pytest.mark.parametrize("kind", ["with_raw_response", "with_streaming_response"])
@sdks
def test_a_fallbacks_answer_has_no_response(
    provider: FakeProvider, sdk: str, kind: str, is_async: bool
):
    """`parse()` gives the function's answer; what only a response has says why it is not there."""
    provider.always(fault.status(503))
    resource, arguments = ("chat.completions", CHAT) if sdk == "openai" else ("messages", CLAUDE)

    async def use() -> Any:
        client = guard(fallback(lambda **_: "canned"), at_once())(
            opened(provider, sdk, is_async=is_async)
        )
        found = getattr(attrgetter(resource)(client), kind).create(**arguments)
        raw = kind == "with_raw_response"
        response = await (settled(found) if raw else entered(found))
        with pytest.raises(AttributeError, match="a fallback function or a cache gave"):
            _ = response.headers
        answer = await settled(response.parse())
        if not raw:
            await left(found)
        await settled(client.close())
        return answer

    assert PLAIN[is_async].driven(use()) == "canned"


@both
@pytest.mark.parametrize("kind", ["with_raw_response", "with_streaming_response"])
@sdks
def test_what_a_guard_replaced_is_not_in_the_response(
    provider: FakeProvider, sdk: str, kind: str, is_async: bool
):
    """`parse()` gives what is said instead; the body, with what was refused, is out of reach."""
    provider.always(fault.ok("I will kill you"))
    resource, arguments = ("chat.completions", CHAT) if sdk == "openai" else ("messages", CLAUDE)

    async def use() -> Any:
        client = guard(moderate(then=replace("No.")))(opened(provider, sdk, is_async=is_async))
        found = getattr(attrgetter(resource)(client), kind).create(**arguments)
        raw = kind == "with_raw_response"
        response = await (settled(found) if raw else entered(found))
        assert response.status_code == 200
        with pytest.raises(AttributeError, match=r"call parse\(\)"):
            _ = await settled(response.text() if callable(response.text) else response.text)
        answer = await settled(response.parse())
        if not raw:
            await left(found)
        await settled(client.close())
        return answer

    assert "No." in repr(PLAIN[is_async].driven(use()))


def test_a_failed_attempts_response_is_not_shown_with_a_fallbacks_answer(provider: FakeProvider):
    """The first attempt had a response, whose stream broke before its first content."""
    provider.always(fault.error("overloaded", after=0))
    client = fallback(lambda **_: iter(["canned"]))(opened(provider, "openai", is_async=False))

    response = client.chat.completions.with_raw_response.create(**CHAT, stream=True)

    assert list(response.parse()) == ["canned"]
    assert not hasattr(response, "headers")
    client.close()


def test_policies_see_the_request_as_create_would_take_it(provider: FakeProvider):
    """The body, what `extra_body` adds to it, and beside it headers, query and timeout."""
    sees = Sees()
    client = sees(opened(provider, "openai", is_async=False))

    client.chat.completions.create(
        **CHAT,
        extra_body={"top_k": 3, "timeout": 9},
        extra_headers={"X-Team": "search"},
        extra_query={"trace": "1"},
        timeout=7.5,
    )

    client.close()
    assert sees.calls[0].kwargs == {
        **CHAT,
        "top_k": 3,
        "extra_headers": {"X-Team": "search"},
        "extra_query": {"trace": "1"},
        "timeout": 7.5,
    }
    (received,) = provider.journal
    assert received.body == {**CHAT, "top_k": 3, "timeout": 9}
    assert received.headers["x-team"] == "search"
    assert received.headers["x-stainless-read-timeout"] == "7.5"


@pytest.mark.parametrize(
    "url",
    ["/chat/completions", "/chat/completions/", "/Chat/Completions", "/chat/completions?a=b#c"],
)
def test_every_spelling_of_a_path_is_guarded(provider: FakeProvider, url: str):
    """A request by hand is a call of a model like any other."""
    sees = Sees()
    client = sees(opened(provider, "openai", is_async=False))

    with contextlib.suppress(openai.APIError):  # what the server makes of it is not the point
        client.post(url, cast_to=object, body=CHAT)

    client.close()
    assert [call.kwargs["model"] for call in sees.calls] == [CHAT["model"]]


def test_text_in_place_of_an_answer_says_what_is_missing(provider: FakeProvider):
    """A fallback's plain text serves a plain call; a parser or a manager needs the SDK's own answer."""
    provider.always(fault.status(503))
    client = fallback(lambda **_: "sorry")(opened(provider, "openai", is_async=False))

    assert client.chat.completions.create(**CHAT) == "sorry"
    with pytest.raises(TypeError, match="such as a ChatCompletion"):
        client.chat.completions.parse(**CHAT, response_format=Weather)
    with (
        pytest.raises(AttributeError, match="of a fallback function"),
        client.chat.completions.stream(**CHAT),
    ):
        pass
    client.close()


def test_a_body_that_no_policy_can_read_is_refused(provider: FakeProvider):
    """`client.post` with bytes makes no request."""
    client = at_once()(opened(provider, "openai", is_async=False))

    with pytest.raises(TypeError, match="must be a dict"):
        client.post("/chat/completions", cast_to=object, options={"extra_json": None})

    client.close()
    assert provider.journal == []


def test_an_attempt_is_told_the_bound(provider: FakeProvider):
    """The worker that a timeout leaves behind ends soon: the SDK knows the seconds too."""
    client = timeout(5)(opened(provider, "openai", is_async=False))

    client.chat.completions.create(**CHAT)

    client.close()
    assert 5.0 < float(provider.journal[0].headers["x-stainless-read-timeout"]) <= 5.25


@both
@sdks
def test_what_is_no_model_call_passes_as_before(sdk: str, is_async: bool):
    """Listing models and counting tokens run unguarded, with the retries the client had."""
    sees = Sees()

    async def use() -> None:
        client = guard(sees, at_once())(opened(broken, sdk, is_async=is_async, max_retries=1))
        calls = [client.models.list, client.with_options(timeout=9).models.list]
        if sdk == "anthropic":
            calls.append(functools.partial(client.messages.count_tokens, **COUNTED))
        for call in calls:
            with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
                await settled(call())
        await settled(client.close())

    with Broken() as broken:
        PLAIN[is_async].driven(use())

    assert sees.calls == []
    assert broken.requests == (6 if sdk == "anthropic" else 4)


def test_own_retries_are_off_and_said_to_be(provider: FakeProvider):
    """The copy retries no model call by itself; an explicit number is obeyed."""
    provider.always(fault.status(500))
    original = opened(provider, "openai", is_async=False, max_retries=2)
    client = timeout(20)(original)

    for each, requests in ((client, 1), (client.with_options(timeout=9), 1)):
        with pytest.raises(openai.InternalServerError):
            each.chat.completions.create(**CHAT)
        assert each.max_retries == 0
        assert "Its own retries are off (they were 2): retry() does them." in explain(each)
        assert describe(each)["requests"] == requests
    assert len(provider.journal) == 2
    patient = client.with_options(max_retries=1)
    with pytest.raises(openai.InternalServerError):
        patient.chat.completions.create(**CHAT)
    assert len(provider.journal) == 4
    assert describe(patient)["requests"] == 2
    assert len(describe(patient)["notes"]) == 1  # what is not guarded
    assert describe(client)["calls"][0] == "chat.completions"
    assert describe(client)["provider"] == "openai"
    original.close()


def test_two_clients_of_one_guard_tell_their_own_retries(provider: FakeProvider):
    """What `explain` says is of the client, not of the first one that the guard met."""
    retried = at_once()
    guards = guard(retried)
    for number in (1, 3):
        client = guards(opened(provider, "openai", is_async=False, max_retries=number))
        assert f"(they were {number})" in explain(client)
        client.close()


@both
@sdks
def test_the_original_is_left_as_it_is(provider: FakeProvider, sdk: str, is_async: bool):
    """Its class, attributes and retries; the copy shares its connections, and no part of it."""
    original = opened(provider, sdk, is_async=is_async)
    parts = [original.with_raw_response, original.with_streaming_response, original.models]
    parts.append(original.chat.completions if sdk == "openai" else original.messages)
    before = dict(vars(original))

    client = at_once()(original)

    assert vars(original) == before
    assert type(original).__name__ == type(client).__name__
    assert type(client) is not type(original)
    assert isinstance(client, type(original))
    assert client._client is original._client
    for name, value in vars(client).items():
        assert getattr(value, "_client", None) is not original, name
        assert getattr(value, "__self__", None) is not original, name

    async def use() -> None:
        await settled(original.close())

    PLAIN[is_async].driven(use())
    assert client.is_closed()


@both
def test_with_blocks_close_a_guarded_client(provider: FakeProvider, is_async: bool):
    """As they do with a bare one."""

    async def use() -> Any:
        client = at_once()(opened(provider, "openai", is_async=is_async))
        inside = await entered(client)
        text = text_of(await settled(inside.responses.create(**RESPONSES)))
        await left(client)
        assert inside is client
        assert client.is_closed()
        return text

    assert PLAIN[is_async].driven(use()) == WHOLE


def test_guards_join(provider: FakeProvider):
    """A guarded client, and a copy of one, get new policies around those that they have."""
    inner, outer = Sees(), Sees()
    client = outer(inner(opened(provider, "openai", is_async=False)).with_options(timeout=9))

    client.chat.completions.create(**CHAT)

    client.close()
    assert [each["name"] for each in describe(client)["policies"]] == ["sees", "sees"]
    unguarded, retries = describe(client)["notes"]
    assert "WebSocket" in unguarded
    assert retries == "Its own retries are off (they were 2): retry() does them."
    assert len(inner.calls) == len(outer.calls) == 1
    assert len(provider.journal) == 1


def test_a_guarded_method_of_a_guarded_client_is_a_call_within_a_call(provider: FakeProvider):
    """Both guards act, one inside the other, and the report says so."""
    provider.script(fault.status(500))
    client = at_once()(opened(provider, "openai", is_async=False))
    ask = guard(timeout(20))(client.chat.completions.create)

    with report() as seen:
        ask(**CHAT)

    client.close()
    (call,) = seen.calls
    assert [each.name for each in call.children] == ["OpenAI.chat.completions"]
    assert len(provider.journal) == 2


def test_another_clients_method_is_a_fallback(provider: FakeProvider):
    """Guarded or not, plain or raw: its answer comes out in the caller's shape."""
    provider.always(fault.status(503))
    with FakeProvider(answer="from the other") as second:
        other = at_once()(opened(second, "openai", is_async=False))
        client = guard(fallback(other.chat.completions.create), at_once())(
            opened(provider, "openai", is_async=False)
        )

        text = text_of(client.chat.completions.create(**CHAT))
        items = list(client.chat.completions.create(**CHAT, stream=True))
        raw = client.chat.completions.with_raw_response.create(**CHAT).parse()
        with client.chat.completions.stream(**CHAT) as chunks:
            final = chunks.get_final_completion()
        other.close()
        client.close()

    assert [text, text_of(items), text_of(raw), text_of(final)] == ["from the other"] * 4


def test_all_attempts_of_a_call_have_one_idempotency_key(provider: FakeProvider):
    """As the SDK's own retries have; another model is another request, and so is another call."""
    provider.script(fault.status(500), fault.status(500), fault.status(500))
    client = guard(fallback(model="other"), at_once(attempts=3))(
        opened(provider, "openai", is_async=False)
    )
    client._idempotency_header = "Idempotency-Key"

    client.chat.completions.create(**CHAT)
    client.chat.completions.create(**CHAT)
    client.chat.completions.create(**CHAT, extra_headers={"Idempotency-Key": "mine"})

    client.close()
    first, second, third, other, next_, mine = (
        each.headers["idempotency-key"] for each in provider.journal
    )
    assert first == second == third
    assert len({first, other, next_}) == 3
    assert mine == "mine"


@both
def test_azure_clients(provider: FakeProvider, is_async: bool):
    """The deployment in the path follows the model that the chain asks for."""
    provider.script(fault.status(500))
    kind: Any = openai.AsyncAzureOpenAI if is_async else openai.AzureOpenAI

    async def use() -> Any:
        client = guard(fallback(model="spare"))(
            kind(azure_endpoint=provider.url, api_key="sk-test", api_version="2024-10-21")
        )
        with report() as seen:
            answer = await settled(client.chat.completions.create(**CHAT))
        await settled(client.with_options(timeout=3).chat.completions.create(**CHAT))
        await settled(client.close())
        return text_of(answer), seen.calls[0].name

    text, name = PLAIN[is_async].driven(use())
    assert text == WHOLE
    assert name == f"{kind.__name__}.chat.completions"
    assert [each.path for each in provider.journal] == [
        f"/openai/deployments/{model}/chat/completions"
        for model in (CHAT["model"], "spare", CHAT["model"])
    ]


if version("google-auth") >= 0:

    def test_vertex_clients_are_guarded_where_they_ask_for_messages(provider: FakeProvider):
        """Their path is rewritten further in, and their resources are made with the client."""
        original = anthropic.AnthropicVertex(
            region="eu", project_id="p", access_token="t", base_url=provider.url, max_retries=0
        )
        client = guard(fallback(lambda **request: request["model"], on=Exception))(original)

        with report() as seen:
            assert client.messages.create(**CLAUDE) == CLAUDE["model"]

        client.close()
        assert seen.calls[0].name == "AnthropicVertex.messages"
        assert provider.journal[0].path.endswith(f"models/{CLAUDE['model']}:rawPredict")


@both
@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
def test_each_request_of_a_tool_runner_is_a_call(
    provider: FakeProvider, is_async: bool, streams: bool
):
    """Every turn of it is guarded, and the tool runs once."""
    provider.script(fault.status(503), fault.ok(tools=[("weather", {"city": "Seoul"})]))
    provider.script(fault.error("overloaded", after=0) if streams else fault.status(503))
    asked: list[str] = []

    def weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    async def aweather(city: str) -> str:
        """Tell the weather."""
        return weather(city)

    tool = anthropic.beta_async_tool(aweather) if is_async else anthropic.beta_tool(weather)
    tool.name = "weather"

    async def use() -> None:
        client = at_once()(opened(provider, "anthropic", is_async=is_async))
        runner = client.beta.messages.tool_runner(**CLAUDE, tools=[tool], stream=streams)
        await items_of(runner)
        await settled(client.close())

    with report() as seen:
        PLAIN[is_async].driven(use())

    assert asked == ["Seoul"]
    assert len(seen.calls) == 2
    assert len(provider.journal) == 4


def test_a_reader_that_leaves_a_manager_closes_the_connection(provider: FakeProvider):
    """After one event the provider sees its client leave, and the report says abandoned."""
    provider.always(fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    client = at_once()(opened(provider, "openai", is_async=False))
    claude = at_once()(opened(provider, "anthropic", is_async=False))

    with report() as seen:
        for open_ in (
            functools.partial(client.chat.completions.stream, **CHAT),
            functools.partial(client.responses.stream, **RESPONSES),
            functools.partial(claude.messages.stream, **CLAUDE),
        ):
            with open_() as stream:
                next(iter(stream))

    assert provider.settle()
    client.close()
    claude.close()
    assert [each.client_disconnected for each in provider.journal] == [True] * 3
    assert [each.outcome for each in seen.calls] == ["abandoned"] * 3


@pytest.mark.parametrize(
    "way",
    [way for way in WAYS if way.is_async and way.ask in (manager, text_stream)],
    ids=lambda way: way.name,
)
async def test_cancelling_reaches_the_provider(provider: FakeProvider, way: Way):
    """Whoever awaits a stream's next piece is cancelled: the connection is closed."""
    provider.always(fault.stall(after=1))
    client = at_once()(way.client(provider))

    with report() as seen:
        task = asyncio.ensure_future(way.ask(attrgetter(way.method)(client), way.arguments))
        await asyncio.to_thread(arrived, provider)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await asyncio.to_thread(provider.settle)
    await client.close()
    assert provider.journal[0].client_disconnected
    assert len(provider.journal) == 1
    assert seen.calls[0].outcome == "abandoned"


@every_stream
def test_a_stream_that_nobody_holds_is_closed(provider: FakeProvider, way: Way):
    """It is let go of unread: the provider sees its client leave, and it is settled once."""
    provider.always(fault.ok(chunks=["x " * 1000] * 200, each=0.01))

    async def use() -> None:
        client = at_once()(way.client(provider))
        found = attrgetter(way.method)(client)
        asked = {} if found.__name__ == "stream" else {"stream": True}
        answer = found(**way.arguments, **asked)
        block = hasattr(answer, "__enter__") or hasattr(answer, "__aenter__")
        answer = await (entered(answer) if block else settled(answer))
        del answer, found
        gc.collect()
        settle = provider.settle
        assert await settled(asyncio.to_thread(settle) if way.is_async else settle())
        await settled(client.close())

    with report() as seen:
        way.driven(use())
        flush()
        until(lambda: seen.calls[0].outcome != "running")

    assert provider.journal[0].client_disconnected
    assert [each.outcome for each in seen.calls] == ["abandoned"]


def test_threads_and_event_loops_share_a_guard(provider: FakeProvider):
    """One guarded client in eight threads, and a loop in each of four more, all at once."""
    provider.schedule(lambda number, _: fault.status(500) if number % 3 == 0 else None)
    guards = guard(at_once(attempts=30, budget=None), timeout(20))
    client = guards(opened(provider, "openai", is_async=False))
    texts: list[str] = []

    def threads() -> None:
        texts.extend(text_of(client.chat.completions.create(**CHAT)) for _ in range(5))
        texts.append(text_of(list(client.chat.completions.create(**CHAT, stream=True))))

    def loops() -> None:
        async def use() -> None:
            async with guards(opened(provider, "openai", is_async=True)) as other:
                asks = [other.chat.completions.create(**CHAT) for _ in range(5)]
                texts.extend(map(text_of, await asyncio.gather(*asks)))

        asyncio.run(use())

    workers = [threading.Thread(target=threads) for _ in range(8)]
    workers += [threading.Thread(target=loops) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    client.close()
    assert texts == [WHOLE] * (8 * 6 + 4 * 5)


@pytest.mark.parametrize("way", [copy.deepcopy, pickle.dumps], ids=["deepcopy", "pickle"])
def test_copies_are_not_worse_than_the_originals(provider: FakeProvider, way: Any):
    """What cannot be copied deeply or pickled bare cannot be guarded either, and says the same."""
    original = opened(provider, "openai", is_async=False)
    client = at_once()(original)

    with pytest.raises(TypeError) as bare:
        way(original)
    with pytest.raises(Exception) as guarded:
        way(client)

    assert isinstance(guarded.value, (TypeError, pickle.PicklingError))
    assert bare.value is not None
    original.close()


def test_a_shallow_copy_is_guarded_on_its_own(provider: FakeProvider):
    """`copy.copy` of a guarded client makes its own calls."""
    provider.script(fault.status(500))
    client = at_once()(opened(provider, "openai", is_async=False))
    client.chat.completions.create(**CHAT)

    twin = copy.copy(client)

    assert text_of(twin.chat.completions.create(**CHAT)) == WHOLE
    client.close()


@both
def test_headers_that_the_sdk_leaves_out_are_no_arguments(
    provider: FakeProvider, *, is_async: bool
):
    """A policy sees the headers that are sent; a default one that the caller takes away stays away."""
    sees = Sees()
    client = opened(provider, "anthropic", is_async=is_async, default_headers={"x-team": "blue"})

    async def use() -> None:
        omit = next(
            getattr(anthropic, name)() for name in ("Omit", "NotGiven") if hasattr(anthropic, name)
        )
        extra = {"x-team": omit, "x-trace": "1"}
        safe = guard(sees)(client)
        await settled(safe.messages.create(**CLAUDE, extra_headers=extra))
        await settled(client.close())

    WAYS[1 if is_async else 0].driven(use())
    (call,) = sees.calls
    assert {name.lower() for name in call.kwargs["extra_headers"]} == {"x-trace"}
    sent = {name.lower(): value for name, value in provider.journal[0].headers.items()}
    assert "x-team" not in sent
    assert sent["x-trace"] == "1"
