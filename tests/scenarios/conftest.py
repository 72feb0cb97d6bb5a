"""One running provider a test; files about SDKs that are not installed here hold no tests here."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from agentguard.testing import FakeProvider
from tests.providers.sdk_targets import version

NEEDS = {
    "test_field_scenarios.py": "openai",
    "test_sdk_anthropic.py": "anthropic",
    "test_sdk_google.py": "google-genai",
    "test_sdk_langchain.py": "langchain-openai",
    "test_sdk_litellm.py": "litellm",
    "test_sdk_matrix.py": "openai",
    "test_sdk_openai.py": "openai",
    "test_truncation.py": "openai",
}
collect_ignore = [file for file, package in NEEDS.items() if version(package) < 0]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider(answer="one two three four five six") as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what SDKs forget to close while the warnings about it are still filtered."""
    yield
    gc.collect()
