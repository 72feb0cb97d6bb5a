"""Numbers of a text with what they count: $1.2M, 3만 5천원, three and a half hours, 10-15%."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.caching.semantic.words import listed
from agentguard.grounding.hangul import BEGINS, myriads, native, spelled
from agentguard.grounding.units import SIGNS, hangul_unit, latin_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.grounding.units import Unit

__all__ = ["Figure", "figures"]


class Figure(NamedTuple):
    """A number as a text has it.

    Attributes:
        start: where it begins.
        end: where it ends, its unit included.
        value: the number.
        units: how its unit may be read; empty where it has none.
        others: values that it may have besides, as the 10 of '10~15만'.
        step: what its last place is worth.
        digits: how many significant digits it has.
        exact: a whole number without a scale, which is not rounded unless a word says so.
        near: "about", "over", "under", or "".
        words: it is written in words.
        claims: whether it states anything: "two reasons" and "one of them" do not.
    """

    start: int
    end: int
    value: Decimal
    units: tuple[Unit, ...] = ()
    others: tuple[Decimal, ...] = ()
    step: Decimal = Decimal(1)
    digits: int = 1
    exact: bool = True
    near: str = ""
    words: bool = False
    claims: bool = True


_WORDS: Final = {
    word: number
    for number, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen eighteen nineteen twenty"
        )
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_LARGE: Final = {
    "hundred": Decimal(100), "dozen": Decimal(12), "thousand": Decimal(1000), "million": Decimal(10) ** 6,
    "billion": Decimal(10) ** 9, "trillion": Decimal(10) ** 12,
}  # fmt: skip
_SHORT: Final = {
    "k": Decimal(1000), "m": Decimal(10) ** 6, "mn": Decimal(10) ** 6, "mln": Decimal(10) ** 6, "b": Decimal(10) ** 9,
    "bn": Decimal(10) ** 9, "tn": Decimal(10) ** 12,
}  # fmt: skip
_TIMES: Final = {
    "once": 1, "single": 1, "twice": 2, "both": 2, "pair": 2, "couple": 2, "double": 2, "doubled": 2, "thrice": 3,
    "triple": 3, "tripled": 3, "quadrupled": 4,
}  # fmt: skip
_PARTS: Final = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fifth": 5, "fifths": 5,
    "tenth": 10, "tenths": 10,
}  # fmt: skip
_ORDINALS: Final = {
    word: number
    for number, word in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
        1,
    )
}

_word: Final = "|".join([*_WORDS, *_LARGE])
_NUMBER: Final = re.compile(
    r"\d{1,3}(?:[,_'  ]\d{3})+(?!\d)(?:\.\d{1,30})?|\d{1,60}(?:\.\d{1,30})?"
)
_EUROPEAN: Final = re.compile(r"(\d{1,3}(?:\.\d{3}){1,6}),(\d{1,2})(?!\d)")
_ENGLISH: Final = re.compile(
    rf"(?:an? (?=(?:{'|'.join(_LARGE)})\b)|\b(?=(?:{_word})\b))(?:{_word})(?:(?:[ -]| and )(?:{_word})){{0,30}}\b(?: and a half\b)?"
)
_FRACTION: Final = re.compile(
    r"(?:(an?|one|two|three|four|nine)[ -])?(half|halves|thirds?|quarters?|fifths?|tenths?)\b"
)
_OF: Final = re.compile(r" (?:of|the|as|an?|its|their|his|her|all)\b")
_AND_A_HALF: Final = re.compile(r"(?:an?|one) (\w{3,8}) and a half\b")
_RATIO: Final = re.compile(r"(\d{1,3}) ?분의 ?(\d{1,3})|(\d{1,3})/(\d{1,3})(?![\d/])")
_ORDINAL: Final = re.compile(
    rf"({'|'.join(_ORDINALS)})[ -](quarter|century|floor|place|edition|anniversary|grade|row|division)\b"
)
_CURRENCY: Final = re.compile(
    r"(?:us|hk|au|ca)?([$€£¥₩₹])\s?(?=\d)|(usd|eur|gbp|jpy|krw|cny|inr|chf)\s?(?=\d)"
)
_SCALE: Final = re.compile(rf"[ -]?({'|'.join(_LARGE)}|mn|mln|bn|tn)(?![a-z])|([kmb])(?![a-z\d])")
_BEGIN: Final = re.compile(
    rf"\d|(?<![a-z])(?:us|hk|au|ca)?[$€£¥₩₹](?=\s?\d)|\b(?:usd|eur|gbp|jpy|krw|cny|inr|chf)\s?(?=\d)|\bq(?=[1-4]\b)"
    rf"|\ban? (?=(?:{'|'.join(_LARGE)}|half|third|quarter|fifth|tenth)\b)|\b(?:an?|one) (?=\w{{3,8}} and a half\b)"
    rf"|\b(?=[bcdefhmnopqstz])(?:{'|'.join([*_WORDS, *_LARGE, *_TIMES, *_PARTS, *_ORDINALS, 'halved'])})\b"
    rf"|(?<![가-힣])(?=[{BEGINS}])|절반|(?<![가-힣])반년"
)
_BEFORE: Final = re.compile(
    r"(?:(?P<about>about|around|roughly|approximately|approx\.?|some|circa|ca\.?|~|≈|약|대략|대강)"
    r"|(?P<over>over|more than|above|exceeding|at least|upwards of|no fewer than|적어도|최소)"
    r"|(?P<under>nearly|almost|under|less than|fewer than|below|close to|just short of|거의|최대))\s*(?:an? |the )?$"
)
_AFTER: Final = re.compile(
    r"[명개번회건대권장채곳인층]?[^\w.,;\n]?(?:(?P<about>정도|쯤|가량|안팎|내외|or so\b)|(?P<over>남짓|[을를이가]? ?넘|초과|이상|or more\b)|(?P<under>[에]? ?가까|미만|이하))"
)
_PARTS_OF_TEXT: Final = re.compile(
    r"(?: (?:main|key|major|important|possible|different|simple|common|basic|big|other|more))?"
    r"[ -](?:reasons?|ways?|steps?|points?|options?|things?|examples?|aspects?|factors?|cases?|kinds?|sorts?|questions?"
    r"|answers?|sentences?|paragraphs?|parts?|topics?|ideas?|tips?|takeaways?|approaches|scenarios?|bullets?)\b"
    r"|\s?(?:가지|번째|째|단락|문장)"
)
_EACH: Final = re.compile(r"\s?(?:에|치|마다|당|동안)")
_LABEL: Final = re.compile(r"(?:step|option|reason|point|part|example|case|item|tip|단계)\s?$")
_BETWEEN: Final = re.compile(r"\s?(?:[-~]|to|and|or|until|에서|부터|내지|이상)\s?(?:최대 ?)?")
_HALF: Final = Decimal("0.5")


def figures(text: str) -> list[Figure]:
    """The numbers of a text in lower case, in order."""
    found: list[Figure] = []
    for figure in _alone(text):
        if found and not found[-1].units:
            last = found[-1]
            between = (
                _BETWEEN.fullmatch(text, last.end, figure.start)
                if figure.start - last.end < 12
                else None
            )
            if between is not None and last.claims:
                found[-1] = _shared(text, last, figure)
        elif (
            found
            and found[-1].units
            and not figure.units
            and text[found[-1].end : figure.start] in {"-", "~"}
        ):
            figure = figure._replace(units=found[-1].units)  # noqa: PLW2901  $1-2 million
        found.append(figure)
    return found


def _shared(text: str, first: Figure, second: Figure) -> Figure:
    """The first number of a range, which has the second one's unit and perhaps its scale."""
    written = _NUMBER.match(text, second.start)
    scale = Decimal(1)
    if written is not None and not second.exact:
        scale = second.value / (Decimal(_plain(written[0])) or 1)
    others = (first.value * scale,) if scale > 1 and first.exact else ()
    return first._replace(units=second.units, others=others)


