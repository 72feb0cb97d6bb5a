"""trace(): the spans of calls, attempts and waits, and whose children they are; in every shape."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode
from tenacity import wait_fixed

import agentguard as ag
from agentguard import errors
from agentguard.engine.lost import settle_lost
from agentguard.exporters import LangSmith, OpenTelemetry
from agentguard.testing import FakeRuntime, ScriptedModel, Stall
from tests.engine import kit
from tests.exporters.spans import MODEL, Spans, happened, seconds, served, told
from tests.shapes import Harness, every_shape, stream_shapes, unary_shapes


@pytest.fixture
def spans() -> Spans:
    """Spans in memory."""
    return Spans()


# What a call becomes


@every_shape
def test_a_call_is_a_span_and_its_attempt_another_inside(harness: Harness, spans: Spans) -> None:
    """Both end with the answer, of a stream with its end; the record has the ids of the call's."""
    run = harness.run(spans.policy, ["4", "2"])
    assert run.text == "42"
    call, attempt = spans.all()
    assert (call.name, call.kind, call.parent) == ("model", SpanKind.INTERNAL, None)
    assert (attempt.name, attempt.kind) == ("model", SpanKind.INTERNAL)
    assert attempt.parent.span_id == call.context.span_id
    assert run.record.trace == f"{call.context.trace_id:032x}"
    assert run.record.span == f"{call.context.span_id:016x}"
    assert told(call) == {
        "agentguard.name": "model",
        "agentguard.outcome": "completed",
        "agentguard.attempts": 1,
        "agentguard.served_by": "model",
        **({"agentguard.time_to_first_token": 0.0} if harness.streams else {}),
    } | {name: 0.0 for name in told(call) if name == "agentguard.cost_usd"}
    assert call.status.status_code is StatusCode.UNSET
    assert call.instrumentation_scope.name == "agentguard"
    assert call.instrumentation_scope.version == ag.__version__
    assert call.instrumentation_scope.schema_url.endswith("gen-ai-dev/1.42.0-dev")


@every_shape
def test_a_function_that_tells_its_model_has_gen_ai_attributes(
    harness: Harness, spans: Spans
) -> None:
    """What an answer tells of model, tokens and its end stands in the attempt's span."""
    subject = harness.guard(spans.policy, served(harness.streams))
    assert subject.call("why?", model=MODEL).error is None
    call, attempt = spans.all()
    assert attempt.name == f"chat {MODEL}"
    own = {"gen_ai.response.id": "c-1"} if not harness.streams else {}
    if harness.streams:
        own["gen_ai.response.time_to_first_chunk"] = 0.0
    assert told(attempt, "gen_ai.") == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        **own,
    }
    assert told(attempt, "agentguard.cost") == {"agentguard.cost_usd": pytest.approx(0.00021)}
    assert told(call, "agentguard.cost") == {"agentguard.cost_usd": pytest.approx(0.00021)}
    assert not told(call, "gen_ai.")  # else its tokens would be counted twice


@every_shape
def test_attempts_and_the_waits_between_them_stand_side_by_side(
    harness: Harness, spans: Spans
) -> None:
    """A wait is as long as it was; what failed says how, and never in its exception's words."""
    secret = "my secret " + "s3cr3t"
    run = harness.run(
        [spans.policy, ag.retry(attempts=3, wait=wait_fixed(2))],
        ConnectionError(secret),
        TimeoutError(secret),
        ["42"],
    )
    assert run.text == "42"
    assert spans.tree() == ["model", *["  model", "  retry wait"] * 2, "  model"]
    call, first, wait, second, _, third = spans.all()
    assert [seconds(each) for each in (first, wait, second, third, call)] == [0, 2, 0, 0, 4]
    assert first.end_time == wait.start_time
    assert wait.end_time == second.start_time
    assert [each.attributes["agentguard.attempt"] for each in (first, second, third)] == [1, 2, 3]
    assert first.status.status_code is second.status.status_code is StatusCode.ERROR
    assert (first.status.description, second.status.description) == ("connection", "timeout")
    assert first.attributes["error.type"] == "ConnectionError"
    assert first.attributes["agentguard.kind"] == "connection"
    assert third.status.status_code is call.status.status_code is StatusCode.UNSET
    assert happened(call) == ["retried", "retried"]
    retried = call.events[0]
    assert dict(retried.attributes) == {
        "agentguard.kind": "connection",
        "agentguard.number": 1,
        "agentguard.wait": 2.0,
        "agentguard.obeyed": False,
    }
    assert retried.timestamp == first.end_time
    assert "s3cr3t" not in "".join(each.to_json() for each in spans.all())


