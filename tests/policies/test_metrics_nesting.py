"""metrics(): an attempt is counted once, however deep guards nest, and by whom."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import agentguard as ag
from agentguard.testing import FakeProvider
from tests.exporters.counted import Counted
from tests.policies.test_metrics import MODEL, answer, idle
from tests.shapes import Harness, every_shape


def ask(*, model: str) -> dict[str, Any]:
    """Answer, with figures."""
    return answer()


def counts(counted: Counted) -> tuple[float, float, float]:
    """Attempts, tokens and dollars."""
    return (
        counted("attempts_total"),
        counted("tokens_total"),
        round(counted("cost_usd_total"), 9),
    )


ONE = (1, 1100, 0.00021)
TWO = (2, 2200, 0.00042)


def test_a_guard_in_a_guard() -> None:
    """A request of each name; the attempt is the inner one's."""
    counted = Counted()
    inner = counted.metrics("inner")(ask)

    @counted.metrics("outer")
    def agent() -> Any:
        return inner(model=MODEL), inner(model=MODEL)

    agent()
    assert counts(counted) == TWO
    assert counted("requests_total", name="outer") == 1
    assert counted("requests_total", name="inner") == 2
    assert counted("attempts_total", name="outer") == 0
    assert counted("cost_usd_total", name="outer") == 0
    assert idle(counted)


def test_calls_without_metrics_inside_one_with() -> None:
    """They are heard of further out, and counted under the name of the request around them."""
    counted = Counted()
    inner = ag.guard(ag.retry(budget=None))(ask)

    @counted.metrics(None)
    def agent() -> Any:
        @ag.retry
        def deeper() -> Any:
            return inner(model=MODEL)

        return deeper()

    agent()
    assert counts(counted) == ONE
    assert counted.values("name") == {"agent"}
    assert counted("attempts_total", target="ask") == 1
    assert counted("requests_total") == 1


def test_a_request_inside_another_of_its_name_is_part_of_it() -> None:
    """As a guarded client is inside a guarded function, where both say metrics("support")."""
    counted = Counted()
    inner = counted.metrics("support")(ask)

    @counted.metrics("support")
    def agent() -> Any:
        assert counted("requests_in_flight") == 1
        return inner(model=MODEL)

    agent()
    inner(model=MODEL)
    assert counts(counted) == TWO
    assert counted("requests_total", name="support") == 2
    assert idle(counted)


def test_recursion() -> None:
    """A function that calls itself is one request."""
    counted = Counted()

    @counted.metrics(None)
    def agent(deep: int) -> Any:
        return agent(deep - 1) if deep else answer()

    agent(5)
    assert counted("requests_total", name="agent") == 1
    assert counted("attempts_total") == 1
    assert idle(counted)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "b"), (None, None), (None, "b")], ids=str)
def test_stacked(names: tuple[str | None, str | None]) -> None:
    """Two in one chain: the inner one counts attempts, each name its requests."""
    counted = Counted()
    outer, inner = (counted.metrics(name) for name in names)
    outer(inner(ask))(model=MODEL)
    assert counts(counted) == ONE
    for name in names:
        assert counted("requests_total", name=name or "ask") == 1
    assert counted("attempts_total", name=names[1] or "ask") == 1
    assert idle(counted)


def test_one_policy_everywhere() -> None:
    """The same object around a function, a function in it, and its fallback."""
    counted = Counted()
    metrics = counted.metrics()

    @metrics
    def broken(*, model: str) -> Any:
        raise ConnectionError

    backup = metrics(ask)
    both = ag.guard(metrics, ag.fallback(backup))(broken)

    @metrics
    def agent() -> Any:
        return both(model=MODEL)

    agent()
    assert counts(counted) == (2, 1100, 0.00021)
    assert counted("attempts_total", target="broken", outcome="failed") == 1
    assert counted("attempts_total", target="ask", outcome="completed") == 1
    assert counted("requests_total") == 1
    assert idle(counted)


def test_registries_apart() -> None:
    """Each has the requests that its own policies surround; the attempt is the innermost's."""
    one, two = Counted(), Counted()
    inner = two.metrics("x")(ask)

    @one.metrics("x")
    def agent() -> Any:
        return inner(model=MODEL)

    agent()
    assert counts(two) == ONE
    assert counts(one) == (0, 0, 0)
    assert (one("requests_total"), two("requests_total")) == (1, 1)


