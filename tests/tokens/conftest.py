"""LiteLLM's environment lacks Google's and LangChain's objects, which counting is shown with."""

from __future__ import annotations

from tests.providers.sdk_targets import GENERATION

collect_ignore = ["test_count.py"] if GENERATION == "litellm" else []
