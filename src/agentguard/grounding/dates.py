"""Dates, times and weekdays: 2025-03-03, 3 March 2025, 2025년 3월 3일, 3/4/25, 오후 2시 30분."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Day", "When", "moments", "order_of"]

Day = tuple[int | None, int | None, int | None]
"""Year, month and day; None for what is not said."""


class When(NamedTuple):
    """A date, a time of day or a weekday in a text.

    Attributes:
        start: where it begins.
        end: where it ends.
        days: the dates that it may be: two for 3/4/25.
        minutes: of the day, where it is a time: two for a time that may be before or after noon.
        weekday: 0 for Monday.
        claims: whether it states anything: "may" at the beginning of a sentence does not.
    """

    start: int
    end: int
    days: tuple[Day, ...] = ()
    minutes: tuple[int, ...] = ()
    weekday: int | None = None
    claims: bool = True


_MONTHS: Final = {
    word: number
    for number, words in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        1,
    )
    for word in words.split()
}  # fmt: skip
_WEEKDAYS: Final = {
    word: number
    for number, words in enumerate(
        (
            "monday mon 월요일", "tuesday tue tues 화요일", "wednesday wed 수요일", "thursday thu thur thurs 목요일",
            "friday fri 금요일", "saturday sat 토요일", "sunday sun 일요일",
        )
    )
    for word in words.split()
}  # fmt: skip

_month: Final = rf"({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_day: Final = r"(\d{1,2})(?:st|nd|rd|th)?"
_HOUR: Final = r"(?P<hourk>(?:(오전|오후|아침|저녁|밤|새벽|낮) ?)?(?<!\d)([01]?\d|2[0-4])시(?!간)(?: ?([0-5]?\d)분| ?(반)(?![가-힣]))?)"
_WEEK: Final = (
    rf"(?P<week>(?<![a-z가-힣])({'|'.join(sorted(_WEEKDAYS, key=len, reverse=True))})s?(?![a-z]))"
)
_AT_NOON: Final = r"\b(?P<noon>noon|midnight|정오|자정)"
_FROM_DIGITS: Final = (
    r"(?<![\d.])(?P<iso>(\d{4})(?:-|/|\. ?)(\d{1,2})(?:-|/|\. ?)(\d{1,2})(?![\d-]))(?=t|\D|$)",
    r"(?<![\d./-])(?P<slash>(\d{1,2})(?P<sep>[/.-])(\d{1,2})(?P=sep)(\d{4}|(?<=/)\d{2})(?![\d/-]\d|\d|\.\d))",
    rf"(?<!\d)(?P<dmy>(?:{_day}\s?(?:-|~|to|and|until)\s?)?{_day}(?: of)? {_month}(?![a-z])(?:,? (\d{{4}})(?!\d))?)",
    r"(?<!\d)(?P<ymdk>(?:(\d{4}|\d{2})년 ?)?(?<!\d)(\d{1,2})월(?! ?간)(?: ?(\d{1,2})일(?!간))?)",
    r"(?<!\d)(?P<yk>'?(\d{4})(?:년(?![간이]? ?(?:동안|전|후))|학년도))",
    r"(?<!\d)(?P<tenk>(1[5-9]\d0|20\d0)(?:'?s\b|년대))",
    r"(?<![\d:.])(?P<clock>([01]?\d|2[0-4]):([0-5]\d)(?::[0-5]\d)?\s?(?:([ap])\.?m\b\.?)?)",
    r"(?<![\d:.])(?P<hour>([01]?\d)\s?([ap])\.?m\b\.?)",
    r"(?<![\d.,$€£¥₩/#-])(?P<y>(1[5-9]\d\d|20\d\d)(?![\d.,]\d|\d|-\d))",
)
_FROM_LETTERS: Final = (
    rf"\b(?P<mdy>{_month} {_day}(?:\s?(?:-|~|to|and|until)\s?{_day}(?![\w:]))?(?!\d|:\d|[ap]m)(?:,? (\d{{4}})(?!\d))?)",
    rf"\b(?P<my>{_month},? (\d{{4}})(?!\d))",
    rf"\b(?P<m>{_month}(?![a-z]))",
)
_WHEN: Final = re.compile(  # which way to go is seen from the first character
    rf"(?=['\d])(?:{'|'.join(_FROM_DIGITS)})|(?=[\d오아저밤새낮]){_HOUR}"
    rf"|(?=[jfmasond])(?<![a-z])(?:{'|'.join(_FROM_LETTERS)})|(?=[mtwfs월화수목금토일]){_WEEK}|(?=[nm정자]){_AT_NOON}"
)
_NOON: Final = {"noon": (720,), "정오": (720,), "midnight": (0, 1440), "자정": (0, 1440)}
_AFTERNOON: Final = frozenset({"오후", "저녁", "밤", "낮", "p"})
_COUNTED: Final = re.compile(
    r"\s?(?:%|[십백천만억조원명개번회건톤대권점층]|[a-z]*(?:dollar|euro|won|people|kg|km|users|mg|ml)\b)|\s(?:m|g|l|w|mah)\b"
)
_ORDER: Final = re.compile(r"(?<![\d./-])(\d{1,2})([/.-])(\d{1,2})\2(?:\d{4}|\d{2})(?!\d)")


def order_of(text: str) -> str:
    """Which comes first in the numeric dates of a text: "day", "month", or "" where none tells."""
    first = {
        "day" if int(m[1]) > 12 else "month" if int(m[3]) > 12 else ""
        for m in _ORDER.finditer(text)
    }
    first.discard("")
    return first.pop() if len(first) == 1 else ""


def moments(text: str, order: str = "") -> Iterator[When]:
    """The dates and times of a text in lower case, in order.

    Args:
        text: in which to look.
        order: "day" or "month" where it is known which comes first.
    """
    last: Day = (None, None, None)
    reader = _Reader(text, order)
    for found in _WHEN.finditer(text):
        kind = found.lastgroup or ""
        when: When | None = getattr(reader, kind)(found)
        if when is None:
            continue
        if when.days:
            last = when.days[-1]
        yield when
        if kind == "ymdk" and last[1] is not None:
            yield from _going_on(text, found.end(), last)


_NEXT_DAY: Final = re.compile(r"\s?(?:부터|에서|~|-|과|와|,|및)\s?(?:\w요일 )?(\d{1,2})일(?!간)")


def _going_on(text: str, end: int, last: Day) -> Iterator[When]:
    """The second day of '5월 5일부터 19일까지'."""
    more = _NEXT_DAY.match(text, end)
    if more is not None:
        yield When(more.start(1), more.end(), ((last[0], last[1], int(more[1])),))


def _of(found: re.Match[str]) -> list[str]:
    """The groups inside the kind that matched."""
    kind = found.lastgroup or ""
    first = _WHEN.groupindex[kind]
    return [found[first + each] or "" for each in range(1, _INNER[kind] + 1)]


def _valid(month: int | None, day: int | None) -> bool:
    return (month is None or 1 <= month <= 12) and (day is None or 1 <= day <= 31)


def _year(text: str) -> int | None:
    if not text:
        return None
    number = int(text)
    return number if len(text) == 4 else number + (2000 if number < 70 else 1900)


def _dated(found: re.Match[str], *days: Day, claims: bool = True) -> When | None:
    known = tuple(dict.fromkeys(day for day in days if _valid(*day[1:])))
    return When(found.start(), found.end(), known, claims=claims) if known else None


def _half(word: str) -> str:
    return "p" if word in _AFTERNOON else "a" if word else ""


def _minutes(hour: str, minute: str, half: str) -> tuple[int, ...]:
    at = int(hour) * 60 + int(minute)
    if half and int(hour) <= 12:
        at %= 720
        return (at + 720,) if half == "p" else (at,)
    if int(hour) >= 12 or (len(hour) == 2 and hour[0] == "0"):
        return (at,)
    return (at, at + 720)


class _Reader:
    """Reads what was found in one text."""

    def __init__(self, text: str, order: str) -> None:
        self.text = text
        self.order = order

    def iso(self, found: re.Match[str]) -> When | None:
        year, month, day = _of(found)
        return _dated(found, (int(year), int(month), int(day)))

    def slash(self, found: re.Match[str]) -> When | None:
        first, _, second, year = _of(found)
        by_day: Day = (_year(year), int(second), int(first))
        by_month: Day = (_year(year), int(first), int(second))
        return _dated(
            found, *{"day": (by_day,), "month": (by_month,)}.get(self.order, (by_day, by_month))
        )

    def dmy(self, found: re.Match[str]) -> When | None:
        first, day, month, year = _of(found)
        days: list[Day] = [(_year(year), _MONTHS[month], int(day))]
        if first:
            days.append((_year(year), _MONTHS[month], int(first)))
        return _dated(found, *reversed(days))

    def mdy(self, found: re.Match[str]) -> When | None:
        month, day, second, year = _of(found)
        days: list[Day] = [(_year(year), _MONTHS[month], int(day))]
        if second:
            days.append((_year(year), _MONTHS[month], int(second)))
        return _dated(found, *days)

    def my(self, found: re.Match[str]) -> When | None:
        month, year = _of(found)
        return _dated(found, (_year(year), _MONTHS[month], None))

    def m(self, found: re.Match[str]) -> When | None:
        (month,) = _of(found)
        doubtful = month in {"may", "march", "mar", "sep", "jan", "dec"}
        inside = re.compile(
            r"(?:\b(?:in|of|by|since|until|till|through|from|to|during|last|next|early|late|mid|and)[ -]|[-~]\s?)$"
        )
        known = inside.search(self.text[max(0, found.start() - 9) : found.start()]) is not None
        return _dated(found, (None, _MONTHS[month], None), claims=known or not doubtful)

    def ymdk(self, found: re.Match[str]) -> When | None:
        year, month, day = _of(found)
        return _dated(found, (_year(year), int(month), int(day) if day else None))

    def yk(self, found: re.Match[str]) -> When | None:
        return _dated(found, (int(_of(found)[0]), None, None))

    def tenk(self, found: re.Match[str]) -> When | None:
        first = int(_of(found)[0])
        return _dated(found, *((year, None, None) for year in range(first, first + 10)))

    def y(self, found: re.Match[str]) -> When | None:
        if _COUNTED.match(self.text, found.end()):
            return None
        return _dated(found, (int(_of(found)[0]), None, None))

    def clock(self, found: re.Match[str]) -> When | None:
        hour, minute, half = _of(found)
        return When(found.start(), found.end(), minutes=_minutes(hour, minute or "0", half))

    def hour(self, found: re.Match[str]) -> When | None:
        hour, half = _of(found)
        return When(found.start(), found.end(), minutes=_minutes(hour, "0", half))

    def hourk(self, found: re.Match[str]) -> When | None:
        half, hour, minute, thirty = _of(found)
        minutes = "30" if thirty else minute or "0"
        return When(found.start(), found.end(), minutes=_minutes(hour, minutes, _half(half)))

    def week(self, found: re.Match[str]) -> When | None:
        (word,) = _of(found)
        return When(
            found.start(),
            found.end(),
            weekday=_WEEKDAYS[word],
            claims=len(word) > 4 or word >= "가",
        )

    def noon(self, found: re.Match[str]) -> When | None:
        return When(found.start(), found.end(), minutes=_NOON[found["noon"]])


_INNER: Final = {
    "iso": 3, "slash": 4, "dmy": 4, "mdy": 4, "my": 2, "m": 1, "ymdk": 3, "yk": 1, "tenk": 1, "clock": 3,
    "hour": 2, "hourk": 4, "week": 1, "noon": 0, "y": 1,
}  # fmt: skip
"""How many groups are inside each kind."""
