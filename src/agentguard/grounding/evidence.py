"""What sources say, made to be looked up in: each look-up takes the same time, however long they are."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from agentguard.caching.semantic.words import listed
from agentguard.grounding.claims import EMAIL, URL, address
from agentguard.grounding.dates import moments, order_of
from agentguard.grounding.figures import figures
from agentguard.grounding.names import names
from agentguard.grounding.units import LATIN
from agentguard.grounding.words import bare, normal, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentguard.grounding.dates import Day, When
    from agentguard.grounding.figures import Figure
    from agentguard.grounding.names import Name

__all__ = ["Evidence"]

_LONGEST: Final = 4
"""Words that are looked up together: of a longer quotation, each four that follow one another."""

_MONEY: Final = frozenset({"usd", "eur", "gbp", "jpy", "krw", "cny", "inr", "chf"})
_FAMILIES: Final = (
    _MONEY, {"length", "mile"}, {"mass", "pound"}, {"volume", "gallon"}, {"area", "acre", "pyeong", "sqft", "sqmi"},
    {"celsius", "fahrenheit"}, {"time", "month"}, {"data", "kib"}, {"speed", "mph"}, {"power", "horse"},
)  # fmt: skip
_FAMILY: Final = {measured: index for index, family in enumerate(_FAMILIES) for measured in family}
_TRIED: Final = 16
"""Bare numbers near a rounded one that are looked at."""

_ENDINGS: Final = (
    "s",
    "es",
    "n",
    "an",
    "ian",
    "ns",
    "ans",
    "ians",
    "ish",
    "ese",
    "i",
    "er",
    "ers",
    "ic",
)
_PEOPLES: Final[dict[str, str]] = {
    people: country
    for people, _, country in (
        pair.partition("=")
        for pair in listed(
            """