@every_shape
def test_a_call_that_fails(harness: Harness, spans: Spans) -> None:
    """Its span and its attempt's have the class and the kind of the failure."""
    run = harness.run(spans.policy, ValueError("with a prompt in it"))
    assert isinstance(run.error, ValueError)
    for span in spans.all():
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ValueError"
        assert span.attributes["agentguard.outcome"] == "failed"
        assert not span.events


@stream_shapes
def test_a_stream_that_is_left_early_is_abandoned(harness: Harness, spans: Spans) -> None:
    """Its spans end when it is closed, without an error."""
    harness.guard(spans.policy, ["4", "2", "!"]).call(read=1)
    call, attempt = spans.all()
    for span in (call, attempt):
        assert span.attributes["agentguard.outcome"] == "abandoned"
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in span.attributes


@stream_shapes
def test_a_stream_that_breaks(harness: Harness, spans: Spans) -> None:
    """Its spans end with the failure, when it comes."""
    run = harness.run(spans.policy, ["4", ConnectionError("no")])
    assert isinstance(run.error, ConnectionError)
    assert [each.attributes["agentguard.kind"] for each in spans.all()] == ["connection"] * 2


@stream_shapes
def test_a_streams_spans_last_as_long_as_it_is_read(harness: Harness, spans: Spans) -> None:
    """To the last item, with the time to the first content."""
    answer = served(streams=True)
    run = harness.run(spans.policy, [Stall(1), answer[0], Stall(2), *answer[1:]])
    assert run.error is None
    call, attempt = spans.all()
    assert [seconds(call), seconds(attempt)] == [3, 3]
    assert attempt.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(1)
    assert call.attributes["agentguard.time_to_first_token"] == pytest.approx(1)


@pytest.mark.parametrize("shape", kit.STREAMS)
async def test_a_stream_that_nobody_holds_any_more_ends(shape: str, spans: Spans) -> None:
    """The collector's streams are abandoned, and no span stays open."""
    held = [await kit.begin(spans.policy(kit.callables("a", "b", "c")[shape]))]
    held.clear()
    for _ in range(3):
        gc.collect()
        settle_lost()
        await asyncio.sleep(0)
    assert await asyncio.to_thread(spans.tree)
    assert [
        each.attributes["agentguard.outcome"] for each in spans.memory.get_finished_spans()
    ] == [
        "abandoned",
        "abandoned",
    ]
    assert not spans.policy._open


async def test_a_cancelled_call_ends_its_spans(spans: Spans) -> None:
    """Cancelled while it waits for the model, and while it waits to try again."""

    @ag.guard(spans.policy, ag.retry(wait=wait_fixed(60)))
    async def ask(error: Exception | None) -> None:
        if error is not None:
            raise error
        await asyncio.Event().wait()

    for error in (None, ConnectionError()):
        task = asyncio.create_task(ask(error))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    names = await asyncio.to_thread(spans.tree)
    name = "test_a_cancelled_call_ends_its_spans"
    del name
    assert [each.strip() for each in names] == ["ask", "ask", "ask", "ask", "retry wait"]
    wait = next(each for each in spans.all() if each.name == "retry wait")
    assert seconds(wait) < 60
    calls = [each for each in spans.all() if each.parent is None]
    assert [each.attributes["agentguard.outcome"] for each in calls] == ["abandoned"] * 2


# Whose children they are


@every_shape
def test_the_callers_span_is_the_parent(harness: Harness, spans: Spans) -> None:
    """The span that is current where the call is made, or a generator first read, is the parent."""
    subject = harness.guard(spans.policy, ["42"])
    with spans.tracer.start_as_current_span("request"):
        assert subject.call().text == "42"
    assert spans.tree() == ["request", "  model", "    model"]


