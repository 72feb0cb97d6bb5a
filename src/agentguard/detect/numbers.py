"""All numbers at once: the places where digits stand are looked for but once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.detect.birth_date import birth_dates
from agentguard.detect.digits import places
from agentguard.detect.found import Found
from agentguard.detect.korean import business_numbers, driver_licenses, passports, resident_numbers
from agentguard.detect.payment import bank_accounts, cards, ibans
from agentguard.detect.phone import phones
from agentguard.detect.ssn import social_security_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Numbers", "Papers"]


class Numbers:
    """Finds what is made of digits alone."""

    types = frozenset(
        [
            "phone",
            "credit_card",
            "us_ssn",
            "kr_rrn",
            "kr_frn",
            "kr_brn",
            "kr_driver_license",
            "bank_account",
        ]
    )

    def find(self, text: str, /) -> Iterator[Found]:
        """Find telephones, cards, accounts and the numbers of persons and businesses."""
        for place in places(text):
            for start, end, kind, confidence in resident_numbers(place):
                yield Found(start, end, kind, confidence)
            for kind, least, find in _KINDS:
                if place.size < least:
                    continue
                for start, end, confidence in find(place):
                    yield Found(start, end, kind, confidence)


_KINDS = (  # and how many digits it has at least
    ("credit_card", 13, cards),
    ("kr_brn", 10, business_numbers),
    ("kr_driver_license", 10, driver_licenses),
    ("us_ssn", 9, social_security_numbers),
    ("bank_account", 8, bank_accounts),
    ("phone", 7, phones),
)


class Papers:
    """Finds numbers with letters in them, and dates."""

    types = frozenset({"iban", "kr_passport", "birth_date"})

    def find(self, text: str, /) -> Iterator[Found]:
        """Find accounts of ISO 13616, passports and dates of birth."""
        for kind, find in (
            ("iban", ibans),
            ("kr_passport", passports),
            ("birth_date", birth_dates),
        ):
            for start, end, confidence in find(text):
                yield Found(start, end, kind, confidence)
