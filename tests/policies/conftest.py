from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentguard.retrying.budget import forget_budgets


@pytest.fixture(autouse=True)
def _full_budgets() -> Iterator[None]:
    """Every test begins with full retry budgets, and leaves none drained."""
    forget_budgets()
    yield
    forget_budgets()