def inside_of(spans: Spans, shape: str) -> tuple[Any, list[str]]:
    """A callable of this shape that makes a span by hand in each of its steps."""
    seen: list[str] = []

    def step(name: str) -> None:
        with spans.tracer.start_as_current_span(name):
            seen.append(name)

    def generator() -> Any:
        try:
            step("one")
            yield "a"
            step("two")
            yield "b"
        finally:
            step("end")

    async def asyncgen() -> Any:
        try:
            step("one")
            yield "a"
            await asyncio.sleep(0)
            step("two")
            yield "b"
        finally:
            step("end")

    def function() -> Any:
        step("one")
        return "a"

    async def coroutine() -> Any:
        step("one")
        await asyncio.sleep(0)
        step("two")
        return "a"

    async def coroutine_stream() -> Any:
        return asyncgen()

    made = {
        "function": function,
        "coroutine": coroutine,
        "generator": generator,
        "asyncgen": asyncgen,
        "returns a stream": lambda: generator(),  # noqa: PLW0108  it has no flags
        "returns an async stream": lambda: asyncgen(),  # noqa: PLW0108
        "coroutine of a stream": coroutine_stream,
    }
    return made[shape], seen


SHAPES = (
    "function",
    "coroutine",
    "generator",
    "asyncgen",
    "returns a stream",
    "returns an async stream",
    "coroutine of a stream",
)


@pytest.mark.parametrize("bound", [None, 30.0])
@pytest.mark.parametrize("shape", SHAPES)
async def test_spans_made_inside_are_children_of_the_attempt(
    shape: str, bound: float | None, spans: Spans
) -> None:
    """In each step of the target, in a worker too; its reader's own spans are not."""
    fn, seen = inside_of(spans, shape)
    safe = ag.guard(spans.policy, *([] if bound is None else [ag.timeout(bound)]))(fn)

    def between() -> None:
        with spans.tracer.start_as_current_span("between"):
            assert otel.get_current_span().parent.span_id == request.get_span_context().span_id

    with spans.tracer.start_as_current_span("request") as request:
        answer = safe()
        if hasattr(answer, "__await__"):
            answer = await answer
        between()
        if hasattr(answer, "__anext__"):
            async for _ in answer:
                between()
        elif hasattr(answer, "__next__"):
            for _ in answer:
                between()
        between()
        assert otel.get_current_span() is request
    found = await asyncio.to_thread(spans.all)
    by_id = {each.context.span_id: each for each in found}
    for each in found:
        if each.name in {"one", "two", "end"}:
            attempt = by_id[each.parent.span_id]
            assert by_id[attempt.parent.span_id].parent.span_id == request.context.span_id
    assert [each.name for each in found if each.name in seen] == seen


