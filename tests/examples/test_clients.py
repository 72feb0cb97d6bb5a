"""The example of guarded clients does what it says."""

from __future__ import annotations

import json

from tests.examples.running import run


def test_it_is_cured_of_its_failures() -> None:
    """Every question is answered, one from the cache, the last by the other provider."""
    ran = run("clients.py")

    *answers, last = (line for line in ran.stdout.splitlines() if "agentguard_" not in line)
    assert answers == [
        "It is sunny in Seoul.",
        "It is sunny in Seoul. (from the cache)",
        "It is sunny in Seoul.",
        "It is sunny in Seoul. says claude-haiku-4-5",
    ]
    assert last == "9 requests, no address in any of them: True"

    counted = dict(line.rsplit(" ", 1) for line in ran.stdout.splitlines() if "agentguard_" in line)
    attempts = [float(n) for name, n in counted.items() if "attempts" in name]
    assert sum(attempts) == 9
    hit = 'agentguard_cache_requests_total{cache="cache",name="weather",result="hit"}'
    assert counted[hit] == "1.0"

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["attempts"] for line in lines] == [3, 0, 2, 4]
    assert [line["level"] for line in lines] == ["info", "info", "info", "warning"]
    assert lines[-1]["served_by"] == "backup"
    assert all(line["cost_usd"] > 0 for line in lines if line["attempts"])
    assert "example.com" not in ran.stderr
