from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from tenacity import wait_fixed

from agentguard import context, deadline, errors, events, fallback, guard, report, retry, timeout
from agentguard.engine.call import Call, Outcome
from agentguard.engine.chain import Next, Policy
from agentguard.engine.reply import Reply, observe
from agentguard.testing import FakeRuntime, ScriptedModel, Stall
from tests.policies.failures import CURED, KINDS, UNTOUCHED, make, notes
from tests.shapes import ASYNC, Harness, every_shape, stream_shapes, unary_shapes

SOON = wait_fixed(1)


class Vote(Policy):
    """Counts outcomes where a breaker stands."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    async def around(self, call: Call, next: Next) -> Reply:
        return await observe(next(call), self.vote)

    def vote(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome.kind)


# what is fallen back from


@pytest.mark.parametrize("kind", KINDS)
@every_shape
def test_what_is_fallen_back_from_by_default(harness: Harness, kind: str) -> None:
    """Failures that another target may not have; not the caller's own mistakes, nor control flow."""
    error, backup = make(kind), harness.target("from the backup")
    run = harness.run(fallback(backup), error)
    if kind in CURED:
        assert run.text == "from the backup"
        assert run.record.served_by == "backup"
        assert [each.kind for each in run.heard(events.FellBack)] == [kind]
    else:
        assert run.error is error
        assert backup.model.calls == []
        assert notes(error) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNTOUCHED])
@every_shape
def test_any_kind_when_asked_for(harness: Harness, kind: str) -> None:
    """`on=` a kind cures it, and only it."""
    backup = harness.target("from the backup", repeat_last=True)
    policy = fallback(backup, on=kind)
    assert harness.run(policy, make(kind)).text == "from the backup"
    other = make("server" if kind != "server" else "overloaded")
    assert harness.run(policy, other).error is other


@pytest.mark.parametrize("kind", UNTOUCHED)
@every_shape
def test_control_flow_is_never_cured(harness: Harness, kind: str) -> None:
    """Not even by name or by type."""
    error, backup = make(kind), harness.target("never")
    run = harness.run(fallback(backup, on=(kind, Exception)), error)
    assert run.error is error
    assert backup.model.calls == []


@pytest.mark.parametrize("bug", [TypeError, NameError, AttributeError, KeyError, UnboundLocalError])
@every_shape
def test_bugs_are_not_hidden(harness: Harness, bug: type[Exception]) -> None:
    """A mistake in the user's own code comes out, unless he asks for it by type."""
    error, backup = bug("x"), harness.target("from the backup")
    assert harness.run(fallback(backup), error).error is error
    assert harness.run(fallback(backup, on=bug), bug("x")).text == "from the backup"


@every_shape
def test_input_that_was_refused_stays_refused(harness: Harness) -> None:
    """Another model must not get what a guard refused to send."""
    error, backup = errors.InputRejected("no"), harness.target("never")
    assert harness.run(fallback(backup), error).error is error
    assert backup.model.calls == []


@every_shape
def test_a_base_exception_passes(harness: Harness) -> None:
    """KeyboardInterrupt is no failure."""
    error, backup = KeyboardInterrupt(), harness.target("never")
    assert harness.run(fallback(backup), error).error is error
    assert backup.model.calls == []


def test_stop_iteration_passes() -> None:
    """A function that raises StopIteration means something by it."""

    def exhausted() -> str:
        raise StopIteration(7)

    with pytest.raises(StopIteration) as told:
        fallback(lambda: "never")(exhausted)()
    assert told.value.value == 7


@pytest.mark.parametrize(
    "on",
    [ValueError, (KeyError, ValueError), lambda e: "x" in str(e), ("auth", "unknown")],
)
@every_shape
def test_on_takes_types_kinds_and_predicates(harness: Harness, on: Any) -> None:
    """As retry's."""
    backup = harness.target("from the backup")
    assert harness.run(fallback(backup, on=on), ValueError("x")).text == "from the backup"
    missed = ConnectionError("y")
    assert harness.run(fallback(backup, on=on), missed).error is missed


