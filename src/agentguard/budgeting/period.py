"""When a budget begins anew: calendar windows in a time zone, rolling ones, or never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from agentguard.engine.arguments import length
from agentguard.stores.ledger import Window
from agentguard.stores.windows import rolling

__all__ = ["WORDS", "Period"]

WORDS: Final = ("minute", "hour", "day", "week", "month")

_HOUR: Final = 3600.0
_LENGTHS: Final = {"minute": 60.0, "hour": _HOUR, "day": 86400.0, "week": 604800.0}
_MONTH: Final = 2419200.0
_PARTS: Final = 60
_NEVER: Final = Window("ever", 253402300799.0)  # the last second of the year 9999


class Period:
    """The windows of one budget, one after the other.

    Args:
        per: "minute", "hour", "day", "week" or "month" on the calendar; a length, as in "24h" or a
            timedelta, for a window that rolls; None for one that never ends.
        tz: the calendar's time zone: a name such as "Asia/Seoul", or a tzinfo.

    Examples:
        >>> Period("day", "Asia/Seoul").window(1_795_353_540.0)
        Window(id='day 2026-11-22 Asia/Seoul', ends=1795359600.0, part=0, since=0)
    """

    __slots__ = ("_known", "_zone", "length", "per")

    def __init__(self, per: str | timedelta | None, tz: str | tzinfo = "UTC") -> None:
        self.per = per
        self.length: float | None = None
        self._zone = _zone(tz)
        self._known = (0.0, Window("", 0.0))
        if per in WORDS:
            self.length = _LENGTHS.get(str(per), _MONTH)
        elif per is not None:
            self.length = _seconds(per)

    @property
    def long(self) -> bool:
        """Whether a process may well end before its window does."""
        return self.length is not None and self.length >= _HOUR

    def window(self, now: float) -> Window:
        """The window at this time of the wall clock."""
        if self.per is None:
            return _NEVER
        if self.per not in WORDS:
            return rolling(self.length or 1.0, now, _PARTS)
        began, window = self._known
        if not began <= now < window.ends:
            self._known = _, window = self._calendar(now)
        return window

    def renews(self, now: float) -> float | None:
        """Seconds until something comes back: the next window, or the next part of a rolling one."""
        if self.per is None or self.length is None:
            return None
        if self.per in WORDS:
            return self.window(now).ends - now
        width = self.length / _PARTS
        return width - now % width

    def _calendar(self, now: float) -> tuple[float, Window]:
        per, zone = str(self.per), self._zone
        local = datetime.fromtimestamp(now, zone)
        if per in {"minute", "hour"}:
            # Where clocks are put back an hour comes twice: each is a window, named in UTC.
            length = _LENGTHS[per]
            shift = (local.utcoffset() or timedelta()).total_seconds()
            began = (now + shift) // length * length - shift
            name = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%MZ")
            return began, Window(f"{per} {name}", began + length)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if per == "week":
            day -= timedelta(days=local.weekday())
            following = day + timedelta(days=7)
        elif per == "month":
            day = day.replace(day=1)
            following = (day + timedelta(days=32)).replace(day=1)
        else:
            following = day + timedelta(days=1)
        name = f"{day:%Y-%m}" if per == "month" else f"{day:%Y-%m-%d}"
        return day.timestamp(), Window(f"{per} {name} {zone}", following.timestamp())


def _zone(tz: str | tzinfo) -> tzinfo:
    if isinstance(tz, tzinfo):
        return tz
    if tz == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        raise ValueError(
            f"budget(tz={tz!r}) is no time zone that this machine knows: write one as in "
            'tz="Asia/Seoul" (on Windows: pip install tzdata)'
        ) from None


def _seconds(per: object) -> float:
    seconds = length(per)
    if seconds is None:
        words = ", ".join(f'"{word}"' for word in ("request", *WORDS))
        shown = repr(per) if isinstance(per, str) else type(per).__name__
        raise ValueError(
            f'budget(per=) is one of {words}, or the length of a rolling window as in "24h" or '
            f"timedelta(hours=24), not {shown}"
        )
    return seconds
