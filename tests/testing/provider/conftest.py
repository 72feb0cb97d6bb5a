"""One running provider a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.testing import FakeProvider


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """Run a provider of its own for one test."""
    with FakeProvider() as running:
        yield running
