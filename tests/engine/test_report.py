"""A report shows what happened inside, whatever shape it had and whenever it ended."""

from __future__ import annotations

import asyncio
import functools
import itertools
import math
import threading

import pytest

from agentguard import (
    Policy,
    context,
    errors,
    events,
    fallback,
    guard,
    report,
    retry,
    testing,
    timeout,
)
from agentguard.engine.scope import Block
from agentguard.testing import FakeRuntime
from tests.engine.kit import (
    SHAPES,
    STREAMS,
    SdkStream,
    Through,
    begin,
    callables,
    close,
    settle,
    use,
)

CHAT = {
    "model": "m-1",
    "choices": [{"message": {"content": "42"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


class Hear(Block):
    """Hears every event."""

    def __init__(self, *others) -> None:
        self.events: list[events.Event] = []
        self.others = others

    def surround(self, outer):
        return outer.within(listeners=(*outer.listeners, *self.others, self.events.append))

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_call_that_completed(shape):
    """Name, outcome, who served, times and attempts of a call that went well."""
    with report() as r:
        await use(retry(callables("a", "b")[shape]))
    (call,) = r.calls
    assert call.outcome == "completed"
    assert call.kind is None
    assert call.served_by == call.name
    assert call.duration >= call.first_token >= 0
    (attempt,) = call.attempts
    assert (attempt.target, attempt.number, attempt.outcome) == (call.name, 1, "completed")
    assert (attempt.kind, attempt.wait) == (None, 0.0)
    assert attempt.duration >= attempt.first_token >= 0
    assert call.parent is None
    assert call.children == []


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_call_that_failed(shape):
    """The kind of the failure is there, for the call and for each attempt."""
    with report() as r, pytest.raises(ConnectionError):
        await use(
            retry(attempts=2, wait=lambda _: 0, budget=None)(callables(ConnectionError())[shape])
        )
    (call,) = r.calls
    assert (call.outcome, call.kind, call.served_by) == ("failed", "connection", None)
    assert [(a.outcome, a.kind, a.number) for a in call.attempts] == [
        ("failed", "connection", 1),
        ("failed", "connection", 2),
    ]


@pytest.mark.parametrize("shape", STREAMS)
async def test_streams_complete_their_entry_after_the_block(shape):
    """A stream read after the block was left still completes its entry, or is abandoned there."""
    fn = Through()(callables("a", "b")[shape])
    with report() as r:
        first, _ = await begin(fn)
        second, _ = await begin(fn)
    assert [call.outcome for call in r.calls] == ["running", "running"]
    assert [call.duration for call in r.calls] == [None, None]
    if hasattr(first, "__anext__"):
        assert [each async for each in first] == ["b"]
    else:
        assert list(first) == ["b"]
    await close(second)
    assert [call.outcome for call in r.calls] == ["completed", "abandoned"]
    assert [call.attempts[0].outcome for call in r.calls] == ["completed", "abandoned"]


def test_times_and_waits():
    """Durations, first content and waits are those of the clock."""
    with FakeRuntime() as time:

        @retry(attempts=3, wait=lambda _: 5, budget=None)
        def ask():
            time.advance(2)
            if len(r.calls[0].attempts) < 3:
                raise ConnectionError
            yield ""
            time.advance(1)
            yield "a"
            time.advance(4)
            yield "b"

        with report() as r:
            assert list(ask()) == ["", "a", "b"]
    (call,) = r.calls
    assert call.duration == pytest.approx(2 + 5 + 2 + 5 + 2 + 1 + 4)
    assert call.first_token == pytest.approx(2 + 5 + 2 + 5 + 2 + 1)
    assert [a.wait for a in call.attempts] == [0, 5, 5]
    assert [a.duration for a in call.attempts] == pytest.approx([2, 2, 7])
    assert call.attempts[-1].first_token == pytest.approx(3)
    text = str(r)
    assert "16" in text or "21" in text
    assert text.count("|") == 6


def test_model_and_usage_of_the_answer():
    """The model that served and the provider's figures are read from the answer."""
    with report() as r:
        Through()(lambda: CHAT)()
    (call,) = r.calls
    assert call.model == "m-1"
    assert call.attempts[0].model == "m-1"
    assert call.attempts[0].usage is not None


def test_looking_at_an_attempt_early_hides_nothing():
    """A hook that asks an attempt for its model before there is an answer does not blind it."""

    class Looks(Policy):
        async def around(self, call, next):
            def hook(attempt):
                assert attempt.model is None
                assert attempt.usage is None

            return await next(call.on_attempt(hook))

    with report() as r:
        Looks()(lambda: CHAT)()
    assert r.calls[0].model == "m-1"
    assert r.calls[0].attempts[0].usage is not None


def test_who_served_after_a_fallback():
    """The fallback is named, and its attempt is one of the call's."""

    def backup():
        return "b"

    def ask():
        raise ConnectionError

    with report() as r:
        assert fallback(backup)(ask)() == "b"
    (call,) = r.calls
    assert call.served_by.endswith("backup")
    assert [a.outcome for a in call.attempts] == ["failed", "completed"]
    assert "served by" in str(r)
    assert "fell back" in str(r)


@pytest.mark.parametrize("shape", testing.SHAPES)
async def test_what_a_call_inside_used_is_counted_there_alone(shape):
    """An outer call that returns the inner one's answer has not used those tokens again."""
    chunk = {**CHAT, "object": "chat.completion.chunk"}
    answer = CHAT if shape in {"sync", "coroutine", "awaitable"} else [chunk]
    inner = retry(testing.ScriptedModel(answer).shape(shape))
    outer = retry(functools.partial(inner))  # stacked directly the two would be one chain
    with report() as r:
        await use(outer)
    (call,) = r.calls
    (child,) = call.children
    assert call.attempts[0].usage is None
    assert call.attempts[0].model == "m-1"
    assert child.attempts[0].usage.input_tokens == 3


def test_a_failed_stream_keeps_the_figures_of_the_call_inside():
    """What had been used is on the exception, however many guards it passed."""

    @retry
    def inner():
        yield {**CHAT, "object": "chat.completion.chunk"}
        raise ConnectionError("reset")

    @retry
    def outer():
        yield from inner()

    with pytest.raises(ConnectionError) as caught:
        list(outer())
    assert errors.partial(caught.value).usage.output_tokens == 2


def test_children():
    """Guarded calls inside guarded calls are children, once each, in order, at any depth."""
    innermost = Through()(lambda: "a")

    @Through()
    def inner():
        return innermost()

    @Through()
    def outer():
        list(Through()(callables("x")["generator"])())
        return inner()

    with report() as r:
        outer()
        innermost()
    assert len(r.calls) == 2
    first, second = r.calls[0].children
    assert first.name == "generator"
    assert [child.name for child in second.children] == ["<lambda>"]
    assert second.children[0].parent is second
    assert second.parent is r.calls[0]


def test_reports_within_reports():
    """An inner report has the calls inside it; the outer one has all of them."""
    ask = Through()(lambda: "a")
    with report() as outer:
        ask()
        with report() as inner:
            ask()
        ask()
    assert len(outer.calls) == 3
    assert inner.calls == outer.calls[1:2]


def test_a_report_inside_a_guarded_function():
    """Inside a guarded call a report has the calls made inside it, with and without one outside."""
    ask = Through()(lambda: "a")
    found = []

    @Through()
    def outer():
        ask()
        with report() as r:
            ask()
        found.append(r.calls)

    outer()
    assert [len(calls) for calls in found] == [1]
    with report() as r:
        outer()
    assert len(found[1]) == 1
    assert found[1][0] in r.calls[0].children
    assert len(r.calls) == 1


def test_one_report_in_many_threads():
    """One report entered by many threads has the calls of all of them."""
    ask = Through()(lambda: "a")
    r = report()

    def work():
        for _ in range(50):
            with r:
                ask()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len(r.calls) == 400
    assert {call.outcome for call in r.calls} == {"completed"}


async def test_concurrent_tasks_in_one_report():
    """Calls of tasks begun inside the block are in it, each with its own attempts."""
    ask = retry(callables("a")["coroutine"])
    with report() as r:
        await asyncio.gather(*(ask() for _ in range(50)))
    assert len(r.calls) == 50
    assert all(len(call.attempts) == 1 for call in r.calls)


def test_tags_of_the_context():
    """The entry says for whom the call was made."""
    with report() as r, context(user="u", feature="f"):
        Through()(lambda: "a")()
    assert r.calls[0].tags == {"user": "u", "feature": "f"}


def test_printed():
    """Printing draws one block for each call; nothing of question or answer is in it."""
    ask = guard(Through())(lambda question: "swordfish")
    with report() as r:
        assert str(r) == "no guarded call was made"
        ask("swordfish?")
    assert "swordfish" not in str(r) + repr(r) + repr(r.calls) + repr(r.calls[0].attempts)
    assert "<lambda>" in str(r)
    assert "completed" in str(r)
    assert "1 calls" in repr(r)


def test_printed_while_running():
    """A report can be printed in the middle of a call and of a stream."""
    with report() as r:

        @Through()
        def ask():
            yield str(r)
            yield str(r)

        first, second = ask()
    assert "running" in first
    assert "running" in second
    assert "completed" in str(r)


def test_the_order_of_events():
    """Started, attempts, retries, fallbacks and ends are told in the order they happen."""

    def backup():
        return "b"

    def ask():
        raise ConnectionError

    again = retry(attempts=2, wait=lambda _: 0, budget=None)
    with Hear() as hear:
        guard(fallback(backup), again)(ask)()
    assert hear.names == [
        "CallStarted",
        "AttemptStarted",
        "AttemptEnded",
        "Retried",
        "AttemptStarted",
        "AttemptEnded",
        "GaveUp",
        "FellBack",
        "AttemptStarted",
        "AttemptEnded",
        "CallEnded",
    ]
    assert len({id(event.call) for event in hear.events}) == 1
    assert hear.events[0].call.events == hear.events


@pytest.mark.parametrize("shape", STREAMS)
async def test_the_order_of_events_of_a_stream(shape):
    """A stream's attempt and call end when it ends, in this order."""
    with Hear() as hear:
        stream, _ = await begin(Through()(callables("a", "b")[shape]))
        assert hear.names == ["CallStarted", "AttemptStarted"]
        await close(stream)
    assert hear.names == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_listeners_that_raise(shape, caplog):
    """A listener that raises breaks neither the call nor the other listeners."""

    def raises(event):
        raise ValueError

    with Hear(raises) as hear:
        assert "".join(await use(Through()(callables("a", "b")[shape]))) == "ab"
    assert hear.names == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]
    assert "listener" in caplog.text


def test_without_a_listener_no_event_is_built(monkeypatch):
    """With nobody to hear it, no event is made."""
    built = []
    monkeypatch.setattr(events, "CallStarted", lambda *a: built.append(a))
    monkeypatch.setattr(events, "AttemptStarted", lambda *a: built.append(a))
    Through()(lambda: "a")()
    assert built == []


def test_a_late_result_is_told():
    """What a worker brings after its bound passed is an event, and its figures are booked."""
    go_on, late = threading.Event(), threading.Event()

    def heard(event):
        if isinstance(event, events.LateResult):
            late.set()

    def ask():
        go_on.wait(30)
        return CHAT

    with Hear(heard) as hear, pytest.raises(TimeoutError):
        timeout(0.05)(ask)()
    go_on.set()
    assert late.wait(30)
    assert hear.events[0].call.attempts[0].usage is not None


def test_a_stream_that_comes_too_late_is_closed():
    """A stream that a worker brings after its bound passed is closed."""
    go_on, closed = threading.Event(), threading.Event()

    class Stream(SdkStream):
        def close(self):
            closed.set()
            raise OSError  # closing may fail: the worker lives on

    def ask():
        go_on.wait(30)
        return Stream("a")

    with pytest.raises(TimeoutError):
        timeout(0.05)(ask)()
    go_on.set()
    assert closed.wait(30)
    assert timeout(30)(lambda: "a")() == "a"


def test_abandoned_by_nobody_reading():
    """A dropped stream's entry says abandoned once it is settled."""
    with report() as r:
        next(Through()(callables("a", "b")["generator"])())
    settle()
    assert r.calls[0].outcome == "abandoned"


@pytest.mark.parametrize("shape", STREAMS)
async def test_arrivals_of_a_stream(shape):
    """A report knows how many items a stream brought and when, once though reports are nested."""
    with report(), report() as r:
        await use(retry(callables("a", "b", "c")[shape]))
    (attempt,) = r.calls[0].attempts
    assert attempt.arrivals.count == len(attempt.arrivals) == 3
    assert sorted(attempt.arrivals) == list(attempt.arrivals)
    assert all(0 <= seconds <= attempt.duration for seconds in attempt.arrivals)


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1024, 1025, 5000])
def test_arrivals_of_a_long_stream(count):
    """Of a long stream some hundreds of times are kept, evenly, and all are counted."""
    with FakeRuntime() as time:

        @retry
        def ask():
            for _ in range(count):
                time.advance(1)
                yield "a"

        with report() as r:
            assert len(list(ask())) == count
    arrivals = r.calls[0].attempts[0].arrivals
    assert arrivals.count == count
    assert min(count, 256) <= len(arrivals) <= 512
    kept = list(arrivals)
    assert kept[0] == pytest.approx(1)
    assert {round(b - a) for a, b in itertools.pairwise(kept)} <= {
        2 ** max(0, math.ceil(math.log2(count / 512)))
    }


def test_nothing_is_kept_of_arrivals_outside_a_report():
    """A listener that is no report pays for no item."""
    with Hear() as hear:
        list(Through()(callables("a", "b")["generator"])())
    (call,) = {id(event.call): event.call for event in hear.events}.values()
    assert call.attempts[0].arrivals is None


def test_events_have_the_time_at_which_they_were_told():
    """Each event says when, on the clock of the calls; it is no part of what events compare."""
    with FakeRuntime() as time:

        @retry(attempts=2, wait=lambda _: 5, budget=None)
        def ask():
            time.advance(2)
            if len(r.calls[0].attempts) < 2:
                raise ConnectionError
            return "42"

        with report() as r:
            ask()
    (call,) = r.calls
    assert [(type(each).__name__, round(each.at - call.started)) for each in call.events] == [
        ("CallStarted", 0),
        ("AttemptStarted", 0),
        ("AttemptEnded", 2),
        ("Retried", 2),
        ("AttemptStarted", 7),
        ("AttemptEnded", 9),
        ("CallEnded", 9),
    ]
    assert call.events[0] == events.CallStarted(call)


def test_the_attempt_that_a_call_was_made_inside():
    """A nested call knows the very attempt around it; a call in no other knows none."""
    inner = Through()(lambda: "a")

    @retry(attempts=2, wait=lambda _: 0, budget=None)
    def outer():
        inner()
        if len(r.calls[0].attempts) < 2:
            raise ConnectionError

    with report() as r:
        outer()
    (call,) = r.calls
    assert call.inside is None
    assert [child.inside for child in call.children] == call.attempts
