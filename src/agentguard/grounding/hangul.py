"""Numbers written in Hangul, whole or in part: 3만 5천, 백이십만, 스물다섯, 사흘."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

__all__ = ["BEGINS", "myriads", "native", "spelled"]

SINO: Final = {char: number for number, char in enumerate("영일이삼사오육칠팔구")}
TENS: Final = {"십": Decimal(10), "백": Decimal(100), "천": Decimal(1000)}
MYRIADS: Final = {"만": Decimal(10) ** 4, "억": Decimal(10) ** 8, "조": Decimal(10) ** 12}

_NUMBER: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?")
_NO_SCALE: Final = re.compile(r"조[각금립항]|만[에큼]|천[천히]|백[신]")

_ONES: Final = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "네": 4, "넷": 4, "넉": 4, "다섯": 5,
    "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9,
}  # fmt: skip
_DECADES: Final = {
    "열": 10, "스무": 20, "스물": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70,
    "여든": 80, "아흔": 90,
}  # fmt: skip
_DAYS: Final = {
    "하루": 1, "이틀": 2, "사흘": 3, "나흘": 4, "닷새": 5, "엿새": 6, "이레": 7, "여드레": 8, "아흐레": 9,
    "열흘": 10, "보름": 15,
}  # fmt: skip
_COUNTED: Final = r"시간|개월|사람|마리|가지|군데|단계|번째|채널|송이|그루|[명개살시달해번권대장잔병곳주배채점골줄층평팀쪽]"
_tail: Final = (
    r"(?![가-힣])|(?=[은는이가을를의에로와과도만씩째부까]|간|동안|이[상하]|입니|쯤|정도|보다|처럼)"
)

_NATIVE: Final = re.compile(
    rf"(?<![가-힣])(?:({'|'.join(_DECADES)})({'|'.join(_ONES)})?|({'|'.join(_ONES)}))"
    rf"(?=\s(?:{_COUNTED})|(?:시간|개월|마리|가지|번째|[명개살시달해번권장잔병곳주배])(?:{_tail}))"
)
_DAY: Final = re.compile(
    rf"(?<![가-힣])({'|'.join(sorted(_DAYS, key=len, reverse=True))})(?:{_tail})"
)
_SPELLED: Final = re.compile(
    r"(?<![가-힣])(?:[일이삼사오육칠팔구]?[십백천만억조]){1,20}[일이삼사오육칠팔구]?"
    r"(?=\s?(?:원|달러|유로|엔|위안|명|개|년|퍼센트|프로|톤|킬로|미터|시간|회|건|대|권|평|인분|여))"
    r"|(?<![가-힣])[일삼사오육칠팔구](?=\s?(?:개월|년간|퍼센트|프로|분기|세기|주일|주간))"
    r"|(?<![가-힣])[일삼사오육칠팔구](?=\s년)"
)
BEGINS: Final = "".join(
    {word[0] for word in (*_ONES, *_DECADES, *_DAYS)} | set(SINO) | set(TENS) | set(MYRIADS)
)
"""What a number in Hangul begins with."""


def myriads(text: str, position: int, first: Decimal | None) -> tuple[Decimal, int] | None:
    """What digits before `position` become by the Hangul behind them: 3, '만 5천' are 35,000.

    Args:
        text: in which to read.
        position: behind the digits; without digits where the Hangul begins.
        first: the digits' value, or None.

    Returns:
        The value and where it ends; None where no scale stands there.
    """
    total = section = Decimal(0)
    current, end = first, position
    least, myriad = Decimal(10) ** 16, Decimal(10) ** 16
    while end < len(text):
        char = text[end]
        if char in TENS and not _NO_SCALE.match(text, end):
            if TENS[char] >= least:
                break
            least = TENS[char]
            section += (1 if current is None else current) * least
            current = None
        elif char in MYRIADS and not _NO_SCALE.match(text, end):
            if MYRIADS[char] >= myriad:
                break
            myriad, least = MYRIADS[char], MYRIADS[char]
            total += ((section + (current or 0)) or 1) * myriad
            section, current = Decimal(0), None
        elif first is None and current is None and char in SINO:
            current = Decimal(SINO[char])
        else:
            more = _more(text, end, current, min(least, myriad)) if end > position else None
            if more is None:
                break
            current, end = more
            continue
        end += 1
    if end == position:
        return None
    return total + section + (current or 0), end


def _more(
    text: str, end: int, current: Decimal | None, least: Decimal
) -> tuple[Decimal, int] | None:
    """Digits that go on with a number, as the 5 in '3만 5천' and the 1,208 in '4만 1,208'."""
    if current is not None:
        return None
    start = end + (text[end] == " ")
    found = _NUMBER.match(text, start)
    if found is None:
        return None
    value = Decimal(found[0].replace(",", ""))
    after = text[found.end() : found.end() + 1]
    joins = after in TENS or (after in MYRIADS and MYRIADS[after] < least)
    if value >= least or not (joins or start == end or len(found[0]) > 2):
        return None
    return value, found.end()


def spelled(text: str, position: int) -> tuple[Decimal, int] | None:
    """A number of Chinese origin in Hangul that counts something: 삼천오백 원, 백만 명."""
    found = _SPELLED.match(text, position)
    if found is None:
        return None
    read = myriads(text, position, None)
    if read is None or read[1] != found.end():
        return None
    if found[0] in {"조", "억", "만"} and text[found.end() : found.end() + 1] not in {
        "원",
        " ",
    }:
        return None
    return None if found[0] == "조" else read


def native(text: str, position: int) -> tuple[Decimal, int, bool] | None:
    """A native number that counts something, or a number of days: 스물다섯 명, 사흘.

    Returns:
        The value, where it ends, and whether its unit is the day.
    """
    day = _DAY.match(text, position)
    if day is not None:
        return Decimal(_DAYS[day[1]]), day.end(), True
    found = _NATIVE.match(text, position)
    if found is None:
        return None
    value = _DECADES.get(found[1] or "", 0) + _ONES.get(found[2] or found[3] or "", 0)
    return Decimal(value), found.end(), False
