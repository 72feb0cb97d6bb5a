"""metrics(): whatever calls whatever, sums are those of usage(), and each attempt is counted once."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

import agentguard as ag
from tests.exporters.counted import Counted
from tests.policies.test_metrics import answer, idle


class Node(NamedTuple):
    """A guarded function: under which metrics, what it does itself, and what it calls before.

    Attributes:
        names: of the metrics around it, outermost first; None is one without a name.
        does: "answer", "text" or "fail".
        inside: what it calls.
    """

    names: tuple[str | None, ...]
    does: str
    inside: tuple[Node, ...]


NAMES = st.lists(st.sampled_from([None, "a", "b"]), max_size=2).map(tuple)
DOES = st.sampled_from(["answer", "text", "fail"])
LEAVES = st.builds(Node, NAMES, DOES, st.just(()))
TREES = st.recursive(
    LEAVES,
    lambda inside: st.builds(Node, NAMES, DOES, st.lists(inside, max_size=3).map(tuple)),
    max_leaves=6,
)


def own(node: Node) -> Any:
    """What a node does itself."""
    if node.does == "fail":
        raise ConnectionError
    return answer() if node.does == "answer" else "42"


def sync(node: Node, guarded: Callable[[Node, Any], Any]) -> Any:
    """A function."""
    inside = [sync(each, guarded) for each in node.inside]

    def call() -> Any:
        for each in inside:
            with contextlib.suppress(ConnectionError):
                each()
        return own(node)

    return guarded(node, call)


def coroutine(node: Node, guarded: Callable[[Node, Any], Any]) -> Any:
    """A coroutine function whose calls run at once."""
    inside = [coroutine(each, guarded) for each in node.inside]

    async def call() -> Any:
        await asyncio.gather(*(each() for each in inside), return_exceptions=True)
        await asyncio.sleep(0)
        return own(node)

    return guarded(node, call)


def generator(node: Node, guarded: Callable[[Node, Any], Any]) -> Any:
    """A generator function, which reads those that it calls."""
    inside = [generator(each, guarded) for each in node.inside]

    def call() -> Iterator[Any]:
        for each in inside:
            with contextlib.suppress(ConnectionError):
                yield from each()
        yield own(node)

    return guarded(node, call)


def run(shape: str, made: Any) -> None:
    """Call a tree."""
    with contextlib.suppress(ConnectionError):
        if shape == "coroutine":
            asyncio.run(made())
        elif shape == "generator":
            list(made())
        else:
            made()


def requests(
    node: Node, around: frozenset[str], number: Iterator[int], found: Counter[str]
) -> None:
    """Add a request for each name that is not around the call already."""
    call = f"f{next(number)}"
    names = {name or call for name in node.names}
    found.update(names - around)
    for each in node.inside:
        requests(each, around | names, number, found)


def before(node: Node) -> Iterator[Node]:
    """The nodes of a tree, each before what is inside it."""
    yield node
    for each in node.inside:
        yield from before(each)


@pytest.mark.parametrize("shape", ["sync", "coroutine", "generator"])
@settings(max_examples=150, deadline=None)
@given(tree=TREES)
def test_trees_of_calls(shape: str, tree: Node) -> None:
    """Attempts, tokens and dollars are usage()'s; requests those of each name's outermost calls."""
    counted = Counted(CollectorRegistry())
    tree = Node(("root",), tree.does, (tree,))
    numbers = {id(node): number for number, node in enumerate(before(tree))}
    if len(numbers) < sum(1 for _ in before(tree)):
        return  # the very same node twice: its calls would have one name

    def guarded(node: Node, call: Any) -> Any:
        call.__name__ = call.__qualname__ = f"f{numbers[id(node)]}"
        policies = [counted.metrics(name) for name in node.names]
        return ag.guard(*policies, ag.retry(attempts=1))(call)

    make = {"sync": sync, "coroutine": coroutine, "generator": generator}[shape]
    with ag.usage() as u:
        run(shape, make(tree, guarded))
    assert counted("attempts_total") == u.attempts
    assert counted("tokens_total") == u.total_tokens
    assert counted("cost_usd_total") == pytest.approx(float(u.cost or 0))
    assert counted("unpriced_attempts_total") == u.unpriced
    expected: Counter[str] = Counter()
    requests(tree, frozenset(), iter(range(1000)), expected)
    found = {name: counted("requests_total", name=name) for name in counted.values("name")}
    assert {name: value for name, value in found.items() if value} == expected
    assert idle(counted)
