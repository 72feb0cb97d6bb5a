"""Units by what they measure, in both languages: 5 km is 5,000 m, and never 5 miles."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

__all__ = ["HANGUL", "LATIN", "SIGNS", "hangul_unit", "latin_unit"]

Unit = tuple[str, Decimal]
"""What is measured, and how much of its base unit this is."""

_TABLE: Final = """
ratio 0.01 % percent pct 퍼센트 프로 ％
point 1 pp %p 퍼센트포인트 %포인트 퍼센트p
point 0.01 bp bps
usd 1 $ us$ usd dollar dollars buck bucks 달러 불 미국달러
eur 1 € eur euro euros 유로
gbp 1 £ gbp sterling quid 파운드
jpy 1 ¥ jpy yen 엔
krw 1 ₩ krw won 원
cny 1 cny rmb yuan renminbi 위안
inr 1 ₹ inr rupee rupees 루피
chf 1 chf franc francs 프랑
usd 0.01 ¢ cent cents 센트
eur 0.01 cent cents 센트
length 1000 km kilometre kilometres kilometer kilometers 킬로미터 킬로
length 1 m metre metres meter meters 미터
length 0.01 cm centimetre centimetres centimeter centimeters 센티미터 센티
length 0.001 mm millimetre millimetres millimeter millimeters 밀리미터
length 0.000001 µm micrometre micrometres micrometer micrometers micron microns 마이크로미터
length 0.000000001 nm nanometre nanometres nanometer nanometers 나노미터
mile 63360 mi mile miles 마일
mile 36 yd yard yards 야드
mile 12 ft foot feet 피트
mile 1 inch inches 인치
mass 1000000 t ton tons tonne tonnes 톤
mass 1000 kg kilo kilos kilogram kilograms 킬로그램 킬로
mass 1 g gram grams 그램
mass 0.001 mg milligram milligrams 밀리그램
mass 0.000001 µg mcg microgram micrograms 마이크로그램
pound 16 lb lbs pound pounds 파운드
gbp 1 pound pounds
pound 1 oz ounce ounces 온스
volume 1000 m3 ㎥ 세제곱미터 입방미터
volume 1 l litre litres liter liters 리터
volume 0.1 dl
volume 0.01 cl
volume 0.001 ml cc millilitre millilitres milliliter milliliters 밀리리터
gallon 8 gal gallon gallons 갤런
gallon 1 pint pints 파인트
area 1 m2 sqm ㎡ 제곱미터 평방미터
area 10000 ha hectare hectares 헥타르
area 1000000 km2 sqkm 제곱킬로미터
acre 1 acre acres 에이커
pyeong 1 평
time 0.001 ms millisecond milliseconds 밀리초
time 1 s sec secs second seconds 초 초간
time 60 min mins minute minutes 분 분간
time 3600 h hr hrs hour hours 시간
time 86400 d day days 일 일간
date 1 일
time 604800 week weeks wk wks 주 주일 주간
time 1209600 fortnight fortnights
month 1 month months mo mos 개월 달
month 12 year years yr yrs yo 년 년간 해 세 살 연차
month 120 decade decades
month 1200 century centuries 세기
celsius 1 °c celsius centigrade
fahrenheit 1 °f fahrenheit
data 1 b byte bytes 바이트
data 1000 kb kilobyte kilobytes 킬로바이트
data 1000000 mb megabyte megabytes 메가바이트 메가
data 1000000000 gb gigabyte gigabytes 기가바이트 기가
data 1000000000000 tb terabyte terabytes 테라바이트 테라
kib 1 kib
kib 1024 mib
kib 1048576 gib
rate 1 kbps
rate 1000 mbps
rate 1000000 gbps
power 1 w watt watts 와트
power 1000 kw kilowatt kilowatts 킬로와트
power 1000000 mw megawatt megawatts 메가와트
power 1000000000 gw gigawatt gigawatts 기가와트
horse 1 hp horsepower 마력
energy 1 wh
energy 1000 kwh
energy 1000000 mwh
energy 1000000000 gwh
calorie 1 cal
calorie 1000 kcal 킬로칼로리 칼로리
calorie 1000 calorie calories
frequency 1 hz 헤르츠
frequency 1000 khz
frequency 1000000 mhz
frequency 1000000000 ghz
volt 1 v volt volts 볼트
ampere 0.001 ma
ampere 1 amp amps 암페어
charge 1 mah
charge 1000 ah
speed 1 km/h kph kmh
mph 1 mph
pressure 1 hpa
pressure 10 kpa
bar 1 bar
db 1 db decibel decibels 데시벨
quarter 1 quarter 분기
degree 1 ° degree degrees 도
"""  # noqa: RUF001

LATIN: Final[dict[str, tuple[Unit, ...]]] = {}
"""Words and signs of Latin letters, in lower case, with their readings."""

HANGUL: Final[dict[str, tuple[Unit, ...]]] = {}
"""Units in Hangul."""

for _line in _TABLE.strip().splitlines():
    _measured, _factor, *_words = _line.split()
    for _word in _words:
        _table = HANGUL if "가" <= _word[-1] <= "힣" and _word[0] != "%" else LATIN
        _table[_word] = (*_table.get(_word, ()), (_measured, Decimal(_factor)))

SIGNS: Final = {
    sign: LATIN[sign][0]
    for sign in (
        "$",
        "€",
        "£",
        "¥",
        "₩",
        "₹",
        "usd",
        "eur",
        "gbp",
        "jpy",
        "krw",
        "cny",
        "inr",
        "chf",
    )
}
"""Currencies that may stand before their amount."""

_PHRASES: Final = {
    "percentage point": "pp", "percentage points": "pp", "per cent": "percent",
    "square metre": "m2", "square metres": "m2", "square meter": "m2", "square meters": "m2", "sq m": "m2",
    "square kilometre": "km2", "square kilometres": "km2", "square kilometer": "km2", "square kilometers": "km2",
    "cubic metre": "m3", "cubic metres": "m3", "cubic meter": "m3", "cubic meters": "m3",
    "us dollar": "usd", "us dollars": "usd", "u.s. dollars": "usd", "swiss franc": "chf", "swiss francs": "chf",
    "korean won": "krw", "japanese yen": "jpy", "chinese yuan": "cny", "pounds sterling": "gbp",
    "degrees celsius": "celsius", "degree celsius": "celsius", "degrees c": "celsius",
    "degrees fahrenheit": "fahrenheit", "degrees f": "fahrenheit", "basis points": "bp", "basis point": "bp",
    "square feet": "sqft", "square foot": "sqft", "square miles": "sqmi", "calendar days": "days",
    "business days": "days", "working days": "days",
}  # fmt: skip
LATIN["sqft"] = (("sqft", Decimal(1)),)
LATIN["sqmi"] = (("sqmi", Decimal(1)),)

_LATIN: Final = re.compile(
    "|".join(
        [
            *(re.escape(each) + r"(?![a-z\d])" for each in sorted(_PHRASES, key=len, reverse=True)),
            r"%포인트|%p(?![a-z])|%",
            r"°\s?[cf](?![a-z])|°",
            r"km/h(?![a-z])",
            r"(?:m|km)\s?[23](?![a-z\d])",
            r"[a-zµ]{1,14}(?![a-z\d])",
            r"[€£¥₩₹$¢]",
        ]
    )
)
_HANGUL: Final = re.compile("|".join(sorted(HANGUL, key=len, reverse=True)))


def latin_unit(text: str, position: int) -> tuple[tuple[Unit, ...], int] | None:
    """The unit that stands at a place of a text in lower case, and where it ends."""
    found = _LATIN.match(text, position)
    if found is None:
        return None
    word = _PHRASES.get(found[0], found[0].replace(" ", ""))
    units = LATIN.get(word) or HANGUL.get(word)
    return None if units is None else (units, found.end())


def hangul_unit(text: str, position: int) -> tuple[tuple[Unit, ...], int] | None:
    """The same for a unit in Hangul, to which particles may be glued."""
    found = _HANGUL.match(text, position)
    return None if found is None else (HANGUL[found[0]], found.end())
