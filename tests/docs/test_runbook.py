"""The runbook: a section for each alert, links that lead somewhere, metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentguard.exporters.instruments import INSTRUMENTS
from agentguard.monitoring.rules import ALERTS

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text()
SECTIONS = {
    part.partition("\n")[0]: part for part in re.split(r"^#{2,3} ", RUNBOOK, flags=re.MULTILINE)[1:]
}
PARTS = ("**You see**", "**It means**", "**Do now", "**Tomorrow:**")
PREPARING = ("Before the night", "The first five minutes", "Alerts")


def anchor(heading: str) -> str:
    """Return the anchor that the site gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_its_section(alert: str) -> None:
    """Whoever is woken by an alert finds a section of its name."""
    assert alert in SECTIONS


@pytest.mark.parametrize("heading", [each for each in SECTIONS if each not in PREPARING])
def test_each_section_says_what_to_do(heading: str) -> None:
    """A section says what one sees, what it means, what to do now and what tomorrow."""
    missing = [part for part in PARTS if part not in SECTIONS[heading]]
    refers = "**Do now:** [" in SECTIONS[heading]  # to the section that says it all
    assert missing == [] or (refers and missing == ["**Tomorrow:**"])


def test_no_section_is_about_an_alert_that_is_gone() -> None:
    """An alert that was renamed leaves no section behind."""
    assert {each for each in SECTIONS if each.startswith("Agentguard")} == set(ALERTS)


def test_links_within_lead_to_sections() -> None:
    """Every link within the runbook leads to one of its sections."""
    anchors = {anchor(heading) for heading in SECTIONS}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", RUNBOOK) if link not in anchors] == []


def test_queries_name_metrics_that_exist() -> None:
    """Every metric that a query of the documentation asks for is one that `metrics` has."""
    known = {
        name + suffix
        for name in (each.name for each in INSTRUMENTS)
        for suffix in ("", "_bucket", "_count", "_sum")
    }
    queries = {
        path.name: re.findall(r"```promql\n(.*?)```", path.read_text(), re.DOTALL)
        for path in DOCS.rglob("*.md")
    }
    asked = {
        metric
        for texts in queries.values()
        for text in texts
        for metric in re.findall(r"\bagentguard_\w+", text)
    }
    assert queries["runbook.md"]
    assert asked <= known


def test_queries_ask_for_labels_and_values_that_exist() -> None:
    """Every value that a query of the documentation asks a label for is one that it may have."""
    labels = {each.name: each.labels for each in INSTRUMENTS}
    text = "\n".join(path.read_text() for path in DOCS.rglob("*.md"))
    asked = [
        (metric, label, value)
        for metric, where in re.findall(r"\b(agentguard_\w+)\{(.*?)\}", text)
        for label, values in re.findall(r'(\w+)=~?"(.*?)"', where)
        for value in values.split("|")
    ]
    assert asked
    for metric, label, value in asked:
        known = labels[metric][label]
        assert known is None or value in known, (metric, label, value)
