from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.retrying.budget import forget_budgets
from agentguard.testing import reset
from tests.providers.sdk_targets import version

NEEDS = ("openai", "anthropic", "google-genai", "langchain-openai")
collect_ignore = (
    ["test_budget_providers.py"] if any(version(package) < 0 for package in NEEDS) else []
)


@pytest.fixture(autouse=True)
def _full_budgets() -> Iterator[None]:
    """Every test begins with full retry budgets, and leaves none drained."""
    forget_budgets()
    yield
    reset()
