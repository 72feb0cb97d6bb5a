"""Streams as Server-Sent Events."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

import agentguard as ag
from agentguard import errors
from agentguard.engine import streams as engine_streams
from agentguard.engine.loop import held
from agentguard.engine.scope import surrounding
from agentguard.testing import FakeProvider, FakeRuntime, cancel_everywhere, fault
from tests.integrations.web import QUESTION, SSE, Streams
from tests.providers.sdk_targets import version

ANSWER = "one two three"
USAGE = {"input": 7, "output": 3}


class Event:
    """One event as a client reads it."""

    def __init__(self, name: str, data: Any) -> None:
        self.name = name
        self.data = data

    def __repr__(self) -> str:
        return f"{self.name}: {self.data}"


def parsed(stream: bytes) -> list[Event]:
    """Read events as the HTML standard has it, by a client that splits at every line separator."""
    events = []
    name, data = "message", ""
    for line in stream.decode().splitlines():  # at U+2028 too, as careless clients do
        field, _, value = line.partition(": ")
        if line == "":
            if data:
                events.append(Event(name, json.loads(data)))
            name, data = "message", ""
        elif field == "event":
            name = value
        elif field == "data":
            data += value
        else:
            assert line.startswith(":"), line
    assert not data
    return events


async def read(stream: Any, **options: Any) -> list[Event]:
    """All events of a stream."""
    return parsed(b"".join([event async for event in ag.sse(stream, **options)]))


def text(events: list[Event]) -> str:
    """What a client puts together."""
    return "".join(each.data["text"] for each in events if each.name == "message")


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider of its own for one test."""
    with FakeProvider() as running:
        running.always(fault.ok(ANSWER, usage=USAGE))
        yield running


def paced(*items: Any) -> Any:
    """An async generator of these items; exceptions are raised."""

    async def generate() -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield item

    return generate()


def at_once(*items: Any) -> Iterator[Any]:
    """The same as a generator."""
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


BOTH = pytest.mark.parametrize("make", [paced, at_once], ids=["async", "sync"])


# --- what is sent -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SSE)
async def test_every_shape_of_a_guarded_stream_is_sent(provider, shape):
    """Text by text, and at the end the usage, also where only `record` has seen it."""
    streams = Streams(provider)
    made = streams.shapes[shape](QUESTION)
    made = await made if asyncio.iscoroutine(made) else made

    events = parsed(b"".join([event async for event in made]))

    assert text(events) == ANSWER
    done = events[-1]
    assert done.name == "done"
    assert done.data["model"] == "gpt-5"
    assert (done.data["usage"]["input_tokens"], done.data["usage"]["output_tokens"]) == (7, 3)
    await streams.aclose()


async def openai_responses(provider: FakeProvider) -> Any:
    """The events of OpenAI's Responses API."""
    import openai

    client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="k")
    return client, await client.responses.create(model="gpt-5", input="hi", stream=True)


async def anthropic_messages(provider: FakeProvider) -> Any:
    """Anthropic's events."""
    import anthropic

    client = anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="k")
    return client, await client.messages.create(
        model="claude", messages=QUESTION, max_tokens=9, stream=True
    )


async def google_content(provider: FakeProvider) -> Any:
    """Google's chunks."""
    from google import genai

    client = genai.Client(api_key="k", http_options={"base_url": provider.google_url}).aio
    return client, await client.models.generate_content_stream(model="gemini", contents="hi")


async def langchain_chunks(provider: FakeProvider) -> Any:
    """LangChain's message chunks."""
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-5", base_url=provider.openai_url, api_key="k", stream_usage=True)
    return model.root_async_client, model.astream("hi")


CHUNKS = {
    openai_responses: "openai",
    anthropic_messages: "anthropic",
    google_content: "google-genai",
    langchain_chunks: "langchain-openai",
}


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # of google-genai
@pytest.mark.parametrize("ask", [each for each, package in CHUNKS.items() if version(package) >= 0])
async def test_the_text_of_every_providers_chunks_is_read(provider, ask):
    """Unguarded streams of the SDKs too; what carries no text is not sent."""
    client, stream = await ask(provider)

    events = await read(stream)

    assert text(events) == ANSWER
    assert all(each.data["text"] for each in events[:-1])
    assert events[-1].data["usage"]["output_tokens"] == 3
    await (client.aclose if hasattr(client, "aclose") else client.close)()


