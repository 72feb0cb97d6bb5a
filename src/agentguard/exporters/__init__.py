"""Where telemetry goes: one kind of receiver a file, imported by metrics, log and trace alone."""

from __future__ import annotations

from agentguard.exporters.langsmith import LangSmith
from agentguard.exporters.opentelemetry import OpenTelemetry

__all__ = ["LangSmith", "OpenTelemetry"]
