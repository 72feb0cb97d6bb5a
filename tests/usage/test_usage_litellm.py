"""usage() with LiteLLM: streams are asked for usage, and their caller does not see it."""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
import pytest

from agentguard import guard, retry, usage
from agentguard.testing import fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, MESSAGES

pytestmark = LEFT_TO_THE_COLLECTOR

FIGURES = {"input": 1000, "output": 100, "cached": 600}


def ask(provider: Any, *, asynchronous: bool, **options: Any) -> list[Any]:
    """Ask a guarded `litellm.completion` or `acompletion` once."""
    asked = {
        "model": "openai/gpt-4o-mini",
        "messages": MESSAGES,
        "api_base": provider.openai_url,
        "api_key": "sk-test",
        **options,
    }
    guards = guard(retry(wait=lambda _: 0.0, budget=None))

    async def use() -> list[Any]:
        answer = await guards(litellm.acompletion)(**asked)
        return [item async for item in answer] if options.get("stream") else [answer]

    if asynchronous:
        return asyncio.run(use())
    answer = guards(litellm.completion)(**asked)
    return list(answer) if options.get("stream") else [answer]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_completion(provider, asynchronous, stream):
    """Figures and cost of unary answers and streams."""
    provider.always(fault.ok(usage=FIGURES))
    plain = ask(provider, asynchronous=asynchronous, stream=stream)
    with usage() as u:
        answer = ask(provider, asynchronous=asynchronous, stream=stream)
    assert (u.input_tokens, u.output_tokens, u.cached_tokens) == (1000, 100, 600)
    assert (u.requests, u.attempts, u.estimated, u.unpriced) == (1, 1, 0, 0)
    assert len(answer) == len(plain)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_caller_who_asks_himself(provider, asynchronous):
    """The chunk with the usage is his."""
    asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    with usage() as u:
        chunks = ask(provider, asynchronous=asynchronous, **asked)
    assert chunks[-1].usage.completion_tokens == u.output_tokens == 6
    assert u.estimated == 0
