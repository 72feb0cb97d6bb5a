"""The demo needs both SDKs; where one is not installed there is nothing to test."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.providers.sdk_targets import version

collect_ignore = [] if min(version("openai"), version("anthropic")) >= 0 else ["test_demo.py"]
sys.path.append(str(Path(__file__).parents[2] / "examples"))  # as `python examples/demo.py` has it
