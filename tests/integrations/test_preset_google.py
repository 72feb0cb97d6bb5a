"""`presets.production()` around Google's whole client, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from google import genai
from google.genai import types

from tests.integrations.outlasting import PLANTED, outlasting
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
ASKED: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": f"my address is {PLANTED}"}


def whole(client: genai.Client) -> str:
    """Ask for a whole answer."""
    return client.models.generate_content(**ASKED).text or ""


def stream(client: genai.Client) -> str:
    """Ask for a stream."""
    return "".join(each.text or "" for each in client.models.generate_content_stream(**ASKED))


def awaited(client: genai.Client) -> str:
    """Await a whole answer."""

    async def ask() -> str:
        return (await client.aio.models.generate_content(**ASKED)).text or ""

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [whole, stream, awaited])
def test_a_failure_is_outlasted_and_personal_data_stays_here(
    ask: Callable[[genai.Client], str],
) -> None:
    """The second attempt answers; it is counted as one call with one retry."""
    with outlasting("google") as (preset, provider):
        options = types.HttpOptions(base_url=provider.google_url)
        client = preset(genai.Client(api_key="test-key", http_options=options))
        assert ask(client) == f"write to {PLANTED}"
