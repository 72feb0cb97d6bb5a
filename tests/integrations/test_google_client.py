"""google-genai's clients under guards: models and chats, sync and async, whole and streamed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from google import genai
from google.genai import types

from agentguard import breaker, describe, errors, explain, fallback, guard, report, retry, timeout
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import GENERATION
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, arrived, text_of

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
RETRIES = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.001)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer=WHOLE) as running:
        yield running


def client_of(provider: FakeProvider, **options: Any) -> genai.Client:
    """A client that retries by itself, which a guarded copy of it must not."""
    http = types.HttpOptions(base_url=provider.google_url, retry_options=RETRIES)
    return genai.Client(api_key="test-key", http_options=http, **options)


def at_once(**options: Any) -> Any:
    """A `retry` that does not wait."""
    return retry(wait=lambda _: 0.0, **options)


class Way(NamedTuple):
    """One way to ask a client.

    Attributes:
        asynchronous: through `aio`.
        streams: the answer is read in chunks.
        chat: through `chats.create(...)`.
    """

    asynchronous: bool
    streams: bool
    chat: bool

    def __str__(self) -> str:
        words = ("async" if self.asynchronous else "sync", "chat" if self.chat else "models")
        return "-".join((*words, "stream" if self.streams else "whole"))

    @property
    def call(self) -> str:
        """What reports call it."""
        models = "AsyncModels" if self.asynchronous else "Models"
        return f"{models}.generate_content" + ("_stream" if self.streams else "")

    def start(self, client: Any, model: str = "gemini-x", **config: Any) -> Any:
        """Ask: the answer or the stream, to be awaited in an async way."""
        source = client.aio if self.asynchronous else client
        request: dict[str, Any] = {"config": types.GenerateContentConfig(**config)}
        ending = "_stream" if self.streams else ""
        if self.chat:
            chat = source.chats.create(model=model, **request)
            return getattr(chat, f"send_message{ending}")("hi")
        ask = getattr(source.models, f"generate_content{ending}")
        return ask(model=model, contents="hi", **request)

    def ask(self, client: Any, **options: Any) -> str:
        """Ask and read: the text of the answer."""
        if self.asynchronous:
            return asyncio.run(self._ask(client, **options))
        answer = self.start(client, **options)
        return text_of(list(answer) if self.streams else answer)

    async def _ask(self, client: Any, **options: Any) -> str:
        try:
            answer = await self.start(client, **options)
            return text_of([item async for item in answer] if self.streams else answer)
        finally:
            await client.aio.aclose()


WAYS = [Way(a, s, c) for a in (False, True) for s in (False, True) for c in (False, True)]
every_way = pytest.mark.parametrize("way", WAYS, ids=map(str, WAYS))
STREAMS = [way for way in WAYS if way.streams]
every_stream = pytest.mark.parametrize("way", STREAMS, ids=map(str, STREAMS))


@every_way
def test_a_failure_is_retried_and_reported(provider: FakeProvider, way: Way):
    """One retry is one more request: the client's own three attempts are off."""
    provider.script(fault.status(503))
    with client_of(provider) as client, report() as seen:
        assert way.ask(guard(at_once())(client)) == WHOLE

    (call,) = seen.calls
    assert call.name == way.call
    assert [attempt.kind for attempt in call.attempts] == ["overloaded", None]
    assert call.attempts[1].model == "gemini-x"
    assert call.attempts[1].usage.output_tokens > 0
    assert len(provider.journal) == 2


@every_way
def test_another_model_answers(provider: FakeProvider, way: Way):
    """`fallback(model=...)` sends the same request for another model."""
    provider.script(fault.status(503))
    with client_of(provider) as client, report() as seen:
        assert way.ask(guard(fallback(model="gemini-y"))(client)) == WHOLE

    assert ["gemini-y" in request.path for request in provider.journal] == [False, True]
    assert provider.journal[0].body == provider.journal[1].body
    assert seen.calls[0].attempts[1].model == "gemini-y"


@every_way
def test_another_client_answers(provider: FakeProvider, way: Way):
    """A fallback function gets `model`, `contents` and `config`, as it would call them itself."""
    provider.always(fault.status(503))
    asked: list[set[str]] = []
    with FakeProvider(answer="from the backup") as other, contextlib.ExitStack() as stack:
        backup = stack.enter_context(client_of(other))
        client = stack.enter_context(client_of(provider))
        models = backup.aio.models if way.asynchronous else backup.models
        target = models.generate_content_stream if way.streams else models.generate_content

        def instead(**request: Any) -> Any:
            asked.append(set(request))
            return target(**request)

        async def instead_async(**request: Any) -> Any:
            return await instead(**request)

        guards = guard(fallback(instead_async if way.asynchronous else instead))
        assert way.ask(guards(client)) == "from the backup"

    assert asked == [{"model", "contents", "config"}]
    assert (len(provider.journal), len(other.journal)) == (1, 1)


