"""A preset around whatever asks a provider that fails once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

import agentguard as ag
from agentguard.testing import FakeProvider, fault

__all__ = ["PLANTED", "outlasting"]

PLANTED = "kim.minji" + "@example.com"


@contextmanager
def outlasting(name: str) -> Iterator[tuple[ag.presets.Preset, FakeProvider]]:
    """Ask inside once: the second attempt answers, and it is counted as one call with one retry."""
    registry = CollectorRegistry()
    preset = ag.presets.production(name, tokens_per_day=100_000, scope="process", registry=registry)
    with FakeProvider(answer="write to <EMAIL_1>") as provider:
        provider.script(fault.status(503, retry_after=0))
        yield preset, provider
        assert len(provider.journal) == 2
        assert PLANTED not in repr([each.body for each in provider.journal])
    labels = {"name": name, "outcome": "completed", "kind": ""}
    assert registry.get_sample_value("agentguard_requests_total", labels) == 1
    retried = {"name": name, "kind": "overloaded"}
    assert registry.get_sample_value("agentguard_retries_total", retried) == 1
