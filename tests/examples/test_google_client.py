"""The example of a guarded Google client does what it says."""

from __future__ import annotations

import google_client
import pytest


def test_it_is_cured_of_its_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """The function runs once, though the request after it fails once."""
    google_client.main()

    assert capsys.readouterr().out.splitlines() == [
        "weather('Seoul') runs",
        "It is sunny in Seoul.",
        "It is sunny in Seoul.",
        "7 requests, 3 calls, nothing failed",
    ]
