"""Costs for exporters, whom a warning must not stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["figure"]

T = TypeVar("T")


def figure(read: Callable[[], T]) -> T:
    """What `read` returns.

    Where warnings are errors, a model without a price raises, the first time that its cost is read:
    what is exported must not miss it, nor all else with it.

    Args:
        read: of a record, a bill or an event.
    """
    while True:
        try:
            return read()
        except Warning:  # once for each model
            continue
