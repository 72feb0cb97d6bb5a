"""A text in pieces: whatever the pieces, the same is found, and where it is in the original."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import detect
from agentguard.detect import Found, Pattern, cuts
from agentguard.detect.scan import Scan, resolved
from agentguard.detect.view import view

KEY = "sk-" + "a1B2c3D4" * 6
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(["MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"] * 3)
    + "\n-----END RSA PRIVATE KEY-----"
)
VALUES = [
    "jane.doe@example.com",
    "010-1234-5678로",
    "+82 10 1234 5678",
    "(415) 555-2671",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "GB29 NWBK 6016 1331 9268 19",
    "900101-2345679",
    "078-05-1120",
    "192.168.10.20",
    "fe80::1ff:fe23:4567:890a",
    "00:1B:44:11:3A:B7",
    "https://user:hunter22@example.com/x",
    "password: Xk7#pQ2m9Z",
    "비밀번호는 Xk7#pQ2m9Z",
    "Authorization: Bearer " + "a1B2c3D4" * 5,
    KEY,
    PEM,
    "여권번호 M12345678",
    "국민은행 123456-78-901234",
    "생년월일은 1990년 1월 2일",
    "born on March 3, 1990",
    "０１０－１２３４－５６７８",  # noqa: RUF001
    "010\u200b-1234-\u200b5678",
    "\\u0030\\u0031\\u0030-1234-5678",
]
WORDS = [
    "the",
    "order",
    "is",
    "안녕하세요",
    "주문이",
    "12",
    "v1.2.3",
    "2024-05-06",
    "@",
    "-",
    "(",
    "\n",
    "\t",
    "Bearer",
    "card",
    "계좌",
    "KB",
    "GB29",
    "1",
    "\\n",
]
TEXTS = st.lists(st.sampled_from(VALUES + WORDS * 2), max_size=12).flatmap(
    lambda parts: st.lists(
        st.sampled_from([" ", " ", " ", "", "\n", ", ", ": ", "  "]),
        min_size=len(parts),
        max_size=len(parts),
    ).map(lambda gaps: "".join(map("".join, zip(parts, gaps, strict=True))))
)


def in_pieces(text: str, sizes: list[int], **options: Any) -> tuple[list[Found], str]:
    """What a scan finds that is fed the text in pieces, and the text that it gave back."""
    scan, found, given_back = Scan(**options), [], ""
    ends = [0, *itertools.accumulate(sizes)]
    pieces = [text[start:end] for start, end in itertools.pairwise(ends)]
    parts = [scan.feed(piece) for piece in [*pieces, text[ends[-1] :]]]
    for part, here in itertools.chain(*parts, scan.flush()):
        at = len(given_back)
        found += [each._replace(start=each.start + at, end=each.end + at) for each in here]
        given_back += part
    return found, given_back


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, sizes=st.lists(st.integers(1, 30), max_size=30))
def test_pieces_change_nothing(text: str, sizes: list[int]) -> None:
    """Every way of cutting a text finds the same as the whole, and gives all of it back."""
    found, given_back = in_pieces(text, sizes)
    assert given_back == text
    assert found == detect.find(text)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_every_cut_in_two_changes_nothing(value: str) -> None:
    """Of each kind of value, between words; letter by letter, too."""
    text = f"well, it is {value} and so on"
    whole = detect.find(text)
    assert whole
    for size in range(len(text)):
        assert in_pieces(text, [size])[0] == whole
    assert in_pieces(text, [1] * len(text))[0] == whole


@settings(max_examples=200, deadline=None)
@given(text=st.text("ab1 -.@:/\n\\u0가０\u200b+(", max_size=80), sizes=st.lists(st.integers(1, 9)))  # noqa: RUF001
def test_noise_in_pieces_changes_nothing(text: str, sizes: list[int]) -> None:
    """What is no value at all is given back as it came."""
    found, given_back = in_pieces(text, sizes)
    assert given_back == text
    assert found == detect.find(text)


@given(text=TEXTS, sizes=st.lists(st.integers(1, 30), max_size=10))
def test_own_detectors_get_whole_lines(text: str, sizes: list[int]) -> None:
    """So what they find does not depend on the pieces either."""
    own = [Pattern("order", r"order is \w{1,9}")]
    found, given_back = in_pieces(text, sizes, detectors=own)
    assert given_back == text
    assert found == detect.find(text, detectors=own)


def test_a_long_text_is_searched_in_parts() -> None:
    """With the same result, also where one word is longer than a part."""
    filler = "nothing to see here, 안녕하세요. " * 3_000
    text = f"{filler}jane@example.com {filler}{'x' * 200_000} 010-1234-5678 {filler}"
    assert [each.type for each in detect.find(text)] == ["email", "phone"]
    for found in detect.find(text):
        assert text[found.start : found.end] in {"jane@example.com", "010-1234-5678"}
    assert len(list(Scan().feed(text))) > 5


def test_words_are_let_go_of_as_they_come() -> None:
    """Of a text without digits no more than its last word is held."""
    scan = Scan()
    out = "".join(
        part
        for word in ["so", "I", "said", "to", "him", "that"]
        for part, _ in scan.feed(word + " ")
    )
    assert out == "so I said to him "


def test_a_private_key_is_held_until_its_end() -> None:
    """It spans lines; one that never ends is held no longer than a key can be."""
    begun = "-----BEGIN PRIVATE KEY-----\n"
    assert cuts.last("hello\n" + begun + "abc\nabc\n", 1000) == 6
    assert cuts.last(begun + "abc\n" * 5_000, 65_536) > 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from([0.5, 0.9]))))
def test_nothing_overlaps(spans: list[tuple[int, int, float]]) -> None:
    """Of two that do, the surer one stays; every one that went overlaps one that stays."""
    every = [Found(start, start + size, "x", sure) for start, size, sure in spans]
    kept = resolved(every)
    for one, other in itertools.pairwise(kept):
        assert one.end <= other.start
    for gone in set(every) - set(kept):
        over = [each for each in kept if each.start < gone.end and gone.start < each.end]
        assert over
        assert max(each.confidence for each in over) >= gone.confidence


@given(st.text("a1\u200b０－\\nu0030\u00ad \U0001f600", max_size=40))  # noqa: RUF001
def test_every_place_of_a_view_is_in_the_original(text: str) -> None:
    """In order, and within it."""
    seen = view(text)
    last = 0
    for place in range(len(seen.text)):
        start, end = seen.span(place, place + 1)
        assert last <= start < end <= len(text)
        last = end


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("email", "a set of types"), ({"e_mail"}, "is not found by what is built in")],
    ids=["text", "unknown"],
)
def test_types_that_are_not_known_are_refused(wrong: Any, told: str) -> None:
    """With those that are."""
    with pytest.raises((TypeError, ValueError), match=told):
        detect.find("", entities=wrong)


def test_only_what_is_asked_for_is_found() -> None:
    """A type of a group as one that stands alone."""
    text = "jane@example.com 010-1234-5678 4111-1111-1111-1111"
    assert [each.type for each in detect.find(text, {"phone"})] == ["phone"]
    assert [each.type for each in detect.find(text, {"email", "credit_card"})] == [
        "email",
        "credit_card",
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("call _415-765-3002_", "phone"),
        ("__010-1234-5678__로", "phone"),
        ("from _75.64.83.74_.", "ip_address"),
        ("_4111-1111-1111-1111_ paid", "credit_card"),
    ],
    ids=["phone", "bold", "address", "card"],
)
def test_emphasis_hides_no_number(text: str, kind: str) -> None:
    """Underscores around a number are a form's line, or Markdown."""
    (found,) = detect.find(text)
    assert found.type == kind
    assert "_" not in text[found.start : found.end]


def test_underscores_of_a_token_are_its_own() -> None:
    """Wherever they stand in it: beside its dots and its digits."""
    head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    token = f"{head}.eyJzdWIiOiIxMjM0NTY3ODkwIn0_5_._1" + "aB3_9Zx" * 6
    assert view(f"token {token} ").text == f"token {token} "
    assert view("fm2_+PCZJrhA/_1x=_2 ").text == "fm2_+PCZJrhA/_1x=_2 "