HOSTILE = [
    "안녕하세요\n\n",
    "\r\nevent: done\r\ndata: {}\r\n\r\n",
    "a\u2028b\u2029c\x85d\x0b\x0c\x1c\x1d\x1e",
    ": comment",
    "\ud83d",
    "\ude00",
    "😀\x00",
]


@BOTH
async def test_no_text_breaks_the_format(make):
    """Newlines, every line separator, Korean, half a surrogate pair: all of it arrives."""
    events = await read(make(*HOSTILE))

    assert [each.name for each in events] == ["message"] * len(HOSTILE) + ["done"]
    assert text(events) == "".join(HOSTILE)


@BOTH
async def test_items_without_text_are_not_sent(make):
    """Empty pieces and objects that nobody knows are no events."""
    assert text(await read(make("", "a", object(), "", "b"))) == "ab"


async def test_any_iterable_will_do():
    """A list is read like a stream."""
    assert text(await read(["a", "b"])) == "ab"


@BOTH
async def test_a_payload_of_ones_own(make):
    """`render` says what is sent for an item, and None leaves it out."""
    events = await read(make(1, 2, 3), render=lambda n: None if n == 2 else {"n": [n]})

    assert [each.data for each in events[:-1]] == [{"n": [1]}, {"n": [3]}]


# --- failures -----------------------------------------------------------------------------------


@BOTH
async def test_a_failure_is_an_event_with_what_had_arrived(make):
    """The client learns of it, how long to wait, and keeps the text; the server says no more."""
    error = errors.CircuitOpen("sk-live-123", retry_after=2.5)

    events = await read(make("one ", "two", error))

    assert text(events) == "one two"
    assert (events[-1].name, events[-1].data) == (
        "error",
        {
            "kind": "circuit_open",
            "message": "The model provider is unavailable at the moment.",
            "retry_after": 2.5,
            "partial": "one two",
        },
    )


@pytest.mark.parametrize("shape", SSE)
async def test_an_answer_that_is_cut_off_ends_in_an_error(provider, shape):
    """In every shape, over real HTTP: never an end that looks like one."""
    streams = Streams(provider)

    async def ask() -> list[Event]:
        made = streams.shapes[shape](QUESTION)
        made = await made if asyncio.iscoroutine(made) else made
        return parsed(b"".join([event async for event in made]))

    assert (await ask())[-1].name == "done"  # from which the guard learns how this server ends
    provider.recover()
    provider.always(fault.cut(after=2, chunks=["one", " two", " three"]))
    last = (await ask())[-1]

    assert last.name == "error"
    assert (last.data["kind"], last.data["partial"]) == ("truncated", "one two")
    await streams.aclose()


async def test_a_wrong_key_is_told_to_nobody(provider):
    """The error event is as safe as the body of an error."""
    provider.always(fault.status(401, message="Incorrect API key provided: sk-live-123"))
    streams = Streams(provider)

    (event,) = await read(streams.shapes["async generator"](QUESTION))

    assert event.data["kind"] == "server"
    assert "key" not in repr(event)
    await streams.aclose()


@BOTH
@pytest.mark.parametrize(
    "error",
    [KeyError("sk-live-123"), ExceptionGroup("", [KeyError("x")])],
    ids=["one", "several"],
)
async def test_a_bug_is_told_to_the_client_and_raised(make, error):
    """The stream does not end without a word, and the server logs what it is."""
    sent: list[bytes] = []
    with pytest.raises(type(error)) as raised:
        async for event in ag.sse(make("a", error)):
            sent.append(event)  # noqa: PERF401  a comprehension would lose them when it raises

    assert raised.value is error
    last = parsed(b"".join(sent))[-1]
    assert (last.name, last.data["kind"], last.data["partial"]) == ("error", "unknown", "a")
    assert "sk-live" not in repr(last)


