"""The checksums that wallets and tokens carry, from their published definitions.

Base58Check: Bitcoin's wiki. Bech32 and Bech32m: BIP 173 and BIP 350.
CashAddr: the Bitcoin Cash specification of 2018. Keccak-256, which Ethereum
took before SHA-3 was final: the Keccak reference, version 3; the capitals of an
Ethereum address: EIP-55. The last six characters of GitHub's and npm's tokens:
GitHub's account of its token formats of April 2021.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from typing import Final

BITCOIN: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_SUMS: Final = (1, 0x2BC830A3)
_BECH32_STEPS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CASH_STEPS: Final = (
    0x98F2BC8E61,
    0x79B76D99E2,
    0xF33E5FB3C4,
    0xAE2EABE2A8,
    0x1E4F43E470,
)
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RATE: Final = 136
_LANE: Final = (1 << 64) - 1


def base58check(text: str, alphabet: str = BITCOIN) -> bytes | None:
    """The bytes of a Base58Check text without their checksum; None if it is wrong."""
    number = 0
    for letter in text:
        digit = alphabet.find(letter)
        if digit < 0:
            return None
        number = number * 58 + digit
    leading = len(text) - len(text.lstrip(alphabet[0]))
    raw = bytes(leading) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    body, sum_ = raw[:-4], raw[-4:]
    twice = hashlib.sha256(hashlib.sha256(body).digest()).digest()
    return body if len(raw) > 4 and twice[:4] == sum_ else None


def bech32(prefix: str, data: str) -> bool:
    """Whether ``data`` (after the separator ``1``) fits ``prefix``; both lower case."""
    sum_ = 1
    spread = [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]
    for value in [*spread, *map(_BECH32.find, data)]:
        if value < 0:
            return False
        top = sum_ >> 25
        sum_ = (sum_ & 0x1FFFFFF) << 5 ^ value
        for bit, step in enumerate(_BECH32_STEPS):
            if top >> bit & 1:
                sum_ ^= step
    return sum_ in _BECH32_SUMS


def cash_address(data: str) -> bool:
    """Whether ``data`` is what follows ``bitcoincash:``; lower case."""
    sum_ = 1
    for value in [*(ord(c) & 31 for c in "bitcoincash"), 0, *map(_BECH32.find, data)]:
        if value < 0:
            return False
        top = sum_ >> 35
        sum_ = (sum_ & 0x07FFFFFFFF) << 5 ^ value
        for bit, step in enumerate(_CASH_STEPS):
            if top >> bit & 1:
                sum_ ^= step
    return sum_ == 1


def eip55(digits: str) -> bool:
    """Whether the capitals among 40 hexadecimal digits are those that EIP-55 asks."""
    hashed = keccak256(digits.lower().encode()).hex()
    return all(
        letter.isdigit() or letter.isupper() == (int(nibble, 16) > 7)
        for letter, nibble in zip(digits, hashed, strict=False)
    )


def crc_base62(body: str, sum_: str) -> bool:
    """Whether ``sum_`` is the CRC-32 of ``body``, as six digits to the base 62."""
    number = zlib.crc32(body.encode())
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(6, "0") == sum_


def keccak256(data: bytes) -> bytes:
    """The Keccak-256 of ``data``: SHA3-256 but for one bit of padding."""
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % _RATE))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        block = padded[start : start + _RATE]
        for i in range(_RATE // 8):
            lanes[i] ^= int.from_bytes(block[i * 8 : i * 8 + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(lanes: list[int]) -> list[int]:
    """One application of Keccak-f[1600]."""
    for constant in _round_constants():
        columns = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        parity = [columns[x - 1] ^ _turned(columns[(x + 1) % 5], 1) for x in range(5)]
        lanes = [lane ^ parity[i % 5] for i, lane in enumerate(lanes)]
        moved = [lanes[0]] * 25
        x, y, turn = 1, 0, 0
        for step in range(1, 25):
            turn += step
            moved[y + 5 * ((2 * x + 3 * y) % 5)] = _turned(lanes[x + 5 * y], turn % 64)
            x, y = y, (2 * x + 3 * y) % 5
        lanes = [
            moved[i] ^ ~moved[i - i % 5 + (i + 1) % 5] & moved[i - i % 5 + (i + 2) % 5]
            for i in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def _turned(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & _LANE


@functools.cache
def _round_constants() -> tuple[int, ...]:
    """The 24 constants, from the shift register that the reference defines."""
    constants: list[int] = []
    register = 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << (1 << power) - 1
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)