@pytest.mark.parametrize("shape", ["generator", "asyncgen"])
async def test_a_span_kept_open_over_a_yield_stays_inside(
    shape: str, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """What the target opens around a `yield` is not its reader's, and goes on with the next step."""

    def generator() -> Any:
        with spans.tracer.start_as_current_span("open"):
            yield "a"
            with spans.tracer.start_as_current_span("deeper"):
                yield "b"
        with spans.tracer.start_as_current_span("after"):
            yield "c"

    async def asyncgen() -> Any:
        with spans.tracer.start_as_current_span("open"):
            yield "a"
            with spans.tracer.start_as_current_span("deeper"):
                yield "b"
        with spans.tracer.start_as_current_span("after"):
            yield "c"

    outside = otel_context.get_current()
    if shape == "generator":
        for _ in spans.policy(generator)():
            assert otel_context.get_current() == outside
    else:
        async for _ in spans.policy(asyncgen)():
            assert otel_context.get_current() == outside
    tree = await asyncio.to_thread(spans.tree)
    name = tree[0]
    assert tree == [name, f"  {name}", "    open", "      deeper", "    after"]
    assert "Failed to detach" not in caplog.text


def test_a_span_left_open_in_a_stream_that_is_closed_does_not_leak(spans: Spans) -> None:
    """Closed at a `yield`, a generator leaves its block: its reader's context is what it was."""

    @spans.policy
    def ask() -> Any:
        with spans.tracer.start_as_current_span("open"):
            yield "a"
            yield "b"

    with spans.tracer.start_as_current_span("request") as request:
        stream = ask()
        next(stream)
        assert otel.get_current_span() is request
        stream.close()
        assert otel.get_current_span() is request
    assert [each.strip() for each in spans.tree()[:1]] == ["request"]


def test_guarded_calls_made_inside_are_children_of_the_attempt(spans: Spans) -> None:
    """Guarded by a trace of their own or by none; each attempt's tokens stand in one span."""

    @ag.retry
    def model(question: str, model: str) -> Any:
        return served(streams=False)

    @ag.guard(ag.trace(spans.to))
    def other(question: str, model: str) -> Any:
        return served(streams=False)

    @ag.guard(spans.policy)
    def agent() -> str:
        model("a", model=MODEL)
        with spans.tracer.start_as_current_span("by hand"):
            other("b", model=MODEL)
        return "done"

    agent()
    assert spans.tree() == [
        "agent",
        "  agent",
        "    model",
        f"      chat {MODEL}",
        "    by hand",
        "      other",
        f"        chat {MODEL}",
    ]
    tokens = [each.attributes.get("gen_ai.usage.input_tokens") for each in spans.all()]
    assert [each for each in tokens if each] == [1000, 1000]
    root = spans.all()[0]
    assert root.attributes["agentguard.cost_usd"] == pytest.approx(0.00042)


def test_a_call_carried_into_a_thread_is_a_child_of_the_attempt(spans: Spans) -> None:
    """A thread has no context of its own: `carry` tells whose child a guarded call is."""

    @ag.retry
    def model(number: int) -> str:
        return "42"

    @ag.guard(ag.trace(spans.to))
    def other(number: int) -> str:
        return "42"

    @spans.policy
    def agent() -> None:
        with ThreadPoolExecutor(4) as pool:
            [*pool.map(ag.carry(model), range(4))]
            [*pool.map(ag.carry(other), range(4))]

    agent()
    spans_ = spans.all()
    attempt = spans_[1]
    children = [each for each in spans_ if each.parent is not None][1:]
    calls = [each for each in children if each.name.endswith(("model", "other"))]
    direct = [each for each in calls if each.parent.span_id == attempt.context.span_id]
    assert len(direct) == 8
    assert {each.context.trace_id for each in spans_} == {spans_[0].context.trace_id}


async def test_calls_at_once_each_have_their_own_parent(spans: Spans) -> None:
    """Tasks of one loop: a call inside a call inside a task's span."""

    @ag.retry
    async def model(name: str) -> str:
        await asyncio.sleep(0)
        return name

    @spans.policy
    async def agent(name: str) -> str:
        await asyncio.sleep(0)
        return "".join(await asyncio.gather(model(name), model(name)))

    async def task(name: str) -> None:
        with spans.tracer.start_as_current_span(name):
            await agent(name)

    await asyncio.gather(*(task(str(number)) for number in range(10)))
    found = await asyncio.to_thread(spans.all)
    by_id = {each.context.span_id: each for each in found}
    deep = [each for each in found if each.name.endswith("model")]
    assert len(deep) == 10 * 2 * 2

    def root(span: Any) -> Any:
        return span if span.parent is None else root(by_id[span.parent.span_id])

    roots = [root(each).name for each in deep]
    assert sorted(roots) == sorted(str(number) for number in range(10) for _ in range(4))


def test_a_stream_read_in_another_thread_stays_in_its_trace(spans: Spans) -> None:
    """Begun here and read on there: what it does there is its attempt's, and not that thread's."""
    fn, _ = inside_of(spans, "generator")
    stream = spans.policy(fn)()
    with spans.tracer.start_as_current_span("request"):
        next(stream)

    def rest() -> None:
        with spans.tracer.start_as_current_span("elsewhere") as mine:
            assert next(stream) == "b"
            assert otel.get_current_span() is mine
            assert next(stream, None) is None

    thread = threading.Thread(target=rest)
    thread.start()
    thread.join()
    assert spans.tree() == [
        "request",
        "  generator",
        "    generator",
        "      one",
        "      two",
        "      end",
        "elsewhere",
    ]


# What policies do


@every_shape
def test_what_policies_do_are_events_of_the_call(harness: Harness, spans: Spans) -> None:
    """A fallback, a circuit that opens: with their own facts, when they happened."""
    backup = harness.target(["from the backup"])
    run = harness.run(
        [spans.policy, ag.fallback(backup), ag.breaker(fail_max=1)], ConnectionError()
    )
    assert run.text == "from the backup"
    call, first, second = spans.all()
    assert happened(call) == ["circuit_opened", "fell_back"]
    assert dict(call.events[1].attributes) == {
        "agentguard.kind": "connection",
        "agentguard.target": "backup",
    }
    assert call.attributes["agentguard.served_by"] == "backup"
    assert (first.attributes["agentguard.target"], first.attributes["agentguard.outcome"]) == (
        "model",
        "failed",
    )
    assert second.attributes["agentguard.target"] == "backup"


@every_shape
def test_an_answer_from_a_cache_has_no_attempt(harness: Harness, spans: Spans) -> None:
    """Nobody was asked: one span, with what was saved."""
    subject = harness.guard([spans.policy, ag.cache(ttl="1h")], served(harness.streams))
    with FakeRuntime() as time:
        for _ in range(2):
            assert subject.call("why?", model=MODEL, temperature=0).error is None
            time.advance(1)
    first, attempt, second = spans.all()
    assert attempt.parent.span_id == first.context.span_id
    assert happened(first) == ["cache_missed", "cache_stored"]
    assert happened(second) == ["cache_hit"]
    hit = dict(second.events[0].attributes)
    assert hit["agentguard.how"] == "fresh"
    assert hit["agentguard.saved_usd"] == pytest.approx(0.00021)


def test_a_refused_call_has_a_span(spans: Spans) -> None:
    """Refused before anybody was asked: with the rule, and without what broke it."""
    safe = ag.guard(spans.policy, ag.validate_input(max_chars=5))(
        ScriptedModel("never").shape("sync")
    )
    with pytest.raises(errors.InputRejected):
        safe("a question that is too long")
    (call,) = spans.all()
    assert call.attributes["agentguard.kind"] == "rejected"
    assert call.attributes["error.type"] == "InputRejected"
    assert happened(call) == ["rejected"]
    assert "too long" not in call.to_json()


@unary_shapes
def test_a_wait_for_a_budget_is_a_span(harness: Harness, spans: Spans) -> None:
    """As long as it lasted, and before the attempt that it was for."""
    policies = [spans.policy, ag.budget(requests=1, per="minute", exceeded="wait")]
    subject = harness.guard(policies, "one", "two")
    with FakeRuntime():
        subject.call()
        subject.call()
    names = [each.strip() for each in spans.tree()]
    assert names.count("budget wait") >= 1
    waits = [each for each in spans.all() if each.name == "budget wait"]
    calls = [each for each in spans.all() if each.parent is None]
    assert sum(map(seconds, waits)) == seconds(calls[1]) > 0
    last = spans.all()[-1]
    assert last.start_time >= waits[-1].end_time


def test_a_tool_is_executed(spans: Spans) -> None:
    """A guarded tool's attempt is named by the conventions, and uses no tokens."""

    def look(query: str) -> str:
        return "found"

    ag.guard(spans.policy).tool(look)("x")
    _, attempt = spans.all()
    assert attempt.name.startswith("execute_tool ")
    assert attempt.name.endswith("look")
    assert told(attempt, "gen_ai.") == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": attempt.name.removeprefix("execute_tool "),
    }