def _alone(text: str) -> Iterator[Figure]:
    position = 0
    while (begin := _BEGIN.search(text, position)) is not None:
        figure = _read(text, begin.start())
        if figure is None:
            position = max(begin.end(), begin.start() + 1)
            continue
        yield _judged(text, figure)
        position = max(figure.end, begin.start() + 1)


def _read(text: str, start: int) -> Figure | None:
    """The number that begins at a place, if one does."""
    char = text[start]
    if char == "q":
        return Figure(start, start + 2, Decimal(text[start + 1]), _unit("quarter"))
    if char == "절":
        return _fraction(start, start + 2, Decimal(1), 2)
    if text.startswith("반년", start):
        return Figure(start, start + 2, _HALF, _unit("year"), exact=False)
    if "가" <= char <= "힣":
        return _hangul(text, start)
    if char.isdigit() or not char.isalpha():
        return _digits(text, start)
    currency = _CURRENCY.match(text, start)
    return _english(text, start) if currency is None else _digits(text, start)


def _hangul(text: str, start: int) -> Figure | None:
    counted = native(text, start)
    if counted is not None:
        value, end, days = counted
        if days:
            return Figure(start, end, value, _unit("day"), words=True)
        return _with_unit(text, Figure(start, end, value, words=True))
    read = spelled(text, start)
    if read is None:
        return None
    return _with_unit(text, _scaled(Figure(start, read[1], read[0], words=True)))


