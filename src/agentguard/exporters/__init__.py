"""Where telemetry goes: one kind of receiver a file, imported by metrics, log and trace alone."""

from __future__ import annotations
