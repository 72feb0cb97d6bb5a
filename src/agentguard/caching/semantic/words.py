"""Words written one after another, as a table is read best."""

from __future__ import annotations

__all__ = ["listed"]


def listed(text: str) -> list[str]:
    """The words of a text, in their order."""
    return text.split()
