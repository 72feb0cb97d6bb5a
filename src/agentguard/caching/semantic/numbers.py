"""Amounts written one way: three, 3, 세 개; $5k, 5,000 dollars; 3만 5천원, 35,000원."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from agentguard.caching.semantic.words import listed

__all__ = ["COUNTERS", "in_digits"]

_WORDS: Final = {
    word: number
    for number, word in enumerate(
        listed(
            """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
        )
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_LARGE: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 10**9}
_ORDINALS: Final = {
    word: str(number)
    for number, word in enumerate(
        ["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], 3
    )
}
_ROMAN: Final = {"II": "2", "III": "3", "IV": "4", "VI": "6", "VII": "7", "VIII": "8", "IX": "9"}
_SCALES: Final = {"": 1, "k": 1_000, "m": 1_000_000, "bn": 10**9}
_SYMBOLS: Final = {"$": "dollar", "€": "euro", "£": "gbp", "¥": "yen", "₩": "원"}

_NATIVE: Final = {
    "하나": 1, "한": 1, "두": 2, "둘": 2, "세": 3, "셋": 3, "네": 4, "넷": 4, "다섯": 5,
    "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10, "열한": 11, "열두": 12, "스무": 20,
}  # fmt: skip
_SINO: Final = {char: number for number, char in enumerate("일이삼사오육칠팔구", 1)}
_TENS: Final = {"십": 10, "백": 100, "천": 1_000}
_MYRIADS: Final = {"만": 10**4, "억": 10**8, "조": 10**12}

COUNTERS: Final = frozenset(
    listed(
        """
개 명 분 사람 인분 시 시간 초 살 달 개월 주 주일 일 월 년 해 번 잔 장 권 대 마리 줄 문장 가지 병 곳 군데 컵 배 단계 쪽 페이지 원 달러 유로 엔 위안 파운드
도 조 항 회 층 박 킬로 미터 그램 인 세기 칼로리 호 편 건 문단 단어 글자
"""
    )
)
"""What is counted in Korean: a number's unit, and never a particle."""

_word: Final = "|".join([*_WORDS, *_LARGE])

_ENGLISH = re.compile(rf"\b(?:{_word})(?:(?:[ -]|[ ]and[ ])(?:{_word})){{0,8}}\b", re.IGNORECASE)
_ORDINAL = re.compile(rf"\b(?:{'|'.join(_ORDINALS)})\b", re.IGNORECASE)
_NUMERAL = re.compile(rf"\b(?:{'|'.join(_ROMAN)})\b")
_MONEY = re.compile(r"([$€£¥₩]) ?(\d[\d.,]{0,20})(bn|[km])?\b", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)")
_NTH = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b", re.IGNORECASE)
_MONTH_DAY = re.compile(r"(?<!\d)(\d{1,2})월 ?(\d{1,2})일")
_KOREAN = re.compile(
    r"(?<![\d.일이삼사오육칠팔구십백천만억조])[\d.일이삼사오육칠팔구십백천]{0,12}[십백천만억조](?: ?[\d일이삼사오육칠팔구십백천만억]){0,12}"
    r"(?= ?(?:원|달러|유로|엔|위안|명|개))"
)
_COUNTED = re.compile(
    rf"(?<![가-힣])({'|'.join(sorted(_NATIVE, key=len, reverse=True))})"
    r"(?= (?:인분|시간|사람|문장|마리|가지|군데|문단|단어|[개명분시살달번잔장권대줄병곳컵배주해쪽건편])"
    r"|(?:시간|마리|가지|군데|[개명시살달번잔장권줄병컵])(?![가-힣]{3}))"
)


def in_digits(text: str) -> str:
    """The text with amounts in digits, and with a word for a currency's sign behind its amount."""
    text = _MONEY.sub(_money, text)
    text = _DIGITS.sub(lambda found: found[0].replace(",", ""), text)
    text = _ENGLISH.sub(_english, text)
    text = _ORDINAL.sub(lambda found: _ORDINALS[found[0].lower()], text)
    text = _NUMERAL.sub(lambda found: _ROMAN[found[0]], text)
    text = _NTH.sub("", text)
    text = text.replace("°C", " celsius").replace("°F", " fahrenheit").replace("%", " percent ")
    text = _MONTH_DAY.sub(r"\1/\2", text)
    text = _KOREAN.sub(_korean, text)
    return _COUNTED.sub(lambda found: str(_NATIVE[found[1]]), text)


def _money(found: re.Match[str]) -> str:
    number = found[2].rstrip(".,").replace(",", "")
    scale = _SCALES[(found[3] or "").lower()]
    end = found[2][len(found[2].rstrip(".,")) :]
    if scale > 1 and number.count(".") < 2:
        number = format((Decimal(number) * scale).normalize(), "f")
    return f"{number} {_SYMBOLS[found[1]]}{end} "


def _english(found: re.Match[str]) -> str:
    """'two thousand five hundred' is 2500; 'nineteen eighty' is two numbers."""
    done, current = 0, 0
    for word in re.split(r"[ -]+", found[0].lower()):
        if word in _LARGE:
            current = max(current, 1) * _LARGE[word]
            if _LARGE[word] > 100:
                done, current = done + current, 0
        elif word in _WORDS:
            current += _WORDS[word]
    return str(done + current)


def _korean(found: re.Match[str]) -> str:
    """'3만 5천' is 35000, '백이십만' is 1200000."""
    total = section = Decimal(0)
    digits = ""
    for char in found[0]:
        if char.isascii():
            digits += char.strip()
        elif char in _SINO:
            digits = str(_SINO[char])
        elif char in _TENS:
            section += (Decimal(digits) if digits else 1) * _TENS[char]
            digits = ""
        else:
            section += Decimal(digits or 0)
            total += (section or 1) * _MYRIADS[char]
            section, digits = Decimal(0), ""
    total += section + Decimal(digits or 0)
    return format(total.normalize(), "f")
