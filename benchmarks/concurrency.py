"""How many calls run at once: what is lost of the throughput of bare calls."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pybreaker
import stamina
import tenacity

from agentguard import breaker, fallback, guard, retry
from benchmarks.common import Row, against, section

ABOUT = (
    "Calls a second, bare and guarded, the most of several turns. In async 512 tasks each call "
    "something that takes 5 ms, in a process that holds a million objects, as one with frameworks "
    "in it does. In sync 64 threads each call something that takes 20 ms."
)
CHAIN = "guard(fallback, retry, breaker)"
HEAP = [[number] for number in range(1_000_000)]  # lists, which every full collection walks
TASKS, TASK_SECONDS, TASK_CALLS = 512, 0.005, 6
THREADS, THREAD_SECONDS, THREAD_CALLS = 64, 0.02, 10

with_tenacity: Any = tenacity.retry(
    stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential_jitter()
)


async def anap() -> None:
    """Stand for an asynchronous call of a model."""
    await asyncio.sleep(TASK_SECONDS)


def nap() -> None:
    """Stand for a call of a model."""
    time.sleep(THREAD_SECONDS)


async def tasks_rate(fn: Any) -> float:
    """Calls a second of many tasks."""

    async def several() -> None:
        for _ in range(TASK_CALLS):
            await fn()

    started = time.perf_counter()
    await asyncio.gather(*[several() for _ in range(TASKS)])
    return TASKS * TASK_CALLS / (time.perf_counter() - started)


def threads_rate(fn: Any, number: int) -> float:
    """Calls a second of many threads."""
    ready = threading.Barrier(THREADS + 1)

    def several() -> None:
        ready.wait()
        for _ in range(number):
            fn()

    threads = [threading.Thread(target=several) for _ in range(THREADS)]
    for each in threads:
        each.start()
    ready.wait()
    started = time.perf_counter()
    for each in threads:
        each.join()
    return THREADS * number / (time.perf_counter() - started)


def tasks() -> list[Row]:
    """Measure in one event loop."""

    async def other() -> None:
        return None

    cases: dict[str, Any] = {
        "bare": anap,
        CHAIN: guard(fallback(other), retry(), breaker())(anap),
        "tenacity @retry": with_tenacity(anap),
        "stamina.retry": stamina.retry(on=Exception)(anap),
    }
    best = dict.fromkeys(cases, 0.0)
    for turn in range(12):
        for name in list(cases) if turn % 2 else reversed(cases):
            best[name] = max(best[name], asyncio.run(tasks_rate(cases[name])))
    return _rows("512 tasks", best, 0.85)


def threads() -> list[Row]:
    """Measure in threads. pybreaker lets one call at a time through: fewer of its calls suffice."""
    cases: dict[str, Any] = {
        "bare": nap,
        CHAIN: guard(fallback(lambda: None), retry(), breaker())(nap),
        "tenacity @retry": with_tenacity(nap),
        "pybreaker": pybreaker.CircuitBreaker()(nap),
    }
    best = dict.fromkeys(cases, 0.0)
    for turn in range(6):
        for name in list(cases) if turn % 2 else reversed(cases):
            if name == "pybreaker" and turn > 1:
                continue
            number = 1 if name == "pybreaker" else THREAD_CALLS
            best[name] = max(best[name], threads_rate(cases[name], number))
    return _rows("64 threads", best, 0.97)


def _rows(kind: str, best: dict[str, float], least: float) -> list[Row]:
    bare = best.pop("bare")
    return [
        against(
            f"{kind}: {name}",
            rate,
            bare,
            least=least if name == CHAIN else None,
            show="{:.0f}/s".format,
        )
        for name, rate in best.items()
    ]


def main() -> None:
    """Measure and print."""
    rows = tasks() + threads()
    print(section(ABOUT, rows, "tenacity", "stamina", "pybreaker", ours="guarded", peer="bare"))


if __name__ == "__main__":
    main()
