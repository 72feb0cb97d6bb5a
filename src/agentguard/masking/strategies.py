"""What stands in a value's place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from agentguard.detect import TYPES
from agentguard.engine import arguments
from agentguard.masking import placeholder
from agentguard.masking.alike import alike

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Operator = Callable[[str, str], str]
    Strategy = str | Operator

__all__ = ["MARK", "keyed", "operators", "partial", "redact"]

_WORDS: Final = ("replace", "redact", "partial", "hash", "block")
_KEY: Final = 16

_BYTES: Final = 10
MARK: Final = re.compile(
    r"<[A-Z][A-Z0-9_]*_[0-9]{1,9}>"
    r"|<[A-Z][A-Z0-9_]*:[a-z2-7]{16}>"
    r"|\[[A-Z][A-Z0-9_]*\]"
)
"""What masking leaves in a text. A detector that takes it for a value is not listened to."""

_HIDDEN: Final = "*" * 8
_LAST_FOUR: Final = frozenset(
    {"bank_account", "credit_card", "crypto", "iban", "kr_brn", "phone"},
)
_NUMBERS: Final = frozenset(
    {"kr_driver_license", "kr_frn", "kr_passport", "kr_rrn", "us_ssn"},
)
_YEAR: Final = re.compile(r"(?<!\d)(?:18|19|20)\d\d(?!\d)")
_SHOWN: Final = re.compile(r"[^\W_]")


def redact(_: str, kind: str) -> str:
    """The type alone.

    Examples:
        >>> redact("kim@example.com", "email")
        '[EMAIL]'
    """
    return f"[{placeholder.word(kind)}]"


def partial(value: str, kind: str) -> str:
    """As much as a person needs to recognise a value of their own, and no more.

    - e-mail: the first letter and the domain.
    - card, account, IBAN, business registration, wallet, phone: the last four letters or digits,
      where at least four others are hidden.
    - resident and foreigner registration, SSN, passport, driver's licence: the form only. Of the
      older ones the rest could be worked out from date and place of birth (Acquisti and Gross,
      "Predicting Social Security numbers from public data", PNAS 2009).
    - IPv4 address: the first two of its four numbers; MAC address: its maker's three bytes.
    - date of birth: a year of four digits; name: the first letter.
    - all else, secrets above all: nothing, not even the length.

    Examples:
        >>> partial("kim@example.com", "email"), partial("4111-1111-1111-1111", "credit_card")
        ('k***@example.com', '****-****-****-1111')
    """
    if kind == "email":
        name, at, domain = value.rpartition("@")
        return f"{name[:1]}***{at}{domain}" if name and len(name) > 1 else f"***{at}{domain}"
    if kind in _LAST_FOUR:
        characters = len(_SHOWN.findall(value))
        return _starred(value, 4 if characters >= 8 else 0)
    if kind in _NUMBERS:
        return _starred(value, 0)
    if kind == "ip_address" and value.count(".") == 3 and ":" not in value:
        return ".".join([*value.split(".")[:2], "*", "*"])
    if kind == "mac_address":
        return _starred(value, 6, first=True)
    if kind == "birth_date":
        year = _YEAR.search(value)
        return f"{year[0]}-**-**" if year else _HIDDEN
    if kind == "name":
        return f"{value[:1]}**"
    return _HIDDEN


def _starred(value: str, shown: int, *, first: bool = False) -> str:
    places = [found.start() for found in _SHOWN.finditer(value)]
    keep = {*(places[:shown] if first else places[len(places) - shown :])}
    hide = {*places} - keep
    return "".join("*" if at in hide else letter for at, letter in enumerate(value))


def keyed(key: bytes) -> Callable[[str, str], str]:
    """A strategy that writes pseudonyms: the same value has the same one wherever the key is used.

    80 bits of an HMAC with SHA-256 over the type and what all spellings of the value share, in
    base32. Among a billion values two share a pseudonym with a probability of 4e-7, by
    n**2 / 2**81. Values such as phone numbers are few enough to try them all: what keeps a
    pseudonym from being undone is the key alone.

    Examples:
        >>> pseudonym = keyed(b"k" * 32)
        >>> pseudonym("Kim@Example.com", "email") == pseudonym("kim@example.com", "email")
        True
    """
    import base64
    import hashlib
    import hmac

    def pseudonym(value: str, kind: str) -> str:
        text = f"{kind}\0{alike(kind, value)}".encode(errors="surrogatepass")
        digest = hmac.new(key, text, hashlib.sha256).digest()[:_BYTES]
        return f"<{placeholder.word(kind)}:{base64.b32encode(digest).decode().lower()}>"

    return pseudonym


def operators(
    strategy: Strategy | Mapping[str, Strategy], key: str | bytes | None
) -> tuple[dict[str, str | Operator], str | Operator]:
    """What is done with values of some types, and with those of all others.

    Each is a function of a value and its type, or the word "replace" or "block".

    Args:
        strategy: as `Masker` takes it.
        key: that of "hash".
    """
    secret = _secret(key, strategy)
    by_type: dict[str, Strategy] = {}
    otherwise: object = strategy
    if isinstance(strategy, dict):
        by_type, otherwise = cast("dict[str, Strategy]", strategy), "replace"
    chosen = {_kind(kind): _operator(each, secret) for kind, each in by_type.items()}
    return chosen, _operator(otherwise, secret)


def _secret(key: object, strategy: object) -> bytes | None:
    words = (
        cast("dict[str, object]", strategy).values() if isinstance(strategy, dict) else [strategy]
    )
    if key is None:
        if "hash" in words:
            raise TypeError(
                'strategy="hash" needs key=, at least 16 random bytes that are kept as a secret: '
                "make one with secrets.token_hex(32)"
            )
        return None
    if not isinstance(key, (str, bytes)):
        raise TypeError(f"key= is a text or bytes, not {type(key).__name__}")
    secret = key.encode() if isinstance(key, str) else key
    if len(secret) < _KEY:
        raise ValueError(
            f"key= has {len(secret)} bytes: it needs at least {_KEY} to be unguessable"
        )
    return secret


def _kind(written: str) -> str:
    """A type of a dict of strategies; one of ours in another spelling would be passed over."""
    meant = {kind.replace("_", ""): kind for kind in TYPES}.get(
        re.sub(r"[\W_]", "", written).lower()
    )
    if meant is not None and meant != written:
        raise ValueError(f'strategy= has the type {written!r}: write "{meant}"')
    return written


def _operator(strategy: object, secret: bytes | None) -> str | Operator:
    if callable(strategy):
        arguments.plain("Masker", "strategy", strategy, "a function of a value and its type")
        return cast("Operator", strategy)
    if not isinstance(strategy, str) or strategy not in _WORDS:
        shown = repr(strategy) if isinstance(strategy, str) else arguments.told(strategy)
        known = ", ".join(f'"{word}"' for word in _WORDS)
        raise ValueError(
            f"strategy= is {known}, a function of a value and its type, or a dict of these by "
            f"type, not {shown}"
        )
    if strategy == "hash" and secret is not None:
        return keyed(secret)
    return {"redact": redact, "partial": partial}.get(strategy, strategy)
