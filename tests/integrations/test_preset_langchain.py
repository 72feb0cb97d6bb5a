"""`presets.production()` around a chat model of LangChain, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI

from tests.integrations.outlasting import PLANTED, outlasting
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
ASKED = f"my address is {PLANTED}"


def whole(model: ChatOpenAI) -> str:
    """Ask for a whole answer."""
    return str(model.invoke(ASKED).content)


def stream(model: ChatOpenAI) -> str:
    """Ask for a stream."""
    return "".join(str(each.content) for each in model.stream(ASKED))


def awaited(model: ChatOpenAI) -> str:
    """Await a whole answer."""
    return str(asyncio.run(model.ainvoke(ASKED)).content)


def chained(model: ChatOpenAI) -> str:
    """Ask through a chain that it is a part of."""
    chain: Runnable[str, str] = model | RunnableLambda(lambda message: message.content)
    return chain.invoke(ASKED)


@pytest.mark.parametrize("ask", [whole, stream, awaited, chained])
def test_a_failure_is_outlasted_and_personal_data_stays_here(
    ask: Callable[[ChatOpenAI], str],
) -> None:
    """The second attempt answers; it is counted as one call with one retry."""
    with outlasting("chain") as (preset, provider):
        url = provider.openai_url
        model = preset(ChatOpenAI(model="gpt-4o-mini", api_key="test-key", base_url=url))
        assert ask(model) == f"write to {PLANTED}"
