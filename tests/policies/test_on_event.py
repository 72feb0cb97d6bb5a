"""`on_event`: a function called when something happens."""

from __future__ import annotations

import asyncio
import logging
import threading
from decimal import Decimal
from typing import Any

import pytest

import agentguard as ag
from agentguard import events
from agentguard.testing import check_policy, disabled
from tests.shapes import Harness, every_shape, stream_shapes


def names(heard: list[events.Event]) -> list[str]:
    """Return the names of what was heard."""
    return [type(each).__name__ for each in heard]


@every_shape
def test_a_guard_tells_of_what_it_was_asked_for(harness: Harness) -> None:
    """Only events of the kinds that were named arrive, in order."""
    heard: list[events.Event] = []
    told = ag.on_event((events.Retried, "CallEnded"), heard.append)
    run = harness.run([told, ag.retry(attempts=2)], ConnectionError(), "42")
    assert run.text == "42"
    assert names(heard) == ["Retried", "CallEnded"]


@every_shape
def test_a_block_tells_of_the_calls_inside(harness: Harness) -> None:
    """Streams are heard to their end; a call after the block is not."""
    heard: list[events.Event] = []
    subject = harness.guard(ag.retry(), "one", "two", "three")
    subject.call()
    with ag.on_event(events.CallEnded, heard.append):
        subject.call()
    subject.call()
    assert names(heard) == ["CallEnded"]
    assert heard[0].call.outcome == "completed"


def test_a_block_entered_within_itself_tells_once() -> None:
    """One object, entered twice, hears each event once."""
    heard: list[events.Event] = []
    block = ag.on_event(events.CallEnded, heard.append)

    @block
    def ask() -> str:
        return "42"

    with block, block:
        ask()
    assert names(heard) == ["CallEnded"]


def test_a_stream_read_after_its_block_is_still_heard() -> None:
    """The scope is captured when the generator is called."""
    heard: list[events.Event] = []

    @ag.retry
    def ask() -> Any:
        yield "4"
        yield "2"

    with ag.on_event(events.CallEnded, heard.append):
        stream = ask()
    assert list(stream) == ["4", "2"]
    assert names(heard) == ["CallEnded"]


def test_every_event_is_heard_by_its_base() -> None:
    """`events.Event` stands for all of them."""
    heard: list[events.Event] = []
    with ag.on_event(events.Event, heard.append):
        ag.retry(lambda: "42")()
    assert names(heard) == ["CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"]


def test_inner_calls_are_heard_from_outside() -> None:
    """A circuit that opens far inside reaches the handler of the application."""
    heard: list[events.Event] = []

    @ag.breaker(fail_max=1)
    def ask() -> str:
        raise ConnectionError

    @ag.on_event(events.CircuitOpened, heard.append)
    def answer() -> str:
        try:
            return ask()
        except ConnectionError:
            return "sorry"

    assert answer() == "sorry"
    assert heard[0].call.name == "ask"


def test_a_budget_tells_of_its_thresholds() -> None:
    """Each percentage once, with what is used of what there is."""
    heard: list[events.BudgetThreshold] = []

    @ag.guard(
        ag.on_event(events.BudgetThreshold, heard.append),
        ag.budget(requests=4, name="team", thresholds=(50, 100)),
    )
    def ask() -> dict[str, Any]:
        return {"model": "m", "choices": [{"message": {"content": "42"}}]}

    for _ in range(4):
        ask()
    assert [(each.budget, each.percent, each.used, each.limit) for each in heard] == [
        ("team", 50, 2, 4),
        ("team", 100, 4, 4),
    ]


