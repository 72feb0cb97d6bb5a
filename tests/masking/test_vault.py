"""A vault gives each value one placeholder, and gives nothing away."""

from __future__ import annotations

import copy
import pickle
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import Vault
from agentguard.masking.alike import alike
from tests.masking.texts import texts, vault_with


@pytest.mark.parametrize(
    ("kind", "first", "again"),
    [
        ("email", "Kim@Example.com", "kim@example.COM"),
        ("email", "kim@example.com", "\uff4b\uff49\uff4d@example.com"),
        ("email", "kim@example.com", "k\u200bim@example.com"),
        ("phone", "010-1234-5678", "+82 10 1234 5678"),
        ("phone", "010-1234-5678", "+82 (0)10-1234-5678"),
        ("phone", "010-1234-5678", "\uff10\uff11\uff10.1234.5678"),
        ("credit_card", "4111 1111 1111 1111", "4111111111111111"),
        ("iban", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        ("mac_address", "00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"),
        ("name", "김민수", "김 민수"),
        ("name", "Kim Minsu", "KIM  MINSU"),
        ("address", "1 Main St., Springfield", "1 main st\nspringfield"),
    ],
)
def test_spellings_of_one_value_share_a_placeholder(kind, first, again):
    """Another spelling of a value gets its placeholder, and is restored as it was first written."""
    vault = Vault()
    assert vault.placeholder(kind, first) == vault.placeholder(kind, again)
    assert vault.restore(vault.placeholder(kind, again)) == first
    assert vault.counts == {kind: 1}


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "kim@example.com", "kim@example.co"),
        ("phone", "010-1234-5678", "011-1234-5678"),
        ("phone", "02-820-1234", "0820-1234"),
        ("api_key", "tok-AbCd", "tok-aBcD"),
        ("crypto", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1boatslrhtknngkdxeeobr76b53letTpyt"),
        ("employee_id", "EMP-1", "emp-1"),
    ],
)
def test_different_values_do_not(kind, one, other):
    """Values that differ in what matters have placeholders of their own."""
    vault = Vault()
    assert vault.placeholder(kind, one) == f"<{kind.upper()}_1>"
    assert vault.placeholder(kind, other) == f"<{kind.upper()}_2>"


@given(st.text(max_size=30), st.sampled_from(["email", "phone", "name", "api_key", "own"]))
def test_alike_is_alike_itself(value, kind):
    """What spellings share is the same for what they share."""
    assert alike(kind, alike(kind, value)) == alike(kind, value)


@pytest.mark.parametrize(
    "mention",
    [
        "<EMAIL_1>",
        "email: [Email 1]",
        "EMAIL_1",
        "&lt;email_1&gt;",
        "\\u003cEMAIL_1\\u003e",
        "EMAIL_1로",
    ],
)
def test_placeholders_that_a_text_contains_are_not_given_out(mention):
    """In whatever spelling a text contains a placeholder, it is skipped."""
    vault = Vault()
    vault.reserve(["nothing", mention])
    assert vault.placeholder("email", "kim@example.com") == "<EMAIL_2>"
    assert vault.restore(mention) == mention


def test_words_and_numbers_are_no_placeholders():
    """`Email 1:` as a heading takes no number away."""
    vault = Vault()
    vault.reserve(["Email 1: Phone 2, email_1, MY_EMAIL_1"])
    assert vault.placeholder("email", "kim@example.com") == "<EMAIL_1>"


@pytest.mark.parametrize("at", [*range(65_520, 65_540), 131_066])
def test_a_mention_anywhere_in_a_long_text(at):
    """A mention is found wherever it stands in a long text."""
    vault = Vault()
    vault.reserve(["x" * (at - 1) + " <EMAIL_1> " + "y" * 70_000])
    assert vault.placeholder("email", "kim@example.com") == "<EMAIL_2>"


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_no_reserved_text_is_changed_by_restoring(text):
    """A text that was reserved before anything was masked comes back as it is."""
    vault = Vault()
    vault.reserve([text], ["email", "ipv4"])
    for number in range(12):
        vault.placeholder("email", f"value {number}")
    vault.placeholder("ipv4", "another")
    assert vault.restore(text) == text


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("EMAIL_ADDRESS", "<EMAIL_ADDRESS_1>"),
        ("employee no.", "<EMPLOYEE_NO_1>"),
        ("사번", "<VALUE_1>"),
        ("2fa", "<VALUE_2FA_1>"),
        ("", "<VALUE_1>"),
        ("a" * 90, f"<{'A' * 40}_1>"),
        ("ipv4", "<IPV4_1>"),
    ],
)
def test_any_type_makes_a_placeholder(kind, shown):
    """Whatever a user's detector calls its type, the placeholder is plain ASCII and is restored."""
    vault = Vault()
    assert vault.placeholder(kind, "the value") == shown
    assert vault.restore(f"it is {shown}.") == "it is the value."


def test_types_that_look_alike_do_not_share_numbers():
    """Two types whose names come out the same in a placeholder have different numbers."""
    vault = Vault()
    assert vault.placeholder("사번", "one") != vault.placeholder("부서", "one")


def test_types_that_end_in_a_digit():
    """The twelfth of `a` is not taken for the second of `a1`."""
    vault = vault_with(a=12, a1=2)
    assert vault.restore("<A12> <A1_2> <A_12> <A1 2>") == "(a no 12) (a1 no 2) (a no 12) (a1 no 2)"


def test_what_is_withheld_is_never_restored():
    """A withheld value has a number of its own, and only becomes known when a request has it."""
    vault = vault_with(email=1)
    shown = vault.placeholder("email", "other@example.com", withheld=True)
    assert shown == "<EMAIL_2>"
    assert vault.restore(shown) == shown
    assert vault.counts == {"email": 1}
    assert not vault.holds("email", "other@example.com")
    assert vault.placeholder("email", "Other@example.com") == shown
    assert vault.restore(shown) == "Other@example.com"
    assert vault.holds("email", "OTHER@example.com")


def test_it_gives_nothing_away():
    """Neither repr, str, format, pickling, copying nor its dictionary shows a value."""
    vault = Vault()
    vault.placeholder("email", "kim@example.com")
    vault.placeholder("phone", "010-1234-5678")
    assert f"{vault} {vault!r} {vars(type(vault))['__doc__'] is None}" == (
        "Vault(email=1, phone=1) Vault(email=1, phone=1) False"
    )
    assert not hasattr(vault, "__dict__")
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds personal data") as failure:
            leave(vault)
        assert "kim" not in str(failure.value)


def test_threads_agree_on_one_placeholder():
    """Many threads at once give each value one number, and leave none out."""
    vault, seen = Vault(), [{} for _ in range(16)]
    start = threading.Barrier(16)

    def work(mine, shift):
        start.wait()
        for turn in range(200):
            value = f"user{(turn * 7 + shift) % 50}@example.com"
            mine[value] = vault.placeholder("email", value)
            assert vault.restore(mine[value]) == value

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(mine, at)) for at, mine in enumerate(seen)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(mine == seen[0] for mine in seen)
    assert sorted(seen[0].values()) == sorted(f"<EMAIL_{number}>" for number in range(1, 51))
