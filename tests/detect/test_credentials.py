"""Passwords in addresses, tokens of JSON, private keys."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detect.drawn import drawn
from tests.detect.values import values

SCHEMES = [
    "https",
    "postgres",
    "postgresql+asyncpg",
    "mongodb+srv",
    "redis",
    "amqps",
    "mysql",
    "ftp",
]
ARMOURS = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]
ARMOURS += ["OPENSSH PRIVATE KEY", "DSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]


def encoded(fields: object) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


HEADER = encoded({"alg": "HS256", "typ": "JWT"})
SIGNED = f"{HEADER}.{encoded({'sub': '1', 'iat': 1})}.{drawn('[A-Za-z0-9_-]{42}x', 1)}"
SEALED = ".".join(
    [
        encoded({"alg": "RSA-OAEP", "enc": "A256GCM"}),
        *(drawn("[A-Za-z0-9_-]{30}x", n) for n in range(4)),
    ]
)


def armoured(kind: str, lines: int = 6) -> str:
    """A key that opens nothing."""
    body = "\n".join(drawn("[A-Za-z0-9+/]{64}", seed) for seed in range(lines))
    return f"-----BEGIN {kind}-----\n{body}\nabcd==\n-----END {kind}-----"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "pair",
    ["app:s3cr3t", "guest:guest", "svc:A1IMcT.", "u%40x:p%C3ss$Word!", "root:p@ss", "a-b_c:x~y*z"],
)
@pytest.mark.parametrize(
    "text", ["{}", "DB_URL={}", '{{"url":"{}"}}', "접속은 {}로 하세요", "`{}`"]
)
def test_the_pair_in_an_address_is_found(scheme: str, pair: str, text: str) -> None:
    """Name and password, whatever the scheme."""
    address = f"{scheme}://{pair}@db.example.com:5432/x"
    assert values(text.format(address)) == [pair]


def test_the_pair_of_a_data_source_of_go() -> None:
    """Which has no scheme."""
    assert values('dsn := "app:s3cr3t@tcp(db:3306)/x"') == ["app:s3cr3t"]
    assert values("${USER}:${PASS}@tcp(db:3306)/x") == []


def test_a_password_without_a_name() -> None:
    """As Redis has it: only the password."""
    assert values("redis://:hunter2@cache:6379/0") == ["hunter2"]


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a:b@c",
        "https://example.com:8080/@jane",
        "postgres://${USER}:${PASS}@host/db",
        "postgres://user:{password}@host/db",
        "postgres://user:$PASS@host/db",
        "https://user:****@host/",
        "://a:b@c",
        "git@github.com:org/repo.git",
        "ssh://git@github.com/org/repo",
        "http://host:80@",
    ],
)
def test_addresses_without_a_pair_are_left_alone(text: str) -> None:
    """Ports, paths, templates and users without a password."""
    assert values(text, "url_credentials", "email") == []


@pytest.mark.parametrize("token", [SIGNED, SEALED, f"{HEADER}.{encoded({'sub': 1})}."])
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "Bearer {}",
        "TOKEN={}",
        '{{"jwt":"{}"}}',
        "토큰 {}를 보내",
        "sid={}; HttpOnly",
        "?t={}&x=1",
    ],
)
def test_a_json_web_token_is_found(token: str, text: str) -> None:
    """Signed, encrypted, and unsigned."""
    assert values(text.format(token)) == [token]


@pytest.mark.parametrize(
    "text",
    [
        HEADER,
        f"{HEADER}.{HEADER}",
        encoded({"sub": "1"}) + "." + encoded({"a": 1}) + ".abc",
        "eyJhbGciOi.eyJhbGciOi.abc",
        "x" + SIGNED,
        "eyJ" * 30,
    ],
)
def test_other_json_is_no_token(text: str) -> None:
    """The header has to name an algorithm, and the parts to be there."""
    assert values(text, "jwt") == []


@pytest.mark.parametrize("kind", ARMOURS)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\\n", "\\\\n", "\\r\\n", "\n    ", "\n> "])
def test_a_private_key_is_found_whole(kind: str, ends: str) -> None:
    """On lines of its own, indented, quoted, and with its line ends escaped."""
    key = armoured(kind).replace("\n", ends)
    assert values(f"여기 키:{ends}{key}{ends}끝") == [key]


def test_a_private_key_within_json() -> None:
    """As service accounts carry it, and as an argument of a tool call does."""
    key = armoured("PRIVATE KEY")
    for text in (json.dumps({"private_key": key}), json.dumps(json.dumps({"private_key": key}))):
        (found,) = values(text, "private_key")
        assert found.startswith("-----BEGIN")
        assert found.endswith("PRIVATE KEY-----")


def test_a_private_key_with_headers() -> None:
    """Encrypted PEM and PGP say how, before the key."""
    key = armoured("RSA PRIVATE KEY").replace(
        "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n", 1
    )
    assert values(key) == [key]


def test_a_private_key_that_was_cut_off() -> None:
    """What there is of it, and nothing of the sentence that follows."""
    key = armoured("EC PRIVATE KEY").rpartition("\nabcd")[0]
    assert values(f"{key}\nand so on, it said.", "private_key") == [key]


@pytest.mark.parametrize(
    "text",
    [
        armoured("PUBLIC KEY"),
        armoured("CERTIFICATE"),
        armoured("PGP PUBLIC KEY BLOCK"),
        "-----BEGIN PRIVATE KEY-----\nanything\n-----END PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY----------END OPENSSH PRIVATE KEY-----",
        "the line -----BEGIN RSA PRIVATE KEY----- opens it",
    ],
)
def test_public_keys_and_headers_are_left_alone(text: str) -> None:
    """A header alone is no key."""
    assert values(text, "private_key") == []


@given(st.text(alphabet="-BEGIN PRVATKY\nA+/=a1\\n", max_size=200))
def test_any_armour(text: str) -> None:
    """No text makes it fail."""
    values("-----BEGIN PRIVATE KEY-----" + text, "private_key")


@given(st.text(alphabet="eyJhbGciOi._-=", max_size=120))
def test_any_token(text: str) -> None:
    """No text makes it fail."""
    values(text, "jwt")


@given(st.text(alphabet="a1:/@.%$ \n", max_size=80))
def test_any_address(text: str) -> None:
    """A pair is in one piece, and an at sign follows."""
    whole = "http://" + text
    for value in values(whole, "url_credentials"):
        assert value + "@" in whole
        assert not set(value) & set(" \n/")
