"""Policies in every order, against a reference model that knows nothing of the engine."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tenacity import wait_fixed

from agentguard import breaker, describe, explain, fallback, guard, retry, timeout
from agentguard.engine.chain import Policy
from agentguard.engine.order import CANONICAL
from agentguard.providers.failures import classify
from agentguard.testing import FakeRuntime, ScriptedModel, Stall, turns
from tests.policies import reference
from tests.policies.failures import make
from tests.shapes import Harness

NAMES = ("fallback", "retry", "breaker", "timeout")
UNSAFE = {("retry", "fallback"), ("breaker", "retry"), ("breaker", "fallback")}
KINDS = ("ok", "ok", "server", "server", "rate_limited", "timeout", "auth", "unknown")

entries = st.tuples(st.integers(0, 7), st.sampled_from(KINDS))
scripts = st.lists(entries, min_size=1, max_size=10)
gaps = st.lists(st.sampled_from([0, 1, 5, 11]), min_size=4, max_size=6)
PROPERTY = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes where time is virtual
    deadline=None,
    derandomize=True,  # the same cases in every run: a failure here can be looked into
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="module")
def _patience() -> Iterator[None]:
    """On a loaded machine a thread may not run for a while: that is not to move virtual time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "_TICK", 2.0)
        yield


def scripted(script: Sequence[reference.Entry]) -> list[Any]:
    """The same script for a ScriptedModel, long enough for every retry of every call."""
    return [
        [*([Stall(took)] if took else []), "" if what == "ok" else make(what)]
        for took, what in itertools.islice(itertools.cycle(script), 150)
    ]


class Pair:
    """A chain of real policies, and the same of the model's."""

    def __init__(
        self, harness: Harness, order: Sequence[str], script: Any, backup: Any, spare: Any
    ) -> None:
        self.world = reference.World(reference.Endpoint("model", script))
        self.targets: list[tuple[reference.Endpoint, ScriptedModel]] = []
        self.backups = iter([("backup", backup), ("spare", spare)])
        self.harness = harness
        made = [getattr(self, name)(position) for position, name in enumerate(order)]
        self.model = [each for each, _ in made]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unsafe orders are part of this
            self.subject = harness.guard([each for _, each in made], *named(script, "model"))

    def retry(self, position: int) -> tuple[reference.Policy, Policy]:
        return (
            reference.Retry(3 - position % 2, 2),
            retry(attempts=3 - position % 2, wait=wait_fixed(2), budget=None),
        )

    def fallback(self, position: int) -> tuple[reference.Policy, Policy]:
        name, script = next(self.backups)
        endpoint = reference.Endpoint(name, script)
        target = self.harness.target(*named(script, name), name=name)
        self.targets.append((endpoint, target.model))
        return reference.Fallback(endpoint), fallback(target)

    def breaker(self, position: int) -> tuple[reference.Policy, Policy]:
        return reference.Breaker(2, 10), breaker(fail_max=2, reset_timeout=10)

    def timeout(self, position: int) -> tuple[reference.Policy, Policy]:
        seconds = (13, 5, 9, 6)[position]
        return reference.Timeout(seconds), timeout(seconds)

    def compare(self, pauses: Sequence[int]) -> None:
        """Make some calls of both and compare each."""
        with FakeRuntime() as time:
            for pause in pauses:
                expected = reference.run(self.model, self.world)
                run = self.subject.call()
                got = run.text if run.error is None else classify(run.error).kind
                assert (got, time.now) == (expected, self.world.now)
                assert len(self.subject.model.calls) == self.world.primary.calls
                for endpoint, model in self.targets:
                    assert len(model.calls) == endpoint.calls
                time.advance(pause)
                self.world.now += pause


def named(script: Any, name: str) -> list[Any]:
    """Let every answer say who served it."""
    return [[name if part == "" else part for part in entry] for entry in scripted(script)]


ORDERS = [
    *itertools.product(NAMES, repeat=2),
    *itertools.permutations(NAMES, 3),
    *itertools.permutations(NAMES, 4),
]
PAIRS = ORDERS[:16]


