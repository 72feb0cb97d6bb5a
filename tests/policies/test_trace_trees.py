"""trace(): whatever calls do, every span that begins ends, whole and in its place."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context

import agentguard as ag
from agentguard.engine import clock
from agentguard.engine.lost import settle_lost
from agentguard.exporters.opentelemetry_call import _contexts
from tests.exporters.spans import Spans


class Node(NamedTuple):
    """A guarded call: how it answers, and the calls that it makes inside."""

    shape: str
    ends: str
    own_trace: bool
    carried: bool
    inside: tuple[Node, ...]


def nodes(shapes: tuple[str, ...]) -> st.SearchStrategy[Node]:
    """Trees of calls."""
    ends = st.sampled_from(["well", "well", "fails", "fails once", "left"])

    def node(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Node]:
        return st.builds(Node, st.sampled_from(shapes), ends, st.booleans(), st.booleans(), inside)

    return st.recursive(
        node(st.just(())),
        lambda deeper: node(st.tuples(deeper) | st.tuples(deeper, deeper)),
        max_leaves=5,
    )


def policies(node: Node, spans: Spans) -> list[ag.Policy]:
    """What stands around a call."""
    trace = [ag.trace(spans.to)] if node.own_trace else []
    return [*trace, ag.retry(attempts=2, wait=lambda _: 0.0)]


def sync_call(node: Node, spans: Spans) -> None:
    """Make a call and those inside it."""
    tries = [0]

    def fails() -> None:
        tries[0] += 1
        if node.ends == "fails" or (node.ends == "fails once" and tries[0] == 1):
            raise ConnectionError

    def deeper() -> None:
        for each in node.inside:
            make: Callable[[], None] = lambda each=each: sync_call(each, spans)  # noqa: E731
            if each.carried:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(ag.carry(make)).result()
            else:
                make()

    def function() -> str:
        deeper()
        fails()
        return "42"

    def generator() -> Any:
        yield "4"
        deeper()
        fails()
        yield "2"

    around = otel_context.get_current()
    with contextlib.suppress(ConnectionError):
        if node.shape == "function":
            ag.guard(*policies(node, spans))(function)()
        else:
            stream = ag.guard(*policies(node, spans))(generator)()
            for _ in stream:
                assert otel_context.get_current() == around
                if node.ends == "left":
                    break
    assert otel_context.get_current() == around


async def async_call(node: Node, spans: Spans) -> None:
    """The same asynchronously; what is carried is made in tasks at once."""
    tries = [0]

    def fails() -> None:
        tries[0] += 1
        if node.ends == "fails" or (node.ends == "fails once" and tries[0] == 1):
            raise ConnectionError

    async def deeper() -> None:
        await asyncio.sleep(0)
        await asyncio.gather(*(async_call(each, spans) for each in node.inside if each.carried))
        for each in node.inside:
            if not each.carried:
                await async_call(each, spans)

    async def function() -> str:
        await deeper()
        fails()
        return "42"

    async def generator() -> Any:
        yield "4"
        await deeper()
        fails()
        yield "2"

    around = otel_context.get_current()
    with contextlib.suppress(ConnectionError):
        if node.shape == "function":
            await ag.guard(*policies(node, spans))(function)()
        else:
            async for _ in ag.guard(*policies(node, spans))(generator)():
                assert otel_context.get_current() == around
                if node.ends == "left":
                    break
    assert otel_context.get_current() == around


def check(spans: Spans) -> None:
    """Every span ended, inside its parent and in one trace; nothing is kept."""
    if spans.policy._open:  # a stream that was left, in a cycle with its generator
        gc.collect()
    settle_lost()
    found = spans.all()
    by_id = {each.context.span_id: each for each in found}
    assert len({each.context.trace_id for each in found}) == 1
    for each in found:
        if each.parent is not None:
            above = by_id[each.parent.span_id]
            assert above.start_time <= each.start_time
            assert (
                each.end_time <= above.end_time
                or each.attributes["agentguard.outcome"] == "abandoned"
            )
        assert each.start_time <= each.end_time
    assert not _contexts
    assert not spans.policy._open


class Advancing(clock.Clock):
    """A wall clock that is put forward by a second each time it is read."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        """Seconds since the epoch, and more each time."""
        self.ahead += 1.0
        return super().time() + self.ahead


def test_a_wall_clock_that_is_set_moves_no_span_out_of_its_place() -> None:
    """All calls of a tree are told by one difference from the clock that is never set."""
    leaf = Node("function", "fails once", own_trace=True, carried=True, inside=())
    middle = Node("generator", "well", own_trace=True, carried=False, inside=(leaf, leaf))
    spans = Spans()
    before = clock.use(Advancing())
    try:
        spans.policy(lambda: sync_call(middle, spans))()
        check(spans)
    finally:
        clock.use(before)


@given(nodes(("function", "generator")))
@settings(max_examples=100, deadline=None)
def test_trees_of_calls_are_whole(node: Node) -> None:
    """Nested, failing, retried, left early, carried into threads; with traces of their own or not."""
    spans = Spans()
    spans.policy(lambda: sync_call(node, spans))()
    check(spans)


@given(nodes(("function", "generator")))
@settings(max_examples=100, deadline=None)
def test_async_trees_of_calls_are_whole(node: Node) -> None:
    """The same on a loop, with tasks at once."""
    spans = Spans()

    async def root() -> None:
        await async_call(node, spans)

    asyncio.run(spans.policy(root)())
    check(spans)


@pytest.mark.parametrize("workers", [8])
def test_many_threads_at_once_each_have_their_own_trace(workers: int) -> None:
    """Calls of one policy from many threads: as many traces, none with a span of another."""
    spans = Spans()

    @ag.retry
    def model(number: int) -> int:
        return number

    @spans.policy
    def agent(number: int) -> int:
        return model(number)

    with ThreadPoolExecutor(workers) as pool:
        assert [*pool.map(agent, range(200))] == [*range(200)]
    found = spans.all()
    assert len(found) == 800
    traces: dict[int, int] = {}
    for each in found:
        traces[each.context.trace_id] = traces.get(each.context.trace_id, 0) + 1
    assert [*traces.values()] == [4] * 200
    assert not _contexts