@pytest.mark.parametrize(
    "render",
    [lambda _: 1 / 0, lambda _: object(), lambda _: float("nan")],
    ids=["raises", "no JSON", "not a number"],
)
async def test_a_payload_that_cannot_be_made_is_a_bug(render):
    """Its exception is raised, after the event that tells of it, and the stream is closed."""
    stream = paced("a", "b")
    with pytest.raises((ZeroDivisionError, TypeError, ValueError)):
        await read(stream, render=render)
    assert stream.ag_frame is None


async def test_what_render_leaves_out_is_not_in_the_partial_text():
    """Nor is what it has changed: the partial text is what was sent."""
    stream = paced("open", "secret", errors.StreamTruncated("cut"))
    events = await read(
        stream, render=lambda text: None if text == "secret" else {"text": text.upper()}
    )

    assert events[-1].data["partial"] == "OPEN"


async def test_an_error_that_came_as_an_item_is_one(provider):
    """Without a guard around it too."""
    item = {"type": "error", "code": "server_error", "message": "sk-live-123"}
    (event,) = await read(paced({**item, "sequence_number": 1}))

    assert (event.name, event.data["kind"]) == ("error", "server")


# --- silence ------------------------------------------------------------------------------------


async def beats(stream: Any, **options: Any) -> list[str]:
    """The events of a stream, with a dot for each comment."""
    events = [event async for event in ag.sse(stream, **options)]
    return ["." if each.startswith(b":") else parsed(each)[0].name for each in events]


@ag.retry(attempts=1)
async def thinking(*items: str) -> AsyncIterator[str]:
    """A model that takes 40 s for each word."""
    for item in items:
        await asyncio.sleep(40)
        yield item


def test_a_silence_is_filled_and_its_pull_goes_on():
    """A comment every 15 s, by default, and the item that comes late is not lost."""
    with FakeRuntime():
        assert asyncio.run(beats(thinking("a", "b"))) == [
            *[".", ".", "message"],
            *[".", ".", "message"],
            "done",
        ]


def test_a_silence_can_be_left_alone():
    """`heartbeat=None` sends none; a longer one sends fewer."""
    with FakeRuntime():
        assert asyncio.run(beats(thinking("a"), heartbeat=None)) == ["message", "done"]
    with FakeRuntime():
        assert asyncio.run(beats(thinking("a"), heartbeat=30)) == [".", "message", "done"]


async def test_a_reader_that_takes_its_time_gets_no_beats():
    """Only the stream's own silence counts, and nothing is read ahead of its reader."""
    pulled: list[int] = []

    async def count() -> AsyncIterator[str]:
        for n in range(3):
            pulled.append(n)
            yield str(n)

    events = ag.sse(count(), heartbeat=0.001)
    for n in range(3):
        assert parsed(await anext(events))[0].data == {"text": str(n)}
        for _ in range(20):
            await asyncio.sleep(0.0005)
        assert pulled == list(range(n + 1))
    assert [parsed(each)[0].name async for each in events] == ["done"]


# --- where it runs ------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("guarded", [True, False])
async def test_the_scope_of_the_place_where_it_was_called_holds(make, guarded):
    """Calls made inside the stream find it, though the response is sent after the block."""
    found: list[object] = []

    def look(*_: object) -> str:
        found.append(surrounding().tags.get("user"))
        return "x"

    ask = ag.retry(attempts=1)(look)

    async def stream() -> AsyncIterator[str]:
        for _ in range(3):
            yield ask("?")

    def sync_stream() -> Iterator[str]:
        for _ in range(3):
            yield ask("?")

    fn: Any = stream if make is paced else sync_stream
    fn = ag.retry(attempts=1)(fn) if guarded else fn
    with ag.context(user="u1"):
        events = ag.sse(fn())
    with ag.context(user="another"):
        assert text(parsed(b"".join([event async for event in events]))) == "xxx"
    assert found == ["u1"] * 3


async def test_a_stream_is_read_and_closed_in_one_task():
    """What a generator enters at one `yield` it can leave at another: bounds, cancel scopes."""
    tasks: set[Any] = set()

    async def stream() -> AsyncIterator[str]:
        async with asyncio.timeout(30):
            for _ in range(3):
                tasks.add(asyncio.current_task())
                yield "x"

    events = ag.sse(stream())
    while (event := await asyncio.create_task(anext(events))).startswith(b"data"):
        pass  # each pulled by a task of its own
    assert event.startswith(b"event: done")
    assert len(tasks) == 1
    assert asyncio.current_task() not in tasks


