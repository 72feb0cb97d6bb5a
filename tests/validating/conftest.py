"""Files about packages that are not installed here hold no tests here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {"test_schema.py": "jsonschema"}
collect_ignore = [file for file, package in NEEDS.items() if version(package) < 0]
