"""Where log lines go: structlog where it is configured, else the standard library's logging."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Fields = Mapping[str, Any]

__all__ = ["NAME", "Level", "Logger", "Loglines", "write"]

NAME: Final = "agentguard"

Level = Literal["debug", "info", "warning", "error"]

_NUMBERS: Final[Mapping[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_BARE: Final = re.compile(r"[\w.:/@+-]+")


class Logger(Protocol):
    """What takes a line: the loggers of structlog and of the standard library."""

    @property
    def debug(self) -> Callable[..., object]:
        """Take a line that nobody needs every day."""
        ...

    @property
    def info(self) -> Callable[..., object]:
        """Take a line of what went well."""
        ...

    @property
    def warning(self) -> Callable[..., object]:
        """Take a line of what went badly as it was meant to."""
        ...

    @property
    def error(self) -> Callable[..., object]:
        """Take a line of what failed."""
        ...


class Loglines:
    """Writes lines to a logger: the one given, or else what the application has configured.

    Args:
        logger: structlog's or the standard library's; None to ask at each line.
    """

    def __init__(self, logger: Logger | None = None) -> None:
        self._given = logger
        self._structlog: Any = None

    def to(self, level: Level) -> Logger | None:
        """Who takes a line of this level; None where it would be thrown away."""
        logger: Any = self._configured() if self._given is None else self._given
        # Asked of the class: a logger of a test may have whatever attribute it is asked for.
        kind = cast("Any", type(logger))
        if hasattr(kind, "bind"):
            logger = logger.bind()  # structlog's proxy does so for every attribute
            kind = cast("Any", type(logger))
        if hasattr(kind, "sync_bl"):  # of structlog's AsyncBoundLogger, which nobody would await
            logger = logger.sync_bl
            kind = cast("Any", type(logger))
        enabled = getattr(kind, "isEnabledFor", None) or getattr(kind, "is_enabled_for", None)
        return logger if enabled is None or enabled(logger, _NUMBERS[level]) else None

    def _configured(self) -> Any:
        structlog = sys.modules.get("structlog")  # configured by nobody before it is imported
        if structlog is not None and structlog.is_configured():
            if self._structlog is None:
                self._structlog = structlog.get_logger(NAME)
            return self._structlog
        import logging

        return logging.getLogger(NAME)


def write(logger: Logger, level: Level, event: str, fields: Fields) -> None:
    """Write one line: to the standard library as `key=value`, with the fields in `extra`.

    Args:
        logger: as `Loglines.to` returned it.
        level: likewise.
        event: what the line is about.
        fields: what it says.
    """
    logging = sys.modules.get("logging")
    plain: Any = logger
    if logging is not None and isinstance(plain, (logging.Logger, logging.LoggerAdapter)):
        plain.log(_NUMBERS[level], "%s", _Line(event, fields), extra={NAME: fields})
    else:
        getattr(plain, level)(event, **fields)


class _Line:
    """A line that is put into words only where somebody prints it."""

    __slots__ = ("_event", "_fields")

    def __init__(self, event: str, fields: Fields) -> None:
        self._event = event
        self._fields = fields

    def __str__(self) -> str:
        return " ".join(
            [self._event, *(f"{key}={_shown(each)}" for key, each in self._fields.items())]
        )


def _shown(value: object) -> str:
    """As it is where that is one word, else as JSON: a line break in a user's name begins no line."""
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if text.isprintable() else json.dumps(value, default=str)
