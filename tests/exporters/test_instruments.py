"""The one definition of the metrics: Prometheus' conventions, and the docs that list them."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agentguard.exporters.instruments import INSTRUMENTS, MOST, OTHER, Instrument
from agentguard.exporters.prometheus import Collectors, collectors

PAGE = Path(__file__).parents[2] / "docs" / "policies" / "metrics.md"
IDS = [each.name for each in INSTRUMENTS]


def one_of_each() -> tuple[Collectors, CollectorRegistry]:
    """A registry in which each metric has one series."""
    registry = CollectorRegistry()
    made = collectors(registry)
    for each in INSTRUMENTS:
        child = made.child(
            each.name, *(values[0] if values else "x" for values in each.labels.values())
        )
        if each.kind == "counter":
            child.inc()
        elif each.kind == "gauge":
            child.set(1)
        else:
            child.observe(1)
    return made, registry


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=IDS)
def test_a_metric_follows_the_conventions(instrument: Instrument) -> None:
    """Prefix, unit, `_total` on counters alone, ordered buckets, a mode where a gauge needs one."""
    assert re.fullmatch(r"agentguard_[a-z_]+", instrument.name)
    assert instrument.name.endswith("_total") == (instrument.kind == "counter")
    assert instrument.help[0].isupper() or instrument.help[0].isdigit()
    assert instrument.help.endswith(".")
    assert (instrument.kind == "histogram") == bool(instrument.buckets)
    assert (instrument.kind == "gauge") == (instrument.mode is not None)
    assert all(low < high for low, high in itertools.pairwise(instrument.buckets))
    assert not set(instrument.labels) & {"le", "job", "instance", "user", "tenant", "tags"}
    for values in instrument.labels.values():
        assert values is None or len(values) == len(set(values)) < MOST


def test_names_are_unique() -> None:
    """Also without what prometheus-client adds to them."""
    bare = [each.name.removesuffix("_total") for each in INSTRUMENTS]
    assert len(set(bare)) == len(bare)


def test_each_is_exported_as_defined() -> None:
    """Under its very name, with its kind, labels, help and buckets."""
    _, registry = one_of_each()
    families = {family.name: family for family in registry.collect()}
    for each in INSTRUMENTS:
        family = families[each.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (each.kind, each.help)
        [labels] = [s.labels for s in family.samples if s.name in {each.name, f"{each.name}_sum"}]
        assert tuple(labels) == tuple(each.labels)
        bounds = [s.labels["le"] for s in family.samples if s.name == f"{each.name}_bucket"]
        assert [float(bound) for bound in bounds[:-1]] == list(each.buckets)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say() -> None:
    """Prometheus' own linter of names, units and help texts."""
    _, registry = one_of_each()
    text = "\n".join(
        line for line in generate_latest(registry).decode().splitlines() if "_created" not in line
    )
    run = subprocess.run(
        ["promtool", "check", "metrics"],
        input=f"{text}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def rows() -> list[str]:
    """The rows of the page's table of metrics."""
    return [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels)} | {each.help.rstrip('.')} |"
        for each in INSTRUMENTS
    ]


def values() -> list[str]:
    """The rows of the page's table of labels whose values are listed."""
    listed = {
        label: values for each in INSTRUMENTS for label, values in each.labels.items() if values
    }
    return [
        f"| `{label}` | {', '.join(value for value in values if value)} |"
        for label, values in sorted(listed.items())
    ]


def buckets() -> list[str]:
    """The rows of the page's table of buckets."""
    return [
        f"| `{each.name}` | {', '.join(f'{bound:g}' for bound in each.buckets)} |"
        for each in INSTRUMENTS
        if each.buckets
    ]


def test_the_page_lists_every_metric() -> None:
    """The tables of the page are those of the definition."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `agentguard_")] == [*rows(), *buckets()]
    assert set(values()) <= set(lines)
    assert any(f"first {MOST}" in line for line in lines)
    assert OTHER == "other"


def test_another_metric_of_the_name() -> None:
    """It is told when the guard is made, with what to do."""
    from prometheus_client import Counter

    registry = CollectorRegistry()
    Counter("agentguard_requests", "Ours is called so.", registry=registry)
    with pytest.raises(ValueError, match="registry of its own"):
        collectors(registry)


def test_a_listed_value_needs_no_room() -> None:
    """Only labels without listed values are bounded."""
    made, _ = one_of_each()
    for number in range(MOST * 2):
        made.child("agentguard_budget_charged_total", f"b{number}", "usd").inc()
    made.child("agentguard_budget_charged_total", "late", "tokens").inc()
    series = {labels for labels in made._children if labels[0].endswith("budget_charged_total")}
    assert {labels[2] for labels in series} == {"usd"}
    assert len(series) <= MOST + 1
