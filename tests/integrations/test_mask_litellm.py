"""LiteLLM's functions under `mask_pii`, over real HTTP; in LiteLLM's own environment."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from agentguard import guard, mask_pii
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, text_of

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
import litellm

pytestmark = LEFT_TO_THE_COLLECTOR
KIM, LEE = "kim@example.com", "lee@example.org"
litellm.suppress_debug_info = True


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the calls of one test go to."""
    with FakeProvider(answer="to <EMAIL_1>, < email_2 >!") as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what LiteLLM forgets to close while the warnings about it are still filtered."""
    yield
    gc.collect()


def given(provider: FakeProvider, route: str, text: str) -> dict[str, Any]:
    """The arguments of a call of this route."""
    base = {
        "openai": provider.openai_url,
        "anthropic": provider.anthropic_url,
        "gemini": f"{provider.google_url}/v1beta",
    }[route]
    return {
        "model": f"{route}/m",
        "api_base": base,
        "api_key": "sk-test",
        "max_retries": 0,
        "messages": [
            {"role": "system", "content": f"boss {LEE}"},
            {"role": "user", "content": text},
        ],
    }


def clean(provider: FakeProvider) -> None:
    """Nothing planted has reached the provider."""
    sent = json.dumps([each.body for each in provider.journal])
    assert provider.journal
    assert KIM not in sent
    assert LEE not in sent


@pytest.mark.parametrize("route", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_completions(provider: FakeProvider, route: str, is_async: bool, streams: bool) -> None:
    """Values at both ends, placeholders between."""
    asked = given(provider, route, f"write to {KIM}")

    async def ask() -> str:
        if is_async:
            found = await guard(mask_pii())(litellm.acompletion)(**asked, stream=streams)
            return text_of([chunk async for chunk in found] if streams else found)
        found = guard(mask_pii())(litellm.completion)(**asked, stream=streams)
        return text_of([*found] if streams else found)

    assert asyncio.run(ask()) == f"to {LEE}, {KIM}!"
    clean(provider)


def test_a_router(provider: FakeProvider) -> None:
    """A Router as a whole; its keys are not touched."""
    asked = given(provider, "openai", f"write to {KIM}")
    place = {name: asked.pop(name) for name in ("model", "api_base", "api_key")}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": place}])
    found = guard(mask_pii())(router).completion(**asked, model="m")
    assert text_of(found) == f"to {LEE}, {KIM}!"
    clean(provider)


def test_tool_arguments(provider: FakeProvider) -> None:
    """Restored as JSON."""
    provider.schedule(lambda *_: fault.ok(tools=[("send", {"to": "<EMAIL_2>"})]))
    found = mask_pii()(litellm.completion)(**given(provider, "openai", f"mail {KIM}"))
    call = found.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"to": KIM}
    clean(provider)
