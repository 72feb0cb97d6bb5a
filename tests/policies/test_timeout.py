from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tenacity import wait_fixed

from agentguard import deadline, errors, events, guard, report, retry, timeout
from agentguard.engine import clock
from agentguard.engine.bounds import GRACE
from agentguard.testing import FakeRuntime, ScriptedModel, Stall
from tests.shapes import ASYNC, Harness, every_shape, stream_shapes, unary_shapes

SOON = wait_fixed(1)


def bound_of(error: BaseException | None) -> tuple[str, float | None]:
    """Which bound a Timeout names."""
    assert isinstance(error, errors.Timeout)
    assert isinstance(error, TimeoutError)
    assert error.kind == "timeout"
    return error.bound, error.seconds


# each bound in each shape


@every_shape
def test_what_is_in_time_is_untouched(harness: Harness) -> None:
    """Just below the bound the answer comes."""
    run = harness.run(timeout(5, total=60), [Stall(4.9), "in ", "time"])
    assert run.text == "in time"
    assert not run.heard(events.TimedOut)


@every_shape
def test_an_answer_at_the_very_moment_is_in_time(harness: Harness) -> None:
    """Five seconds of work fit into five."""
    assert harness.run(timeout(5), [Stall(5), "just"]).text == "just"


@every_shape
def test_seconds_bounds_the_call_and_the_first_content(harness: Harness) -> None:
    """`timeout(5)`: nothing after 5 s is an error that names the bound."""
    run = harness.run(timeout(5), [Stall(60), "late"])
    assert bound_of(run.error) == ("seconds", 5)
    assert run.now == 5
    assert "timeout(5)" in str(run.error)
    (event,) = run.heard(events.TimedOut)
    assert (event.bound, event.seconds) == ("seconds", 5)
    assert run.attempts == [("model", "failed", "timeout")]


@stream_shapes
def test_seconds_bounds_each_silence_too(harness: Harness) -> None:
    """A stream that falls silent in its middle is cut; what came before stands."""
    run = harness.run(timeout(5), ["a", Stall(4), "b", Stall(4), "c", Stall(9), "never"])
    assert run.items == ["a", "b", "c"]
    assert bound_of(run.error) == ("idle", 5)
    assert run.now == 13
    partial = errors.partial(run.error)  # type: ignore[arg-type]
    assert partial is not None
    assert partial.text == "abc"
    (event,) = run.heard(events.TimedOut)
    assert event.bound == "idle"


@every_shape
def test_first_token_bounds_the_wait_for_content(harness: Harness) -> None:
    """Its own bound, beside a larger one for silences."""
    run = harness.run(timeout(30, first_token=2), [Stall(3), "late"])
    assert bound_of(run.error) == ("first_token", 2)
    assert run.now == 2


@stream_shapes
def test_first_token_is_not_reset_by_opening_events(harness: Harness) -> None:
    """A role delta is no content."""
    role = {"object": "chat.completion.chunk", "choices": [{"delta": {"role": "assistant"}}]}
    run = harness.run(timeout(first_token=5), [role, Stall(3), role, Stall(3), "late"])
    assert bound_of(run.error) == ("first_token", 5)
    assert run.items == []


@stream_shapes
def test_first_token_alone_leaves_silences_alone(harness: Harness) -> None:
    """After the first content it has no say."""
    run = harness.run(timeout(first_token=5), [Stall(4), "a", Stall(500), "b"])
    assert run.items == ["a", "b"]


@stream_shapes
def test_idle_alone_bounds_silences_alone(harness: Harness) -> None:
    """The wait for the first content is first_token's."""
    run = harness.run(timeout(idle=5), [Stall(50), "a", Stall(6), "b"])
    assert run.items == ["a"]
    assert bound_of(run.error) == ("idle", 5)


@every_shape
def test_total_bounds_everything(harness: Harness) -> None:
    """The hard bound: of a call its duration, of a stream all waiting for it."""
    run = harness.run(timeout(total=10), [Stall(4), "a", Stall(4), "b", Stall(4), "c"])
    assert bound_of(run.error) == ("total", 10)
    assert run.now == 10
    if harness.streams:
        assert run.items == ["a", "b"]


@stream_shapes
def test_total_counts_the_retries_inside(harness: Harness) -> None:
    """Outermost it bounds attempts, waits and the stream together."""
    run = harness.run(
        [timeout(total=10), retry(wait=wait_fixed(4))],
        [Stall(2), ConnectionError()],
        [Stall(2), "a", Stall(1), "b", Stall(3), "never"],
    )
    assert run.items == ["a", "b"]
    assert bound_of(run.error) == ("total", 10)
    assert run.now == 10


# the reader's own time


