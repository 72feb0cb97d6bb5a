"""Files about packages that are not installed here hold no tests here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {
    "test_langsmith.py": ("langsmith",),
    "test_langsmith_agents.py": ("langsmith", "langchain", "langchain-openai"),
    "test_langsmith_masked.py": ("langsmith", "openai"),
    "test_langsmith_nesting.py": ("langsmith", "langchain-openai", "anthropic"),
    "test_langsmith_trouble.py": ("langsmith",),
    "test_opentelemetry.py": ("opentelemetry-sdk", "langsmith", "openai", "anthropic", "httpx2"),
}
collect_ignore = [
    file for file, packages in NEEDS.items() if any(version(package) < 0 for package in packages)
]
