"""Payment cards, bank accounts: IBAN by its check digits, others by what the text calls them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentguard.detect.digits import Digits

__all__ = ["bank_accounts", "cards", "ibans", "luhn"]

_RUN: Final = re.compile(r"\d+")
_GAP: Final = re.compile(r"[ ./_\-]{0,3}")
_LAYOUTS: Final = {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (4, 4, 4, 1), (4, 4, 4, 3)}
_BRANDS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$"  # Visa
    r"|(?:5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720))\d+$"  # Mastercard
    r"|3[47]\d{13}$|3(?:0[0-5]|[689])\d{11,16}$"  # American Express, Diners
    r"|(?:2131|1800)\d{11}$|35(?:2[89]|[3-8]\d)\d{12,15}$"  # JCB
    r"|6(?:011|4[4-9]|5)\d+$|62\d{14,17}$"  # Discover, UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d+$"  # Maestro
    r"|9\d{15}$|1220\d{11}$|60\d{14}$|220[0-4]\d{12}$|50\d{14}$"  # Korean, test, RuPay, Mir, Verve
)
_CARD_NAMED: Final = re.compile(r"card|visa|master|amex|credit|debit|카드|결제")

# It begins with the digits, which are rarer than letters, and looks back from there.
_IBAN: Final = re.compile(
    r"[0-9](?<=[A-Za-z]{2}[0-9])(?<![A-Za-z0-9][A-Za-z]{2}[0-9])[0-9][ \-]?[A-Za-z0-9]{2}"
)
_IBAN_LENGTHS: Final[dict[str, int]] = {
    code: int(size)
    for size, codes in (
        word.split(":")
        for word in [
            "15:NO",
            "16:BE",
            "18:DK,FO,FI,FK,GL,NL,SD",
            "19:MK,SI",
            "20:AT,BA,EE,KZ,LT,LU,XK,MN",
            "21:HR,LV,LI,CH",
            "22:BH,BG,CR,GE,DE,IE,ME,RS,GB,VA",
            "23:TL,GI,IQ,IL,OM,SO,AE",
            "24:AD,CZ,MD,PK,RO,SA,SK,ES,SE,TN,VG,DZ",
            "25:LY,PT,ST",
            "26:IS,TR",
            "27:FR,GR,IT,MR,MC,SM,BI,DJ,MG,BF,CM,CG",
            "28:AL,AZ,CY,DO,GT,HU,LB,NI,PL,SV,BY,SN,BJ,CI,ML",
            "29:BR,EG,PS,QA,UA",
            "30:JO,KW,MU,YE",
            "31:MT,SC",
            "32:LC",
            "33:RU",
        ]
    )
    for code in codes.split(",")
}
_LONGEST_IBAN: Final = 34

_BANKS: Final = (
    "은행|뱅크|농협|수협|신협|새마을금고|우체국|증권|국민|신한|우리|하나|기업|토스|카카오|케이뱅크|"
    "KB|NH|IBK|SC제일|씨티|대구|부산|광주|전북|경남|산업"
)
_ACCOUNT: Final = re.compile(r"(?<![\dA-Za-z\-])\d(?:[ \-]?\d){7,16}(?![\dA-Za-z])")
_ACCOUNT_NAMED: Final = re.compile(
    r"계좌|통장|입금|송금|이체|예금|환불받|bank|account|acct|a/c|routing|wire to"
)
_NOT_ACCOUNT: Final = re.compile(
    r"전화|연락|휴대|핸드폰|번호는?\s*010|phone|mobile|tel\b|주문|order|invoice|송장|사업자|주민|여권|면허|"
    r"google|twitter|aws|user account|account id|customer"
)
_BANK_BEFORE: Final = re.compile(rf"(?:{_BANKS.lower()})[^\d\n]{{0,12}}$")
_BANK_BEHIND: Final = re.compile(rf"\s?\((?:{_BANKS})", re.IGNORECASE)
_HINTS: Final = (
    "계좌", "통장", "입금", "송금", "이체", "예금", "환불받", "bank", "account", "acct", "a/c", "routing",
    "wire to", *_BANKS.lower().split("|"),
)  # fmt: skip
_CHECKED: Final = 0.95
_SHORTEST_ACCOUNT: Final = 8
_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
_MOST_GROUPS: Final = 8


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1)."""
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    total = sum(each - 9 if each > 9 else each for each in doubled)
    return (total + sum(map(int, digits[::-2]))) % 10 == 0


