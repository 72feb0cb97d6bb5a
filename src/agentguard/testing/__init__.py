"""What makes guarded code testable: time that a test owns, models and providers that fail on demand."""

from __future__ import annotations

from agentguard.testing.clock import FakeRuntime, StandStill
from agentguard.testing.model import SHAPES, ScriptedCall, ScriptedModel, ScriptEnded
from agentguard.testing.provider import FakeProvider, Fault, Received, fault
from agentguard.testing.stream import Cut, Stall

__all__ = [
    "SHAPES",
    "Cut",
    "FakeProvider",
    "FakeRuntime",
    "Fault",
    "Received",
    "ScriptEnded",
    "ScriptedCall",
    "ScriptedModel",
    "Stall",
    "StandStill",
    "fault",
]
