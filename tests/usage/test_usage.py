"""usage() counts each attempt once, in every shape, however it ended and whatever surrounds it."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from agentguard import (
    carry,
    context,
    events,
    fallback,
    guard,
    prices,
    record,
    report,
    retry,
    testing,
    timeout,
    usage,
)
from agentguard.engine.decorate import Guarded
from agentguard.engine.scope import Block
from agentguard.tokens.count import count_tokens
from tests.shapes import Harness, every_shape, stream_shapes

MODEL = "gpt-4o-mini"
COST = Decimal("0.00021")
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


def answer(text: str = "42", model: str = MODEL, **figures: int) -> dict[str, Any]:
    """A whole answer, or a chunk that has everything."""
    message = {"content": text}
    return {
        "model": model,
        "object": "chat.completion",
        "choices": [{"message": message, "delta": message, "finish_reason": "stop"}],
        "usage": figures or USAGE,
    }


def chunk(text: str, model: str = MODEL) -> dict[str, Any]:
    """A piece of a stream."""
    return {"model": model, "choices": [{"delta": {"content": text}, "finish_reason": None}]}


def scripted(harness: Harness, *answers: Any) -> list[Any]:
    """The same script for unary and streaming shapes."""
    return [[a] if harness.streams and isinstance(a, dict) else a for a in answers]


def at_once(**options: Any) -> Any:
    """A retry that does not wait."""
    return retry(wait=lambda _: 0.0, budget=None, **options)


@every_shape
def test_an_attempt_in_every_shape(harness):
    """Tokens and cost of one call, in total, by model and by tag, and in the report."""
    with usage() as u, report() as r, context(user="ann", feature="search"):
        run = harness.run(at_once(), *scripted(harness, answer()))
    assert run.error is None
    assert (u.input_tokens, u.output_tokens, u.total_tokens) == (1000, 100, 1100)
    assert (u.requests, u.attempts, u.estimated, u.unpriced) == (1, 1, 0, 0)
    assert u.cost == COST
    for key, value in (("model", MODEL), ("user", "ann"), ("feature", "search")):
        (figures,) = u.by(key).values()
        assert list(u.by(key)) == [value]
        assert (figures.cost, figures.requests) == (COST, 1)
    assert list(u.by("tenant")) == [None]
    (call,) = r.calls
    assert (call.usage.input_tokens, call.cost) == (1000, COST)
    assert "1,000 + 100 tokens, $0.00021" in str(r)


@every_shape
def test_what_was_retried(harness):
    """An attempt that was refused costs nothing and is counted; the request is one."""
    with usage() as u:
        harness.run(at_once(attempts=3), *scripted(harness, ConnectionError(), answer()))
    assert (u.requests, u.attempts, u.unpriced, u.cost) == (1, 2, 0, COST)


@every_shape
def test_a_failure_that_told_its_usage(harness):
    """Tokens of an answer that a guard did not accept are paid for, as often as it was asked."""
    hold = {"hold": "all"} if harness.streams else {}
    with usage() as u:
        harness.run(
            at_once(attempts=2, on_result=lambda _: True, **hold),
            *scripted(harness, answer(), answer()),
        )
    assert (u.requests, u.attempts, u.cost) == (1, 2, 2 * COST)


@every_shape
def test_a_fallback_under_its_own_model(harness):
    """What the fallback used is counted under its own model, the request where it was served."""
    backup = harness.target(*scripted(harness, answer(model="gpt-4o")))
    with usage() as u:
        harness.run(fallback(backup), *scripted(harness, ConnectionError()))
    by_model = u.by("model")
    assert by_model["gpt-4o"].total_tokens == 1100
    assert by_model["gpt-4o"].requests == 1
    assert (u.requests, u.attempts) == (1, 2)


@every_shape
def test_nested_guards_count_once(harness):
    """A guarded function around a guarded call adds neither tokens nor requests nor attempts."""
    model = testing.ScriptedModel(*scripted(harness, ConnectionError(), answer()))
    inner = at_once()(model.shape(harness.shape))
    outer = at_once()(functools.partial(inner))

    async def use() -> None:
        found = outer("?")
        if hasattr(found, "__await__"):
            found = await found
        if hasattr(found, "__aiter__"):
            async for _ in found:
                pass
        elif harness.streams:
            list(found)

    with usage() as u, report() as r:
        asyncio.run(use())
    assert (u.requests, u.attempts, u.total_tokens, u.cost) == (1, 2, 1100, COST)
    assert r.calls[0].cost == COST
    assert r.calls[0].attempts[0].usage is None


def test_a_nested_stream_that_is_left():
    """A generator that passes a guarded stream on and is left: one estimate, not two."""

    @at_once()
    def inner(messages, model):
        yield chunk("one two three")
        yield chunk("four")

    @at_once()
    def outer(messages, model):
        yield from inner(messages=messages, model=model)

    @at_once()
    def each(messages, model):
        for item in inner(messages=messages, model=model):  # let go of, not closed
            seen.append(item)
            yield item

    seen: list[Any] = []
    for fn in (outer, each):
        with usage() as u:
            stream = fn(messages=[{"role": "user", "content": "hi"}], model=MODEL)
            next(stream)
            stream.close()
        assert (u.attempts, u.requests, u.estimated) == (1, 1, 1)
        assert u.output_tokens == count_tokens("one two three", MODEL)


ASKED = [{"role": "user", "content": "안녕하세요, how are you?"}]


@stream_shapes
@pytest.mark.parametrize("end", ["left", "cut", "without figures"])
def test_streams_without_figures_are_estimated(harness, end):
    """A stream that was left or cut, or told nothing: what was sent and what arrived is counted."""
    pieces: list[Any] = [chunk("one two"), chunk(" three")]
    if end == "cut":
        pieces.append(ConnectionError())
    if end == "without figures":
        pieces.append({**chunk(""), "choices": [{"delta": {}, "finish_reason": "stop"}]})
    subject = harness.guard(guard(at_once()), pieces)
    stop = {"read": 1} if end == "left" else {}
    with usage() as u:
        subject.call(messages=ASKED, model=MODEL, **stop)
    arrived = "one two" if end == "left" else "one two three"
    request = {"messages": ASKED, "model": MODEL}
    assert (u.estimated, u.attempts, u.unpriced) == (1, 1, 0)
    assert u.input_tokens == count_tokens(request, MODEL)
    assert u.output_tokens == count_tokens(arrived, MODEL)
    assert u.cost > 0
    assert "1 of 1 attempts are estimates" in str(u)


THOUGHT, ARGUMENTS = "let me think about it", '{"city": "Seoul"}'
BESIDE = {
    "chat": [
        {"choices": [{"delta": {"reasoning_content": THOUGHT, "reasoning": THOUGHT}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": ARGUMENTS}}]}}]},
        {"choices": [{"index": 1, "delta": {"content": "other"}}]},
    ],
    "responses": [
        {"type": "response.reasoning_text.delta", "delta": THOUGHT},
        {"type": "response.function_call_arguments.delta", "delta": ARGUMENTS},
        {"type": "response.output_text.delta", "delta": "other"},
    ],
    "anthropic": [
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": THOUGHT}},
        {
            "type": "content_block_delta",
            "delta": {"type": "input_json_delta", "partial_json": ARGUMENTS},
        },
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "other"}},
    ],
}


@pytest.mark.parametrize("protocol", sorted(BESIDE))
def test_reasoning_and_tool_arguments_are_estimated(protocol):
    """What streamed beside the answer costs tokens too, each piece once."""

    @at_once(attempts=1)
    def ask(messages, model):
        yield from BESIDE[protocol]
        raise ConnectionError

    with usage() as u, pytest.raises(ConnectionError):
        list(ask(messages=ASKED, model=MODEL))
    expected = sum(count_tokens(text, MODEL) for text in (THOUGHT, ARGUMENTS, "other"))
    assert (u.estimated, u.attempts) == (1, 1)
    assert abs(u.output_tokens - expected) <= 2  # joined, two pieces may share a token


def test_an_anthropic_stream_that_was_cut():
    """The input was told at the start; of the output only a first token, so it is counted."""
    start = {
        "type": "message_start",
        "message": {
            "model": "claude-sonnet-4-5-20250929",
            "usage": {
                "input_tokens": 100,
                "output_tokens": 1,
                "cache_read_input_tokens": 3000,
                "cache_creation_input_tokens": 2000,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 500,
                    "ephemeral_1h_input_tokens": 1500,
                },
            },
        },
    }
    text = "one two three four five"
    delta = {"type": "content_block_delta", "index": 0}
    delta["delta"] = {"type": "text_delta", "text": text}

    @at_once(attempts=1)
    def ask():
        yield start
        yield delta
        raise ConnectionError

    with usage() as u, pytest.raises(ConnectionError):
        list(ask())
    assert (u.input_tokens, u.cached_tokens, u.cache_write_tokens) == (5100, 3000, 2000)
    assert u.output_tokens == count_tokens(text, "claude-sonnet-4-5") > 1
    assert u.estimated == 1
    # 100 fresh at 3, 3000 read at 0.30, 500 written at 3.75, 1500 for an hour at 6 dollars
    expected = Decimal(100 * 3 + 900 + 1875 + 9000 + 15 * u.output_tokens) / 1_000_000
    assert u.cost == expected


def test_unknown_costs_are_never_zero():
    """An unknown model: cost None, an event for each attempt, one warning for the process."""
    heard: list[events.Event] = []

    class Hear(Block):
        def surround(self, outer):
            return outer.within(listeners=(*outer.listeners, heard.append))

    ask = at_once()(lambda: answer(model="house-model"))
    with Hear(), usage() as u:
        ask()
        ask()
    assert not any(isinstance(event, events.Unpriced) for event in heard)  # not asked for yet
    with pytest.warns(UserWarning, match="'house-model'") as warned:
        assert u.cost is None
    assert len(warned) == 1
    assert (u.unpriced, u.attempts, u.total_tokens) == (2, 2, 2200)
    assert [e.model for e in heard if isinstance(e, events.Unpriced)] == ["house-model"] * 2
    assert "2 of 2 attempts have no known cost" in str(u)
    assert "unknown" in str(u)
    with u:
        at_once()(answer)()
    assert (u.cost, u.unpriced) == (COST, 2)


def test_prices_of_your_own():
    """An added price is used; a warning that is made an error loses no figures."""
    ask = at_once()(lambda: answer(model="house-model"))
    with usage() as u:
        ask()
    with pytest.raises(UserWarning, match="house-model"):
        _ = u.cost
    assert (u.cost, u.unpriced, u.total_tokens) == (None, 1, 1100)
    prices.add("house-model", input=1, output=2)
    with u:
        ask()
    assert (u.cost, u.unpriced) == (Decimal("0.0012"), 1)


def test_a_class_of_service_has_its_own_price():
    """What was served as flex is priced as flex."""
    with usage() as standard:
        at_once()(lambda: answer(model="gpt-5"))()
    with usage() as flex:
        at_once()(lambda: {**answer(model="gpt-5"), "service_tier": "flex"})()
    assert flex.cost == standard.cost / 2


def test_calls_that_show_nothing():
    """A function that hides its answer has an unknown cost; a refusal costs nothing."""
    with usage() as u:
        at_once()(lambda: "text")()
    assert (u.attempts, u.unpriced, u.cost, u.total_tokens) == (1, 1, None, 0)
    with usage() as u, pytest.raises(ConnectionError):

        @at_once(attempts=2)
        def ask():
            raise ConnectionError

        ask()
    assert (u.attempts, u.requests, u.unpriced, u.cost) == (2, 1, 0, 0)
    with usage() as u:
        pass
    assert (u.attempts, u.cost, str(u)) == (0, 0, "no model was asked")


def test_recorded_responses_are_added_up():
    """Of responses recorded in one attempt the figures are added, and the attempt is one."""

    @at_once()
    def ask():
        record(answer())
        return record(answer())["choices"][0]["message"]["content"]

    with usage() as u:
        ask()
    assert (u.attempts, u.input_tokens, u.cost) == (1, 2000, 2 * COST)


def test_tools_are_no_requests():
    """A tool asks no model; a model that it asks is counted."""
    inner = at_once()(answer)

    @at_once()
    def agent():
        return tool()

    tool = Guarded(guard(at_once()), inner, name="search", tool=True).wrapper
    with usage() as u:
        agent()
    assert (u.requests, u.attempts, u.unpriced) == (1, 1, 0)


def test_a_late_result_is_booked():
    """An answer that came after its bound is unknown until it comes, and counted when it does."""
    go_on, late = threading.Event(), threading.Event()

    def heard(event: events.Event) -> None:
        if isinstance(event, events.LateResult):
            late.set()

    class Hear(Block):
        def surround(self, outer):
            return outer.within(listeners=(*outer.listeners, heard))

    def ask():
        go_on.wait(30)
        return answer()

    with usage() as u, Hear(), pytest.raises(TimeoutError):
        timeout(0.05)(ask)()
    assert (u.attempts, u.unpriced, u.cost, u.total_tokens) == (1, 1, None, 0)
    go_on.set()
    assert late.wait(30)
    assert (u.attempts, u.unpriced, u.cost, u.total_tokens) == (1, 0, COST, 1100)


@stream_shapes
def test_streams_that_end_after_the_block(harness):
    """A stream keeps its scope: its figures arrive when it ends, wherever that is."""

    async def use() -> None:
        fn = at_once()(testing.ScriptedModel([chunk("a"), answer("b")]).shape(harness.shape))
        with usage() as u, context(user="ann"):
            stream = fn("?")
            if hasattr(stream, "__await__"):
                stream = await stream
            _ = await anext(stream) if hasattr(stream, "__anext__") else next(stream)
        assert (u.attempts, u.requests) == (0, 0)
        if hasattr(stream, "__anext__"):
            assert len([item async for item in stream]) == 1
        else:
            assert len(list(stream)) == 1
        assert (u.attempts, u.requests, u.cost) == (1, 1, COST)
        assert u.by("user")["ann"].cost == COST

    asyncio.run(use())


def test_blocks_within_blocks():
    """An inner block has what is inside it, the outer one all; entered twice it counts once."""
    ask = at_once()(answer)
    with usage() as outer:
        ask()
        with usage() as inner, inner:
            ask()
        with outer:
            ask()
    assert (outer.attempts, inner.attempts) == (3, 1)
    assert (outer.cost, inner.cost) == (3 * COST, COST)


def test_threads_and_tasks_at_once():
    """Eight threads with carry and fifty tasks, read all the while: nothing lost, none twice."""
    ask = at_once()(answer)

    @at_once()
    async def aask():
        await asyncio.sleep(0)
        return answer()

    async def tasks() -> None:
        await asyncio.gather(*(one(number) for number in range(50)))

    async def one(number: int) -> None:
        with context(user=number % 5):
            await aask()

    def work(number: int) -> None:
        with context(user=number % 5):
            for _ in range(100):
                ask()
                _ = u.cost

    with usage() as u, ThreadPoolExecutor(8) as pool:
        done = [pool.submit(carry(work), number) for number in range(8)]
        done.append(pool.submit(carry(asyncio.run), tasks()))
        for each in done:
            each.result(60)
    assert (u.attempts, u.requests, u.cost) == (850, 850, 850 * COST)
    by_user = u.by("user")
    assert sorted(by_user) == [0, 1, 2, 3, 4]
    assert sum(each.cost for each in by_user.values()) == 850 * COST
    assert by_user[4].attempts == 110


def test_much_is_added_up_before_anybody_asks():
    """What is put aside does not grow for ever in a block that nobody reads."""
    ask = at_once()(answer)
    with usage() as u:
        for _ in range(700):
            ask()
    for _ in range(200):
        if len(u._heard) < 1000:
            break
        threading.Event().wait(0.05)
    assert len(u._heard) < 1000
    assert u.attempts == 700


def test_tags_that_cannot_be_hashed_and_none():
    """A tag's value is a label whatever it is; what has none is under None."""
    ask = at_once()(answer)
    with usage() as u:
        with context(group=["a"]):
            ask()
        ask()
    assert {key: f.attempts for key, f in u.by("group").items()} == {"['a']": 1, None: 1}


def test_printed():
    """A readable table: a row for each model and the sum."""
    with usage() as u:
        at_once()(answer)()
        at_once()(lambda: answer(model="gpt-4o"))()
    lines = str(u).splitlines()
    assert lines[0].split() == [
        "requests", "attempts", "input", "cached", "written", "output", "reasoning", "cost",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == [MODEL, "gpt-4o", "all"]
    assert lines[-1].split()[1:4] == ["2", "2", "2,000"]
    assert len({len(line) for line in lines}) == 1
    assert "2 requests" in repr(u)
