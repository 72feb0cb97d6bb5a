"""One process of a race under one budget: threads that call sync, async and streaming, until it is used up.

Arguments: the store, the dollars, the time zone of the day, threads, the seconds of a lease, a file.

What a call costs is written to the file, in nano-dollars, *while* it is made: what the file adds up to,
after whatever deaths, is what a provider would have billed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from agentguard import budget, errors, prices
from agentguard.policies.budget import Budget

MODEL = "racer"
NANO_A_TOKEN = 10_000
PROMPT = [{"role": "user", "content": "hello"}]
LONGEST = 40
"""Tokens of an answer at most, and of the prompt."""


def race_budget(store: Any, usd: str, tz: str, lease: float) -> Budget:
    """The budget that all processes share."""
    prices.add(MODEL, input=NANO_A_TOKEN / 1000, output=NANO_A_TOKEN / 1000)
    return budget(usd=float(usd), per="day", tz=tz, store=store, name="race", lease=lease)


def answering(policy: Budget, spend: Callable[[int], None]) -> list[Callable[[], Any]]:
    """Guarded calls of each shape; `spend` hears what each costs before it answers."""
    chance = random.Random()

    def used(max_tokens: int) -> dict[str, int]:
        figures = {"prompt_tokens": 5, "completion_tokens": chance.randint(0, max_tokens)}
        spend(sum(figures.values()) * NANO_A_TOKEN)
        return figures

    def told(figures: dict[str, int]) -> dict[str, Any]:
        choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}
        return {"model": MODEL, "choices": [choice], "usage": figures}

    @policy
    def ask(messages: Any, *, model: str, max_tokens: int) -> Any:
        figures = used(max_tokens)
        time.sleep(chance.random() * 0.002)
        return told(figures)

    @policy
    async def aask(messages: Any, *, model: str, max_tokens: int) -> Any:
        figures = used(max_tokens)
        await asyncio.sleep(chance.random() * 0.002)
        return told(figures)

    @policy
    async def stream(messages: Any, *, model: str, max_tokens: int) -> AsyncIterator[Any]:
        figures = used(max_tokens)
        yield {"model": MODEL, "choices": [{"index": 0, "delta": {"content": "x"}}]}
        await asyncio.sleep(chance.random() * 0.002)
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        yield {"model": MODEL, "choices": [choice], "usage": figures}

    async def read(**asked: Any) -> None:
        async for _ in stream(PROMPT, **asked):
            pass

    def asked() -> dict[str, Any]:
        return {"model": MODEL, "max_tokens": chance.randint(1, LONGEST)}

    return [
        lambda: ask(PROMPT, **asked()),
        lambda: asyncio.run(aask(PROMPT, **asked())),
        lambda: asyncio.run(read(**asked())),
    ]


def main(store: str, usd: str, tz: str, threads: str, lease: str, journal: str) -> None:
    """Race until the budget refuses again and again."""
    policy = race_budget(store, usd, tz, float(lease))
    log = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    calls = answering(policy, lambda nano: os.write(log, f"{nano}\n".encode()) and None)

    def run(number: int) -> None:
        refused = 0
        while refused < 10:
            try:
                calls[number % len(calls)]()
            except errors.BudgetExceeded as error:
                refused += error.limit is not None  # else the store was too busy
                time.sleep(0.002)
            else:
                refused = 0

    running = [threading.Thread(target=run, args=[number]) for number in range(int(threads))]
    for each in running:
        each.start()
    for each in running:
        each.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
