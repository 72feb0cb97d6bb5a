"""The keys of requests through google-genai, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types

from agentguard.testing import FakeProvider
from tests.caching.asking import Noting


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer="fine") as running:
        yield running


def test_google_s_requests_have_keys(provider: FakeProvider) -> None:
    """A configuration as an object or a dict, with functions for tools."""

    def tool(city: str) -> str:
        """Tell the weather."""
        return city + str(held)

    held = object()
    noted = Noting()
    http = types.HttpOptions(base_url=provider.google_url)
    client = genai.Client(api_key="k", http_options=http)
    safe = noted(client)

    def ask(config: Any = None, contents: Any = "hello") -> Any:
        return safe.models.generate_content(model="gemini", contents=contents, config=config)

    plain = noted.key(ask, {"temperature": 0.5})
    assert noted.maker.around(noted.call)[1] == "hello"  # type: ignore[index]
    assert noted.key(ask, types.GenerateContentConfig(temperature=0.5)) == plain
    assert noted.key(ask, {"temperature": 0.5, "http_options": {"timeout": 9000}}) == plain
    config = types.GenerateContentConfig(temperature=0.5, tools=[tool])
    with_tool = noted.key(ask, config)
    assert noted.key(ask, config) == with_tool
    keys = {plain, with_tool, noted.key(ask), noted.key(ask, {"temperature": 0.6})}
    content = types.Content(role="user", parts=[types.Part(text="hello")])
    keys.add(noted.key(ask, None, [content, content]))
    assert noted.maker.around(noted.call)[1] == "hello"  # type: ignore[index]
    assert len(keys) == 5
    client.close()
