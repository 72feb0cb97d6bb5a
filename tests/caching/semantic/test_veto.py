from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.caching.semantic.numbers import in_digits
from agentguard.caching.semantic.veto import Reading, differs

DATA = Path(__file__).parents[2] / "data" / "semantic"
QUESTIONS = [
    text
    for language in ("en", "ko")
    for line in (DATA / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    for text in (json.loads(line)["a"], json.loads(line)["b"])
]
PIECES = [
    "not",
    "안 ",
    "못",
    "없",
    "<EMAIL_1>",
    "from ",
    "3만 5천",
    "원",
    "$5k",
    "-7",
    "에서",
    "!",
    " ",
]
texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(QUESTIONS),
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
)


@given(texts, texts)
def test_it_is_symmetric_and_never_raises(a, b):
    """Whichever question came first, the verdict is the same, on any text."""
    assert differs(Reading(a), Reading(b)) == differs(Reading(b), Reading(a))


@given(texts)
def test_a_text_is_itself(text):
    """No text differs from itself."""
    assert differs(Reading(text), Reading(text)) is None


@given(st.sampled_from(QUESTIONS), st.integers(2, 10**6), st.integers(2, 10**6))
def test_another_number_is_another_question(text, one, other):
    """However else two questions agree, another number makes them differ."""
    if one != other:
        a, b = Reading(f"{text} {one} X"), Reading(f"{text} {other} X")
        assert differs(a, b) is not None


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("Mail <EMAIL_1> and <EMAIL_2>", "Mail <EMAIL_2> and <EMAIL_1>", "placeholders"),
        ("Call <PHONE_1>", "Call <PHONE_1> or <PHONE_2>", "placeholders"),
        ("<NAME_1>에게 메일 써줘", "메일 써줘", "placeholders"),
        ("Which items can be returned?", "Which items can't be returned?", "negation"),
        ("안 매운 라면", "매운 라면", "negation"),
        ("What is 5 - 3?", "What is 5 + 3?", "words"),
        ("Is -5 degrees cold?", "Is 5 degrees cold?", "words"),
        ("Trains from Lyon", "Trains to Lyon", "roles"),
        ("Convert USD to KRW", "Convert KRW to USD", "roles"),
        ("부산에서 서울까지 얼마나 걸려?", "서울에서 부산까지 얼마나 걸려?", "roles"),
        ("파이썬이 루비보다 빨라?", "루비가 파이썬보다 빨라?", "roles"),
        ("Did Rome beat Greece?", "Did Greece beat Rome?", "order"),
        ("What is new in Java 17?", "What is new in Java 21?", "words"),
        ("What should I do now?", "What should I do?", "words"),
        ("나가는 방법", "들어가는 방법", "words"),
        ("이자를 받으려면?", "이자를 내려면?", "words"),
        ("東京の天気", "大阪の天気", "words"),
    ],
)
def test_why_two_questions_differ(a, b, why):
    """Each kind of difference is found for its own reason."""
    assert differs(Reading(a), Reading(b)) == why


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("three tickets", "3 tickets"),
        ("two hundred and five", "205"),
        ("$5k", "5000 dollar"),
        ("$1,250.50", "1250.50 dollar"),
        ("1,000,000원", "1000000원"),
        ("3만 5천원", "35000원"),
        ("백이십만 원", "1200000 원"),
        ("사과 세 개", "사과 3 개"),
        ("5월 5일", "5/5"),
        ("World War II", "World War 2"),
        ("한도와 세대", "한도와 세대"),
    ],
)
def test_amounts_are_written_one_way(text, digits):
    """Words, separators, signs and Korean units come out as the same digits."""
    assert " ".join(in_digits(text).split()) == digits


HOSTILE = {
    "letters": "a" * 1_000_000,
    "hangul": "가" * 1_000_000,
    "digits": "1" * 1_000_000,
    "thousands": "천" * 1_000_000,
    "blanks": " " * 1_000_000,
    "dollars": "$9" * 500_000,
    "dollar": "$" + "9" * 1_000_000 + "k",
    "millions": "million " * 125_000,
    "phrases": "turn " * 200_000,
    "quotes": "'" * 1_000_000,
    "placeholders": "<EMAIL_" * 140_000,
    "words": " ".join(f"from w{number}x" for number in range(80_000)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_takes_time_in_proportion(name):
    """Ten times the text takes some ten times the time, whatever is in it."""
    text = HOSTILE[name]

    def taken(part: str) -> float:
        started = time.process_time()
        reading = Reading(part)
        differs(reading, Reading(part[1:]))
        return time.process_time() - started

    assert taken(text) < 60 * max(taken(text[: len(text) // 10]), 0.02)
