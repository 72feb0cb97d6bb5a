"""E-mail addresses, and what only has an at sign."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard import detect
from tests.detect.values import values, wide

ADDRESSES = [
    "jane@example.com",
    "jane.doe+shop@mail.example.co.kr",
    "JANE@EXAMPLE.ORG",
    "j_d-1%x@ex-ample.io",
    "a@b.co",
    "user@xn--bcher-kva.example",
    "jürgen@müller.de",
    "svc@queue.internal",
    "desk@acme.solutions",
]

PLACES = [
    "{}",
    "write to {}.",
    "이메일은{}입니다",
    "메일 {}로 보내 주세요",
    "<{}>",
    '"{}"',
    '{{"to":"{}"}}',
    '{{\\"to\\":\\"\\n{}\\"}}',
    "mailto:{}?subject=x",
    "GET /login?u={} HTTP/1.1",
    "to=%20{}",
    "**{}**",
    "`{}`",
    "({}),",
    "…{}…",
]

NEGATIVES = [
    "git@github.com:org/repo.git",
    "deploy@host.example.com:~/app",
    "icon@2x.png",
    "icon@3x.app",
    "q@k.transpose(-2, -1)",
    "y = x@w.T + b",
    "h = a@w.to(device)",
    "s = q@k.data",
    '@app.route("/x")',
    "@media screen",
    "lodash@4.17.21",
    "repo/app@sha256:abcd",
    "https://unpkg.com/react@18.2.0/umd/react.production.min.js",
    "@jane and @bob.com",
    "a@b",
    "jane@",
    "jane.@example.com",
    "jane@example..com",
    'EMAIL = re.compile(r"[^@\\s]+@[^@\\s]+\\.[a-z]+")',
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_found_wherever_it_stands(place: str, address: str) -> None:
    """The address alone, without what is glued to it."""
    assert values(place.format(address), "email") == [address]


@pytest.mark.parametrize("text", NEGATIVES)
def test_other_at_signs_are_left_alone(text: str) -> None:
    """Code, remotes, versions and file names are no addresses."""
    assert values(text, "email") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@b.co,b@c.io,c@d.net", ["a@b.co", "b@c.io", "c@d.net"]),
        ("your email is jane@example.com. Is that right?", ["jane@example.com"]),
        ("jane@example.com.Is that right?", ["jane@example.com"]),
        ("jane@example.com-로", ["jane@example.com"]),
        ("jane\u200b@example\u200b.com", ["jane\u200b@example\u200b.com"]),
        (wide("jane@example.com"), [wide("jane@example.com")]),
        ("..jane@example.com", ["jane@example.com"]),
    ],
)
def test_where_an_address_ends(text: str, found: list[str]) -> None:
    """Commas, sentences, invisible and full-width characters."""
    assert values(text, "email") == found


@given(st.text(alphabet="a1@.-_%+ x2가(:é", max_size=80))
def test_any_text_with_at_signs(text: str) -> None:
    """What is found has one at sign, and a dot to its right."""
    for value in values(text, "email"):
        local, _, domain = value.partition("@")
        assert local
        assert "." in domain


@given(st.lists(st.sampled_from([*ADDRESSES, "는", " ", "@", ".", ",", "x@", "\n"]), max_size=12))
def test_nothing_overlaps(parts: list[str]) -> None:
    """Whatever stands side by side, finds are in order and apart."""
    found = detect.find("".join(parts))
    assert all(one.end <= two.start for one, two in itertools.pairwise(found))