french=france german=germany italian=italy spanish=spain dutch=netherlands danish=denmark
swedish=sweden finnish=finland polish=poland turkish=turkey british=britain irish=ireland
greek=greece swiss=switzerland chinese=china portuguese=portugal norwegian=norway welsh=wales
scottish=scotland belgian=belgium hungarian=hungary brazilian=brazil mexican=mexico thai=thailand
icelandic=iceland estonian=estonia lithuanian=lithuania egyptian=egypt english=england
canadian=canada european=europe
"""
        )
    )
}


class Evidence:
    """What texts say. Add them with `add`; it is read by many threads after that."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: list[list[str]] = []
        self._grams: dict[int, set[str]] = {}
        self._values: dict[str, set[Decimal]] = {}  # by what is measured, in its base unit
        self._sorted: dict[str, list[Decimal]] = {}
        self._bare: dict[
            Decimal, set[int]
        ] = {}  # numbers without a unit, and the texts they are in
        self._written: set[Decimal] = set()
        self._named: list[set[tuple[str, Decimal]]] = []  # the units that each text names
        self._days: set[Day] = set()
        self._yearless: dict[Day, set[int]] = {}
        self._years: dict[int, set[int]] = {}
        self._minutes: set[int] = set()
        self._weekdays: set[int] = set()
        self._urls: set[str] = set()
        self._emails: set[str] = set()
        self._words: set[str] = set()
        self._hangul: set[str] = set()  # how words in Hangul begin, particles left off
        self._before: set[str] = set()  # words of names that another follows
        self._behind: set[str] = set()  # words of names that follow another
        self._initials: set[str] = set()
        for text in texts:
            self.add(text)

    def __repr__(self) -> str:
        return f"<evidence of {len(self._texts)} texts>"

    def add(self, text: str) -> None:
        """Read one more text."""
        plain = normal(text)
        low = plain.lower()
        number = len(self._texts)
        found = words(plain)
        self._texts.append(found)
        self._words.update(found)
        self._words.update(bare(word) for word in found if word[-1] >= "가")
        self._hangul.update(word[:3] for word in found if word[-1] >= "가")
        self._named.append(
            {unit for word in set(found) if len(word) > 1 for unit in LATIN.get(word, ())}
        )
        self._named[-1].update(unit for sign in "$€£¥₩%" if sign in low for unit in LATIN[sign])
        self._emails.update(
            each.casefold() for each in EMAIL.findall(plain if "@" in plain else "")
        )
        for url in URL.findall(plain):
            self._urls.update({address(url), address(url).partition("/")[0]})
        self._urls.update(each.partition("@")[2] for each in self._emails)
        rest = self._read_dates(low, number)
        for figure in figures(rest):
            self._read_figure(figure, number)
        self._read_names(plain, found)
        self._grams.clear()
        self._sorted.clear()

    def _read_dates(self, low: str, number: int) -> str:
        pieces: list[str] = []
        position = 0
        for when in moments(low, order_of(low)):
            self._minutes.update(when.minutes)
            if when.weekday is not None:
                self._weekdays.add(when.weekday)
            for day in when.days:
                self._read_day(day, number)
            if when.start >= position and (when.days or when.minutes):
                pieces += [low[position : when.start], "\x1f"]
                position = when.end
        return "".join([*pieces, low[position:]])

    def _read_day(self, day: Day, number: int) -> None:
        year, month, of_month = day
        self._days.update({day, (year, None, None), (year, month, None), (None, month, None)})
        self._days.update({(None, month, of_month), (None, None, of_month)})
        if year is not None:
            self._years.setdefault(year, set()).add(number)
            self._note_bare(Decimal(year), number)
        else:
            self._yearless.setdefault((None, month, of_month), set()).add(number)
        if of_month is not None:
            self._note_bare(Decimal(of_month), number)
            self._values.setdefault("date", set()).add(Decimal(of_month))
        if None not in day:
            try:
                self._weekdays.add(date(*day).weekday())  # type: ignore[arg-type]
            except ValueError:
                return

    def _read_figure(self, figure: Figure, number: int) -> None:
        for value in (figure.value, *figure.others):
            if not figure.units:
                self._note_bare(value, number)
            self._written.add(value)
            for unit in figure.units:
                self._values.setdefault(unit[0], set()).add(value * unit[1])
                self._named[number].add(unit)

    def _note_bare(self, value: Decimal, number: int) -> None:
        self._bare.setdefault(value, set()).add(number)
        self._written.add(value)

    def _read_names(self, plain: str, found: Sequence[str]) -> None:
        for name in names(plain):
            parts = [part for word in name.words for part in words(word)]
            self._words.update(name.words)
            if len(parts) > 1:
                self._before.update(parts[:-1])
                self._behind.update(parts[1:])
                self._initials.add("".join(part[0] for part in parts))

    # What is looked up

    def has_figure(self, figure: Figure) -> bool:
        """Whether a number is there, in this unit or one that it is exactly converted to, or rounded."""
        for value in (figure.value, *figure.others):
            if not figure.units:
                if value in self._written or self._near(figure, value, Decimal(1), "written"):
                    return True
                if (int(value), None, None) in self._days and value == int(value):
                    return True
            for measured, factor in figure.units:
                known = self._values.get(measured)
                if known is not None and value * factor in known:
                    return True
                if self._near(figure, value, factor, measured):
                    return True
                if self._bare_has(figure, value, (measured, factor)):
                    return True
        return False

    def _bounds(self, figure: Figure, value: Decimal) -> tuple[Decimal, Decimal] | None:
        """Between which values the exact one lies, if a number may be rounded."""
        if not figure.near and (figure.exact or figure.digits < 2):
            return None
        step = figure.step * (value / figure.value if figure.value else 1)
        if figure.near in {"over", "under"}:
            room = min(step, value / 10)
            return (value, value + room) if figure.near == "over" else (value - room, value)
        room = min(step / 2, value / 10) if figure.near else step / 2
        return value - room, value + room

    def _near(self, figure: Figure, value: Decimal, factor: Decimal, measured: str) -> bool:
        bounds = self._bounds(figure, value)
        known = self._written if measured == "written" else self._values.get(measured)
        if bounds is None or not known:
            return False
        ordered = self._ordered(measured, known)
        place = bisect_left(ordered, bounds[0] * factor)
        return place < len(ordered) and ordered[place] <= bounds[1] * factor

    def _ordered(self, name: str, known: Iterable[Decimal]) -> list[Decimal]:
        ordered = self._sorted.get(name)
        if ordered is None:
            ordered = self._sorted[name] = sorted(known)
        return ordered

    def _bare_has(self, figure: Figure, value: Decimal, unit: tuple[str, Decimal]) -> bool:
        """A number without a unit stands for one with it, unless its text names another such unit."""
        if unit[0] == "date":
            return False
        candidates = [value]
        bounds = self._bounds(figure, value)
        if bounds is not None:
            ordered = self._ordered("bare", self._bare)
            place = bisect_left(ordered, bounds[0])
            candidates += [each for each in ordered[place : place + _TRIED] if each <= bounds[1]]
        return any(
            self._may_be(self._named[text], unit)
            for each in candidates
            for text in self._bare.get(each, ())
        )

    @staticmethod
    def _may_be(named: set[tuple[str, Decimal]], unit: tuple[str, Decimal]) -> bool:
        family = _FAMILY.get(unit[0])
        rivals = {
            each for each in named if each[0] == unit[0] or _FAMILY.get(each[0], -1) == family
        }
        return unit in rivals or not rivals

    def has_moment(self, when: When) -> bool:
        """Whether a date, a time or a weekday is there."""
        if when.weekday is not None:
            return when.weekday in self._weekdays
        if when.minutes:
            return not self._minutes.isdisjoint(when.minutes)
        found = [day in self._days or self._put_together(day) for day in when.days]
        several = len({(day[0], day[1]) for day in when.days}) == 1 and len(found) == 2
        return all(found) if several else any(found) or self._bare_year(when)

    def _put_together(self, day: Day) -> bool:
        """A text that names the day, and the year elsewhere."""
        year, month, of_month = day
        if year is None or month is None:
            return False
        texts = self._yearless.get((None, month, of_month))
        return texts is not None and not texts.isdisjoint(self._years.get(year, ()))

    def _bare_year(self, when: When) -> bool:
        return any(
            day[1] is None and day[0] is not None and Decimal(day[0]) in self._written
            for day in when.days
        )

    def says(self, said: Sequence[str]) -> bool:
        """Whether words stand one after the other in a text; only the last may have a particle."""
        size = min(len(said), _LONGEST)
        grams = self._grams.get(size)
        if grams is None:
            grams = self._grams[size] = set(self._read_grams(size))
        last = " ".join(said[-size:])
        if last not in grams and " ".join([*said[-size:-1], bare(said[-1])]) not in grams:
            return False
        return all(" ".join(said[at : at + size]) in grams for at in range(len(said) - size))

    def _read_grams(self, size: int) -> Iterable[str]:
        for text in self._texts:
            for at in range(len(text) - size + 1):
                yield " ".join(text[at : at + size])
                if text[at + size - 1][-1] >= "가":
                    yield " ".join([*text[at : at + size - 1], bare(text[at + size - 1])])

    def has_url(self, url: str) -> bool:
        """Whether an address is there, or it is the host of one that is."""
        return url in self._urls

    def has_email(self, email: str) -> bool:
        """Whether a mail address is there."""
        return email in self._emails

    def has_name(self, name: Name) -> bool:
        """Whether a name is there: its words one after the other, or none of them in another name."""
        if name.hangul:
            return name.words[0] in self._hangul
        parts = [part for word in name.words for part in words(word)]
        if "".join(part[0] for part in parts) in self._words and len(parts) > 1:
            return True
        if len(parts) == 1 and parts[0] in self._initials:
            return True
        if not all(self._has_word(part) for part in parts):
            return False
        return all(
            self.says((first, second)) or (first not in self._before and second not in self._behind)
            for first, second in pairwise(parts)
        )

    def _has_word(self, word: str) -> bool:
        if word in self._words or _PEOPLES.get(word, word) in self._words:
            return True
        for ending in _ENDINGS:
            stem = word.removesuffix(ending)
            if len(stem) > 2 and stem in self._words and (ending[0] != "n" or stem[-1] in "ae"):
                return True
        return word + "s" in self._words
