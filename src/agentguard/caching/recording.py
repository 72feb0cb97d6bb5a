"""A stream's items as they came, whatever its first reader does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.caching.layouts import PLAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.caching.parts import Parts, Taking

__all__ = ["Copy", "Recording"]

Copy = str | None
"""An item as JSON, by the layouts of its recording; None of one that nobody can change."""


class Recording:
    """Takes the items of one stream apart as they come.

    SDKs and users change items in place, LangChain's models each: what is kept, and what those
    get who join, is of before.

    Args:
        parts: takes them apart.
    """

    __slots__ = ("_parts", "_taking", "_trouble")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._taking: Taking = parts.taking()
        self._trouble: TypeError | None = None

    def copy(self, item: Any) -> Copy:
        """An item as it is now.

        None also of one that cannot be stored, and then of all later ones: `body` says why.
        """
        if type(item) in PLAIN or self._trouble is not None:
            return None
        try:
            return self._taking.written(item)
        except TypeError as error:
            self._trouble = error
            return None

    def again(self, copy: str) -> Any:
        """The item as a new object."""
        return self._parts.together(self._taking.head(), copy)

    def body(self, times: Sequence[int], items: Sequence[tuple[Any, Copy]]) -> tuple[str, str]:
        """The layouts, and times and items together, each as JSON without a line break.

        Args:
            times: of the items.
            items: all of them, with their copies.

        Raises:
            TypeError: one of them is of a type that cannot be stored.
        """
        if self._trouble is not None:
            raise self._trouble
        written = self._taking.written
        bodies = [written(item) if copy is None else copy for item, copy in items]
        return self._taking.head(), f"[{written([*times])},[{','.join(bodies)}]]"
