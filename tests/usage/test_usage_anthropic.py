"""usage() with the anthropic SDK: input that excludes cached tokens, raw streams, the manager."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, Final

import pytest

from agentguard import guard, retry, usage
from agentguard.testing import fault
from agentguard.tokens.count import count_tokens
from tests.scenarios.ways import (
    LEFT_TO_THE_COLLECTOR,
    MESSAGES,
    anthropic_client,
    async_anthropic_client,
)

pytestmark = LEFT_TO_THE_COLLECTOR

MODEL: Final = "claude-sonnet-4-5"
ASKED: Final[dict[str, Any]] = {"model": MODEL, "max_tokens": 64, "messages": MESSAGES}
FIGURES: Final = {"input": 5100, "output": 500, "cached": 3000, "cache_write": 2000}
COST: Final = Decimal("0.0162")  # 100 at 3, 3000 at 0.30, 2000 at 3.75, 500 at 15 a million


def again() -> Any:
    """A retry that does not wait."""
    return retry(wait=lambda _: 0.0, budget=None)


def ask(provider: Any, how: str, take: int | None = None) -> None:
    """Ask a guarded client once and read the answer, or `take` events of it."""
    if how.startswith("async"):
        asyncio.run(_aask(provider, how, take))
        return
    with anthropic_client(provider) as plain:
        client = guard(again())(plain)
        if how == "unary":
            client.messages.create(**ASKED)
        elif how == "raw":
            stream = client.messages.create(**ASKED, stream=True)
            for number, _ in enumerate(stream, 1):
                if number == take:
                    break
            stream.close()
        else:
            with client.messages.stream(**ASKED) as stream:
                for number, _ in enumerate(stream, 1):
                    if number == take:
                        break


async def _aask(provider: Any, how: str, take: int | None) -> None:
    async with async_anthropic_client(provider) as plain:
        client = guard(again())(plain)
        if how == "async unary":
            await client.messages.create(**ASKED)
        elif how == "async raw":
            stream = await client.messages.create(**ASKED, stream=True)
            number = 0
            async for _ in stream:
                number += 1
                if number == take:
                    break
            await stream.close()
        else:
            async with client.messages.stream(**ASKED) as stream:
                number = 0
                async for _ in stream:
                    number += 1
                    if number == take:
                        break


HOW: Final = ("unary", "raw", "manager", "async unary", "async raw", "async manager")
STREAMED: Final = [how for how in HOW if "unary" not in how]


@pytest.mark.parametrize("how", HOW)
def test_every_way(provider, how):
    """Input includes what was read from and written to the cache, and each class has its price."""
    provider.always(fault.ok(usage=FIGURES))
    with usage() as u:
        ask(provider, how)
    assert (u.input_tokens, u.output_tokens) == (5100, 500)
    assert (u.cached_tokens, u.cache_write_tokens) == (3000, 2000)
    assert (u.requests, u.attempts, u.estimated, u.unpriced) == (1, 1, 0, 0)
    assert u.cost == COST
    assert "stream_options" not in provider.journal[0].body


@pytest.mark.parametrize("how", STREAMED)
def test_a_stream_that_is_left(provider, how):
    """The input was told at the start; what arrived of the output is counted."""
    provider.always(fault.ok(chunks=["one two three ", "four ", "five"], usage=FIGURES))
    with usage() as u:
        ask(provider, how, take=4)
    assert u.input_tokens == 5100
    assert 1 <= u.output_tokens <= count_tokens("one two three four five", MODEL)
    assert (u.estimated, u.attempts) == (1, 1)


@pytest.mark.parametrize("how", HOW)
def test_retried(provider, how):
    """An overloaded provider costs nothing."""
    provider.script(fault.status(529), fault.ok(usage=FIGURES))
    with usage() as u:
        ask(provider, how)
    assert (u.requests, u.attempts, u.unpriced, u.cost) == (1, 2, 0, COST)