def read_slowly(harness: Harness, policy: Any, pause: float, *script: Any) -> list[Any]:
    """Read a stream with `pause` seconds between its items."""
    model = ScriptedModel(*script)
    guarded = policy(model.shape(harness.shape))

    def read() -> list[Any]:
        items = []
        for item in guarded("q"):
            items.append(item)
            time.pause(pause)
        return items

    async def aread() -> list[Any]:
        stream, items = guarded("q"), []
        if asyncio.iscoroutine(stream):
            stream = await stream
        async for item in stream:
            items.append(item)
            await time.pause_async(pause)
        return items

    with FakeRuntime() as time:
        return asyncio.run(aread()) if harness.is_async else read()


@stream_shapes
def test_a_slow_reader_does_not_count(harness: Harness) -> None:
    """Neither for `idle` nor for `total`: only waiting for the provider does."""
    items = ["a", Stall(1), "b", Stall(1), "c"]
    assert read_slowly(harness, timeout(3, total=5), 20, items) == ["a", "b", "c"]


@stream_shapes
def test_a_deadline_counts_the_reader_too(harness: Harness) -> None:
    """It is a point in time, whoever spends it."""
    with pytest.raises(errors.DeadlineExceeded):
        with_deadline(harness)


def with_deadline(harness: Harness) -> None:
    """Read slowly under a deadline."""
    model = ScriptedModel(["a", "b", Stall(1), "c"])
    guarded = timeout(60)(model.shape(harness.shape))

    async def aread() -> None:
        with deadline(10):
            stream = guarded("q")
            if asyncio.iscoroutine(stream):
                stream = await stream
            async for _ in stream:
                await time.pause_async(6)

    with FakeRuntime() as time:
        if harness.is_async:
            asyncio.run(aread())
        else:
            with deadline(10):
                for _ in guarded("q"):
                    time.pause(6)


# inner and outer bounds


@every_shape
def test_a_retry_acts_on_an_attempts_bound(harness: Harness) -> None:
    """A timeout inside the retry is a failure that passes."""
    run = harness.run([retry(wait=SOON), timeout(5)], [Stall(60), "late"], "answer")
    assert run.text == "answer"
    assert (len(run.calls), run.now) == (2, 6)
    assert [each.bound for each in run.heard(events.TimedOut)] == ["seconds"]


@every_shape
def test_a_retry_never_acts_on_an_outer_bound(harness: Harness) -> None:
    """When the outer one has passed, nothing inside is tried again."""
    run = harness.run([timeout(5), retry(wait=wait_fixed(0))], [Stall(60), "late"], "never")
    assert bound_of(run.error) == ("seconds", 5)
    assert (len(run.calls), run.now) == (1, 5)
    assert [each.bound for each in run.heard(events.TimedOut)] == ["seconds"]


@every_shape
def test_the_narrower_of_two_bounds_is_named(harness: Harness) -> None:
    """An outer bound that comes first wins over an attempt's."""
    run = harness.run([timeout(total=7), retry(wait=SOON), timeout(5)], *[[Stall(60)]] * 3)
    assert bound_of(run.error) == ("total", 7)
    assert (len(run.calls), run.now) == (2, 7)
    assert [each.bound for each in run.heard(events.TimedOut)] == ["seconds", "total"]


@every_shape
def test_a_wait_that_would_pass_the_outer_bound_is_not_begun(harness: Harness) -> None:
    """The failure comes out at once rather than after a wait for nothing."""
    error = ConnectionError()
    run = harness.run([timeout(5), retry(wait=wait_fixed(6))], error, "never")
    assert run.error is error
    assert run.now == 0


@stream_shapes
def test_two_timeouts_bound_a_stream_both(harness: Harness) -> None:
    """The inner one its silences, the outer one the sum."""
    silent = harness.run([timeout(total=60), timeout(idle=5)], ["a", Stall(6), "b"])
    assert bound_of(silent.error) == ("idle", 5)
    long = harness.run([timeout(total=6), timeout(idle=5)], ["a", Stall(4), "b", Stall(4), "c"])
    assert bound_of(long.error) == ("total", 6)
    assert long.items == ["a", "b"]


# what becomes of the callable


@pytest.mark.parametrize("shape", ["coroutine", "asyncgen", "returns_async_stream"])
def test_cancellation_reaches_the_callable(shape: str) -> None:
    """An async callable is cancelled, and its clean-up has run before the caller hears."""
    told: list[str] = []

    async def hang(*_: Any) -> Any:
        try:
            await clock.now().asleep(60)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    run = Harness(shape).run(timeout(5), hang)
    assert bound_of(run.error) == ("seconds", 5)
    assert told == ["cancelled"]
    assert run.outcome == "failed"