# chains


@every_shape
def test_targets_are_tried_in_order_with_the_same_arguments(harness: Harness) -> None:
    """The first that answers serves; those behind it are not called."""
    bad = harness.target(make("auth"), name="bad")
    good = harness.target("good", name="good")
    unused = harness.target("never", name="unused")
    subject = harness.guard(fallback(bad, good, unused), make("server"))
    run = subject.call("q", model="m")
    assert run.text == "good"
    assert [bad.model.calls[0].args, good.model.calls[0].args] == [("q",), ("q",)]
    assert dict(good.model.calls[0].kwargs) == {"model": "m"}
    assert unused.model.calls == []
    assert [(each.kind, each.target) for each in run.heard(events.FellBack)] == [
        ("server", "bad"),
        ("auth", "good"),
    ]
    assert run.record.served_by == "good"
    assert run.attempts == [
        ("model", "failed", "server"),
        ("bad", "failed", "auth"),
        ("good", "completed", None),
    ]


@pytest.mark.parametrize(
    ("kind", "served"),
    [("context_length", "long"), ("server", "other"), ("content_filter", "mild")],
)
@every_shape
def test_typed_chains(harness: Harness, kind: str, served: str) -> None:
    """Several fallbacks in one guard, each for its own cause."""
    long, mild, other = (
        harness.target(name, name=name, repeat_last=True) for name in ("long", "mild", "other")
    )
    policies = [
        fallback(long, on="context_length"),
        fallback(mild, on="content_filter"),
        fallback(other),
        retry(attempts=1),
    ]
    run = harness.run(policies, make(kind))
    assert run.text == served
    assert run.record.served_by == served


@every_shape
def test_the_primarys_exception_comes_out_when_all_fail(harness: Harness) -> None:
    """The very object; its one note names what each target did."""
    error = make("overloaded")
    one = harness.target(ValueError("odd"), name="one")
    two = harness.target(make("rate_limited"), name="two")
    run = harness.run([fallback(one, two), retry(attempts=1)], error)
    assert run.error is error
    (note,) = notes(error)
    assert note.startswith("1 attempt in ")
    assert "fell back: one failed (ValueError, unknown)" in note
    assert "two failed (APIStatusError, rate_limited)" in note
    assert run.record.served_by is None
    assert error.__cause__ is None


@every_shape
def test_typed_chains_that_fail_tell_of_all_targets(harness: Harness) -> None:
    """Two fallbacks, one note with both."""
    error = make("server")
    one, two = harness.target(make("auth"), name="one"), harness.target(make("auth"), name="two")
    harness.run([fallback(two), fallback(one)], error)
    (note,) = notes(error)
    assert "one failed" in note
    assert "two failed" in note


@every_shape
def test_notes_do_not_grow_with_every_call(harness: Harness) -> None:
    """An exception object that is raised again and again carries the note of its last call."""
    error, backup = make("server"), harness.target(make("auth"), repeat_last=True)
    subject = harness.guard([fallback(backup)], error, repeat_last=True)
    for _ in range(3):
        assert subject.call().error is error
    (note,) = notes(error)
    assert note.count("backup failed") == 1


@every_shape
def test_control_flow_of_a_target_comes_out(harness: Harness) -> None:
    """A framework's exception raised in a target is not an answer that failed."""
    error = make("control")
    backup = harness.target(error)
    assert harness.run(fallback(backup, harness.target("never")), make("server")).error is error


# what is bypassed


@every_shape
def test_targets_bypass_the_inner_chain(harness: Harness) -> None:
    """A target is called once and never votes on the primary's circuit."""
    vote, backup = Vote(), harness.target(make("server"))
    run = harness.run(
        [fallback(backup), retry(attempts=2, wait=SOON), vote], make("server"), make("server")
    )
    assert vote.outcomes == ["failed", "failed"]
    assert len(backup.model.calls) == 1
    assert run.slept == [1]


