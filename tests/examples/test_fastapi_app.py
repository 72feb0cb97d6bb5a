"""The example of a web application does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_app.py"


def test_it_answers_streams_refuses_and_shows_how_it_stands() -> None:
    """As a script it serves itself over real HTTP, and ends."""
    run = subprocess.run(
        [sys.executable, str(EXAMPLE)], capture_output=True, text=True, timeout=100, check=True
    )

    lines = run.stdout.splitlines()
    assert lines[0] == "It was guarded."
    assert 'data: {"text": " guarded."}' in lines
    assert "event: done" in lines
    refused, stands, counted = lines[-3:]
    assert refused.startswith("429 120 {'error': {'kind': 'rate_limited'")
    assert stands.startswith("{'status': 'ok'} {'status': 'ok', 'circuits': {'openai gpt-5 at 127.")
    assert "'budgets': {'support': {'usd': {'used': " in stands
    requests = 'agentguard_requests_total{kind="%s",name="support",outcome="%s"} %s'
    assert requests % ("", "completed", "2.0") in counted
    assert requests % ("rate_limited", "failed", "1.0") in counted
