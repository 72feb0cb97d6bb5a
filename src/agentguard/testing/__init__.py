"""What makes guarded code testable: a provider that fails on demand."""

from __future__ import annotations

from agentguard.testing.provider import FakeProvider, Fault, Received, fault

__all__ = ["FakeProvider", "Fault", "Received", "fault"]
