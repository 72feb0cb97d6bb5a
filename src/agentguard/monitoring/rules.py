"""Prometheus' rules as files: what is recorded, and what somebody is told of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentguard.monitoring.alerting import ALERTS, Alert, Alerting
from agentguard.monitoring.objectives import Objectives
from agentguard.monitoring.promql import length
from agentguard.monitoring.recorded import Record, Recorded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ALERTS", "alerting", "recording", "yaml"]


def recording(goal: Objectives | None = None) -> dict[str, Any]:
    """The recording rules, as data.

    Args:
        goal: what is promised; the defaults where left out.

    Examples:
        >>> from agentguard.monitoring.rules import recording
        >>> recording()["groups"][0]["rules"][0]["record"]
        'job_name:agentguard_request_errors:ratio_rate5m'
    """
    return _groups("recording", Recorded(goal or Objectives()).groups(), {})


def alerting(goal: Objectives | None = None) -> dict[str, Any]:
    """The alerting rules, as data. They need the recording rules of the same objectives.

    Args:
        goal: what is promised; the defaults where left out.

    Examples:
        >>> from agentguard.monitoring.rules import alerting
        >>> alerting()["groups"][0]["rules"][0]["alert"]
        'AgentguardErrorBurn'
    """
    goal = goal or Objectives()
    return _groups("alerts", Alerting(Recorded(goal)).groups(), {"runbook": goal.runbook})


def yaml(rules: dict[str, Any]) -> str:
    """Rules as Prometheus reads them from a file."""
    return "\n".join(_lines(rules, "")) + "\n"


def _groups(
    kind: str, groups: Mapping[str, Sequence[Record | Alert]], settings: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "groups": [
            {
                "name": f"agentguard_{kind}_{name}",
                "rules": [_rule(rule, **settings) for rule in rules],
            }
            for name, rules in groups.items()
        ]
    }


def _rule(rule: Record | Alert, runbook: str = "") -> dict[str, Any]:
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": rule.expr}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **({"for": length(rule.hold)} if rule.hold else {}),
        "labels": {
            "severity": rule.severity,
            **({"window": rule.window} if rule.window else {}),
        },
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{runbook}#{rule.name.lower()}",
        },
    }


def _lines(node: dict[str, Any] | list[Any], indent: str) -> list[str]:
    """Mappings, lists and texts in YAML: queries over several lines, as a reader wants them."""
    lines: list[str] = []
    if isinstance(node, list):
        for item in node:
            first, *others = _lines(item, indent + "  ")
            lines += [f"{indent}- {first.lstrip()}", *others]
        return lines
    for key, value in node.items():
        if isinstance(value, str):
            lines += _text(key, value, indent)
        else:
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
    return lines


def _text(key: str, value: str, indent: str) -> list[str]:
    if key == "expr":
        return [f"{indent}{key}: |-", *(f"{indent}  {line}" for line in value.splitlines())]
    return [f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"]
