"""Checksums and encodings of made-up values: base58, bech32, Keccak, Luhn and the Korean sums."""

from __future__ import annotations

import hashlib

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def luhn(digits: str) -> str:
    """Return the last digit that makes `digits` pass the Luhn check."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 if place % 2 else 2)
        total += number - 9 if number > 9 else number
    return str(-total % 10)


def rrn(twelve: str, shift: int = 0) -> str:
    """Return the check digit of a Korean resident number; foreigners' are shifted by two."""
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    total = sum(int(d) * w for d, w in zip(twelve, weights, strict=True))
    return str((11 - total % 11 + shift) % 10)


def brn(nine: str) -> str:
    """Return the check digit of a Korean business registration number."""
    weights = (1, 3, 7, 1, 3, 7, 1, 3, 5)
    total = sum(int(d) * w for d, w in zip(nine, weights, strict=True)) + int(nine[8]) * 5 // 10
    return str(-total % 10)


def iban(country: str, bban: str) -> str:
    """Put the two check digits of ISO 13616 between country and account."""
    number = int("".join(str(int(c, 36)) for c in f"{bban}{country}00"))
    return f"{country}{98 - number % 97:02}{bban}"


def base58(data: bytes, alphabet: str = BASE58) -> str:
    """Write bytes in base 58, leading zeros as the first letter."""
    number, text = int.from_bytes(data), ""
    while number:
        number, rest = divmod(number, 58)
        text = alphabet[rest] + text
    return alphabet[0] * (len(data) - len(data.lstrip(b"\0"))) + text


def base58check(data: bytes, alphabet: str = BASE58) -> str:
    """Write bytes and the four bytes of their double hash."""
    check = hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    return base58(data + check, alphabet)


def segwit(human: str, version: int, program: bytes) -> str:
    """Write a segwit address: bech32 for version 0, bech32m after it (BIP 173, BIP 350)."""
    bits = int.from_bytes(program)
    count = -(-len(program) * 8 // 5)
    bits <<= count * 5 - len(program) * 8
    data = [version, *((bits >> 5 * place) & 31 for place in reversed(range(count)))]
    spread = [ord(c) >> 5 for c in human] + [0] + [ord(c) & 31 for c in human]
    check = 1
    for value in [*spread, *data, *[0] * 6]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> place & 1 else 0
    check ^= 0x2BC830A3 if version else 1
    data += [(check >> 5 * (5 - place)) & 31 for place in range(6)]
    return f"{human}1{''.join(BECH32[value] for value in data)}"


def keccak(data: bytes) -> bytes:
    """Hash with Keccak-256, as Ethereum does (it is not SHA-3: the padding differs)."""
    mask, lanes = (1 << 64) - 1, [[0] * 5 for _ in range(5)]
    padded = data + b"\x01" + b"\0" * (135 - len(data) % 136)
    padded = padded[:-1] + bytes([padded[-1] | 0x80])

    def turn(lane: int, by: int) -> int:
        by %= 64
        return ((lane << by) | (lane >> (64 - by))) & mask

    for start in range(0, len(padded), 136):
        for i in range(17):
            lanes[i % 5][i // 5] ^= int.from_bytes(
                padded[start + 8 * i : start + 8 * i + 8], "little"
            )
        register = 1
        for _ in range(24):
            c = [
                lanes[x][0] ^ lanes[x][1] ^ lanes[x][2] ^ lanes[x][3] ^ lanes[x][4]
                for x in range(5)
            ]
            d = [c[(x + 4) % 5] ^ turn(c[(x + 1) % 5], 1) for x in range(5)]
            lanes = [[lanes[x][y] ^ d[x] for y in range(5)] for x in range(5)]
            x, y, current = 1, 0, lanes[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, lanes[x][y] = lanes[x][y], turn(current, (t + 1) * (t + 2) // 2)
            for y in range(5):
                row = [lanes[x][y] for x in range(5)]
                for x in range(5):
                    lanes[x][y] = row[x] ^ (~row[(x + 1) % 5] & mask & row[(x + 2) % 5])
            for j in range(7):
                register = (register << 1 ^ (register >> 7) * 0x171) % 256
                if register & 2:
                    lanes[0][0] ^= 1 << ((1 << j) - 1)
    return b"".join(lanes[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def ethereum(address: str) -> str:
    """Write 40 hexadecimal digits in the mixed case that is their checksum (EIP-55)."""
    digest = keccak(address.encode()).hex()
    return "0x" + "".join(
        c.upper() if int(h, 16) > 7 else c for c, h in zip(address, digest, strict=False)
    )
