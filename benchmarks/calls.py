"""What a guarded call costs when nothing fails, beside the small libraries it stands for."""

from __future__ import annotations

from typing import Any

import pybreaker
import stamina
import tenacity
from prometheus_client import CollectorRegistry, Counter, Histogram

from agentguard import breaker, fallback, guard, report, retry, timeout
from benchmarks.common import (
    Figures,
    Noop,
    Row,
    aask,
    acalls,
    against,
    agarbage,
    alone,
    ask,
    calls,
    garbage,
    none_left,
    section,
    yardstick,
)

ABOUT = (
    "Around a function that does nothing. What the engine costs is the difference that a policy "
    "makes that only passes on; what another policy costs, the difference it makes to that. *glue* "
    "is tenacity around pybreaker around a Prometheus histogram and counter, both with labels."
)
CHAIN = "guard(fallback, retry, breaker)"
PEERS = ("tenacity @retry", "stamina.retry", "pybreaker", "glue")

seconds = Histogram("seconds", "of a call", ["model"], registry=CollectorRegistry())
made = Counter("calls", "made", ["model"], registry=CollectorRegistry())

with_tenacity: Any = tenacity.retry(
    stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential_jitter()
)
with_stamina: Any = stamina.retry(on=Exception)


def with_glue(fn: Any) -> Any:
    """Put together what one writes without agentguard."""
    broken = pybreaker.CircuitBreaker()(fn)

    @with_tenacity
    def glued(question: str) -> Any:
        with seconds.labels(model="m").time():
            made.labels(model="m").inc()
            return broken(question)

    return glued


def ours(fn: Any, backup: Any) -> dict[str, Any]:
    """Build what of ours is measured around `fn`."""
    chain = guard(fallback(backup), retry(), breaker())(fn)

    def reported(question: str) -> Any:
        with report():
            return chain(question)

    async def areported(question: str) -> Any:
        async with report():
            return await chain(question)

    return {
        "bare": fn,
        "engine": guard(Noop())(fn),
        "fallback": guard(Noop(), fallback(backup))(fn),
        "retry": guard(Noop(), retry())(fn),
        "breaker": guard(Noop(), breaker())(fn),
        "timeout": guard(Noop(), timeout(30))(fn),
        "timeout(thread=False)": guard(Noop(), timeout(30, thread=False))(fn),
        "the chain": chain,
        "the chain inside report()": areported if fn is aask else reported,
    }


def rows(kind: str, found: Figures, most: float) -> list[Row]:
    """Compare what was found for one of sync and async."""
    chain, yard = found["the chain"], found["yardstick"]
    lines = [
        against(f"{kind}: {CHAIN}, tenacity @retry", chain, found["tenacity @retry"], most=most)
    ]
    lines += [
        against(f"{kind}: {CHAIN}, {peer}", chain, found[peer])
        for peer in PEERS[1:]
        if peer in found
    ]
    lines.append(alone(f"{kind}: the bare call", found["bare"], yard))
    lines.append(alone(f"{kind}: engine", found["engine"] - found["bare"], yard, most_us=1))
    lines += [
        alone(f"{kind}: {name}", found[name] - found["engine"], yard, most_us=1)
        for name in ("retry", "fallback", "breaker")
    ]
    lines += [
        alone(f"{kind}: {name}", found[name] - found["engine"], yard)
        for name in ("timeout", "timeout(thread=False)")
    ]
    lines.append(alone(f"{kind}: {CHAIN}", chain - found["bare"], yard))
    lines.append(
        alone(f"{kind}: a report() around it", found["the chain inside report()"] - chain, yard)
    )
    return lines


def once_retried(cases: dict[str, Any]) -> Row:
    """Measure a success again after a retry: from then on it gives back to a retry budget."""
    flaky = iter([ConnectionError("provider is down"), None])

    def once() -> None:
        failure = next(flaky)
        if failure is not None:
            raise failure

    guard(retry(wait=tenacity.wait_none()))(once)()
    found = calls({name: cases[name] for name in ("yardstick", "engine", "retry")})
    return alone(
        "sync: retry, once this process has retried",
        found["retry"] - found["engine"],
        found["yardstick"],
    )


def main() -> None:
    """Measure and print."""

    def backup(question: str) -> str:
        return question

    async def abackup(question: str) -> str:
        return question

    async def ayardstick(question: str) -> None:
        yardstick(question)

    sync = ours(ask, backup) | {
        "yardstick": yardstick,
        "tenacity @retry": with_tenacity(ask),
        "stamina.retry": with_stamina(ask),
        "pybreaker": pybreaker.CircuitBreaker()(ask),
        "glue": with_glue(ask),
    }
    asynchronous = ours(aask, abackup) | {
        "yardstick": ayardstick,
        "tenacity @retry": with_tenacity(aask),
        "stamina.retry": with_stamina(aask),
    }
    lines = rows("sync", calls(sync), 0.35) + rows("async", acalls(asynchronous), 0.2)
    lines.append(once_retried(sync))
    for kind, cases, left in (("sync", sync, garbage), ("async", asynchronous, agarbage)):
        lines.append(
            none_left(
                f"{kind}: cyclic garbage of 10,000 calls, tenacity @retry",
                left(cases["the chain"]),
                left(cases["tenacity @retry"]),
            )
        )
    print(section(ABOUT, lines, "tenacity", "stamina", "pybreaker", "prometheus-client"))


if __name__ == "__main__":
    main()
