"""Files about packages that are not installed here hold no tests here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {
    "test_planted_telemetry.py": (
        "langsmith",
        "openai",
        "opentelemetry-exporter-otlp-proto-http",
        "prometheus-client",
    ),
}
collect_ignore = [
    file for file, packages in NEEDS.items() if any(version(package) < 0 for package in packages)
]
