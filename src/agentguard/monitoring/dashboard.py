"""A dashboard for Grafana: what every guard of a service does, from traffic to what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.monitoring import policy_rows, service_rows
from agentguard.monitoring.objectives import Objectives
from agentguard.monitoring.panels import laid_out
from agentguard.monitoring.promql import Queries
from agentguard.monitoring.recorded import REQUESTS, Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentguard.monitoring.panels import Panel

__all__ = ["dashboard"]

_SCHEMA: Final = 39  # Grafana 10.2 and later; newer ones bring it up to date by themselves


def dashboard(goal: Objectives | None = None) -> dict[str, Any]:
    """The dashboard, as data for `json.dumps`. It needs the recording rules of the same objectives.

    Args:
        goal: what is promised; the defaults where left out.

    Examples:
        >>> from agentguard.monitoring.dashboard import dashboard
        >>> dashboard()["title"]
        'agentguard'
    """
    from agentguard import __version__

    goal = goal or Objectives()
    return {
        "uid": "agentguard",
        "title": "agentguard",
        "description": f"Made of the metrics of agentguard {__version__}.",
        "tags": ["agentguard", f"agentguard-{__version__}"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "links": [],
        "annotations": {"list": []},
        "templating": {"list": _variables(goal)},
        "panels": laid_out(_rows(goal)),
    }


def _variables(goal: Objectives) -> list[dict[str, Any]]:
    """The data source, and what to look at: services, then guards of them."""
    chosen: list[dict[str, Any]] = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
        | {"current": {}, "hide": 0, "refresh": 1}
    ]
    for label in (*goal.labels, "name"):
        before = tuple(each["name"] for each in chosen[1:])
        series = Queries(targets=goal.labels, variables=before).series(REQUESTS)
        chosen.append(
            {
                "name": label,
                "label": "Guard" if label == "name" else label.capitalize(),
                "type": "query",
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "query": {"qryType": 1, "query": f"label_values({series}, {label})"},
                "definition": f"label_values({series}, {label})",
                "includeAll": True,
                "multi": True,
                "allValue": ".*",
                "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
                "refresh": 2,
                "sort": 1,
                "hide": 0,
            }
        )
    return chosen


def _rows(goal: Objectives) -> Mapping[str, tuple[Panel, ...]]:
    ask = Queries(variables=(*goal.labels, "name"))
    return {
        "Objectives": service_rows.objectives(Recorded(goal), ask),
        "Traffic": service_rows.traffic(ask),
        "Latency": service_rows.latency(goal, ask),
        "Tokens and cost": service_rows.cost(ask),
        "Reliability": policy_rows.reliability(ask),
        "Caches": policy_rows.caches(ask),
        "Budgets": policy_rows.budgets(goal, ask),
        "Safety and telemetry": policy_rows.safety(ask),
    }
