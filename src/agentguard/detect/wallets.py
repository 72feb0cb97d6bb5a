"""Addresses of wallets, by their checksums.

A text is a wallet only if its checksum says so; a lower-case Ethereum address has
none, and its 40 digits after ``0x`` are enough. Formats: Bitcoin's BIP 13, 141,
173 and 350 and the ``chainparams`` of its kin, EIP-55, TRON's and Ripple's
documentation of addresses, Monero's ``cryptonote_config``, the CashAddr
specification.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentguard.detect.checksums import (
    BITCOIN,
    RIPPLE,
    base58check,
    bech32,
    cash_address,
    eip55,
    keccak256,
)
from agentguard.detect.runs import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

_ETHEREUM: Final = re.compile(r"0[xX]([0-9A-Fa-f]+)")
_WORD: Final = re.compile(r"[0-9A-Za-z]{26,}+")
_ETHEREUM_DIGITS: Final = 40
# The version byte of an address, and the letters that it makes the address begin with.
_VERSIONS: Final = {
    "1": b"\x00",  # Bitcoin, to a key
    "3": b"\x05",  # Bitcoin, to a script
    "m": b"\x6f",  # Bitcoin's test network
    "n": b"\x6f",
    "2": b"\xc4",
    "L": b"\x30",  # Litecoin
    "M": b"\x32",
    "D": b"\x1e",  # Dogecoin
    "9": b"\x16",
    "A": b"\x16",
    "X": b"\x4c",  # Dash
    "T": b"\x41",  # TRON
    "t": b"\x1c\xb8\x1c\xbd",  # Zcash: two bytes, two kinds
    "r": b"\x00",  # Ripple, in an alphabet of its own
}
_HASH: Final = 20
_SEGWIT: Final = re.compile(
    r"(bc|tb|ltc|cosmos|osmo|addr|stake|celestia|inj)1([02-9ac-hj-np-z]{38,110})\Z"
)
_CASH: Final = re.compile(r"[qp][02-9ac-hj-np-z]{41}\Z")
# An address of Solana is a key of 32 bytes without a checksum: the text has to name it.
_SOLANA: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}\Z")
_NAMED: Final = re.compile(r"solana|\bsol\b|phantom|wallet|솔라나|지갑", re.IGNORECASE)
_NEAR: Final = 40
_MONERO: Final = re.compile(r"[48][1-9A-HJ-NP-Za-km-z]{94}\Z")
_LONGEST_BASE58: Final = 35


def wallets(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every address of Bitcoin and its kin, Ethereum, TRON, Ripple and Monero."""
    if "0x" in text or "0X" in text:
        for found in _ETHEREUM.finditer(text):
            if _is_ethereum(found[1]) and _whole(text, found.start(), found.end()):
                yield found.start(), found.end(), 0.95
    for first, last in runs(text):
        for word in _WORD.finditer(text, first, last):
            if not _whole(text, *word.span()):
                continue
            if _is_wallet(word[0]):
                yield *word.span(), 0.99
            elif _is_solana(word[0]) and _NAMED.search(
                text[max(0, word.start() - _NEAR) : word.start()]
            ):
                yield *word.span(), 0.8


def _whole(text: str, start: int, end: int) -> bool:
    """Whether nothing of a word stands right before or after."""
    before = text[start - 1 : start] if start else ""
    after = text[end : end + 1]
    if after == "_" or (after.isascii() and after.isalnum()):
        return False
    return before != "_" and not (before.isascii() and before.isalnum())


def _is_ethereum(digits: str) -> bool:
    if len(digits) != _ETHEREUM_DIGITS or len(set(digits.lower())) < 4:
        return False
    return digits in {digits.lower(), digits.upper()} or eip55(digits)


def _is_wallet(word: str) -> bool:
    if len(word) <= _LONGEST_BASE58:
        if _is_base58(word):
            return True
    elif _MONERO.match(word):
        return _is_monero(word)
    lower = word.lower()
    if word not in {lower, word.upper()}:
        return False
    if found := _SEGWIT.match(lower):
        return bech32(found[1], found[2])
    return _CASH.match(lower) is not None and cash_address(lower)


def _is_solana(word: str) -> bool:
    if not _SOLANA.match(word) or word.isalpha() or len(set(word)) < 12:
        return False
    number = 0
    for letter in word:
        number = number * 58 + BITCOIN.index(letter)
    return 248 < number.bit_length() <= 256


def _is_base58(word: str) -> bool:
    versions = _VERSIONS.get(word[0])
    if versions is None:
        return False
    body = base58check(word, RIPPLE if word[0] == "r" else BITCOIN)
    if body is None:
        return False
    version = body[:-_HASH]
    return len(version) in {1, 2} and version in versions


def _is_monero(word: str) -> bool:
    """Whether the last four of its 69 bytes are the Keccak-256 of the others."""
    raw = b""
    for first in range(0, len(word), 11):
        block = word[first : first + 11]
        number = 0
        for letter in block:
            number = number * 58 + BITCOIN.index(letter)
        size = 8 if len(block) == 11 else 5
        if number >> 8 * size:
            return False
        raw += number.to_bytes(size, "big")
    return keccak256(raw[:-4])[:4] == raw[-4:]