async def test_a_sync_stream_blocks_no_loop():
    """Its items are pulled in another thread, while the loop goes on."""
    seen: list[Any] = []
    go = threading.Event()

    def stream() -> Iterator[str]:
        seen.append(threading.current_thread())
        assert go.wait(10)  # set by the loop, which a pull on the loop would block
        yield "x"

    asyncio.get_running_loop().call_later(0.01, go.set)
    assert text(await read(stream())) == "x"
    assert seen != [threading.current_thread()]


# --- readers that leave -------------------------------------------------------------------------


class Door:
    """A stream that knows whether it was closed, and how often."""

    def __init__(self, items: int = 10) -> None:
        self.items = iter(range(items))
        self.closed = 0

    def __aiter__(self) -> Door:
        return self

    async def __anext__(self) -> str:
        await asyncio.sleep(0)
        for item in self.items:
            return str(item)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


@pytest.mark.parametrize("after", [0, 1, 2, 10, 11])
async def test_closing_it_closes_the_stream_before_it_returns(after):
    """Wherever the reader stops, before the first event too; it is closed once, and stays so."""
    door = Door()
    events = ag.sse(door)
    for _ in range(after):
        await anext(events)
    await events.aclose()

    assert door.closed == 1
    assert not held
    await events.aclose()
    assert [event async for event in events] == []
    assert door.closed == 1


async def test_wherever_it_is_cancelled_the_stream_is_closed_once():
    """At each of its suspensions, the one in its closing included."""
    doors: list[Door] = []

    async def whole() -> None:
        doors.append(Door(3))
        async for _ in ag.sse(doors[-1]):
            pass

    async def check() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        assert doors[-1].closed == 1
        assert len(asyncio.all_tasks()) == 1

    assert await cancel_everywhere(whole, check) > 3


async def test_one_that_never_began_is_closed_unread():
    """Nothing is begun for being closed, and a sync stream is closed in a thread."""
    threads: list[threading.Thread] = []

    class Unread:
        def __iter__(self) -> Iterator[str]:
            pytest.fail("it was begun")

        def close(self) -> None:
            threads.append(threading.current_thread())

    await ag.sse(Unread()).aclose()

    assert len(threads) == 1
    assert threads != [threading.current_thread()]


async def let_go(door: Door) -> None:
    """Wait until the loop has closed what was dropped."""
    gc.collect()
    for _ in range(1000):
        await asyncio.sleep(0.001)
        if door.closed and not held:
            break
    assert door.closed == 1
    assert not held
    assert len(asyncio.all_tasks()) == 1


async def test_a_client_that_leaves_before_the_first_byte_closes_the_stream():
    """Starlette does not begin the stream then, and does not close it either."""
    door = Door()

    async def send(message: Any) -> None:
        raise OSError("gone")

    with contextlib.suppress(ClientDisconnect):
        await StreamingResponse(ag.sse(door))(
            {"type": "http", "asgi": {"spec_version": "2.4"}}, asyncio.Event().wait, send
        )

    await let_go(door)


async def test_one_that_is_dropped_in_another_thread_is_closed_on_its_loop():
    """The collector runs anywhere; a provider's async stream belongs to one loop."""
    loops: list[Any] = []

    class Bound(Door):
        async def aclose(self) -> None:
            loops.append(asyncio.get_running_loop())
            await super().aclose()

    door = Bound()
    events = [ag.sse(door)]
    await asyncio.to_thread(events.clear)

    await let_go(door)
    assert loops == [asyncio.get_running_loop()]


@pytest.mark.parametrize("loop", ["closed", "none"])
def test_one_that_is_dropped_without_a_loop_is_closed_before_the_next_call(loop):
    """A sync endpoint runs in a thread; what it made is closed too, and not in a finalizer."""
    closed: list[bool] = []

    class Left:
        def __iter__(self) -> Iterator[str]:
            pytest.fail("it was begun")

        def close(self) -> None:
            closed.append(True)

    async def make() -> Any:
        return ag.sse(Left())

    events = asyncio.run(make()) if loop == "closed" else ag.sse(Left())
    del events
    gc.collect()
    engine_streams.settle_lost()  # if the thread that looks after streams was not quicker
    assert closed == [True]


