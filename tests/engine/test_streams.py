"""A guarded stream is read, resumed, closed and judged like the bare one, and settled once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from agentguard import Policy, errors, fallback, guard, observe, report, retry, timeout
from agentguard.engine.reply import OPENING_ITEMS
from tests.engine.kit import (
    SHAPES,
    STREAMS,
    UNARY,
    Again,
    AsyncSdkStream,
    Later,
    SdkStream,
    Steps,
    Through,
    Upper,
    Watch,
    begin,
    callables,
    close,
    settle,
    use,
)

OPENING = {
    "choices": [{"index": 0, "delta": {"role": "assistant"}}],
    "object": "chat.completion.chunk",
}
FINISH = {
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    "object": "chat.completion.chunk",
}


def chat(text: str) -> dict:
    """A chunk of OpenAI's chat protocol."""
    return {
        "choices": [{"index": 0, "delta": {"content": text}}],
        "object": "chat.completion.chunk",
    }


def anthropic(*texts: str, whole: bool = True) -> list[dict]:
    """The events of one answer of Anthropic's, or only those before its end."""
    items = [
        {"type": "message_start", "message": {"model": "m-1", "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}}
            for t in texts
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 2},
        },
        {"type": "message_stop"},
    ]
    return items if whole else items[: 2 + len(texts)]


# --- generators -------------------------------------------------------------------------------


def test_nothing_starts_at_the_call():
    """A generator function's body begins at the first `next`, and so do its policies."""
    log = []

    class Log(Policy):
        async def around(self, call, next):
            log.append("policy")
            return await next(call)

    @Log()
    def ask():
        log.append("body")
        yield 1

    stream = ask()
    assert log == []
    assert next(stream) == 1
    assert log == ["policy", "body"]


def test_never_begun_is_never_run():
    """A generator that is closed or dropped before its first item runs nothing."""
    log = []

    @Through()
    def ask():
        log.append("body")
        yield 1

    ask().close()
    stream = ask()
    stream.close()
    assert list(stream) == []
    del stream
    ask()
    settle()
    assert log == []


def test_send_throw_and_return_value():
    """`send`, `throw` and the return value reach the user's generator and come back."""

    @Through()
    def ask():
        got = yield 1
        try:
            got = yield got
        except KeyError as error:
            got = yield error
        return got

    stream = ask()
    assert next(stream) == 1
    assert stream.send("x") == "x"
    error = KeyError("y")
    assert stream.throw(error) is error
    with pytest.raises(StopIteration) as stop:
        stream.send("end")
    assert stop.value.value == "end"
    with pytest.raises(StopIteration):
        next(stream)


def test_delegation():
    """`yield from` a guarded generator delegates send and throw, and gives its return value."""

    @Through()
    def inner():
        got = yield 1
        try:
            yield got
        except ValueError:
            yield "caught"
        return "returned"

    def outer():
        result = yield from inner()
        yield result

    stream = outer()
    assert [next(stream), stream.send(2), stream.throw(ValueError()), next(stream)] == [
        1,
        2,
        "caught",
        "returned",
    ]


async def test_async_send_and_throw():
    """`asend` and `athrow` reach the user's async generator."""

    @Through()
    async def ask():
        got = yield 1
        try:
            yield got
        except KeyError as error:
            yield error

    stream = ask()
    assert await anext(stream) == 1
    assert await stream.asend("x") == "x"
    error = KeyError("y")
    assert await stream.athrow(error) is error
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


def test_send_to_a_generator_not_begun():
    """A value cannot be sent before the first item: a TypeError, as for any generator."""

    @Through()
    def ask():
        yield 1

    with pytest.raises(TypeError, match="just-started"):
        ask().send("x")


async def test_async_send_to_a_generator_not_begun():
    """The same for `asend`."""

    @Through()
    async def ask():
        yield 1

    with pytest.raises(TypeError, match="just-started"):
        await ask().asend("x")


def test_throw_into_a_generator_not_begun_or_ended():
    """The exception comes straight back, and the generator is over."""
    watch = Watch()

    @watch
    def ask():
        yield 1

    stream = ask()
    with pytest.raises(KeyError):
        stream.throw(KeyError())
    assert list(stream) == []
    stream = ask()
    assert list(stream) == [1]
    with pytest.raises(KeyError):
        stream.throw(KeyError())
    assert watch.kinds == ["completed"]


