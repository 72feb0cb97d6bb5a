"""One running provider a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.testing import FakeProvider
from tests.providers.sdk_targets import GENERATION


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider() as running:
        yield running


# Which exceptions the current SDKs make of each fault; the other generations' are in
# tests/providers/test_fault_matrix.py, which knows them all. LiteLLM's environment lacks the SDKs
# of Google and LangChain, which the answers and the journal are shown with.
collect_ignore = {
    "current": [],
    "previous": ["test_faults.py"],
    "litellm": ["test_faults.py", "test_answers.py", "test_journal.py"],
}[GENERATION]