@every_way
def test_an_open_circuit_asks_nobody(provider: FakeProvider, way: Way):
    """Two clients of one guard have one circuit for one provider."""
    provider.always(fault.status(503))
    guards = guard(breaker(fail_max=1))
    with client_of(provider) as client, pytest.raises(genai.errors.ServerError):
        way.ask(guards(client))
    with client_of(provider) as client, pytest.raises(errors.CircuitOpen):
        way.ask(guards(client))

    assert len(provider.journal) == 1


@every_way
def test_a_silent_provider_is_left(provider: FakeProvider, way: Way):
    """The bound passes; the async client closes its connection."""
    with client_of(provider) as client:
        if not way.asynchronous:  # a worker's first request may take longer than the bound alone
            way.ask(client)
        provider.always(fault.stall(2.0))
        before = provider.requests
        with pytest.raises(errors.Timeout):
            way.ask(guard(timeout(0.5))(client))

    assert provider.settle()
    assert len(provider.journal) == before + 1
    if way.asynchronous:
        assert provider.journal[-1].client_disconnected


# The previous SDK forgets a streamed function call when another chunk follows it.
AUTOMATIC = [way for way in WAYS if GENERATION == "current" or not way.streams]


@pytest.mark.parametrize("way", AUTOMATIC, ids=map(str, AUTOMATIC))
def test_a_retry_repeats_a_request_and_no_function(provider: FakeProvider, way: Way):
    """Automatic function calling: what failed is the second request, and it alone is repeated."""
    ran: list[str] = []

    def weather(city: str) -> str:
        """Tell the weather."""
        ran.append(city)
        return "sunny"

    weather.__annotations__["city"] = str  # the previous SDK cannot read annotations that are text
    provider.script(
        fault.status(503),
        fault.ok(tools=[("weather", {"city": "Seoul"})]),
        fault.status(503),
        fault.ok("It is sunny."),
    )
    with client_of(provider) as client, report() as seen:
        answer = way.ask(guard(at_once())(client), tools=[weather])

    assert answer == "It is sunny."
    assert ran == ["Seoul"]
    assert [(call.name, len(call.attempts)) for call in seen.calls] == [(way.call, 2)] * 2
    assert len(provider.journal) == 4


@every_way
def test_a_dropped_connection_is_one_request(provider: FakeProvider, way: Way):
    """Over aiohttp the SDK would ask again by itself, after a pause, were it not told to ask once."""
    provider.always(fault.drop())
    with client_of(provider) as client, report() as seen, pytest.raises(Exception, match=r"."):
        way.ask(guard(at_once(attempts=1))(client))

    assert [attempt.kind for attempt in seen.calls[0].attempts] == ["connection"]
    assert len(provider.journal) == 1


@every_stream
def test_what_was_read_is_not_repeated(provider: FakeProvider, way: Way):
    """A stream that breaks after its first words fails, with what had arrived."""
    provider.script(fault.drop(after=2))
    with client_of(provider) as client, pytest.raises(Exception, match=r".") as caught:
        way.ask(guard(at_once())(client))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert len(provider.journal) == 1


@every_stream
def test_a_stream_that_ends_too_early_is_cut(provider: FakeProvider, way: Way):
    """The SDK says nothing of a missing finish reason; the guard does."""
    provider.script(fault.cut(after=2))
    with client_of(provider) as client, pytest.raises(errors.StreamTruncated):
        way.ask(guard(at_once())(client))


