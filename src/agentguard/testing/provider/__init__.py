"""A provider to test against: real HTTP on loopback, real protocols, faults on demand."""

from __future__ import annotations

from agentguard.testing.provider import fault
from agentguard.testing.provider.fault import Fault
from agentguard.testing.provider.journal import Received
from agentguard.testing.provider.server import FakeProvider

__all__ = ["FakeProvider", "Fault", "Received", "fault"]
