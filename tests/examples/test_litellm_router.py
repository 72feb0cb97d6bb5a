"""The example of a guarded LiteLLM Router does what it says; in LiteLLM's own environment."""

from __future__ import annotations

import litellm_router
import pytest

from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR

pytestmark = LEFT_TO_THE_COLLECTOR


def test_it_is_cured_of_its_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """The Router's second group answers, and the stream is asked for again."""
    litellm_router.main()

    assert capsys.readouterr().out.splitlines() == [
        "gpt-4o-mini says: It is 42.",
        "It is 42.",
        "[['overloaded', 'overloaded', 'overloaded', None], ['rate_limited', None]]",
    ]
