"""Presets where it goes badly: a store that is down, loops that close, forks, thousands of calls."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import agentguard as ag
from tests.engine.test_fork import in_child

ANSWER = {
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 2},
}


def test_a_store_that_is_down_refuses_calls_and_keeps_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The application starts all the same; a call says which store cannot be reached."""
    secret = "pass" + "word1"
    registry = CollectorRegistry()
    store = f"redis://:{secret}@127.0.0.1:1/0"
    preset = ag.presets.production("down", usd_per_day=20, store=store, registry=registry)

    @preset
    def ask(question: str, *, model: str = "gpt-4o-mini") -> Any:
        return ANSWER

    with caplog.at_level(logging.DEBUG), pytest.raises(ag.errors.BudgetExceeded) as refused:
        ask("?")
    assert "127.0.0.1:1" in str(refused.value)
    assert (
        secret
        not in f"{refused.value!r} {caplog.text} {preset!r} {preset.facts()} {ag.explain(ask)}"
    )
    failed = registry.get_sample_value("agentguard_store_failures_total", {"name": "down"})
    assert failed == 1


CHUNK = {
    "object": "chat.completion.chunk",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": None}],
}


def test_event_loops_come_and_go_under_one_preset() -> None:
    """One after the other and two at once; of each a stream is left that nobody reads on."""
    registry = CollectorRegistry()
    preset = ag.presets.production("loops", usd_per_day=5, scope="process", registry=registry)
    left: list[Any] = []

    @preset
    async def ask(question: str, *, model: str = "gpt-4o-mini") -> Any:
        await asyncio.sleep(0)
        return ANSWER

    @preset
    async def stream(question: str, *, model: str = "gpt-4o-mini") -> AsyncIterator[Any]:
        while True:
            await asyncio.sleep(0)
            yield CHUNK

    async def serve(name: str) -> None:
        for number in range(3):
            assert await ask(f"{name} {number}") == ANSWER
        answer = stream(name)
        await anext(answer)
        left.append(answer)

    for name in ("first", "second", "third"):
        asyncio.run(serve(name))
    together = [threading.Thread(target=asyncio.run, args=[serve(name)]) for name in ("a", "b")]
    for each in together:
        each.start()
    for each in together:
        each.join()
    left.clear()
    gc.collect()
    assert ag.flush(30)

    def counted(**labels: str) -> float | None:
        own = {"name": "loops", "kind": "", **labels}
        return registry.get_sample_value("agentguard_requests_total", own)

    assert (counted(outcome="completed"), counted(outcome="abandoned")) == (15, 5)
    assert registry.get_sample_value("agentguard_requests_in_flight", {"name": "loops"}) == 0
    booked = registry.get_sample_value(
        "agentguard_budget_charged_total", {"budget": "loops", "unit": "usd"}
    )
    spent = sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "agentguard_cost_usd_total"
    )
    # Of what was cut a budget counts each piece by itself, which is more.
    assert (booked or 0) >= spent > 0


def test_a_preset_made_before_a_fork_serves_its_children() -> None:
    """As where a server loads the application once and forks its workers."""
    registry = CollectorRegistry()
    preset = ag.presets.production("forked", usd_per_day=5, scope="process", registry=registry)

    @preset
    def ask(question: str, *, model: str = "gpt-4o-mini") -> Any:
        return ANSWER

    def counted() -> float | None:
        ended = {"name": "forked", "outcome": "completed", "kind": ""}
        return registry.get_sample_value("agentguard_requests_total", ended)

    def worker() -> None:
        for number in range(5):
            assert ask(f"My number is 010-1234-567{number}") == ANSWER
        assert counted() == 6
        assert ag.flush(30)

    assert ask("parent") == ANSWER
    in_child(worker)
    in_child(worker)
    assert counted() == 1
    assert ask("parent again") == ANSWER


@pytest.mark.long
def test_ten_thousand_calls_at_once_are_counted_each_once() -> None:
    """Some fail, some are cancelled; nothing is left of any of them."""
    number, cancelled = 10_000, 2_000
    registry = CollectorRegistry()
    preset = ag.presets.production(
        "many", usd_per_day=1_000_000, scope="process", deadline=600, timeout=600, registry=registry
    ).without("retry", "breaker")
    begun = 0

    async def main() -> list[Any]:
        everyone, gate = asyncio.Event(), asyncio.Event()

        @preset
        async def ask(question: str, *, model: str = "gpt-4o-mini") -> Any:
            nonlocal begun
            begun += 1
            if begun == number:
                everyone.set()
            await gate.wait()
            if question.endswith("7"):
                raise ConnectionError("down")
            return ANSWER

        tasks = [asyncio.create_task(ask(f"I am jo{i}@example.com, {i}")) for i in range(number)]
        await everyone.wait()
        flying = registry.get_sample_value("agentguard_requests_in_flight", {"name": "many"})
        assert flying == number
        for task in tasks[:cancelled]:
            task.cancel()
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = Counter(type(each).__name__ for each in asyncio.run(main()))
    assert found == {"dict": 7_200, "ConnectionError": 800, "CancelledError": cancelled}
    counted = {
        sample.labels["outcome"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "agentguard_requests_total"
    }
    assert counted == {"completed": 7_200, "failed": 800, "abandoned": cancelled}
    assert registry.get_sample_value("agentguard_requests_in_flight", {"name": "many"}) == 0
