"""Keys and tokens by the formats of their issuers."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard import detect
from agentguard.detect.checksums import crc_base62
from agentguard.detect.key_formats import KEY_FORMATS
from agentguard.detect.random_text import is_random
from tests.detect.drawn import drawn
from tests.detect.values import values

NAMES = [name for name, _ in KEY_FORMATS]
PLACES = [
    "{}",
    "키{}를 회전",
    "use `{}` now",
    '{{"key":"{}"}}',
    'json: "a\\n{}\\n"',
    "export KEY={}",
    "https://api.example.com/?q=1&token={}&x=1",
    "first {}, then",
]
ANY = {"api_key", "jwt", "url_credentials"}

NEGATIVES = [
    "sk-" + "x" * 40,
    "ghp_" + "x" * 36,
    "AKIA" + "X" * 16,
    "akiazzzzzzzzzzzzzzzz",
    "AKIA" + "IOSFODNN7" + "EXAMPLE",
    "xoxb-your-token-here",
    "xoxb tokens are bot tokens",
    "AIza" + "a" * 35,
    "AIzaSy" + "abcdefghijklmnopqrstuvwxyz1234567",
    "glpat-XXXXXXXXXXX-XXXXXXXX",
    "locale sk-SK, ko-KR",
    "risk-assessment-for-enterprise-customers-2024",
    "task-0123456789abcdef0123456789abcdef",
    "hf_requiredCharacteristicTypesForDisplayMetadata",
    "chatcmpl-9aBcDeFgHiJkLmNoPqRsTuVwXyZ12",
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    "toolu_01A09q90qw90lq917835lq9",
    "call_Hn3kjfa9AKD28ahsk2Lq81mN",
    "resp_67cb71b351908190a308f3859487620d06981a8637e6bc44",
    "cus_NffrFeUfNV2Hib",
    "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "req_011CSHoEeqs5C35K2UUqR7Fy",
    "thread_abc123XYZ / run_def456 / asst_ghi789",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "gpt-4o-mini-2024-07-18 and Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4",
    "550e8400-e29b-41d4-a716-446655440000",
    "sha512-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC",
    "h1:oPkhp1MJrh7nUepCBck5+mAzfO9JrbApNNgaTdGDITg=",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhf",
    'd="M513.748 43.3466C513.998 43.3466 514.179 43.1424 514.179 42.8929"',
    "https://docs.google.com/document/d/1W7KCxOxP-1Fy5EyF2lbJGE2WuKmu5v0suYqoHas1jRM",
]


def test_there_are_many_formats_each_named_once() -> None:
    """At least thirty issuers."""
    assert len(set(NAMES)) == len(NAMES) >= 30


@pytest.mark.parametrize(("name", "shape"), KEY_FORMATS, ids=NAMES)
def test_a_key_of_every_format_is_found(name: str, shape: str) -> None:
    """Drawn from its format, in every place, and the whole of it."""
    tried = 0
    for seed in range(40):
        key = drawn(shape, seed)
        if key[-1] in ".-_" or not is_random(key) or not re.search(r"[\w-]{18}", key):
            continue
        tried += 1
        for place in PLACES:
            found = values(place.format(key), *ANY)
            assert any(key[:-6] in value and len(value) <= len(key) + 1 for value in found), (
                name,
                key,
                place,
            )
        if tried == 3:
            break
    assert tried


@pytest.mark.parametrize("text", NEGATIVES)
def test_ids_models_hashes_and_placeholders_are_left_alone(text: str) -> None:
    """What has no issuer's format, or no randomness, is no key."""
    assert values(text) == []


@pytest.mark.parametrize("name", ["GitHub", "npm", "AWS key id", "Stripe", "Anthropic", "Google"])
def test_a_key_within_a_word_is_none(name: str) -> None:
    """A prefix counts only where a word begins."""
    key = drawn(dict(KEY_FORMATS)[name], 7)
    assert values("zz" + key, *ANY) == []


@given(st.text(alphabet="0123456789abcXYZ", min_size=30, max_size=30))
def test_the_checksum_of_a_token_makes_it_surer(body: str) -> None:
    """A wrong one does not let the token go."""
    number, digits = zlib.crc32(body.encode()), ""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    assert crc_base62(body, digits)
    if not is_random(body + digits):
        return
    (right,) = detect.find("ghp_" + body + digits)
    (wrong,) = detect.find("ghp_" + body + digits[::-1] + "0")
    assert right.confidence == 0.99
    assert wrong.confidence < right.confidence


@given(st.text(alphabet="sk-antghp_AKI0123xSG.:/= \n가", max_size=120))
def test_any_text(text: str) -> None:
    """No text makes it fail, and no find is empty."""
    assert all(values(text, "api_key"))


def test_every_format_is_documented() -> None:
    """The page names each issuer, with its source."""
    page = (Path(__file__).parents[2] / "docs" / "detect-secrets.md").read_text("utf-8")
    assert [name for name in NAMES if f"| {name} | " not in page] == []