@every_shape
def test_a_success_of_a_target_is_no_vote(harness: Harness) -> None:
    """The primary's circuit sees the primary alone."""
    vote = Vote()
    run = harness.run([fallback(harness.target("ok")), vote], make("server"))
    assert run.text == "ok"
    assert vote.outcomes == ["failed"]


@every_shape
def test_a_target_may_be_guarded_itself(harness: Harness) -> None:
    """With retries and a fallback of its own; its attempts are a child in the report."""
    model = ScriptedModel(make("server"), "second try", name="backup")
    target = guard(retry(attempts=2, wait=SOON))(model.shape(harness.shape))
    run = harness.run(fallback(target), make("auth"), make("server"))
    assert run.error is not None  # auth is not cured by default
    run = harness.run(fallback(target), make("server"))
    assert run.text == "second try"
    assert len(model.calls) == 2
    (child,) = run.record.children
    assert [each.kind for each in child.attempts] == ["server", None]
    assert run.record.served_by == "backup"


@every_shape
def test_model_repeats_the_call(harness: Harness) -> None:
    """The same callable with another `model`, past the retry inside."""
    run = harness.guard(
        [fallback(model="mini"), retry(attempts=2, wait=SOON)],
        make("server"),
        make("server"),
        "from mini",
    ).call("q", model="big")
    assert run.text == "from mini"
    assert [call.kwargs["model"] for call in run.calls] == ["big", "big", "mini"]
    assert run.record.served_by == "model (mini)"
    assert [each.number for each in run.record.attempts] == [1, 2, 1]


@every_shape
def test_targets_come_before_models(harness: Harness) -> None:
    """Both in one fallback."""
    backup = harness.target(make("server"))
    run = harness.guard(fallback(backup, model="mini"), make("server"), "mini").call(model="big")
    assert run.text == "mini"
    assert [each.target for each in run.record.attempts] == ["model", "backup", "model (mini)"]


# judging answers


@unary_shapes
def test_an_answer_is_judged(harness: Harness) -> None:
    """`when=` says True to ask the next target."""
    backup = harness.target("good")
    run = harness.run(fallback(backup, when=lambda a: a == "bad"), "bad")
    assert run.text == "good"
    assert [each.kind for each in run.heard(events.FellBack)] == ["rejected"]


@unary_shapes
def test_the_first_answer_is_returned_when_none_is_better(harness: Harness) -> None:
    """And an answer that no target improves is no failure."""
    backup, broken = harness.target("bad too"), harness.target(make("server"))
    run = harness.run(fallback(backup, broken, when=lambda a: "bad" in a), "bad")
    assert run.text == "bad"
    assert run.outcome == "completed"


@unary_shapes
def test_when_judges_after_a_failure_too(harness: Harness) -> None:
    """A target's bad answer is passed over; with nothing left the failure comes out."""
    error = make("server")
    run = harness.run(fallback(harness.target("bad"), when=lambda a: "bad" in a), error)
    assert run.error is error
    assert "backup was not better" in notes(error)[0]


@unary_shapes
def test_a_predicate_that_fails_comes_out(harness: Harness) -> None:
    """A bug in the user's own code is shown, for the primary's answer and for a target's."""

    def broken(answer: str) -> bool:
        if answer == "bad":
            return True
        raise RuntimeError("bug")

    backup = harness.target("answer", repeat_last=True)
    for script in ("other", "bad", make("server")):
        run = harness.run(fallback(backup, when=broken), script)
        assert str(run.error) == "bug"


@stream_shapes
def test_a_held_stream_is_judged_whole(harness: Harness) -> None:
    """`hold="all"`; the discarded answer never reaches the reader."""
    backup = harness.target(["go", "od"])
    run = harness.run(fallback(backup, when=lambda a: a == "bad", hold="all"), ["b", "ad"])
    assert run.items == ["go", "od"]


