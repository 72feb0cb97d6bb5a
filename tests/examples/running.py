"""Runs an example as its reader does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run an example as a script, without anybody's keys, to its end; it has to succeed."""
    kept = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**kept, "PYTHONIOENCODING": "utf-8", **env},
        timeout=100,
        check=True,
    )
