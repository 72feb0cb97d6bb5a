"""The example of guarded clients does what it says."""

from __future__ import annotations

import clients
import pytest


def test_it_is_cured_of_its_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """Every question is answered, the last one by the other provider."""
    clients.main()

    assert capsys.readouterr().out.splitlines() == [
        "It is sunny in Seoul.",
        "It is sunny in Seoul.",
        "It is sunny in Seoul. says claude-x",
        "9 requests, 3 calls, nothing failed",
    ]
