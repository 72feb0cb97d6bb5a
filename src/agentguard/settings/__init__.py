"""Defaults of presets from the environment and from a TOML file: what may be set, and where from.

`schema` is what may be set; `sources` reads it; `values` puts arguments, environment, file and
defaults together, each value with where it came from.
"""

from __future__ import annotations

from agentguard.settings.reloading import reload

__all__ = ["reload"]