@stream_shapes
def test_a_held_stream_that_fails_falls_back(harness: Harness) -> None:
    """Nothing has gone out, so that a failure in its middle is cured as well."""
    backup = harness.target(["good"])
    run = harness.run(
        fallback(backup, when=lambda a: a == "bad", hold="all"), ["half", make("connection")]
    )
    assert run.items == ["good"]


@stream_shapes
def test_a_held_target_that_fails_in_the_middle_is_passed_over(harness: Harness) -> None:
    """The same for a target's stream."""
    one = harness.target(["half", make("connection")], name="one")
    two = harness.target(["good"], name="two")
    run = harness.run(fallback(one, two, when=lambda a: a == "bad", hold="all"), ["bad"])
    assert run.items == ["good"]


@stream_shapes
def test_a_stream_that_was_not_expected_is_refused(harness: Harness) -> None:
    """`when=` without `hold`: generators when decorated, others when they answer."""
    backup = harness.target("never")
    policy = fallback(backup, when=bool, on=Exception)
    if harness.shape in {"generator", "asyncgen"}:
        with pytest.raises(TypeError, match='hold="all"'):
            harness.guard(policy, ["a"])
        return
    run = harness.run(policy, ["a", "b"])
    assert isinstance(run.error, TypeError)
    assert 'hold="all"' in str(run.error)
    assert backup.model.calls == []


# streams


@stream_shapes
def test_a_stream_falls_back_before_its_first_content(harness: Harness) -> None:
    """The reader gets the target's stream alone."""
    backup = harness.target(["from ", "the backup"])
    run = harness.run(fallback(backup), [make("server")])
    assert run.items == ["from ", "the backup"]


@stream_shapes
def test_a_stream_never_falls_back_after_it(harness: Harness) -> None:
    """Two halves of different answers are none."""
    error, backup = make("server"), harness.target(["never"])
    run = harness.run(fallback(backup), ["half", error])
    assert run.items == ["half"]
    assert run.error is error
    assert backup.model.calls == []


@stream_shapes
def test_a_unary_target_of_a_stream_is_a_stream_of_one(harness: Harness) -> None:
    """A canned answer serves a generator, and a function that is asked to stream."""
    if harness.is_async and harness.shape != "hands_async_stream":  # a plain def: taken for sync

        async def sorry(*args: Any, **kwargs: Any) -> str:
            return "sorry"
    else:

        def sorry(*args: Any, **kwargs: Any) -> str:  # type: ignore[misc]
            return "sorry"

    subject = harness.guard(fallback(sorry), make("server"))
    kwargs = {} if harness.shape in {"generator", "asyncgen"} else {"stream": True}
    run = subject.call("q", **kwargs)
    assert run.items == ["sorry"]
    assert run.record.served_by == "sorry"
    assert run.outcome == "completed"


@pytest.mark.parametrize("shape", [shape for shape in ASYNC if shape != "awaitable"])
def test_a_sync_target_of_an_async_call_runs_in_a_worker(shape: str) -> None:
    """It neither blocks the loop nor loses the caller's context."""
    harness, seen = Harness(shape), dict[str, Any]()
    variable = ContextVar("variable", default="unset")

    def backup(question: str, **kwargs: Any) -> str:
        seen["thread"], seen["variable"] = threading.current_thread(), variable.get()
        return "from a thread"

    variable.set("mine")
    run = harness.guard(fallback(backup), make("server")).call("q", stream=harness.streams)
    assert run.text == "from a thread"
    assert seen["thread"] is not threading.main_thread()
    assert seen["variable"] == "mine"


async def test_an_async_clients_method_needs_no_worker() -> None:
    """Its flags say that it is sync and its owner that it is not: it is called on the loop."""
    threads: list[threading.Thread] = []

    class AsyncCompletions:
        async def _create(self) -> str:
            return "from the backup"

        @functools.wraps(_create)
        def create(self, question: str) -> Any:
            threads.append(threading.current_thread())
            return self._create()

    @fallback(AsyncCompletions().create)
    async def ask(question: str) -> str:
        raise ConnectionError("down")

    assert await ask("?") == "from the backup"
    assert threads == [threading.main_thread()]


