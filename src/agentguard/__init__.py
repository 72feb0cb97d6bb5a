"""Guards for language-model calls.

Put a policy, or a chain of them, on anything that calls a model and the call retries, falls
back, breaks circuits and times out, streams included.
"""

from __future__ import annotations

__version__ = "0.1.0"
