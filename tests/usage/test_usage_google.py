"""usage() with google-genai: thoughts beside the answer, partial figures in every chunk."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, Final

import pytest

from agentguard import guard, retry, usage
from agentguard.testing import fault
from agentguard.tokens.count import count_tokens
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, async_google_client, google_client

pytestmark = LEFT_TO_THE_COLLECTOR

MODEL: Final = "gemini-2.5-flash"
ASKED: Final[dict[str, Any]] = {"model": MODEL, "contents": "hi"}
FIGURES: Final = {"input": 1000, "output": 100, "cached": 600, "reasoning": 40}
COST: Final = Decimal("0.000388")  # 400 at 0.30, 600 at 0.03, 100 at 2.50 dollars a million


def again() -> Any:
    """A retry that does not wait."""
    return retry(wait=lambda _: 0.0, budget=None)


def ask(provider: Any, how: str, take: int | None = None) -> None:
    """Ask a guarded client once and read the answer, or `take` chunks of it."""
    if how.startswith("async"):
        asyncio.run(_aask(provider, how, take))
        return
    with google_client(provider) as plain:
        models = guard(again())(plain).models
        if how == "unary":
            models.generate_content(**ASKED)
        else:
            stream = models.generate_content_stream(**ASKED)
            for number, _ in enumerate(stream, 1):
                if number == take:
                    break
            stream.close()


async def _aask(provider: Any, how: str, take: int | None) -> None:
    async with async_google_client(provider) as plain:
        models = guard(again())(plain).models
        if how == "async unary":
            await models.generate_content(**ASKED)
        else:
            stream = await models.generate_content_stream(**ASKED)
            number = 0
            async for _ in stream:
                number += 1
                if number == take:
                    break
            await stream.aclose()
            for _ in range(3):  # older SDKs let go of the guarded stream: the loop closes it
                await asyncio.sleep(0)


HOW: Final = ("unary", "stream", "async unary", "async stream")


@pytest.mark.parametrize("how", HOW)
def test_every_way(provider, how):
    """The last cumulative figures count; output includes thoughts."""
    provider.always(fault.ok(usage=FIGURES))
    with usage() as u:
        ask(provider, how)
    assert (u.input_tokens, u.output_tokens) == (1000, 100)
    assert (u.cached_tokens, u.reasoning_tokens) == (600, 40)
    assert (u.requests, u.attempts, u.estimated, u.unpriced) == (1, 1, 0, 0)
    assert u.cost == COST


@pytest.mark.parametrize("how", ["stream", "async stream"])
def test_a_stream_that_is_left(provider, how):
    """What arrived is estimated."""
    with usage() as u:
        ask(provider, how, take=2)
    assert (u.estimated, u.attempts, u.unpriced) == (1, 1, 0)
    assert u.input_tokens > 0
    assert 1 <= u.output_tokens <= count_tokens("one two three", MODEL)