def _digits(text: str, start: int) -> Figure | None:
    currency = _CURRENCY.match(text, start)
    units = () if currency is None else (SIGNS[currency[1] or currency[2]],)
    place = start if currency is None else currency.end()
    ratio = _RATIO.match(text, place)
    if ratio is not None and int(ratio[1] or ratio[4]):
        below, above = (ratio[1], ratio[2]) if ratio[1] else (ratio[4], ratio[3])
        return _fraction(start, ratio.end(), Decimal(above), int(below))
    european = _EUROPEAN.match(text, place)
    if european is not None:
        value = Decimal(european[1].replace(".", "") + "." + european[2])
        return _with_unit(text, _placed(Figure(start, european.end(), value, units), 2))
    number = _NUMBER.match(text, place)
    if number is None:
        return None
    written = _plain(number[0])
    places = len(written.partition(".")[2])
    figure = _placed(Figure(start, number.end(), Decimal(written), units), places)
    end = number.end()
    suffix = text[end : end + 2]
    if suffix in {"st", "nd", "rd", "th"} and not text[end + 2 : end + 3].isalpha():
        quarter = text[end + 2 : end + 10] == " quarter"
        return figure._replace(end=end + 2 + 8 * quarter, units=_unit("quarter") if quarter else ())
    scaled = myriads(text, end, figure.value)
    if scaled is not None:
        return _with_unit(text, _scaled(figure._replace(end=scaled[1]), scaled[0], places))
    scale = _SCALE.match(text, end)
    if scale is None:
        return _with_unit(text, figure)
    factor = _LARGE.get(scale[1] or "") or _SHORT[scale[1] or scale[2]]
    grown = _scaled(figure._replace(end=scale.end()), figure.value * factor, places)
    if scale[2] == "m" and not units:  # 5m: metres, or millions
        return figure._replace(end=scale.end(), units=_unit("m"), others=(grown.value,))
    if scale[2] == "b" and not units:
        return grown
    return _with_unit(text, grown)


def _english(text: str, start: int) -> Figure | None:
    half = _AND_A_HALF.match(text, start)
    if half is not None and latin_unit(text, half.start(1)) is not None:
        return Figure(start, half.end(), Decimal("1.5"), _unit(half[1]), words=True)
    fraction = _FRACTION.match(text, start)
    ordinal = _ORDINAL.match(text, start)
    if ordinal is not None:
        units = _unit("quarter") if ordinal[2] == "quarter" else ()
        return Figure(start, ordinal.end(), Decimal(_ORDINALS[ordinal[1]]), units, words=True)
    if fraction is not None:
        return _part(text, start, fraction)
    read = _ENGLISH.match(text, start)
    if read is not None:
        value = _value(read[0])
        figure = Figure(start, read.end(), value, words=True)
        scale = any(word in read[0] for word in _LARGE)
        return _with_unit(text, _scaled(figure) if scale else figure)
    word = re.compile(r"[a-z]+").match(text, start)
    if word is None:
        return None
    if word[0] == "halved":
        return _fraction(start, word.end(), Decimal(1), 2)._replace(claims=False)
    known = _TIMES.get(word[0]) or _ORDINALS.get(word[0])
    if known is None:
        return None
    return Figure(start, word.end(), Decimal(known), words=True, claims=False)