@every_shape
def test_a_handler_that_raises_breaks_nothing(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer comes, and the log names the handler without the exception's words."""
    secret = "a1" * 12

    def boom(event: events.Event) -> None:
        raise RuntimeError(secret)

    with caplog.at_level(logging.ERROR, "agentguard"):
        run = harness.run(ag.on_event(events.CallEnded, boom), "42")
    assert run.text == "42"
    assert "RuntimeError" in caplog.text
    assert secret not in caplog.text


@every_shape
def test_a_log_that_raises_breaks_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler of the application's log may fail as well, as on a full disk."""

    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError

    def boom(event: events.Event) -> None:
        raise RuntimeError

    monkeypatch.setattr(logging.getLogger("agentguard"), "handlers", [Full()])
    assert harness.run(ag.on_event(events.CallEnded, boom), "42").text == "42"


@stream_shapes
def test_a_call_that_fails_midway_is_told_of(harness: Harness) -> None:
    """An error after content has gone out ends the call as failed."""
    heard: list[events.Event] = []
    run = harness.run(ag.on_event("CallEnded", heard.append), ["4", ConnectionError()])
    assert isinstance(run.error, ConnectionError)
    assert (heard[0].call.outcome, heard[0].call.kind) == ("failed", "connection")


def test_handlers_of_threads_and_loops_hear_their_own() -> None:
    """Blocks in many threads and tasks at once do not mix."""
    counts: dict[str, int] = {}
    lock = threading.Lock()

    @ag.retry
    async def ask() -> str:
        await asyncio.sleep(0)
        return "42"

    def count(name: str) -> Any:
        def tell(event: events.Event) -> None:
            with lock:
                counts[name] = counts.get(name, 0) + 1

        return tell

    async def task(name: str) -> None:
        with ag.on_event(events.CallEnded, count(name)):
            for _ in range(5):
                await ask()

    async def tasks(thread: int) -> None:
        await asyncio.gather(*(task(f"{thread}-{number}") for number in range(5)))

    threads = [threading.Thread(target=lambda n=n: asyncio.run(tasks(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {f"{thread}-{number}": 5 for thread in range(4) for number in range(5)}


def test_nothing_is_heard_where_guards_are_disabled() -> None:
    """`disabled()` takes the policy away."""
    heard: list[events.Event] = []
    with disabled():
        ag.on_event(events.Event, heard.append)(lambda: "42")()
    assert heard == []


@pytest.mark.parametrize(
    ("kinds", "error", "message"),
    [
        (
            "BudgetTreshold",
            ValueError,
            r"on_event\(\) knows no 'BudgetTreshold': did you mean BudgetThreshold",
        ),
        ("xyz", ValueError, r"on_event\(\) knows no 'xyz': there are AttemptEnded, "),
        ("Listener", ValueError, r"knows no 'Listener'"),
        ((), ValueError, r"on_event\(\) takes at least one event"),
        (int, TypeError, r"on_event\(\) takes events, not int: on_event\(events\."),
        (Decimal(3), TypeError, r"on_event\(\) takes events, not Decimal"),
        (None, TypeError, r"on_event\(\) takes events, not NoneType"),
        ([events.GaveUp, 3], TypeError, r"on_event\(\) takes events, not 3"),
        (print, TypeError, r"on_event\(\) takes the event first, and then the function"),
    ],
    ids=str,
)
def test_wrong_kinds_are_told_at_once(kinds: Any, error: type[Exception], message: str) -> None:
    """With what was meant, or what to write."""
    with pytest.raises(error, match=message):
        ag.on_event(kinds, print)


async def _waits(event: events.Event) -> None:
    """Stand for a handler that does I/O."""


class _Waiting:
    async def __call__(self, event: events.Event) -> None:
        """Stand for an object that does."""


@pytest.mark.parametrize("handler", [_waits, _Waiting()], ids=["function", "object"])
def test_an_async_handler_is_refused(handler: Any) -> None:
    """Nobody would await it."""
    with pytest.raises(TypeError, match=r"on_event\(handler=\) takes a function .* not async"):
        ag.on_event(events.GaveUp, handler)


@pytest.mark.parametrize("handler", [None, 3, "https://example.test/secret"], ids=str)
def test_a_handler_must_be_a_function(handler: Any) -> None:
    """A URL is not one, and is not shown."""
    with pytest.raises(TypeError, match=r"on_event\(handler=\) takes a function") as caught:
        ag.on_event(events.GaveUp, handler)
    assert "secret" not in str(caught.value)


def test_another_spelling_is_told_what_to_write() -> None:
    """`callback=` is `handler=` here."""
    with pytest.raises(TypeError, match="write handler="):
        ag.on_event(events.GaveUp, callback=print)  # type: ignore[call-arg]


def test_how_it_shows_itself() -> None:
    """With its kinds and its function by name."""
    told = ag.on_event((events.GaveUp, "CircuitOpened"), print)
    assert repr(told) == "on_event((GaveUp, 'CircuitOpened'), print)"
    assert list(told.explain()) == [("kinds", "GaveUp, CircuitOpened"), ("handler", "print")]


def test_a_class_of_ones_own_is_heard() -> None:
    """Policies of the user's own emit events of their own."""

    class Judged(events.Event):
        pass

    class Judge(ag.Policy):
        async def around(self, call: ag.Call, next: ag.Next) -> ag.Reply:
            call.emit(Judged)
            return await next(call)

    heard: list[events.Event] = []
    ag.guard(ag.on_event(Judged, heard.append), Judge())(lambda: "42")()
    assert names(heard) == ["Judged"]


def test_a_guard_takes_several() -> None:
    """`with_` adds one to those that are there, and takes none away."""
    opened: list[events.Event] = []
    ended: list[events.Event] = []
    safe = ag.guard(ag.on_event(events.CircuitOpened, opened.append), ag.breaker(fail_max=1))

    @safe.with_(ag.on_event(events.CallEnded, ended.append))
    def ask() -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ask()
    assert (names(opened), names(ended)) == (["CircuitOpened"], ["CallEnded"])


def test_it_keeps_what_the_engine_relies_on() -> None:
    """In every shape, under load, and when cancelled."""
    check_policy(lambda: ag.on_event(events.Event, [].append))
