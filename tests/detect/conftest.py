"""Leave out the tests of engines that this environment does not have."""

from __future__ import annotations

from tests.providers.sdk_targets import version

NEEDS = {"test_engines.py": "ko-pii"}

collect_ignore = [file for file, package in NEEDS.items() if version(package) < 0]