@every_stream
@pytest.mark.parametrize("leave", ["close", "forget"])
def test_a_stream_that_is_left_is_closed(provider: FakeProvider, way: Way, leave: str):
    """Closed or let go of: the provider sees it, and the report has the call.

    The SDK's own async streams are cycles, whose connection only the collector closes.
    """
    provider.script(fault.stall(30.0, after=1))

    async def first(client: Any) -> None:
        stream = await way.start(client)
        await anext(stream)
        if leave == "close":
            await stream.aclose()
        del stream
        while not await asyncio.to_thread(provider.settle, 0.05):
            gc.collect()
        await client.aio.aclose()

    with client_of(provider) as original, report() as seen:
        client = guard(at_once())(original)
        if way.asynchronous:
            asyncio.run(first(client))
        else:
            stream = way.start(client)
            next(stream)
            if leave == "close":
                stream.close()
            del stream
            assert provider.settle()

    assert provider.journal[0].client_disconnected
    assert [call.kind for call in seen.calls] == [None]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_cancelling_closes_the_connection(provider: FakeProvider, streams: bool):
    """A cancelled task takes its request along, and retries nothing."""
    provider.always(fault.stall(30.0, after=1) if streams else fault.stall(30.0))
    way = Way(asynchronous=True, streams=streams, chat=False)
    with client_of(provider) as original:
        client = guard(at_once())(original)

        async def ask() -> None:
            answer = await way.start(client)
            if streams:
                async for _ in answer:
                    pass

        task = asyncio.create_task(ask())
        await asyncio.to_thread(arrived, provider)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(provider.settle)
        await client.aio.aclose()

    assert len(provider.journal) == 1
    assert provider.journal[0].client_disconnected


@every_stream
def test_a_stream_belongs_to_the_scope_that_asked_for_it(provider: FakeProvider, way: Way):
    """It is in the report around the call, though it is read after the block, in another one."""

    async def read(client: Any) -> None:
        with report() as asking:
            stream = await way.start(client)
        with report() as reading:
            assert text_of([item async for item in stream]) == WHOLE
        await client.aio.aclose()
        assert (len(asking.calls), len(reading.calls)) == (1, 0)

    with client_of(provider) as original:
        client = guard(at_once())(original)
        if way.asynchronous:
            asyncio.run(read(client))
        else:
            with report() as asking:
                stream = way.start(client)
            with report() as reading:
                assert text_of(list(stream)) == WHOLE
            assert (len(asking.calls), len(reading.calls)) == (1, 0)


def test_threads_and_a_loop_share_one_client(provider: FakeProvider):
    """Sixteen threads and as many tasks ask one guarded client at once; half of it fails once."""
    failed: set[str] = set()
    lock = threading.Lock()

    def once(number: int, received: Any) -> Any:
        name = received.path.partition("models/")[2]
        with lock:
            first = name not in failed
            failed.add(name)
        return fault.status(503) if first and int(name.partition(":")[0][1:]) % 2 else None

    provider.schedule(once)
    with client_of(provider) as original:
        client = guard(at_once(), breaker(fail_max=100), timeout(60))(original)

        async def tasks() -> list[str]:
            ask = client.aio.models.generate_content
            answers = await asyncio.gather(
                *(ask(model=f"m{n}", contents="hi") for n in range(16, 32))
            )
            await client.aio.aclose()
            return [text_of(answer) for answer in answers]

        with ThreadPoolExecutor(17) as pool:
            loop = pool.submit(asyncio.run, tasks())
            ask = client.models.generate_content
            threads = pool.map(lambda n: text_of(ask(model=f"m{n}", contents="hi")), range(16))
            assert [*threads, *loop.result()] == [WHOLE] * 32

    assert len(provider.journal) == 48


def test_a_temporary_client_stays_open_for_its_copy(provider: FakeProvider):
    """Client closes its connections when it is collected; a guarded copy keeps it alive."""
    client = guard(at_once())(client_of(provider))
    models = guard(at_once())(client_of(provider)).models
    chat = guard(at_once())(client_of(provider)).chats.create(model="gemini-x")
    gc.collect()

    assert text_of(client.models.generate_content(model="gemini-x", contents="hi")) == WHOLE
    assert text_of(models.generate_content(model="gemini-x", contents="hi")) == WHOLE
    assert text_of(chat.send_message("hi")) == WHOLE
    client.close()


async def test_collecting_a_copy_closes_nothing(provider: FakeProvider):
    """The original goes on, also on the loop on which `AsyncClient.__del__` would close it."""
    client = client_of(provider)
    copy = guard(at_once())(client)
    await copy.aio.models.generate_content(model="gemini-x", contents="hi")
    copy.models.generate_content(model="gemini-x", contents="hi")
    del copy
    gc.collect()
    await asyncio.sleep(0)

    assert text_of(client.models.generate_content(model="gemini-x", contents="hi")) == WHOLE
    answer = await client.aio.models.generate_content(model="gemini-x", contents="hi")
    assert text_of(answer) == WHOLE
    await client.aio.aclose()
    client.close()


def test_closing_a_copy_closes_it(provider: FakeProvider):
    """`with` and `close()` mean what they always did."""
    with guard(at_once())(client_of(provider)) as client:
        client.models.generate_content(model="gemini-x", contents="hi")

    with pytest.raises(RuntimeError, match="closed"):
        client.models.generate_content(model="gemini-x", contents="hi")