def test_a_cancelled_caller_is_not_told_of_a_timeout() -> None:
    """His own cancellation stays one, even with a bound around it."""

    @timeout(5)
    async def ask() -> None:
        await clock.now().asleep(60)

    async def main() -> None:
        task = asyncio.ensure_future(ask())
        await clock.now().asleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FakeRuntime():
        asyncio.run(main())


def test_an_error_made_of_our_cancellation_is_the_timeout() -> None:
    """An SDK that turns cancellation into its own exception does not hide the bound."""

    @timeout(5)
    async def ask() -> None:
        try:
            await clock.now().asleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("aborted") from None

    with FakeRuntime(), pytest.raises(errors.Timeout) as told:
        asyncio.run(ask())
    assert isinstance(told.value.__cause__, RuntimeError)


@stream_shapes
def test_a_stream_that_is_cut_is_closed(harness: Harness) -> None:
    """Before and after its first content, exactly once."""
    for script in ([Stall(60), "late"], ["a", Stall(60), "late"]):
        subject = harness.guard(timeout(5), script)
        with FakeRuntime() as time:
            run = subject.call()
            time.advance(100)  # the sync worker comes back by then
            assert isinstance(run.error, errors.Timeout)
            model = subject.model
            assert soon(lambda: model.ended + model.closed == 1)  # noqa: B023  called at once
        assert model.opened == 1


def soon(condition: Callable[[], bool]) -> bool:
    """Give threads that were left behind a moment to come back."""
    for _ in range(400):
        if condition():
            return True
        threading.Event().wait(0.005)
    return False


# sync workers


@pytest.mark.parametrize("shape", ["sync", "generator", "returns_stream"])
def test_a_sync_worker_keeps_the_callers_context(shape: str) -> None:
    """Context variables, and the scope of guarded calls made inside."""
    from contextvars import ContextVar

    variable = ContextVar("variable", default="unset")
    seen: list[str] = []

    def look(*_: Any) -> str:
        seen.append(variable.get())
        return "answer"

    variable.set("mine")
    assert Harness(shape).run(timeout(5), look).text == "answer"
    assert seen == ["mine"]


def test_a_sync_call_with_a_bound_runs_in_a_daemon_worker() -> None:
    """So that a hung call can be left, and cannot keep the process from ending."""
    seen: list[threading.Thread] = []
    timeout(5)(lambda: seen.append(threading.current_thread()))()
    assert seen[0] is not threading.main_thread()
    assert seen[0].daemon


def test_thread_false_stays_in_the_callers_thread() -> None:
    """The call itself is not bounded then, which is said."""
    seen: list[threading.Thread] = []

    @timeout(5, thread=False)
    def ask() -> str:
        seen.append(threading.current_thread())
        clock.now().sleep(60)
        return "late, but there"

    with FakeRuntime():
        assert ask() == "late, but there"
    assert seen == [threading.main_thread()]


def test_thread_false_narrows_waits_and_nested_calls() -> None:
    """What the library itself waits for keeps the bound."""
    inner = ScriptedModel([Stall(60), "late"])
    nested = guard(timeout(60))(inner.sync)

    @timeout(5, thread=False)
    def ask() -> Any:
        return nested("q")

    failing = ScriptedModel(ConnectionError(), "never")
    waits = guard(timeout(5, thread=False), retry(wait=wait_fixed(6)))(failing.sync)
    with FakeRuntime() as time:
        with pytest.raises(errors.Timeout) as told:
            ask()
        assert (time.now, told.value.seconds) == (5, 5)
        with pytest.raises(ConnectionError):
            waits("q")
        assert time.now == 5


@stream_shapes
def test_thread_false_does_not_change_async_calls(harness: Harness) -> None:
    """They need no thread to be bounded."""
    run = harness.run(timeout(5, thread=False), [Stall(9), "a", Stall(9), "b"])
    if harness.is_async:
        assert bound_of(run.error) == ("seconds", 5)
    else:
        assert run.items == ["a", "b"]


class Hanging:
    """A sync function that hangs until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.back = threading.Semaphore(0)

    def __call__(self, question: str) -> str:
        assert self.go.wait(20)
        self.back.release()
        return "late"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """Let every worker go at the end."""
    made = Hanging()
    yield made
    made.go.set()


def test_hung_workers_are_bounded(hanging: Hanging) -> None:
    """Beyond `max_abandoned` calls are refused, until one comes back."""
    ask = timeout(0.01, max_abandoned=2)(hanging)
    for _ in range(2):
        with pytest.raises(errors.Timeout):
            ask("?")
    with pytest.raises(errors.Overloaded, match="max_abandoned=2") as told:
        ask("?")
    assert told.value.kind == "saturated"
    hanging.go.set()
    for _ in range(2):
        assert hanging.back.acquire(timeout=10)
    ask_again = guard(timeout(5, max_abandoned=2))(hanging)
    assert ask_again("?") == "late"
    assert soon(lambda: answers(ask))


def answers(ask: Callable[[str], str]) -> bool:
    """Whether it does, or is refused or cut still."""
    try:
        return ask("?") == "late"
    except (errors.Overloaded, errors.Timeout):
        return False


def test_hung_workers_belong_to_the_policy(hanging: Hanging) -> None:
    """Another timeout's calls are not refused for them."""
    ask = timeout(0.01, max_abandoned=1)(hanging)
    with pytest.raises(errors.Timeout):
        ask("?")
    assert timeout(5, max_abandoned=1)(lambda: "fine")() == "fine"


