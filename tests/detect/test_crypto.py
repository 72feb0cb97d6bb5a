"""Wallets: their checksums decide."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.detect import checksums
from tests.detect.values import values

PLACES = [
    "{}",
    "주소 {}로 보냈어요",
    '"{}"',
    '{{"to":"{}"}}',
    "send to {}.",
    "bitcoin:{}?amount=1",
    "https://x.example/tx/{}",
]
WALLETS = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
    "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
]


def base58(version: bytes, body: bytes, alphabet: str = checksums.BITCOIN) -> str:
    """The other way round from what is tested."""
    raw = version + body
    raw += hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:4]
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return alphabet[0] * (len(raw) - len(raw.lstrip(b"\0"))) + text


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wallet", WALLETS)
def test_a_wallet_is_found_wherever_it_stands(place: str, wallet: str) -> None:
    """The published examples of each format."""
    assert values(place.format(wallet), "crypto") == [wallet]


@pytest.mark.parametrize("wallet", WALLETS)
def test_one_wrong_character_makes_it_none(wallet: str) -> None:
    """Whatever has a checksum is found only if it is right."""
    if wallet == wallet.lower() and wallet.startswith("0x"):
        pytest.fail("has no checksum") if values("0x" + "ab" * 19, "crypto") else None
        return
    at = len(wallet) - 3
    wrong = wallet[:at] + ("Q" if wallet[at] not in "qQ" else "Z") + wallet[at + 1 :]
    assert values(wrong, "crypto") == []


@given(
    st.sampled_from([b"\0", b"\5", b"\x30", b"\x1e", b"\x4c", b"\x41", b"\x1c\xb8"]),
    st.binary(min_size=20, max_size=20),
)
def test_every_address_of_bitcoin_and_its_kin(version: bytes, body: bytes) -> None:
    """Bitcoin, Litecoin, Dogecoin, Dash, TRON and Zcash."""
    address = base58(version, body)
    assert values(f"주소는 {address}입니다", "crypto") == [address]


@given(st.binary(min_size=20, max_size=20))
def test_every_address_of_ripple(body: bytes) -> None:
    """Its alphabet is its own."""
    address = base58(b"\0", body, checksums.RIPPLE)
    assert values(f"to {address}.", "crypto") == [address]


@pytest.mark.parametrize(
    "text",
    [
        "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060",
        "0x" + "0" * 40,
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "ipfs://QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG",
        "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ2",
        "x1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa_2",
    ],
)
def test_hashes_are_left_alone(text: str) -> None:
    """Transactions, commits, content ids, and parts of longer words."""
    assert values(text, "crypto") == []


@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak(data: bytes, hashed: str) -> None:
    """The published hashes of nothing and of abc."""
    assert checksums.keccak256(data).hex() == hashed


@given(st.integers(130, 280))
def test_keccak_differs_from_sha3_by_a_bit_of_padding_alone(size: int) -> None:
    """Any length, also beyond a block, gives 32 bytes that SHA3-256 does not."""
    data = b"a" * size
    assert len(checksums.keccak256(data)) == 32
    assert checksums.keccak256(data) != hashlib.sha3_256(data).digest()


def test_a_wallet_of_monero() -> None:
    """The checksum is over blocks of eleven characters."""
    raw = b"\x12" + bytes(range(64))
    raw += checksums.keccak256(raw)[:4]
    text = ""
    for at in range(0, len(raw), 8):
        number, block = int.from_bytes(raw[at : at + 8], "big"), ""
        while number:
            number, digit = divmod(number, 58)
            block = checksums.BITCOIN[digit] + block
        text += block.rjust(11 if len(raw) - at >= 8 else 7, "1")
    assert values(f"xmr {text} ok", "crypto") == [text]
    assert values(f"xmr {text[:-1]}1x ok", "crypto") == []


def test_a_wallet_of_solana_needs_its_name() -> None:
    """It has no checksum: 32 bytes, and a text that says what they are."""
    key = base58(bytes(range(255, 227, -1)), b"")
    assert values(f"솔라나 지갑은 {key}예요", "crypto") == [key]
    assert values(f"hash {key}", "crypto") == []


@given(st.text(alphabet="13bcqpz0x9AaLl ", max_size=80))
def test_any_text(text: str) -> None:
    """No text makes it fail."""
    values(text, "crypto")