@pytest.mark.parametrize("shape", [shape for shape in ASYNC if Harness(shape).streams])
def test_a_sync_generator_serves_an_async_stream(shape: str) -> None:
    """Each item is pulled in a worker; the reader iterates as ever."""
    harness, threads = Harness(shape), set[threading.Thread]()

    def backup(question: str) -> Iterator[str]:
        for word in ("one", "two"):
            threads.add(threading.current_thread())
            yield word

    run = harness.run(fallback(backup), make("server"))
    assert run.items == ["one", "two"]
    assert threading.main_thread() not in threads


def test_an_async_target_of_a_lambda_cannot_serve_a_sync_call() -> None:
    """What only the call can tell is told by the note, with the primary's failure."""

    async def backup() -> str:
        return "never"

    def fail() -> str:
        raise make("server")

    with pytest.raises(Exception, match="500") as told:
        fallback(backup)(lambda: fail())()  # noqa: PLW0108  its flags must not tell
    assert "backup failed (TypeError" in notes(told.value)[0]


async def test_an_async_generator_target_of_an_async_generator() -> None:
    """Guarded generator functions in both places, closed when the reader stops."""
    closed: list[str] = []

    async def backup(topic: str) -> AsyncIterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append("backup")

    @fallback(backup)
    async def story(topic: str) -> AsyncIterator[str]:
        raise ConnectionError
        yield ""

    stream = story("?")
    assert [await anext(stream)] == ["one"]
    await stream.aclose()  # type: ignore[attr-defined]
    assert closed == ["backup"]


# time


@every_shape
def test_a_bound_that_has_passed_is_not_fallen_back_from(harness: Harness) -> None:
    """When the outer bound is used up, no target is begun and none is told of."""
    backup = harness.target("never")
    subject = harness.guard([timeout(total=5), fallback(backup)], [Stall(9), "late"])
    run = subject.call()
    assert isinstance(run.error, errors.Timeout)
    assert run.error.bound == "total"
    assert backup.model.calls == []
    assert not run.heard(events.FellBack)


@every_shape
def test_a_targets_time_is_bounded_too(harness: Harness) -> None:
    """A deadline ends a target that hangs; the primary's exception comes out."""
    error, backup = make("server"), harness.target([Stall(60), "late"])
    subject = harness.guard(fallback(backup), error)
    with FakeRuntime() as time, deadline(5):
        run = subject.call()
        assert time.now == 5
    assert run.error is error
    assert "backup failed (DeadlineExceeded, timeout)" in notes(error)[0]


@every_shape
def test_an_attempts_timeout_is_fallen_back_from(harness: Harness) -> None:
    """The primary hangs, its own timeout ends it, the target has the time it needs."""
    backup = harness.target([Stall(8), "slow but sure"])
    run = harness.run([fallback(backup), timeout(5)], [Stall(60), "late"])
    assert run.text == "slow but sure"
    assert run.now == 13


# telling


def test_report_and_events_say_who_served() -> None:
    """In the record, in the printed waterfall, and for who listens."""
    backup = ScriptedModel("ok", name="backup")
    model = ScriptedModel(make("server"))
    with FakeRuntime(), report() as r, context(user="u1"):
        fallback(backup.sync)(model.sync)("q")
    (call,) = r.calls
    assert (call.name, call.served_by, call.tags["user"]) == ("model", "backup", "u1")
    assert "served by backup" in str(r)
    assert "fell back to backup (server)" in str(r)