def test_a_late_result_is_booked_and_discarded() -> None:
    """Nobody gets it, but what it cost is told: event and usage."""
    answer = {
        "model": "m-1",
        "choices": [{"message": {"content": "late"}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }

    def slow() -> dict[str, Any]:
        clock.now().sleep(30)
        return answer

    with FakeRuntime() as time:
        with report() as r, pytest.raises(errors.Timeout):
            timeout(5)(slow)()
        (call,) = r.calls
        time.advance(60)
        assert soon(lambda: isinstance(call.events[-1], events.LateResult))
    (event,) = [each for each in call.events if isinstance(each, events.LateResult)]
    assert event.attempt.usage is not None
    assert event.attempt.usage.output_tokens == 7
    assert event.attempt.model == "m-1"
    assert (event.attempt.outcome, call.outcome) == ("failed", "failed")


def test_a_late_stream_is_closed() -> None:
    """A stream object that arrives when nobody waits any more."""
    model = ScriptedModel(["a", "b"])

    def slow() -> Any:
        clock.now().sleep(30)
        return model.returns_stream()

    with FakeRuntime() as time:
        with pytest.raises(errors.Timeout):
            timeout(5)(slow)()
        time.advance(60)
        assert soon(lambda: model.closed == 1)
    assert model.opened == 1


# timeout= of the callable itself


class SyncAPIResource:
    """The base of an OpenAI client's resources."""


class Completions(SyncAPIResource):
    """One of them."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def create(self, *, model: str, timeout: float | None = 600) -> str:
        """Note the timeout."""
        self.seen.append({"model": model, "timeout": timeout})
        return "answer"


for each in (SyncAPIResource, Completions):
    each.__module__ = "openai.resources"


def test_a_recognised_method_is_told_the_bound() -> None:
    """So that its worker ends soon; what is left of the bound, not the bound itself."""
    completions = Completions()
    create = guard(retry(wait=SOON), timeout(30))(completions.create)
    with FakeRuntime(), deadline(10):
        assert create(model="m") == "answer"
    assert completions.seen == [{"model": "m", "timeout": 10 + GRACE}]


def test_the_callers_own_timeout_is_kept() -> None:
    """Who says `timeout=` himself means it."""
    completions = Completions()
    timeout(30)(completions.create)(model="m", timeout=2)
    timeout(30)(completions.create)(model="m", timeout=None)
    assert [each["timeout"] for each in completions.seen] == [2, None]


def test_thread_false_tells_the_bound_alone() -> None:
    """Nothing else can keep it there, so that no grace is given."""
    completions = Completions()
    with FakeRuntime():
        timeout(30, thread=False)(completions.create)(model="m")
        timeout(total=30, thread=False)(completions.create)(model="m", timeout=2)
    assert [each["timeout"] for each in completions.seen] == [30, 2]


@unary_shapes
def test_a_parameter_of_that_name_is_the_users_own(harness: Harness) -> None:
    """A function of the user's with a `timeout` parameter is never given one."""
    seen: list[Any] = []

    def ask(question: str, timeout: float = 99) -> str:
        seen.append(timeout)
        return "answer"

    harness.run(timeout(5), ask)
    timeout(5)(ask)("?")
    assert seen == [99, 99]


def test_concurrent_calls_have_bounds_of_their_own() -> None:
    """One policy object, many tasks: a slow one does not cut a quick one."""

    @timeout(5)
    async def ask(seconds: float) -> str:
        await clock.now().asleep(seconds)
        return "answer"

    async def main() -> list[Any]:
        return await asyncio.gather(
            *(ask(seconds) for seconds in (1, 9, 4, 7)), return_exceptions=True
        )

    with FakeRuntime():
        got = asyncio.run(main())
    assert [type(each).__name__ for each in got] == ["str", "Timeout", "str", "Timeout"]


def test_asynchronous_shapes_are_those_of_the_harness() -> None:
    """The parametrized names above exist."""
    assert set(ASYNC) >= {"coroutine", "asyncgen", "returns_async_stream"}
