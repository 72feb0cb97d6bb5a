"""Telephone numbers: Korean ones, North American ones, and all that begin with a plus.

Sources: ITU-T E.164 (at most fifteen digits), the numbering plans of the Republic of Korea and of
North America. Others, written without a plus, where the text says that they are telephones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.detect.digits import Digits

__all__ = ["phones"]

_S: Final = r"[ \-.)/_]{0,3}"
_KOREAN: Final = re.compile(
    rf"(?<![\d.\-])\(?(?:(?:01[016-9]|(?<!\+)82[ \-]10(?=[ \-])){_S}\d{{3,4}}{_S}\d{{4}}"
    rf"|(?:0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]))[ \-.)/_]{{1,3}}\d{{3,4}}[ \-._]{{1,3}}\d{{4}}"
    rf"|0(?:70|50\d?|80|60)[ \-.)/_]{{1,3}}\d{{3,4}}[ \-._]{{1,3}}\d{{4}})(?!\d)"
)
_SHORT: Final = re.compile(
    r"(?<![\d.\-])1(?:5(?:22|33|44|66|77|88|99)|6(?:00|01|44|60|61|66|68|70|88)|8(?:00|11|33|55|77|99))"
    r"[ \-]\d{4}(?![\d\-])"
)
_AMERICAN: Final = re.compile(
    r"(?<![\d.\-])(?:(?:\+?1|001)[ \-.]{0,1})?(?:\([2-9]\d\d\)[ -]?\d|[2-9]\d\d[\-. /][2-9])\d\d[\-. ]\d{4}"
    r"(?: ?(?:x|ext\.?|#) ?\d{1,6})?(?![\d])(?![.\-]\d)"
)
_PLUS: Final = re.compile(
    r"(?<![0-9A-Za-z_+])(?:\+|00(?=[1-9]\d?[ ().\-/]))[1-9](?:[ ().\-/]{0,3}\d){6,14}(?: ?(?:x|ext\.?) ?\d{1,6})?(?!\d)"
)
_BARE: Final = re.compile(
    r"(?<![\w.\-])(?!(?:19|20)\d\d([-./])[01]\d\1[0-3]\d(?!\d))[(]?\d(?:[ ().\-/]{0,2}\d){6,14}(?: ?(?:x|ext\.?) ?\d{1,6})?(?![\d])(?!\.\d)"
)
_NAMED: Final = re.compile(
    r"(?:phone|portable|handy|móvil|mobile|cell|tel\b|tel:|fax|desk|whatsapp|call (?:me|us|him|her)|reach (?:me|us)|contact|dial|sms|"
    r"text me|hotline|(?:my|his|her|their|our)(?: \w{1,12})? number|전화|연락|휴대|핸드폰|폰\s?번호|팩스|문의|(?:(?<![가-힣])|제 ?|내 ?|님 ?|새 ?|우리 ?|본인 ?)번호[는가])[^\d\n]{0,24}$"
)
_NOT: Final = re.compile(
    r"(?:주문|송장|운송장|계좌|사업자|주민|면허|여권|카드|접수|우편|order|invoice|tracking|account|card|id|ssn|security|"
    r"ticket|case|ref|version|isbn|sku|serial|버전|코드)\W{0,3}(?:(?:번호|no\.?|number|#|id|:|is|는|은|가|이)\W{0,3}){0,3}$"
)
# What every alternative of `_NAMED` holds: a fast look before the close one.
_HINTS: Final = (
    "phone", "portable", "handy", "móvil", "mobile", "cell", "tel", "fax", "desk", "whatsapp",
    "call ", "reach ", "contact", "dial", "sms", "text me", "hotline", "number",
    "전화", "연락", "휴대", "핸드폰", "폰", "팩스", "문의", "번호는",
    "번호가",
)  # fmt: skip
_EIGHT: Final = 8


def phones(place: Digits) -> Iterator[tuple[int, int, float]]:
    """Every telephone number in a place where digits stand."""
    text, start, end = place.text, place.start, min(len(place.text), place.end + 12)
    if start and text[start] != "+" and text[start - 1] == "+":
        start -= 1
    for pattern, confidence in ((_KOREAN, 0.9), (_PLUS, 0.89), (_AMERICAN, 0.87), (_SHORT, 0.8)):
        for found in pattern.finditer(text, start, end):
            if found.start() >= place.end or not _stands_alone(text, found.start()):
                continue
            if _NOT.search(place.left(found.start())):
                continue
            yield _opened(found), _trimmed(text, found), confidence
    if not place.speaks_of(_HINTS):
        return
    left = place.left(start)
    if _NAMED.search(left) and not _NOT.search(left):
        for found in _BARE.finditer(text, start, end):
            digits = sum(map(str.isdigit, found[0]))
            if found.start() < place.end and digits >= _EIGHT - 1 and found.start() - start < 4:
                yield _opened(found), _trimmed(text, found), 0.86
                break


def _opened(found: re.Match[str]) -> int:
    """Where a number begins: a bracket that does not close in it is around it."""
    return found.start() + (found[0].startswith("(") and ")" not in found[0])


def _trimmed(text: str, found: re.Match[str]) -> int:
    end = found.end()
    while text[end - 1] in " .-/(":
        end -= 1
    return end


def _stands_alone(text: str, start: int) -> bool:
    """Whether no letter, nor a sign of an identifier, stands directly in front."""
    before = text[start - 1 : start]
    if not before or not before.isascii():
        return True
    if before in "_/#=&" and before not in "/=":
        return False
    return not before.isalnum()