def _part(text: str, start: int, fraction: re.Match[str]) -> Figure:
    many = _WORDS.get(fraction[1] or "", 1)
    below = _PARTS[fraction[2]]
    found = _fraction(start, fraction.end(), Decimal(many), below)
    after = re.compile(r" an? ").match(text, fraction.end())
    unit = None if after is None else latin_unit(text, after.end())
    if below == 2 and unit is not None:  # half an hour
        return found._replace(end=unit[1], units=unit[0], exact=False)
    of = _OF.match(text, fraction.end()) is not None or text[max(0, start - 3) : start] == "by "
    single = fraction[1] in {None, "a", "an"}
    return found._replace(claims=of or not single, words=True)


def _fraction(start: int, end: int, above: Decimal, below: int) -> Figure:
    value = above / below
    units = (("ratio", Decimal(1)),)
    return Figure(start, end, value, units, step=value / 50, digits=2, exact=False, near="about")


def _with_unit(text: str, figure: Figure) -> Figure:
    """The number with the unit behind it, at most a blank or a hyphen away."""
    end = figure.end
    near = figure.near
    if text[end : end + 1] == "여":
        end, near = end + 1, "over"
    gap = 1 if text[end : end + 1] in {" ", "-"} else 0
    unit = None
    at = text[end + gap : end + gap + 1]
    if "가" <= at <= "힣":
        unit = hangul_unit(text, end + gap)
    elif at:
        unit = latin_unit(text, end + gap)
        if (
            unit is not None
            and gap
            and unit[1] - end - gap == 1
            and (at in "abdvs" or text[unit[1] : unit[1] + 1].isdigit())
        ):
            unit = None
    if unit is None or figure.units:
        return figure._replace(near=near)
    return figure._replace(end=unit[1], units=unit[0], near=near)


def _placed(figure: Figure, places: int) -> Figure:
    step = Decimal(1).scaleb(-places)
    if places:
        return figure._replace(step=step, digits=_count(figure.value / step), exact=False)
    return _stepped(figure)


def _scaled(figure: Figure, value: Decimal | None = None, places: int = 0) -> Figure:
    grown = figure if value is None else figure._replace(value=value)
    if places and value is not None and figure.value:
        step = Decimal(1).scaleb(-places) * (value / figure.value)
        return grown._replace(step=step, digits=_count(value / step), exact=False)
    return _stepped(grown)._replace(exact=False)


def _stepped(figure: Figure) -> Figure:
    """The last place that is not zero counts: 12,000 has two digits."""
    step, value = Decimal(1), figure.value
    if value and value == value.to_integral_value():
        written = format(value, "f").partition(".")[0]
        zeros = len(written) - len(written.rstrip("0"))
        step = Decimal(1).scaleb(zeros)
    return figure._replace(step=step, digits=_count(value / step) if value else 1)


def _count(value: Decimal) -> int:
    return len(format(value.to_integral_value(), "f").lstrip("-0")) or 1


def _judged(text: str, figure: Figure) -> Figure:
    """What the words around a number make of it."""
    before = _BEFORE.search(text[max(0, figure.start - 24) : figure.start])
    after = _AFTER.match(text, figure.end)
    near = figure.near
    if before is not None:
        near = before.lastgroup or near
    elif after is not None:
        near = after.lastgroup or near
    claims = figure.claims
    if figure.value == 1 and any(unit[0] in {"time", "month", "date"} for unit in figure.units):
        claims = _EACH.match(text, figure.end) is None  # 한 달에, 1분마다
    if not figure.units and figure.value <= 20:
        small = figure.words and figure.value <= 1
        part = _PARTS_OF_TEXT.match(text, figure.end)
        label = _LABEL.search(text[max(0, figure.start - 9) : figure.start])
        claims = claims and not (small or part or label)
    return figure._replace(near=near, claims=claims)


def _value(words: str) -> Decimal:
    """'two thousand five hundred' is 2500, 'three and a half' 3.5."""
    done, current = Decimal(0), Decimal(0)
    half = words.endswith(" and a half")
    for word in re.split(r"[ -]+", words.removesuffix(" and a half")):
        if word in _LARGE:
            current = max(current, Decimal(1)) * _LARGE[word]
            if _LARGE[word] > 100:
                done, current = done + current, Decimal(0)
        elif word in _WORDS:
            current += _WORDS[word]
    return done + current + (_HALF if half else 0)


def _unit(word: str) -> tuple[Unit, ...]:
    unit = latin_unit(word, 0)
    return () if unit is None else unit[0]


def _plain(written: str) -> str:
    return re.sub(r"[^\d.]", "", written)
