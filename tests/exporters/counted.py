"""A registry of its own for one test, and what was counted in it."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

import agentguard as ag
from agentguard.policies.metrics import Metrics

__all__ = ["Counted"]


class Counted:
    """What `metrics` counts in one registry.

    Attributes:
        registry: a fresh one, or the one given.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._policies: list[Metrics] = []

    def metrics(self, name: str | None = "t", **options: Any) -> Metrics:
        """A policy that counts here."""
        self._policies.append(ag.metrics(name, registry=self.registry, **options))
        return self._policies[-1]

    def __call__(self, metric: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels; of a histogram with `_count`."""
        return sum(value for found, value in self.series(metric) if labels.items() <= found.items())

    def series(self, metric: str) -> list[tuple[dict[str, str], float]]:
        """Every series of a metric: its labels and its value."""
        ag.flush(30)  # on a loop it cannot wait for what others have left there
        assert all(each.to.later.flush(30) for each in self._policies)
        return [
            (sample.labels, sample.value)
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"agentguard_{metric}"
        ]

    def values(self, label: str) -> set[str]:
        """Every value of a label, in all metrics."""
        return {value for labels in self.labels() if (value := labels.get(label)) is not None}

    def labels(self) -> list[dict[str, str]]:
        """The labels of every series."""
        families = self.registry.collect()
        return [sample.labels for family in families for sample in family.samples]