def test_the_model_that_served_is_told() -> None:
    """The answer's own word for it, not the one asked for."""

    def ask(model: str) -> dict[str, Any]:
        if model == "big":
            raise ConnectionError
        return {"model": "mini-2026", "choices": [{"message": {"content": "42"}}]}

    with report() as r:
        fallback(model="mini")(ask)("big")
    assert r.calls[0].model == "mini-2026"


def test_concurrent_calls_do_not_mix() -> None:
    """One policy object, many tasks: each gets its own target's answer."""

    async def ask(number: int) -> str:
        await asyncio.sleep(0)
        raise ConnectionError(number)

    async def backup(number: int) -> str:
        await asyncio.sleep(0)
        return str(number)

    async def main() -> list[str]:
        guarded = fallback(backup)(ask)
        return await asyncio.gather(*(guarded(number) for number in range(200)))

    assert asyncio.run(main()) == [str(number) for number in range(200)]


# callables whose flags say sync and that hand back an awaitable, as async SDK methods do


class Refuse(Policy):
    """Refuses every call but the first, as an open circuit does."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    async def around(self, call: Call, next: Next) -> Reply:
        self.calls -= 1
        if self.calls < 0:
            raise errors.CircuitOpen("open", retry_after=3)
        return await next(call)


class AsyncCompletions:
    """A resource of an async client: its method is a plain function around a coroutine function."""

    async def _create(self, question: str) -> str:
        await asyncio.sleep(0)
        return "from the primary"

    @functools.wraps(_create)
    def create(self, *args: Any, **kwargs: Any) -> Any:
        """Hand back a coroutine."""
        return self._create(*args, **kwargs)


def lambda_of_async() -> Any:
    """A lambda around an async method, and how often it must be called to be known."""
    create = AsyncCompletions().create
    return lambda question: create(question)  # noqa: PLW0108  its flags must not tell


@pytest.mark.parametrize("known", [True, False], ids=["sdk method", "lambda"])
@pytest.mark.parametrize("colour", ["sync target", "async target", "lambda target"])
def test_a_refusal_before_the_awaitable_is_awaited_all_the_same(known: bool, colour: str) -> None:
    """When the primary is not even asked, its caller still gets something to await."""

    async def backup(question: str) -> str:
        return "from the backup"

    targets = {
        "sync target": lambda question: "from the backup",
        "async target": backup,
        "lambda target": lambda question: backup(question),  # noqa: PLW0108  its flags must not tell
    }
    fn = AsyncCompletions().create if known else lambda_of_async()
    ask = guard(fallback(targets[colour]), Refuse(0 if known else 1))(fn)

    async def main() -> None:
        if not known:
            assert await ask("?") == "from the primary"
        pending = ask("?")
        assert await pending == "from the backup"

    asyncio.run(main())


@pytest.mark.parametrize("known", [True, False], ids=["sdk method", "lambda"])
def test_waits_of_such_a_call_do_not_block_the_loop(known: bool) -> None:
    """A retry that waits for the circuit lets other tasks run, and raises where it is awaited."""

    async def main() -> None:
        ask = guard(retry(attempts=2), Refuse(0 if known else 1))(
            AsyncCompletions().create if known else lambda_of_async()
        )
        if not known:
            await ask("?")
        ticks: list[float] = []

        async def tick() -> None:
            for _ in range(3):
                await time.pause_async(1)
                ticks.append(time.now)

        with deadline(60):
            pending = ask("?")  # a refusal is not raised here
            ticker = asyncio.ensure_future(tick())
            with pytest.raises(errors.CircuitOpen):
                await pending
        await ticker
        assert ticks == [1, 2, 3]

    with FakeRuntime() as time:
        asyncio.run(main())


def test_a_function_that_hands_back_both_keeps_both() -> None:
    """Seen handing back an awaitable on a loop, it still answers sync callers outside of one."""

    async def later() -> str:
        return "later"

    ask = fallback(lambda now: "never")(lambda now: "now" if now else later())

    async def main() -> Any:
        return await ask(now=False)

    assert asyncio.run(main()) == "later"
    assert ask(now=True) == "now"