@pytest.mark.parametrize("guarded", [True, False])
async def test_one_that_is_dropped_closes_its_stream(guarded):
    """As StreamingResponse does when its send is cancelled: nobody closes it, it is let go."""
    doors = [Door()]

    async def through() -> AsyncIterator[str]:
        try:
            async for item in doors[0]:
                yield item
        finally:
            await doors[0].aclose()

    events = ag.sse(ag.retry(attempts=1)(through)() if guarded else doors[0])
    await anext(events)
    del events
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0.001)
        if doors[0].closed and not held:
            break
    engine_streams.look(0.0)
    assert doors[0].closed == 1
    assert not engine_streams._open
    assert len(asyncio.all_tasks()) == 1


async def test_a_sync_stream_is_closed_when_its_thread_is_out():
    """A thread cannot be stopped: its reader goes at once, and the stream as soon as it can."""
    inside, go, closed = threading.Event(), threading.Event(), threading.Event()

    def stream() -> Iterator[str]:
        try:
            inside.set()
            assert go.wait(10)
            yield "x"
        finally:
            closed.set()

    events = ag.sse(stream(), heartbeat=0.001)
    assert (await anext(events)).startswith(b":")
    assert inside.is_set()
    await events.aclose()
    assert not closed.is_set()
    go.set()
    assert await asyncio.to_thread(closed.wait, 10)


async def test_what_fails_behind_a_reader_that_left_is_logged(caplog):
    """A bug in a generator's `finally` has nobody else to be told to; its words are not said."""

    async def stream() -> AsyncIterator[str]:
        try:
            yield "x"
            yield "y"
        finally:
            raise KeyError(secret)

    secret = "sk-live-123"
    events = ag.sse(stream())
    await anext(events)
    await events.aclose()

    (record,) = caplog.records
    assert "KeyError" in record.getMessage()
    assert secret not in caplog.text


# --- refusals -----------------------------------------------------------------------------------


async def answer() -> str:
    """A coroutine that somebody forgot to await."""
    return "x"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (answer, r"sse\(await \.\.\.\)"),
        (lambda: "text", "not str"),
        (lambda: {"text": "x"}, "not dict"),
        (lambda: 5, "not 5"),
    ],
    ids=["coroutine", "str", "dict", "int"],
)
def test_what_is_no_stream_is_refused_where_it_is_written(make, words):
    """Not when the response is sent."""
    with pytest.raises(TypeError, match=words):
        ag.sse(make())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"heartbeat": 0}, ValueError),
        ({"heartbeat": "15"}, TypeError),
        ({"render": "text"}, TypeError),
        ({"render": answer}, TypeError),
    ],
    ids=["zero", "a string", "no function", "async"],
)
def test_wrong_settings_are_refused_where_they_are_written(options, error):
    """With the name of what is wrong."""
    with pytest.raises(error, match=r"sse\("):
        ag.sse(iter(()), **options)


def completion(provider: FakeProvider) -> Any:
    """OpenAI's whole answer, of a call that nobody asked to stream."""
    import openai

    with openai.OpenAI(base_url=provider.openai_url, api_key="k") as client:
        return client.chat.completions.create(model="gpt-5", messages=QUESTION)


def message(provider: FakeProvider) -> Any:
    """Anthropic's."""
    import anthropic

    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="k") as client:
        return client.messages.create(model="claude", messages=QUESTION, max_tokens=9)


@pytest.mark.parametrize("ask", [completion, message])
def test_a_whole_answer_is_refused(provider, ask):
    """It can be iterated, over its fields: a stream of nothing, without a word of its text."""
    with pytest.raises(TypeError, match="pass stream=True"):
        ag.sse(ask(provider))


async def test_a_model_that_is_a_stream_is_read():
    """Only pydantic's own iteration goes over fields: a class may have one that is a stream."""
    import pydantic

    class Words(pydantic.RootModel[list[str]]):
        def __iter__(self) -> Iterator[str]:
            return iter(self.root)

    assert text(await read(Words(["a", "b"]))) == "ab"
