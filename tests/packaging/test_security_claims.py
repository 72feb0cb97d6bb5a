"""What SECURITY.md claims is shown by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLAIMS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text("utf-8"))


def test_claims_are_made() -> None:
    """Two dozen of them."""
    assert len(CLAIMS) > 20


@pytest.mark.parametrize(("path", "name"), CLAIMS, ids=[name for _, name in CLAIMS])
def test_each_claim_has_its_test(path: str, name: str) -> None:
    """The file is there, and the test in it."""
    assert re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
