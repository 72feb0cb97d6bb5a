"""The detectors that are built in, by what they find."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from agentguard.detect.found import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Find = Callable[[str], Iterable[Found]]

__all__ = ["TYPES", "finders"]

TYPES: Final[frozenset[str]] = frozenset(
    [
        "email",
        "phone",
        "credit_card",
        "iban",
        "us_ssn",
        "kr_rrn",
        "kr_frn",
        "kr_brn",
        "kr_passport",
        "kr_driver_license",
        "bank_account",
        "ip_address",
        "mac_address",
        "url_credentials",
        "crypto",
        "api_key",
        "jwt",
        "private_key",
        "birth_date",
    ]
)
"""Every type that is found without a model, or being told the values."""


@functools.cache
def finders(entities: frozenset[str] | None = None) -> tuple[Find, ...]:
    """What finds these types; all of them unless given. Patterns are compiled when first asked."""
    from agentguard.detect.email import emails
    from agentguard.detect.jwt import json_web_tokens
    from agentguard.detect.keys import keys
    from agentguard.detect.labelled import labelled_secrets
    from agentguard.detect.mac import mac_addresses
    from agentguard.detect.network import ip_addresses
    from agentguard.detect.numbers import Numbers, Papers
    from agentguard.detect.private_key import private_keys
    from agentguard.detect.url_credentials import url_credentials
    from agentguard.detect.wallets import wallets

    wanted = TYPES if entities is None else entities
    alone = {
        "email": (emails,),
        "ip_address": (ip_addresses,),
        "mac_address": (mac_addresses,),
        "url_credentials": (url_credentials,),
        "crypto": (wallets,),
        "api_key": (keys, labelled_secrets),
        "jwt": (json_web_tokens,),
        "private_key": (private_keys,),
    }
    found: list[Find] = [
        functools.partial(_typed, kind, find)
        for kind, all_of in alone.items()
        if kind in wanted
        for find in all_of
    ]
    found += [
        group.find if wanted >= group.types else _only(wanted, group.find)
        for group in (Numbers(), Papers())
        if wanted & group.types
    ]
    return tuple(found)


def _typed(
    kind: str, find: Callable[[str], Iterable[tuple[int, int, float]]], text: str
) -> Iterator[Found]:
    for start, end, confidence in find(text):
        yield Found(start, end, kind, confidence)


def _only(wanted: frozenset[str], find: Find) -> Find:
    return lambda text: (each for each in find(text) if each.type in wanted)
