"""The keys of requests through LiteLLM, over real HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from agentguard import guard
from agentguard.testing import FakeProvider
from tests.caching.asking import Noting
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import
import litellm

pytestmark = LEFT_TO_THE_COLLECTOR
litellm.suppress_debug_info = True

MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that the clients of one test talk to."""
    with FakeProvider(answer="fine") as running:
        yield running


def test_litellm_s_requests_have_keys(provider: FakeProvider) -> None:
    """Its own logging and the caller's key are not in them."""
    noted = Noting()
    safe = noted(litellm.completion)

    def ask(**changes: Any) -> Any:
        request = {"model": "openai/m", "messages": MESSAGES, "api_base": provider.openai_url}
        return safe(**request | {"api_key": "k"} | changes)

    same = noted.key(ask)
    assert noted.key(ask, api_key="l", timeout=9, metadata={"id": 3}) == same
    assert noted.key(ask, model="openai/n") != same
    assert noted.key(ask, api_base=provider.openai_url + "/") != same


def test_a_router_s_deployments_count(provider: FakeProvider) -> None:
    """What stands behind an alias, without its keys."""
    noted = Noting()

    def key(model: str, secret: str) -> str:
        settings = {"model": model, "api_base": provider.openai_url, "api_key": secret}
        router = litellm.Router(
            [{"model_name": "a", "litellm_params": settings, "model_info": {"id": "1"}}]
        )
        return noted.key(guard(noted)(router).completion, model="a", messages=MESSAGES)

    assert key("openai/m", "k") == key("openai/m", "l") != key("openai/n", "k")
