"""Numbers that the Republic of Korea gives to people and businesses.

Resident and foreigner numbers of before October 2020 have a check digit, those since have none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.detect.digits import Digits

__all__ = ["business_numbers", "driver_licenses", "passports", "resident_numbers"]

_RESIDENT: Final = re.compile(r"(?<!\d)\d{6}( ?[-.~/_ ] ?)?[1-8]\d{6}(?!\d)")
_RESIDENT_NAMED: Final = re.compile(
    r"주민|등록\s?번호|외국인|거소|rrn|resident|registration|arc\b|alien|foreigner|frn"
)
_GOODS: Final = re.compile(
    r"(?:sku|ean|upc|isbn|gtin|barcode|바코드|송장|주문|order|tracking|invoice|epoch|time|serial|상품)"
    r"[^\d\n]{0,12}$"
)
_WEIGHTS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_BUSINESS: Final = re.compile(r"(?<![\d\-.])\d{3}([- .]?)\d{2}\1\d{5}(?![\d])(?!-\d)")
_BUSINESS_NAMED: Final = re.compile(
    r"사업자|등록\s?번호|b_no|business|brn\b|biz|tax (?:id|number)|company (?:no|reg)"
)
_BUSINESS_WEIGHTS: Final = (1, 3, 7, 1, 3, 7, 1, 3)

_LICENSE: Final = re.compile(
    r"(?<![\d\-])(?:1[1-9]|2[0-8])([- .])\d{2}\1\d{6}\1\d{2}(?![\d\-])|(?<!\d)(?:1[1-9]|2[0-8])\d{10}(?!\d)"
)
_LICENSE_NAMED: Final = re.compile(r"면허|licen[cs]e|driver|driving")
_REGION: Final = re.compile(
    r"(?:서울|부산|경기|강원|충북|충남|전북|전남|경북|경남|제주|대구|인천|광주|대전|울산|세종)"
    r"[ -]?\d{2}[- ]\d{6}[- ]\d{2}(?![\d\-])"
)

_PASSPORT: Final = re.compile(
    r"(?<![A-Za-z0-9])[MSRODGmsrodg]\s?(?:\d{8}|\d{3}[A-Za-z]\d{4})(?![A-Za-z0-9])"
)
_PASSPORT_WORDS: Final = ("여권", "assport", "ASSPORT")
_PASSPORT_NAMED: Final = re.compile(r"여권|passport", re.IGNORECASE)


def resident_numbers(place: Digits) -> Iterator[tuple[int, int, str, float]]:
    """Resident numbers, and those of foreigners, whose seventh digit is 5 to 8."""
    text = place.text
    if place.size < 13:
        return
    for found in _RESIDENT.finditer(text, place.start, place.end):
        digits = "".join(filter(str.isdigit, found[0]))
        if not _date(digits):
            continue
        before = text[max(0, found.start() - 1) : found.start()]
        if before.isascii() and (before.isalnum() or before in {"_", "-", "."}) and before:
            continue
        apart = found[1] is not None
        named = _RESIDENT_NAMED.search(place.left(found.start())) is not None
        checked = _checks(digits)
        if not (apart or named) and _GOODS.search(place.left(found.start())):
            continue
        if not (named or checked or (apart and found[1].strip() in {"-", "~", "_"})):
            continue
        kind = "kr_frn" if digits[6] in "5678" else "kr_rrn"
        yield found.start(), found.end(), kind, 0.98 if named or (apart and checked) else 0.94


def _date(digits: str) -> bool:
    month, day = int(digits[2:4]), int(digits[4:6])
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def _checks(digits: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=False))
    check = (11 - total % 11) % 10
    if digits[6] in "5678":
        return int(digits[12]) in {check, (check + 2) % 10}
    return int(digits[12]) == check


def business_numbers(place: Digits) -> Iterator[tuple[int, int, float]]:
    """Business registration numbers: three, two and five digits, the last of which checks them."""
    for found in _BUSINESS.finditer(place.text, place.start, place.end):
        digits = "".join(filter(str.isdigit, found[0]))
        named = _BUSINESS_NAMED.search(place.left(found.start())) is not None
        if found[1] != "-" and not named:
            continue
        if _business_checks(digits):
            yield found.start(), found.end(), 0.97 if named else 0.92
        elif named:
            yield found.start(), found.end(), 0.88


def _business_checks(digits: str) -> bool:
    numbers = [int(digit) for digit in digits]
    total = sum(each * weight for each, weight in zip(numbers, _BUSINESS_WEIGHTS, strict=False))
    total += numbers[8] * 5 // 10 + numbers[8] * 5 % 10
    return (10 - total % 10) % 10 == numbers[9] and len(set(digits)) > 1


def driver_licenses(place: Digits) -> Iterator[tuple[int, int, float]]:
    """Driver's licences: a region from 11 to 28, a year, six digits and two."""
    text = place.text
    for found in _LICENSE.finditer(text, place.start, place.end):
        named = _LICENSE_NAMED.search(place.left(found.start())) is not None
        if named or found[1] == "-":
            yield found.start(), found.end(), 0.96
    region = max(0, place.start - 4)
    for found in _REGION.finditer(text, region, place.end):
        yield found.start(), found.end(), 0.95


def passports(text: str) -> Iterator[tuple[int, int, float]]:
    """Passport numbers where the text speaks of a passport."""
    if not any(word in text for word in _PASSPORT_WORDS):
        return
    for found in _PASSPORT.finditer(text):
        if _PASSPORT_NAMED.search(text, max(0, found.start() - 40), found.start()):
            yield found.start(), found.end(), 0.95
