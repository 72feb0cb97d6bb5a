from __future__ import annotations

import json
import re

import agentguard
from agentguard.exporters.instruments import INSTRUMENTS
from agentguard.monitoring.dashboard import dashboard
from agentguard.monitoring.objectives import Objectives
from agentguard.monitoring.rules import recording

# Grafana's ids of the units that are used: https://github.com/grafana/grafana,
# packages/grafana-data/src/valueFormats/categories.ts
UNITS = {"short", "reqps", "s", "currencyUSD", "percentunit"}
KINDS = {"row", "timeseries", "stat", "bargauge", "state-timeline"}


def panels() -> list[dict]:
    """All panels of the dashboard but the titles of rows."""
    return [each for each in dashboard()["panels"] if each["type"] != "row"]


def test_grafana_can_read_it() -> None:
    """What Grafana's schema asks of a dashboard and its panels is there, and is JSON."""
    board = json.loads(json.dumps(dashboard(), allow_nan=False))

    assert board["schemaVersion"] >= 36
    assert "id" not in board  # Grafana gives it
    assert f"agentguard-{agentguard.__version__}" in board["tags"]
    assert len({each["id"] for each in board["panels"]}) == len(board["panels"])
    assert {each["type"] for each in board["panels"]} == KINDS
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        assert [each["refId"] for each in panel["targets"]] == list("ABCD")[: len(panel["targets"])]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["legendFormat"]


def test_panels_fill_the_page_and_never_overlap() -> None:
    """Each has its own place in 24 columns, and what is in a row is below its title."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken
        taken |= cells
    for row in {y for _, y in taken}:
        assert {x for x, y in taken if y == row} == set(range(24)), f"a gap in row {row}"


def test_legends_name_labels_that_the_query_keeps() -> None:
    """A series is called by labels that it has: no legend is empty."""
    for panel in panels():
        for target in panel["targets"]:
            kept = re.findall(r"by \(([^)]*)\)", target["expr"])
            labels = {each.strip() for group in kept for each in group.split(",")} or {"name"}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels, target


def test_variables_choose_by_service_and_guard() -> None:
    """The data source, the jobs, and their guards; every query that can obeys them."""
    source, *others = dashboard(Objectives(labels=("namespace", "job")))["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert [each["name"] for each in others] == ["namespace", "job", "name"]
    assert others[2]["definition"] == (
        'label_values(agentguard_requests_total{namespace=~"$namespace", job=~"$job"}, name)'
    )
    for panel in panels():
        for target in panel["targets"]:
            assert 'job=~"$job"' in target["expr"]


def test_every_metric_is_shown() -> None:
    """What is counted is looked at: but for counts that another panel shows in another way."""
    text = json.dumps(dashboard()) + json.dumps(recording())
    elsewhere = {
        "agentguard_budget_charged_total",  # as used
        "agentguard_budget_thresholds_total",  # as used
        "agentguard_circuit_transitions_total",  # as states
        "agentguard_late_results_total",  # as timeouts
        "agentguard_surcharge_usd_total",  # in the cost
    }
    assert {each.name for each in INSTRUMENTS if each.name not in text} == elsewhere
