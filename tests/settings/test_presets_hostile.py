"""Presets where it goes badly: a store that is down, and thousands of calls at once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import agentguard as ag

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