def test_two_guards_of_one_name_share_series() -> None:
    """Made apart, put around different things."""
    counted = Counted()
    for _ in range(3):
        counted.metrics("support")(ask)(model=MODEL)
    assert counts(counted) == (3, 3300, 0.00063)
    assert counted.values("name") == {"support"}


def test_block_policies_and_reports_change_nothing() -> None:
    """A budget around the block, a report, usage: the call is counted as without."""
    counted = Counted()
    guarded = counted.metrics()(ask)
    for _ in range(200):  # each block makes a combination of policies of its own
        with ag.budget(usd=1), ag.report(), ag.usage(), ag.context(user="ann"):
            guarded(model=MODEL)
    assert counted("requests_total") == counted("attempts_total") == 200
    assert counted("budget_charged_total", unit="usd") == pytest.approx(200 * 0.00021)
    assert idle(counted)


def test_a_call_made_of_a_block_alone() -> None:
    """Under no metrics: nothing is counted."""
    counted = Counted()
    counted.metrics()(ask)
    with ag.usage():
        ag.retry(ask)(model=MODEL)
    assert counted("requests_total") == 0


def test_an_answer_from_a_cache_inside() -> None:
    """Then nobody asked a model, neither outside nor inside."""
    counted = Counted()
    cached = ag.cache(ttl="1h")(ask)
    cached(model=MODEL)

    @counted.metrics()
    def agent() -> Any:
        return cached(model=MODEL)

    agent()
    assert counts(counted) == (0, 0, 0)
    assert counted("cache_requests_total", result="hit") == 1
    assert counted("requests_total") == 1


def test_tools_are_requests_and_no_attempts() -> None:
    """An attempt asks a model."""
    counted = Counted()

    @ag.guard(counted.metrics("tools"), ag.retry()).tool
    def send_mail(to: str) -> str:
        return "sent"

    send_mail("ann@example.com")
    assert counted("requests_total", name="tools") == 1
    assert counted("attempts_total") == 0
    assert not [each for each in counted.labels() if "ann" in str(each)]


@every_shape
def test_a_guarded_fallback(harness: Harness) -> None:
    """Its attempt is counted where it was made, and the attempt around it is none."""
    counted = Counted()
    backup = ag.guard(counted.metrics("backup"), ag.retry())(harness.target("42"))
    run = harness.run([counted.metrics("app"), ag.fallback(backup)], ConnectionError())
    assert run.text == "42"
    assert counted("attempts_total", name="app") == counted("attempts_total", name="backup") == 1
    assert counted("requests_total", name="app", outcome="completed") == 1
    assert idle(counted)


@pytest.fixture
def provider() -> Any:
    """Run a provider for one test."""
    with FakeProvider(answer="one two three four") as running:
        yield running


def test_a_guarded_client_inside_a_guarded_function(provider: FakeProvider) -> None:
    """Over real HTTP, unary and as a stream: requests of both, attempts and tokens of the client."""
    counted = Counted()
    with openai.OpenAI(
        base_url=provider.openai_url, api_key="sk-" + "a1" * 24, max_retries=0
    ) as plain:
        client = ag.guard(counted.metrics("client"), ag.retry(), ag.timeout(30))(plain)

        @ag.guard(counted.metrics("agent"), ag.retry())
        def agent() -> str:
            messages: Any = [{"role": "user", "content": "hi"}]
            create = client.chat.completions.create
            first = create(model=MODEL, messages=messages)
            with create(model=MODEL, messages=messages, stream=True) as stream:
                parts = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
            return (first.choices[0].message.content or "") + "".join(parts)

        with ag.usage() as u:
            assert agent() == "one two three four" * 2
    assert provider.requests == 2
    assert counted("requests_total", name="agent") == 1
    assert counted("requests_total", name="client") == 2
    assert counted("attempts_total", name="client", model=MODEL) == counted("attempts_total") == 2
    assert counted("tokens_total") == u.total_tokens > 0
    assert counted("cost_usd_total") == pytest.approx(float(u.cost or 0))
    assert counted("time_to_first_token_seconds_count", name="client") == 1
    assert counted("time_to_first_token_seconds_count", name="agent") == 0
    assert idle(counted)