@pytest.mark.parametrize("shape", ["sync", "coroutine", "generator", "asyncgen"])
@pytest.mark.parametrize("order", PAIRS, ids=" ".join)
def test_all_ordered_pairs(order: tuple[str, ...], shape: str) -> None:
    """Every policy around every other, itself included, does what the model does."""

    @PROPERTY
    @given(script=scripts, backup=scripts, spare=scripts, pauses=gaps)
    def check(script: Any, backup: Any, spare: Any, pauses: list[int]) -> None:
        Pair(Harness(shape), order, script, backup, spare).compare(pauses)

    check()


@pytest.mark.parametrize("order", ORDERS[16:], ids=" ".join)
def test_all_longer_orders(order: tuple[str, ...]) -> None:
    """Three and four policies in every order; the shapes take turns."""
    shapes = ("sync", "coroutine", "generator", "asyncgen", "returns_stream", "awaitable")
    shape = shapes[ORDERS.index(order) % len(shapes)]

    @PROPERTY
    @given(script=scripts, backup=scripts, spare=scripts, pauses=gaps)
    def check(script: Any, backup: Any, spare: Any, pauses: list[int]) -> None:
        Pair(Harness(shape), order, script, backup, spare).compare(pauses)

    check()


# which orders are told of


def one(name: str) -> Policy:
    """A policy of that name."""
    made: dict[str, Any] = {
        "fallback": lambda: fallback(lambda: "backup"),
        "retry": retry,
        "breaker": breaker,
        "timeout": lambda: timeout(30),
    }
    policy: Policy = made[name]()
    return policy


@pytest.mark.parametrize("pair", list(itertools.product(NAMES, repeat=2)), ids=" ".join)
def test_unsafe_orders_warn_and_strict_refuses(pair: tuple[str, str]) -> None:
    """The three that are known to go wrong, and no other."""
    outer, inner = pair
    if pair not in UNSAFE:
        guard(one(outer), one(inner), strict=True)
        return
    with pytest.warns(UserWarning, match=f"{outer} outside {inner}") as told:
        made = guard(one(outer), one(inner))
    assert told[0].filename == __file__
    written = [name for name in CANONICAL if name not in ("deadline", "model")]
    assert f"guard({', '.join(f'{name}()' for name in written)})" in str(told[0].message)
    with pytest.raises(ValueError, match=f"{outer} outside {inner}"):
        guard(one(outer), one(inner), strict=True)
    assert len(describe(made)["warnings"]) == 1
    assert f"Warning: {outer} outside {inner}" in explain(made)


@pytest.mark.parametrize("pair", sorted(UNSAFE), ids=" ".join)
def test_unsafe_orders_are_seen_through_policies_between(pair: tuple[str, str]) -> None:
    """Not only neighbours."""
    outer, inner = pair
    with pytest.warns(UserWarning, match=f"{outer} outside {inner}"):
        guard(one(outer), one("timeout"), one(inner))


@pytest.mark.parametrize("pair", sorted(UNSAFE), ids=" ".join)
def test_unsafe_orders_are_seen_in_stacked_decorators(pair: tuple[str, str]) -> None:
    """Stacked policies are one chain, which is checked as one."""
    outer, inner = pair

    def ask() -> str:
        return "answer"

    guarded = one(inner)(ask)
    with pytest.warns(UserWarning, match=f"{outer} outside {inner}"):
        one(outer)(guarded)


def test_the_canonical_order_is_silent() -> None:
    """As documented, with a second timeout outermost too."""
    guard(timeout(90), one("fallback"), one("retry"), one("breaker"), timeout(30), strict=True)


def test_stacked_decorators_are_one_chain() -> None:
    """`@a @b def` is `guard(a, b)`."""

    def ask() -> str:
        return "answer"

    stacked = retry(attempts=2)(timeout(5)(ask))
    assert [each["name"] for each in describe(stacked)["policies"]] == ["retry", "timeout"]
    assert stacked() == "answer"