def cards(place: Digits) -> Iterator[tuple[int, int, float]]:
    """Card numbers of a known brand whose check digit is right."""
    if place.size < _SHORTEST_CARD:
        return
    text, free = place.text, 0
    runs = [found.span() for found in _RUN.finditer(text, place.start, place.end)]
    for first, (start, _) in enumerate(runs):
        if start < free:
            continue
        for end, digits in _candidates(text, runs[first : first + _MOST_GROUPS]):
            if not _alone(text, start, end):
                continue
            named = _CARD_NAMED.search(place.left(start)) is not None
            whole = len(digits) == end - start or _laid_out(text, start, end)
            if _BRANDS.match(digits) and luhn(digits) and len(set(digits)) > 1 and (whole or named):
                yield start, end, _CHECKED
                free = end
                break
            if named and len(digits) in {15, 16} and whole:
                yield start, end, 0.6


def _candidates(text: str, runs: list[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """Where a number that begins with the first of these runs may end, and its digits."""
    digits = ""
    for place, (start, end) in enumerate(runs):
        if place and not _GAP.fullmatch(text, runs[place - 1][1], start):
            return
        digits += text[start:end]
        if len(digits) > _LONGEST_CARD:
            return
        if len(digits) >= _SHORTEST_CARD:
            yield end, digits


def _laid_out(text: str, start: int, end: int) -> bool:
    return tuple(len(run) for run in _RUN.findall(text, start, end)) in _LAYOUTS


def _alone(text: str, start: int, end: int) -> bool:
    """Whether a number is neither part of a word or path nor the digits of a fraction."""
    before, behind = text[max(0, start - 2) : start], text[end : end + 1]
    if before[-1:] == "." and before[:1].isdigit():
        return False
    return not any(
        each.isascii() and (each.isalnum() or each in "_/")
        for each in (before[-1:], behind)
        if each
    )


def ibans(text: str) -> Iterator[tuple[int, int, float]]:
    """Account numbers of ISO 13616 with the length of their country and right check digits."""
    for found in _IBAN.finditer(text):
        start = found.start() - 2
        size = _IBAN_LENGTHS.get(text[start : start + 2].upper())
        if size is None:
            continue
        code, end = "", start
        while len(code) < size and end < len(text) and end - start < 2 * _LONGEST_IBAN:
            letter = text[end]
            if letter.isalnum() and letter.isascii():
                code += letter
            elif letter not in " -":
                break
            end += 1
        if len(code) < size or (text[end : end + 1].isalnum() and text[end : end + 1].isascii()):
            continue
        turned = (code[4:] + code[:4]).upper()
        if int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1:
            yield start, end, 0.98


def bank_accounts(place: Digits) -> Iterator[tuple[int, int, float]]:
    """Numbers that stand beside the name of a bank, or are called an account."""
    text = place.text
    if place.size < _SHORTEST_ACCOUNT or not place.speaks_of(_HINTS):
        return
    for found in _ACCOUNT.finditer(text, place.start, place.end):
        digits = sum(map(str.isdigit, found[0]))
        if digits < _SHORTEST_ACCOUNT or "  " in found[0]:
            continue
        left = place.left(found.start())
        name = list(_ACCOUNT_NAMED.finditer(left))
        bank = _BANK_BEFORE.search(left) or (digits >= 10 and _BANK_BEHIND.match(text, found.end()))
        if not name and not bank:
            continue
        last = name[-1].end() if name else 0
        if _NOT_ACCOUNT.search(left, last) and not bank:
            continue
        if "\n" in left[last:] and not bank:
            continue
        if digits < 10 and not name:
            continue
        yield found.start(), found.end(), 0.93 if bank and name else 0.9
