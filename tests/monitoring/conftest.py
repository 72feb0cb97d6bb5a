"""Where what a test needs is not installed, as with older generations of SDKs, it is left out."""

from __future__ import annotations

from importlib.util import find_spec

NEEDS = {
    "test_grafana.py": ("grafana_foundation_sdk",),
    "test_prometheus.py": ("openai", "fastapi", "uvicorn"),
    "test_rules.py": ("yaml",),
}
collect_ignore = [file for file, names in NEEDS.items() if None in map(find_spec, names)]