def test_the_original_is_left_as_it_is(provider: FakeProvider):
    """It retries by itself as before, and no call of it is guarded."""
    with client_of(provider) as client:
        before = {name: id(value) for name, value in vars(client).items()}
        copy = guard(at_once())(client)
        provider.script(fault.status(503), fault.status(503))
        with report() as seen:
            answer = client.models.generate_content(model="gemini-x", contents="hi")

        assert text_of(answer) == WHOLE
        assert len(provider.journal) == 3
        assert not seen.calls
        assert {name: id(value) for name, value in vars(client).items()} == before
        assert type(client) is genai.Client
        assert isinstance(copy, genai.Client)
        assert type(client.models) is genai.models.Models
        assert isinstance(copy.models, genai.models.Models)


def test_guarding_twice_joins_the_policies(provider: FakeProvider):
    """The second guard's policies come around the first's, in one call."""
    provider.script(fault.status(503), fault.status(503))
    with client_of(provider) as client, report() as seen:
        twice = guard(fallback(model="gemini-y"))(guard(at_once(attempts=2))(client))
        twice.models.generate_content(model="gemini-x", contents="hi")

    assert [policy["name"] for policy in describe(twice)["policies"]] == ["fallback", "retry"]
    (call,) = seen.calls
    assert len(call.attempts) == len(provider.journal) == 3


async def test_an_async_client_alone_is_guarded(provider: FakeProvider):
    """`genai.Client(...).aio` is all that many applications hold."""
    provider.script(fault.status(503))
    aio = guard(at_once())(client_of(provider).aio)
    gc.collect()

    assert isinstance(aio, genai.client.AsyncClient)
    answer = await aio.models.generate_content(model="gemini-x", contents="hi")
    assert text_of(answer) == WHOLE
    assert len(provider.journal) == 2
    await aio.aclose()


def test_vertex_is_guarded_alike(provider: FakeProvider):
    """The same class with other addresses."""
    provider.script(fault.status(503))
    with client_of(provider, vertexai=True) as client, report() as seen:
        answer = guard(at_once())(client).models.generate_content(model="gemini-x", contents="hi")

    assert text_of(answer) == WHOLE
    assert "publishers/google/models/gemini-x" in provider.journal[1].path
    assert len(seen.calls[0].attempts) == 2


IMAGE = types.Image(image_bytes=b"image", mime_type="image/png")
REQUESTS: dict[str, dict[str, Any]] = {
    "embed_content": {"contents": "hi"},
    "generate_images": {"prompt": "hi"},
    "edit_image": {"prompt": "hi", "reference_images": []},
    "upscale_image": {"image": IMAGE, "upscale_factor": "x2"},
    "generate_videos": {"prompt": "hi"},
    "recontext_image": {"source": types.RecontextImageSource(prompt="hi")},
    "segment_image": {"source": types.SegmentImageSource(prompt="hi", image=IMAGE)},
}


@pytest.mark.parametrize("vertex", [False, True], ids=["gemini", "vertex"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_other_requests_to_models_are_guarded(
    provider: FakeProvider, name: str, asynchronous: bool, vertex: bool
):
    """Embeddings, images and videos run through the same policies."""
    provider.always(fault.status(503))
    with client_of(provider, vertexai=vertex) as original:
        client = guard(fallback(lambda **_: "instead", on=Exception))(original)
        models: Any = client.aio.models if asynchronous else client.models
        answer = getattr(models, name)(model="gemini-x", **REQUESTS[name])
        assert (await answer if inspect.isawaitable(answer) else answer) == "instead"
        await client.aio.aclose()


def test_counting_tokens_is_left_alone(provider: FakeProvider):
    """It costs nothing and is no call of a model."""
    with (
        client_of(provider) as client,
        report() as seen,
        pytest.raises(genai.errors.ClientError),
    ):
        guard(at_once())(client).models.count_tokens(model="gemini-x", contents="hi")

    assert not seen.calls


def test_explain_says_what_is_guarded_and_what_is_off(provider: FakeProvider):
    """The provider, the number of requests and the retries that are off can be read."""
    with client_of(provider) as client:
        copy = guard(at_once(attempts=2))(client)
        told = explain(copy)
        assert describe(copy)["provider"] == describe(copy.aio)["provider"] == "google"

    assert "models.generate_content" in told
    assert "at most 2 requests" in told
    assert "own retries (HttpOptions.retry_options) are off" in told
