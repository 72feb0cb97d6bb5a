"""Each test begins with no prices of its own, no model warned of, and a running provider."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from agentguard.testing import FakeProvider, reset
from tests.providers.sdk_targets import version

NEEDS = {
    "test_usage_anthropic.py": "anthropic",
    "test_usage_google.py": "google-genai",
    "test_usage_litellm.py": "litellm",
    "test_usage_openai.py": "openai",
}
collect_ignore = [file for file, package in NEEDS.items() if version(package) < 0]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    reset()


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="one two three four five six") as running:
        yield running
