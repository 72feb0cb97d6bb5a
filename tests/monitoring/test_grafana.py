from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from agentguard.monitoring.dashboard import dashboard

# Grafana's own exports have it, its schema does not.
UNKNOWN = "definition"


def lost(before: object, after: object, where: str = "") -> list[str]:
    """Where something of `before` is missing in `after`, or has changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            each
            for key in before
            if key != UNKNOWN
            for each in lost(before[key], after.get(key), f"{where}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for number, pair in pairs for each in lost(*pair, f"{where}[{number}]")]
    return [] if before == after else [f"{where}: {before!r} became {after!r}"]


def test_grafanas_own_types_know_everything_in_it() -> None:
    """Read and written by the types made of Grafana's schema, nothing of it is lost or changed."""
    made = dashboard()
    again = json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder))
    assert lost(made, again) == []


def test_what_grafana_does_not_know_would_be_seen() -> None:
    """A misspelled field does not survive the same way."""
    made = dashboard()
    made["panels"][1]["gridpos"] = made["panels"][1].pop("gridPos")
    again = json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder))
    assert len(lost(made, again)) == 1
