"""Where the SDK or the server that the example service needs is not installed there is none."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {"test_prometheus.py": ("openai", "fastapi", "uvicorn")}
collect_ignore = [file for file, packages in NEEDS.items() if min(map(version, packages)) < 0]