def test_throw_ends_the_stream():
    """An exception thrown in that the generator does not catch comes out and settles it."""
    watch = Watch()
    log = []

    @watch
    def ask():
        try:
            yield 1
            yield 2
        finally:
            log.append("cleaned")

    stream = ask()
    next(stream)
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        stream.throw(error)
    assert caught.value is error
    assert log == ["cleaned"]
    assert watch.kinds == ["failed"]
    assert list(stream) == []


def test_send_to_what_a_fallback_gave():
    """A stream that a fallback gave and that knows no `send` or `throw` says so or raises it."""

    def backup():
        return "b"

    @fallback(backup)
    def ask():
        raise ConnectionError
        yield

    stream = ask()
    assert next(stream) == "b"
    with pytest.raises((StopIteration, AttributeError)):
        stream.send(1)
    stream = ask()
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError())


def test_close_runs_the_generators_cleanup():
    """`close` raises GeneratorExit inside, at once, and counts as abandoned."""
    watch, log = Watch(), []

    @watch
    def ask():
        try:
            yield 1
        except GeneratorExit:
            log.append("exit")
            raise
        finally:
            log.append("cleaned")

    stream = ask()
    next(stream)
    stream.close()
    stream.close()
    assert log == ["exit", "cleaned"]
    assert watch.kinds == ["abandoned"]
    assert list(stream) == []


