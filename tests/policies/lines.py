"""A logger that keeps the lines it is given."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Kept", "Lines"]


class Kept(NamedTuple):
    """One line."""

    level: str
    event: str
    fields: dict[str, Any]

    def __getitem__(self, name: Any) -> Any:
        """Return a field by name."""
        return self.fields[name] if isinstance(name, str) else tuple(self)[name]


class Lines(list[Kept]):
    """Has the methods of a logger."""

    def debug(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.append(Kept("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.append(Kept("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.append(Kept("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.append(Kept("error", event, fields))

    @property
    def only(self) -> Kept:
        """Return the one line there is."""
        (line,) = self
        return line

    @property
    def levels(self) -> list[str]:
        """Return the levels of all lines."""
        return [each.level for each in self]
