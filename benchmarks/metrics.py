"""What counting a call for Prometheus costs, beside the metrics one writes by hand."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agentguard import Policy, events, guard, metrics
from agentguard.exporters.instruments import INSTRUMENTS
from benchmarks.common import (
    Figures,
    Row,
    aask,
    acalls,
    against,
    alone,
    ask,
    calls,
    section,
    yardstick,
)

ABOUT = (
    "Around a function that does nothing, on top of the records that any listener has the engine "
    "keep. *by hand* is a histogram and a counter, found by their labels as one writes it, around the "
    "same function; *all of it* is everything that `metrics` counts of such a call, written by hand: "
    "in flight, requests and their durations, attempts and theirs, three counters of tokens and cost "
    "where the answer tells them. `metrics` finds its series with one look-up each."
)
LATENCY = next(each.buckets for each in INSTRUMENTS if each.name.endswith("duration_seconds"))
ANSWER = {
    "model": "gpt-4o-mini",
    "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}

registry = CollectorRegistry()
seconds = Histogram(
    "seconds", "of a call", ["name", "outcome"], "", buckets=LATENCY, registry=registry
)
made = Counter("calls", "made", ["name", "outcome", "kind"], registry=registry)
flying = Gauge("flying", "calls under way", ["name"], registry=registry)
attempts = Counter(
    "attempts", "made", ["name", "target", "model", "outcome", "kind"], registry=registry
)
lasted = Histogram(
    "lasted", "of an attempt", ["name", "target"], buckets=LATENCY, registry=registry
)
tokens = Counter("tokens", "used", ["name", "model", "type"], registry=registry)
dollars = Counter("dollars", "spent", ["name", "model"], registry=registry)


class Ear(Policy):
    """Hears everything and does nothing: what it costs is the engine's records."""

    def hear(self, event: events.Event) -> None:
        """Do nothing."""


def answering(_: str) -> Any:
    """Answer as OpenAI does."""
    return ANSWER


async def aanswering(_: str) -> Any:
    """Do the same asynchronously."""
    return ANSWER


def count(taken: float) -> None:
    """Count a call as one writes it."""
    seconds.labels("app", "completed").observe(taken)
    made.labels("app", "completed", "").inc()


def count_all(taken: float, answer: Any) -> None:
    """Count what `metrics` counts."""
    count(taken)
    attempts.labels("app", "ask", "gpt-4o-mini", "completed", "").inc()
    lasted.labels("app", "ask").observe(taken)
    if type(answer) is dict:
        usage = answer["usage"]
        tokens.labels("app", "gpt-4o-mini", "input").inc(usage["prompt_tokens"])
        tokens.labels("app", "gpt-4o-mini", "output").inc(usage["completion_tokens"])
        dollars.labels("app", "gpt-4o-mini").inc(0.00021)
    flying.labels("app").dec()


def by_hand(fn: Any) -> Any:
    """Write a histogram and a counter around a function."""

    def counted(question: str) -> Any:
        began = perf_counter()
        answer = fn(question)
        count(perf_counter() - began)
        return answer

    return counted


def all_by_hand(fn: Any) -> Any:
    """Write all metrics around a function."""

    def counted(question: str) -> Any:
        flying.labels("app").inc()
        began = perf_counter()
        answer = fn(question)
        count_all(perf_counter() - began, answer)
        return answer

    return counted


def aby_hand(fn: Any) -> Any:
    """Write a histogram and a counter around a coroutine function."""

    async def counted(question: str) -> Any:
        began = perf_counter()
        answer = await fn(question)
        count(perf_counter() - began)
        return answer

    return counted


def aall_by_hand(fn: Any) -> Any:
    """Write all metrics around a coroutine function."""

    async def counted(question: str) -> Any:
        flying.labels("app").inc()
        began = perf_counter()
        answer = await fn(question)
        count_all(perf_counter() - began, answer)
        return answer

    return counted


def cases(plain: Any, telling: Any, hand: Any, everything: Any) -> dict[str, Any]:
    """Build what is measured around a function that returns text, and one that tells its usage."""
    policy = metrics("app", registry=CollectorRegistry())
    return {
        "bare": plain,
        "heard": guard(Ear())(plain),
        "metrics": guard(policy)(plain),
        "by hand": hand(plain),
        "all of it": everything(plain),
        "bare, telling": telling,
        "heard, telling": guard(Ear())(telling),
        "metrics, telling": guard(policy)(telling),
        "by hand, telling": hand(telling),
        "all of it, telling": everything(telling),
    }


def rows(kind: str, found: Figures) -> list[Row]:
    """Compare what was found for one of sync and async."""
    lines: list[Row] = []
    for end, about in (("", "text"), (", telling", "an answer with usage")):
        ours = found[f"metrics{end}"] - found[f"heard{end}"]
        for peer in ("by hand", "all of it"):
            theirs = found[f"{peer}{end}"] - found[f"bare{end}"]
            lines.append(against(f"{kind}: {about}, {peer}", ours, theirs))
        most = None if end else 5
        lines.append(alone(f"{kind}: {about}", ours, found["yardstick"], most_us=most))
        records = found[f"heard{end}"] - found[f"bare{end}"]
        lines.append(alone(f"{kind}: {about}, the records", records, found["yardstick"]))
    return lines


def main() -> None:
    """Measure and print."""

    async def ayardstick(question: str) -> None:
        yardstick(question)

    sync = cases(ask, answering, by_hand, all_by_hand) | {"yardstick": yardstick}
    asynchronous = cases(aask, aanswering, aby_hand, aall_by_hand) | {"yardstick": ayardstick}
    lines = rows("sync", calls(sync)) + rows("async", acalls(asynchronous))
    print(section(ABOUT, lines, "prometheus-client"))


if __name__ == "__main__":
    main()