# --- streams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", STREAMS)
async def test_a_consumer_may_stop_early(shape):
    """Closing early settles as abandoned, exactly once; reading on finds the end."""
    watch = Watch()
    stream, item = await begin(watch(callables("a", "b", "c")[shape]))
    assert item == "a"
    assert watch.kinds == []
    await close(stream)
    await close(stream)
    assert watch.kinds == ["abandoned"]
    if hasattr(stream, "__anext__"):
        assert [each async for each in stream] == []
    else:
        assert list(stream) == []
    assert watch.kinds == ["abandoned"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_with_closes(shape):
    """A stream used in `with` or `async with` is closed at the end of the block."""
    watch = Watch()
    stream, _ = await begin(watch(callables("a", "b", "c")[shape]))
    if hasattr(stream, "__aenter__"):
        async with stream as same:
            assert same is stream
    else:
        with stream as same:
            assert same is stream
    assert watch.kinds == ["abandoned"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_dropping_a_stream_settles_it(shape):
    """A stream that is let go of without closing is settled as abandoned."""
    watch = Watch()
    fn = watch(callables("a", "b", "c")[shape])
    stream, _ = await begin(fn)
    del stream
    settle()
    for _ in range(5):
        await asyncio.sleep(0)
    assert watch.kinds == ["abandoned"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_a_stream_that_ended_is_not_abandoned(shape):
    """Closing after the end changes nothing; further items there are none."""
    watch = Watch()
    answer = watch(callables("a")[shape])
    stream, _ = await begin(answer)
    for _ in range(2):
        if hasattr(stream, "__anext__"):
            assert [each async for each in stream] == []
        else:
            assert list(stream) == []
    await close(stream)
    assert watch.kinds == ["completed"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_a_stream_that_fails_halfway(shape):
    """Items before the failure come out, then the very exception, then the end."""
    watch = Watch()
    error = ConnectionError("cut")
    items = []
    with pytest.raises(ConnectionError) as caught:
        await use(watch(callables("a", "b", error)[shape]), into=items)
    assert caught.value is error
    assert watch.kinds == ["failed"]
    assert watch.outcomes[0].error is error
    assert errors.partial(error).text == "ab"
    assert watch.outcomes[0].partial.text == "ab"


@pytest.mark.parametrize("shape", STREAMS)
async def test_empty_streams(shape):
    """A stream without items is complete, once."""
    watch = Watch()
    assert await use(watch(callables()[shape])) == []
    assert watch.kinds == ["completed"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_failure_before_content_is_retried(shape):
    """Until the first content was handed out a failure may be retried; the consumer sees none."""
    calls = []
    watch = Watch()
    fn = _switching(shape, [OPENING, ConnectionError()], [OPENING, chat("a"), FINISH], calls)
    got = await use(guard(watch, Again())(fn))
    assert got == [OPENING, chat("a"), FINISH]
    assert len(calls) == 2
    assert watch.kinds == ["completed"]


def _switching(shape, first, later, calls):
    """A callable that answers with `first` on its first call and with `later` afterwards."""

    def items():
        calls.append(1)
        for item in first if len(calls) == 1 else later:
            if isinstance(item, BaseException):
                raise item
            yield item

    async def aitems():
        for item in items():
            yield item

    async def coroutine(_=""):
        return aitems()

    async def coroutine_sync(_=""):
        return items()

    return {
        "returns a sync stream": lambda _="": iter(items()),
        "returns an async stream": lambda _="": aitems(),
        "coroutine of an async stream": coroutine,
        "coroutine of a sync iterator": coroutine_sync,
        "returns an async generator": lambda _="": aitems(),
    }.get(shape, aitems if "async" in shape else items)


@pytest.mark.parametrize("shape", STREAMS)
async def test_nothing_is_replayed_after_content(shape):
    """After content has gone out a failure comes out: no item twice, no second attempt."""
    calls = []
    fn = _switching(shape, [chat("a"), ConnectionError()], [chat("b"), FINISH], calls)
    items = []
    with pytest.raises(ConnectionError):
        await use(Again()(fn), into=items)
    assert calls == [1]


@pytest.mark.parametrize("items", [OPENING_ITEMS - 1, OPENING_ITEMS, OPENING_ITEMS + 9])
def test_opening_items_are_held_back_within_a_bound(items):
    """Opening items wait for content, but not beyond 64: then the stream is handed out as it is."""
    pulled = []

    @Through()
    def ask():
        for number in range(items):
            pulled.append(number)
            yield OPENING
        pulled.append("content")
        yield chat("a")
        yield FINISH

    stream = ask()
    assert next(stream) == OPENING
    assert len(pulled) == min(items + 1, OPENING_ITEMS)
    assert list(stream) == [OPENING] * (items - 1) + [chat("a"), FINISH]


@pytest.mark.parametrize("shape", STREAMS)
async def test_steps_see_every_item(shape):
    """A step is run over the first item as over the last, whatever was held back before."""
    assert await use(Steps(Upper)(callables("", "", "a", "b")[shape])) == ["", "", "A", "B"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_discarded_streams_are_closed(shape):
    """A stream that a policy discards is closed, its attempt abandoned; the second is handed out."""
    ended = []

    class Hooked(Policy):
        async def around(self, call, next):
            return await next(call.on_attempt(lambda a: a.on_end(lambda o: ended.append(o.kind))))

    got = await use(guard(Hooked(), Again(even_good=True))(callables("a", "b")[shape]))
    assert got == ["a", "b"]
    assert ended == ["abandoned", "completed"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_what_a_policy_forgets_is_closed_all_the_same(shape):
    """A reply that a policy neither returned nor discarded is closed when the call returns."""
    opened = []

    class Forgets(Policy):
        async def around(self, call, next):
            opened.append(await next(call))
            opened.append(await next(call))
            return opened[-1]

    assert await use(Forgets()(callables("a", "b")[shape])) == ["a", "b"]
    assert opened[0].source.outcome.kind == "abandoned"

    class Raises(Policy):
        async def around(self, call, next):
            opened.append(await next(call))
            raise KeyError

    with pytest.raises(KeyError):
        await use(Raises()(callables("a", "b")[shape]))
    assert opened[-1].source.outcome.kind == "abandoned"


def test_unary_items_in_streams():
    """Items of any kind are items: None, numbers, empty containers, objects."""
    items = [None, 0, [], object(), "", b"x", float("nan")]

    @Through()
    def ask():
        yield from items

    assert [a is b for a, b in zip(ask(), items, strict=True)] == [True] * len(items)


async def test_closing_reaches_the_providers_stream():
    """The SDK's stream is closed exactly once: by close, by with, by a failure, not by its end."""
    made = []

    def ask(*items):
        made.append(SdkStream(*items))
        return made[-1]

    async def aask(*items):
        made.append(AsyncSdkStream(*items))
        return made[-1]

    fn, afn = Through()(ask), Through()(aask)
    with fn("a", "b") as stream:
        next(stream)
    fn("a", "b").close()
    await (await afn("a", "b")).close()
    with pytest.raises(ConnectionError):
        list(fn("a", ConnectionError()))
    with pytest.raises(ConnectionError):
        await use(afn, "a", ConnectionError())
    with pytest.raises(ConnectionError):
        fn(ConnectionError())
    assert [each.closed for each in made] == [1] * len(made)


def test_attributes_of_streams():
    """What shows no unguarded text is passed on; what does is refused, saying what to use."""
    stream = Through()(lambda: SdkStream("a", "b"))()
    assert stream.request_id == "req_1"
    for name in ("text_stream", "get_final_message", "items", "nothing_such"):
        with pytest.raises(AttributeError, match=name):
            getattr(stream, name)
    assert not hasattr(stream, "text_stream")
    assert "secret" not in repr(stream)
    assert list(stream) == ["a", "b"]
    assert stream.request_id == "req_1"


@pytest.mark.parametrize("shape", STREAMS)
async def test_repr_shows_no_text(shape):
    """The stream's repr has its state, never its items."""
    stream, _ = await begin(Through()(callables("swordfish", "swordfish")[shape]))
    assert "swordfish" not in repr(stream)
    assert "open" in repr(stream)
    await close(stream)
    assert "ended" in repr(stream)


def test_two_threads_cannot_read_one_stream():
    """A second consumer at the same time is refused, as by a generator."""
    inside, go_on = threading.Event(), threading.Event()

    @Through()
    def ask():
        yield 1
        inside.set()
        go_on.wait(30)
        yield 2

    stream = ask()
    next(stream)
    got = []
    reader = threading.Thread(target=lambda: got.append(next(stream)))
    reader.start()
    assert inside.wait(30)
    with pytest.raises(RuntimeError, match="already"):
        next(stream)
    go_on.set()
    reader.join(30)
    assert got == [2]


def test_two_threads_cannot_begin_one_generator():
    """Also while the first item is under way, which must not look like an empty stream."""
    inside, go_on = threading.Event(), threading.Event()

    @Through()
    def ask():
        inside.set()
        go_on.wait(30)
        yield 1

    stream = ask()
    got = []
    reader = threading.Thread(target=lambda: got.append(list(stream)))
    reader.start()
    assert inside.wait(30)
    with pytest.raises(RuntimeError, match="already"):
        next(stream)
    go_on.set()
    reader.join(30)
    assert got == [[1]]


@pytest.mark.parametrize("shape", ["asyncgen", "returns an async generator"])
async def test_two_tasks_cannot_read_one_stream(shape):
    """The same for tasks, at the first item and at later ones."""
    stream = Through()(callables("a", "b", "c")[shape])()
    results = await asyncio.gather(anext(stream), anext(stream), return_exceptions=True)
    assert results[0] == "a"
    assert isinstance(results[1], RuntimeError)
    results = await asyncio.gather(anext(stream), anext(stream), return_exceptions=True)
    assert results[0] == "b"
    assert isinstance(results[1], RuntimeError)
    assert [each async for each in stream] == ["c"]


# --- ends, cuts, in-band errors ---------------------------------------------------------------


@pytest.mark.parametrize("shape", STREAMS)
async def test_a_provider_that_always_says_the_end(shape):
    """A stream of Anthropic's without its end is cut: an error that has what arrived."""
    items = anthropic("half", " an", whole=False)
    got = []
    with pytest.raises(errors.StreamTruncated) as caught:
        await use(Through()(callables(*items)[shape]), into=got)
    assert errors.partial(caught.value).text == "half an"
    assert await use(Through()(callables(*anthropic("whole"))[shape])) == anthropic("whole")


@pytest.mark.parametrize("shape", STREAMS)
async def test_cut_before_content_is_retried(shape):
    """Cut before any content was handed out, it is a failure like any other."""
    calls = []
    fn = _switching(shape, anthropic(whole=False), anthropic("a"), calls)
    assert await use(retry(wait=lambda _: 0, budget=None)(fn)) == anthropic("a")
    assert len(calls) == 2


def test_ends_are_learned():
    """A chat stream without its end is cut once this target has shown that it sends one."""
    items = [[OPENING, chat("a")], [OPENING, chat("a"), FINISH], [OPENING, chat("a")]]

    @Through()
    def ask():
        yield from items.pop(0)

    assert list(ask()) == [OPENING, chat("a")]
    assert list(ask()) == [OPENING, chat("a"), FINISH]
    with pytest.raises(errors.StreamTruncated):
        list(ask())


@pytest.mark.parametrize(("strict", "raises"), [(True, True), (False, False)])
def test_strict_streams_overrides(strict, raises):
    """`strict_streams=` decides for chat and Anthropic streams alike, and for plain text."""
    for items in ([OPENING, chat("a")], anthropic("a", whole=False), ["a"]):
        fn = guard(Through(), strict_streams=strict)(callables(*items)["generator"])
        if raises:
            with pytest.raises(errors.StreamTruncated):
                list(fn())
        else:
            assert list(fn()) == items


def test_plain_text_simply_ends():
    """A generator of text has no terminal signal: its end is its end."""
    assert list(Through()(callables("a")["generator"])()) == ["a"]


@pytest.mark.parametrize("shape", STREAMS)
async def test_errors_inside_a_stream(shape):
    """An error that arrives as an ordinary item is raised in its place."""
    failed = {
        "type": "error",
        "code": "server_error",
        "message": "The server had an error",
        "sequence_number": 4,
    }
    delta = {
        "type": "response.output_text.delta",
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "delta": "half",
    }
    watch = Watch()
    with pytest.raises(errors.ProviderError) as caught:
        await use(watch(callables(delta, failed)[shape]))
    assert watch.kinds == ["failed"]
    assert errors.partial(caught.value).text == "half"
    calls = []
    fn = _switching(shape, [failed], ["a"], calls)
    assert await use(retry(wait=lambda _: 0, budget=None)(fn)) == ["a"]


# --- the rest ---------------------------------------------------------------------------------


def test_a_stream_once_does_not_make_later_answers_streams():
    """A method that streams on request still answers whole otherwise, from a fallback too."""

    def create(*, stream=False, fail=False):
        if fail:
            raise ConnectionError
        return iter(["a"]) if stream else "whole"

    ask = fallback(lambda **_: "backup")(create)
    assert ask() == "whole"
    assert list(ask(stream=True)) == ["a"]
    assert ask() == "whole"
    assert ask(fail=True) == "backup"
    assert list(ask(stream=True, fail=True)) == ["backup"]


async def test_an_async_call_reads_a_sync_fallback_in_a_worker():
    """A sync generator as target of an async generator is pulled off the loop and closed."""
    threads, log = set(), []

    def backup():
        try:
            for item in "abc":
                threads.add(threading.get_ident())
                yield item
        finally:
            log.append("closed")

    @fallback(backup)
    async def ask():
        raise ConnectionError
        yield

    assert [each async for each in ask()] == ["a", "b", "c"]
    assert threading.get_ident() not in threads
    stream = ask()
    await anext(stream)
    await stream.aclose()
    assert log == ["closed", "closed"]


async def test_cancelled_while_a_worker_pulls():
    """A sync target's generator is closed although its worker was inside when the call ended."""
    inside, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def backup():
        try:
            yield "a"
            inside.set()
            go_on.wait(30)
            yield "b"
        finally:
            closed.set()

    @fallback(backup)
    async def ask():
        raise ConnectionError
        yield

    stream = ask()
    await anext(stream)
    task = asyncio.ensure_future(anext(stream))
    assert await asyncio.to_thread(inside.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 30)


def test_stop_iteration_inside_a_generator():
    """PEP 479: a StopIteration raised in a generator is a RuntimeError, guarded or not."""

    @Through()
    def ask():
        yield 1
        next(iter(()))

    stream = ask()
    next(stream)
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(stream)


def test_mock_streams_are_unary():
    """A mock has every attribute; it is an answer, not a stream."""
    answer = Mock()
    answer.__next__ = Mock()
    assert Through()(Mock(return_value=answer))() is answer


def test_containers_and_files_are_answers(tmp_path):
    """Lists, dicts, ranges and open files are whole answers."""
    path = tmp_path / "a.txt"
    path.write_text("x\n")
    with path.open() as file:
        for answer in ([1], {"a": 1}, range(3), (1,), file):
            assert Through()(lambda answer=answer: answer)() is answer


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy", [Watch, Later])
async def test_completed_exactly_once(shape, policy):
    """`observe` hears of a completed call once, by a function or a coroutine function."""
    one, other = policy(), policy()
    await use(guard(one, other)(callables("a", "b")[shape]))
    assert one.kinds == other.kinds == ["completed"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy", [Watch, Later])
async def test_failed_exactly_once(shape, policy):
    """Of a failed one too."""
    watch = policy()
    with pytest.raises(KeyError):
        await use(watch(callables(KeyError())[shape]))
    assert watch.kinds == ["failed"]


@pytest.mark.parametrize("shape", STREAMS)
@pytest.mark.parametrize("policy", [Watch, Later])
async def test_abandoned_exactly_once(shape, policy):
    """Of one that nobody read on too."""
    watch = policy()
    stream, _ = await begin(watch(callables("a", "b")[shape]))
    await close(stream)
    assert watch.kinds == ["abandoned"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_hooks_that_raise_break_nothing(shape, caplog):
    """What a hook raises is logged, the others are told, and the answer comes."""

    class Raises(Policy):
        async def around(self, call, next):
            def hook(outcome):
                raise ValueError("in the hook")

            return await observe(next(call), hook)

    watch = Watch()
    assert "".join(await use(guard(watch, Raises(), watch)(callables("a", "b")[shape]))) == "ab"
    assert watch.kinds == ["completed", "completed"]
    assert "hook" in caplog.text


def test_hold_makes_a_new_stream():
    """After `hold="all"` the verdict has the text, and steps further out still see every item."""
    judged = []

    class Judge(Policy):
        async def around(self, call, next):
            reply = await next(call)
            judged.append(await reply.answer(hold="all"))
            return reply

    outer, inner = Watch(), Watch()

    @guard(outer, Steps(Upper), Judge(), inner, Steps(lambda: Upper()))  # noqa: PLW0108
    def ask():
        yield "a"
        yield "b"

    stream = ask()
    assert next(stream) == "A"
    assert inner.kinds == ["completed"]
    assert outer.kinds == []
    assert list(stream) == ["B"]
    assert outer.kinds == ["completed"]
    assert judged == ["AB"]


def test_a_held_stream_can_be_abandoned_and_discarded():
    """Hooks further out of a held stream hear how the reader left it."""
    outer, inner = Watch(), Watch()

    class Judge(Policy):
        async def around(self, call, next):
            reply = await next(call)
            await reply.answer(hold="all")
            return reply

    @guard(outer, Judge(), inner)
    def ask():
        yield "a"
        yield "b"

    stream = ask()
    next(stream)
    stream.close()
    assert (outer.kinds, inner.kinds) == (["abandoned"], ["completed"])
    again = guard(outer, Again(even_good=True), Judge(), inner)(callables("x")["generator"])
    assert list(again()) == ["x"]


def test_verdict_on_a_stream_without_hold_is_refused():
    """Without `hold` a verdict on a stream is a TypeError, and the stream is closed."""
    made = []

    class Judge(Policy):
        async def around(self, call, next):
            reply = await next(call)
            await reply.answer()
            return reply

    def ask():
        made.append(SdkStream("a"))
        return made[-1]

    with pytest.raises(TypeError, match="hold"):
        Judge()(ask)()
    assert made[0].closed == 1


def test_replies_after_the_call_has_ended_are_discarded():
    """A stream that arrives when its call has returned already is closed on arrival."""
    made, ended = [], []

    def ask():
        made.append(SdkStream("a", "b"))
        return made[-1]

    class Loses(Policy):
        async def around(self, call, next):
            call = call.on_attempt(lambda a: a.on_end(lambda o: ended.append(o.kind)))
            reply = await next(call)
            call.runtime.ended = True
            late = await next(call)
            assert late.source.done
            return reply

    assert list(Loses()(ask)()) == ["a", "b"]
    assert [each.closed for each in made] == [0, 1]
    assert ended == ["abandoned", "completed"]


@pytest.mark.parametrize("shape", UNARY)
async def test_unary_answers_in_streams_of_one(shape):
    """A unary target of a stream arrives as a stream of one item, through all steps."""
    watch = Watch()

    @guard(watch, Steps(Upper), fallback(callables("b")["function"]))
    def ask() -> Iterator[str]:
        raise ConnectionError
        yield

    assert list(ask()) == ["B"]
    assert watch.kinds == ["completed"]


async def test_closed_by_another_task_while_it_is_read(caplog):
    """A stop button: `aclose` from another task ends the stream, and closes what was read."""
    go_on, log = asyncio.Event(), []
    watch = Watch()

    @watch
    async def ask():
        try:
            yield "a"
            await go_on.wait()
            yield "b"
            yield "c"
        finally:
            log.append("closed")

    stream = ask()
    assert await anext(stream) == "a"

    async def read():
        return [each async for each in stream]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await stream.aclose()
    assert watch.kinds == ["abandoned"]
    go_on.set()
    assert await reader == []
    assert log == ["closed"]
    assert watch.kinds == ["abandoned"]
    assert caplog.records == []


def test_closed_by_another_thread_while_it_is_read(caplog):
    """The same for threads."""
    inside, go_on, log = threading.Event(), threading.Event(), []
    watch = Watch()

    @watch
    def ask():
        try:
            yield "a"
            inside.set()
            go_on.wait(30)
            yield "b"
            yield "c"
        finally:
            log.append("closed")

    stream, got = ask(), []
    assert next(stream) == "a"
    reader = threading.Thread(target=lambda: got.extend(stream))
    reader.start()
    assert inside.wait(30)
    stream.close()
    assert watch.kinds == ["abandoned"]
    go_on.set()
    reader.join(30)
    assert got == []
    assert log == ["closed"]
    assert watch.kinds == ["abandoned"]
    assert caplog.records == []


async def test_closed_before_its_first_item_came():
    """Closing a generator whose first item is under way lets nothing stay open."""
    go_on, log = asyncio.Event(), []
    watch = Watch()

    @watch
    async def ask():
        try:
            await go_on.wait()
            yield "a"
            yield "b"
        finally:
            log.append("closed")

    stream = ask()
    reader = asyncio.create_task(anext(stream, "nothing"))
    await asyncio.sleep(0)
    with contextlib.suppress(RuntimeError):  # as a bare generator: it is running
        await stream.aclose()
    go_on.set()
    await reader
    await stream.aclose()
    assert log == ["closed"]
    assert watch.kinds == ["abandoned"]


def test_parameters_of_any_name():
    """Arguments called `self`, `fn` or `args` reach the callable by name."""
    names = {"self": 1, "fn": 2, "args": 3, "kwargs": 4, "call": 5, "func": 6, "runtime": 7}

    def function(**kwargs):
        return kwargs

    def generator(**kwargs):
        yield kwargs

    assert Through()(function)(**names) == names
    assert timeout(30)(function)(**names) == names
    assert list(Through()(generator)(**names)) == [names]


async def test_parameters_of_any_name_in_async_code():
    """The same in async code."""

    async def coroutine(**kwargs):
        return kwargs

    async def asyncgen(**kwargs):
        yield kwargs

    names = {"self": 1, "fn": 2, "args": 3}
    assert await Through()(coroutine)(**names) == names
    assert [each async for each in Through()(asyncgen)(**names)] == [names]


class Difficult:
    """An answer that can be asked nothing."""

    __hash__ = None

    def __bool__(self):
        raise ValueError

    def __len__(self):
        raise ValueError

    def __eq__(self, other):
        raise ValueError

    def __repr__(self):
        raise ValueError

    def __getattr__(self, name):
        raise ValueError


def test_answers_that_can_be_asked_nothing():
    """An answer or item whose every attribute and truth raises passes through, reported."""
    answer, watch = Difficult(), Watch()
    chain = guard(watch, fallback(lambda: 1), retry(), Steps(Upper), timeout(30))
    with report() as r:
        assert chain(lambda: answer)() is answer
        first, second = chain(lambda: iter([answer, answer]))()
    assert first is answer
    assert second is answer
    assert watch.kinds == ["completed", "completed"]
    assert "completed" in str(r)