def test_whom_a_call_is_for_is_told_and_masked(spans: Spans) -> None:
    """Tags stand by the conventions' names where they have one; an address does not stand there."""
    safe = spans.policy(ScriptedModel("42").shape("sync"))
    with ag.context(user="kim@example.com", tenant="acme", thread_id="t-1", plan=3):
        safe("?")
    call, _ = spans.all()
    assert call.attributes["user.id"] == "<EMAIL_1>"
    assert call.attributes["agentguard.context.tenant"] == "acme"
    assert call.attributes["gen_ai.conversation.id"] == "t-1"
    assert call.attributes["agentguard.context.plan"] == 3


# Whether, where and under which name


def test_what_is_not_sampled_costs_little_and_stays_unsampled(spans: Spans) -> None:
    """No span of an unsampled request is made, and what it asks is told so."""
    off = Spans(sampler=ParentBased(ALWAYS_OFF))
    seen = []

    @off.policy
    def ask() -> None:
        seen.append(otel.get_current_span().get_span_context())

    ask()
    assert not off.all()
    assert not off.to.outbox.used
    assert seen[0].is_valid
    assert not seen[0].trace_flags.sampled
    with spans.tracer.start_as_current_span("sampled") as around:
        ask()
    assert seen[1].trace_id == around.get_span_context().trace_id


