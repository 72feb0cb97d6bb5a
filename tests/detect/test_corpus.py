"""The corpus itself: what it holds, that its labels are right, that nothing of it is stale."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from benchmarks.pii import corpus, encodings, values

TYPES = set(values.TYPES.values())
INVISIBLE = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")


@cache
def records(split: str) -> list[corpus.Record]:
    """Read a split once."""
    return corpus.load(split)


def everything() -> list[corpus.Record]:
    """Return all texts."""
    return [each for split in corpus.SPLITS for each in records(split)]


def plain(value: str) -> str:
    """Undo full width and invisible characters."""
    narrow = "".join(chr(ord(c) - 0xFEE0) if "\uff01" <= c <= "\uff5e" else c for c in value)
    return INVISIBLE.sub("", narrow)


def labelled(*types: str) -> list[str]:
    """Return every labelled value of these types, in ASCII."""
    return [
        plain(each["text"][start:end])
        for each in everything()
        for start, end, kind in each["spans"]
        if kind in types
    ]


def digits(value: str) -> str:
    """Keep the digits."""
    return re.sub(r"\D", "", value)


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_filling_the_frames_gives_the_stored_texts(split):
    """The stored files are what the frames say, on every Python."""
    assert corpus.generate(split) == records(split)


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_every_type_is_there_often_enough_to_be_scored(split):
    """Each type has values enough that one mistake does not decide."""
    counts = Counter(kind for each in records(split) for *_, kind in each["spans"])
    assert set(counts) == TYPES
    assert min(counts.values()) >= 8


def test_it_is_large_and_holds_both_languages_and_negatives():
    """There are 600 texts and 200 negatives at least, in English, Korean and both."""
    texts = everything()
    languages = Counter(each["lang"] for each in texts)
    assert len(texts) >= 600
    assert sum(each["neg"] for each in texts) >= 200
    assert set(languages) == {"en", "ko", "mixed"}
    assert languages["ko"] >= 200


def test_the_hard_kinds_are_all_there():
    """Glued particles, invisible characters, full width, odd separators and the rest have texts."""
    tags = Counter(tag for each in everything() for tag in each["tags"])
    hard = "glued zero_width fullwidth odd_sep escaped json markdown url several code log table"
    assert all(tags[tag] >= 10 for tag in hard.split())


def test_no_text_and_no_name_is_there_twice():
    """Every text is its own, also across the splits; so is every frame."""
    texts = everything()
    frames = [frame for split in corpus.SPLITS for _, _, frame in corpus.frames(split)]
    assert len({each["text"] for each in texts}) == len(texts)
    assert len({each["id"] for each in texts}) == len(texts)
    assert len(set(frames)) == len(frames)


def test_spans_lie_in_the_text_and_apart():
    """Offsets are in order, inside the text, never overlapping, and cut no space."""
    for each in everything():
        end = 0
        for start, stop, kind in sorted([*each["spans"], *each["optional"]]):
            value = each["text"][start:stop]
            assert end <= start < stop <= len(each["text"]), each["id"]
            assert value == value.strip()
            assert kind in TYPES
            end = stop
        assert each["neg"] == (not each["spans"] and not each["optional"])
        assert not re.search("[«»]", each["text"])


def test_numbers_with_a_check_digit_have_the_right_one():
    """Cards, accounts, resident and business numbers and addresses of coins are valid."""
    cards = [digits(value) for value in labelled("CREDIT_CARD")]
    assert all(encodings.luhn(card[:-1]) == card[-1] for card in cards)
    for value in labelled("IBAN"):
        iban = re.sub(r"[^A-Z0-9]", "", value.upper())
        assert encodings.iban(iban[:2], iban[4:]) == iban
    for value in map(digits, labelled("KR_BRN")):
        assert encodings.brn(value[:9]) == value[9]
    for value in labelled("CRYPTO"):
        if value.startswith("0x") and value != value.lower():
            assert encodings.ethereum(value[2:].lower()) == value


def test_resident_numbers_begin_with_a_date_and_say_who_they_are():
    """The seventh digit fits the type; before October 2020 the last digit checks."""
    for kind, sevenths, shift in (("KR_RRN", "1234", 0), ("KR_FRN", "5678", 2)):
        for value in map(digits, labelled(kind)):
            assert len(value) == 13
            assert 1 <= int(value[2:4]) <= 12
            assert 1 <= int(value[4:6]) <= 28
            assert value[6] in sevenths
            recent = value[6] in "3478" and int(value[:2]) > 20
            assert recent or encodings.rrn(value[:12], shift) == value[12]


def test_known_vectors_hold_for_the_encodings():
    """The encodings that label the corpus agree with the examples of their specifications."""
    program = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
    assert encodings.segwit("bc", 0, program) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    assert encodings.ethereum("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") == (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    )
    assert encodings.iban("GB", "WEST12345698765432") == "GB82WEST12345698765432"
    assert encodings.base58check(b"\0" * 21) == "1111111111111111111114oLvT2"
    assert encodings.luhn("7992739871") == "3"
