"""How long a store may take, and what it raises then."""

from __future__ import annotations

from typing import ClassVar, Final

from agentguard.errors import GuardError

__all__ = ["WITHIN", "StoreUnavailable"]

WITHIN: Final = 0.2
"""Seconds that an operation takes at most before it is given up."""


class StoreUnavailable(GuardError):
    """A store could not be reached, or did not answer in time.

    The operation may have been done nevertheless. Repeating it with the same lease, or the same
    entry, is safe.
    """

    http_status: ClassVar[int] = 503