def test_without_a_provider_nothing_is_made() -> None:
    """Where no SDK is set up, calls have no ids, and nothing waits to be sent."""
    to = OpenTelemetry()
    with ag.report() as told_:
        assert ag.trace(to)(lambda: "42")() == "42"
    assert (told_.calls[0].trace, told_.calls[0].span) == (None, None)
    assert not to.outbox.used


def test_name_is_that_of_its_own_calls_alone(spans: Spans) -> None:
    """Calls made inside keep theirs."""

    @ag.retry
    def inner() -> str:
        return "42"

    ag.trace(spans.to, name="support")(lambda: inner())()  # noqa: PLW0108
    names = [each.strip() for each in spans.tree()]
    assert names[0] == "support"
    assert names[2].endswith("inner")


def test_two_around_one_call_trace_it_once_for_each_backend(spans: Spans) -> None:
    """Of two that send to OpenTelemetry the one further in does; stacked or nested."""
    other = Spans()
    safe = ag.guard(spans.policy, ag.trace(other.to))(lambda: "42")
    assert safe() == "42"
    assert not spans.all()
    assert len(other.all()) == 2
    assert not spans.policy._open


def test_the_same_policy_around_both_counts_each_once(spans: Spans) -> None:
    """One object around a function and around what it calls: two calls, two attempts."""

    @spans.policy
    def inner() -> str:
        return "42"

    @spans.policy
    def outer() -> str:
        return inner()

    outer()
    assert len(spans.tree()) == 4
    assert [each.count("  ") for each in spans.tree()] == [0, 1, 2, 3]


def test_inside_retry_a_call_has_one_span(spans: Spans) -> None:
    """Where it stands decides nothing: the call is one, however often it is tried."""
    with FakeRuntime():
        safe = ag.guard(ag.retry(), spans.policy)(
            ScriptedModel(ConnectionError(), "42").shape("sync")
        )
        assert safe("?") == "42"
    assert spans.tree() == ["model", "  model", "  retry wait", "  model"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: ag.trace("jaeger"), 'takes "otel", "langsmith"'),
        (lambda: ag.trace(3), "not "),
        (lambda: ag.trace("otel", name=3), 'name, as in "support"'),
        (lambda: ag.trace("otel", capture="yes"), "True or False"),
        (lambda: ag.trace("otel", project="p"), r"exporters\.LangSmith\(project="),
        (lambda: ag.trace("otel", tracer_provider=None), r"OpenTelemetry\(tracer_provider="),
    ],
)
def test_errors_say_what_to_write(wrong: Callable[[], Any], says: str) -> None:
    """At once, when the policy is made."""
    with pytest.raises((TypeError, ValueError), match=says):
        wrong()


def test_bare_it_is_what_the_environment_configures(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry where it is installed, LangSmith where it is switched on, else an error."""
    monkeypatch.setattr(LangSmith, "prepare", lambda _: None)  # asks nobody here
    monkeypatch.setattr(LangSmith, "configured", lambda: False)
    assert [each.name for each in ag.trace().tracers] == ["otel"]
    monkeypatch.setattr(LangSmith, "configured", lambda: True)
    assert [each.name for each in ag.trace().tracers] == ["otel", "langsmith"]
    monkeypatch.setattr(LangSmith, "configured", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[otel\]'"):
        ag.trace()
    with pytest.raises(ImportError, match=r"pip install 'agentguard-decorators\[otel\]'"):
        ag.trace("otel")(lambda: "42")


def test_explain_says_where_to(spans: Spans) -> None:
    """And whether content goes along; no object of the user's is shown."""
    safe = ag.guard(ag.trace(spans.to, capture=True))(lambda: "42")
    assert "otel" in str(ag.explain(safe))
    assert repr(ag.trace(spans.to)) == "trace(<OpenTelemetry>)"


def test_a_tracer_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it does: the call answers, and other tracers hear of it."""

    class Broken:
        name = "broken"

        def prepare(self) -> None: ...

        def begin(self, *_: Any) -> Any:
            raise RuntimeError("no")

    class Worse(Broken):
        name = "worse"

        def begin(self, *_: Any) -> Any:
            class Every:
                def __getattr__(self, _: str) -> Any:
                    raise RuntimeError("no")

            return Every()

    spans = Spans()
    assert ag.trace(Broken(), Worse(), spans.to)(lambda: "42")() == "42"
    assert len(spans.all()) == 2
    assert "tracing a call failed" in caplog.text
