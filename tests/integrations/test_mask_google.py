"""google-genai's clients under `mask_pii`: contents, chats and functions, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types

from agentguard import guard, mask_pii, report
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR
KIM, LEE = "kim@example.com", "lee@example.org"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer="to <EMAIL_1>, <EMAIL_2>!") as running:
        yield running


@pytest.fixture
def client(provider: FakeProvider) -> Any:
    """A masked client."""
    http = types.HttpOptions(base_url=provider.google_url)
    return guard(mask_pii())(genai.Client(api_key="test-key", http_options=http))


def went_out(provider: FakeProvider) -> str:
    """All bodies that the provider received."""
    return json.dumps([each.body for each in provider.journal])


CONTENTS = {
    "str": f"{KIM} {LEE}",
    "list": [KIM, LEE],
    "dict": {"role": "user", "parts": [{"text": f"{KIM} {LEE}"}]},
    "Content": [types.Content(role="user", parts=[types.Part(text=KIM), types.Part(text=LEE)])],
}


@pytest.mark.parametrize("contents", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_contents(
    provider: FakeProvider, client: Any, contents: Any, is_async: bool, streams: bool
) -> None:
    """Values at both ends, placeholders between, in the instructions too."""
    given: dict[str, Any] = {
        "model": "gemini-x",
        "contents": contents,
        "config": types.GenerateContentConfig(system_instruction=f"boss {LEE}"),
    }

    async def ask() -> str:
        models = client.aio.models if is_async else client.models
        if not streams:
            found = models.generate_content(**given)
            return (await found if is_async else found).text
        found = models.generate_content_stream(**given)
        if is_async:
            return "".join([chunk.text or "" async for chunk in await found])
        return "".join(chunk.text or "" for chunk in found)

    assert asyncio.run(ask()) == f"to {LEE}, {KIM}!"
    assert KIM not in went_out(provider)
    assert LEE not in went_out(provider)


def test_chats(provider: FakeProvider, client: Any) -> None:
    """The history that a chat sends again is what it has sent before."""
    chat = client.chats.create(model="gemini-x")
    chat.send_message(f"{KIM} {LEE}")
    chat.send_message("and 010-1234-5678")
    before, after = (each.body["contents"] for each in provider.journal)
    assert after[: len(before)] == before
    assert KIM not in went_out(provider)
    assert "PHONE_1" in went_out(provider)


def test_functions_get_values(provider: FakeProvider, client: Any) -> None:
    """Automatic function calling runs the user's function with values, and sends none."""
    mailed: list[str] = []

    def send(to: str) -> str:
        """Send a mail."""
        mailed.append(to)
        return f"bounced from {LEE}"

    send.__annotations__ = {"to": str, "return": str}  # older versions read no texts
    provider.script(fault.ok(tools=[("send", {"to": "<EMAIL_1>"})]), fault.ok("done, <EMAIL_2>"))
    found = client.models.generate_content(
        model="gemini-x",
        contents=f"mail {KIM}",
        config=types.GenerateContentConfig(tools=[send]),
    )
    assert mailed == [KIM]
    assert found.text == f"done, {LEE}"
    assert KIM not in went_out(provider)
    assert LEE not in went_out(provider)


def test_pictures_are_told_of(provider: FakeProvider, client: Any) -> None:
    """Bytes go out as they are."""
    part = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
    with report() as seen:
        client.models.generate_content(model="gemini-x", contents=[part, KIM])
    assert "not masked: image at contents[0]" in str(seen)
    assert KIM not in went_out(provider)
