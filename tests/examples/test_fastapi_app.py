"""The example of a web application does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_app.py"


def test_it_answers_streams_and_refuses() -> None:
    """As a script it serves itself over real HTTP, and ends."""
    run = subprocess.run(
        [sys.executable, str(EXAMPLE)], capture_output=True, text=True, timeout=100, check=True
    )

    lines = run.stdout.split("\n")
    assert lines[0] == "It was guarded."
    assert 'data: {"text": " guarded."}' in lines
    assert "event: done" in lines
    assert lines[-2].startswith("429 120 {'error': {'kind': 'rate_limited'")
