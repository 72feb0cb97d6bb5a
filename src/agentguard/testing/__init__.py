"""What makes guarded code testable: time that a test owns, models and providers that fail on demand."""

from __future__ import annotations

from agentguard.testing.cancel import cancel_everywhere
from agentguard.testing.clock import FakeRuntime, StandStill
from agentguard.testing.model import SHAPES, ScriptedCall, ScriptedModel, ScriptEnded
from agentguard.testing.provider import FakeProvider, Fault, Received, fault
from agentguard.testing.stream import Cut, Stall
from agentguard.testing.switches import disabled, no_wait, replace

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
    "cancel_everywhere",
    "disabled",
    "fault",
    "no_wait",
    "replace",
]
