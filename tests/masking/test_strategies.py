"""What stands in a value's place, and how much of it is left."""

from __future__ import annotations

import pickle
import traceback

import pytest

from agentguard import Masker, errors

KEY = "k" * 32
TEXT = "Write to Kim@Example.com, 010-1234-5678로 call, card 4111 1111 1111 1111, kim@example.com"
CARD = "4111 1111 1111 1111"


def mask(strategy, text=TEXT, **settings):
    """The masked text and its vault."""
    return Masker(strategy=strategy, **settings).mask(text)


def test_replace_is_the_default():
    """Values are numbered by type, in the order of their first appearance."""
    masked, vault = Masker().mask(TEXT)
    assert masked == "Write to <EMAIL_1>, <PHONE_1>로 call, card <CREDIT_CARD_1>, <EMAIL_1>"
    assert vault.restore(masked) == TEXT.replace("kim@example.com", "Kim@Example.com")


def test_redact():
    """Only the type is left, and nothing can be restored."""
    masked, vault = mask("redact")
    assert masked == "Write to [EMAIL], [PHONE]로 call, card [CREDIT_CARD], [EMAIL]"
    assert vault.counts == {}
    assert vault.restore(masked) == masked


@pytest.mark.parametrize(
    ("kind", "value", "left"),
    [
        ("email", "kim@example.com", "k***@example.com"),
        ("email", "k@example.com", "***@example.com"),
        ("phone", "010-1234-5678", "***-****-5678"),
        ("phone", "123-4567", "***-****"),
        ("credit_card", "4111-1111-1111-1111", "****-****-****-1111"),
        ("iban", "DE89 3704 0044", "**** **** 0044"),
        ("bank_account", "110-234-567890", "***-***-**7890"),
        ("kr_brn", "123-45-67890", "***-**-*7890"),
        ("kr_rrn", "900101-1234567", "******-*******"),
        ("kr_frn", "900101-5234567", "******-*******"),
        ("us_ssn", "123-45-6789", "***-**-****"),
        ("kr_passport", "M12345678", "*********"),
        ("kr_driver_license", "11-12-345678-90", "**-**-******-**"),
        ("ip_address", "203.0.113.7", "203.0.*.*"),
        ("ip_address", "2001:db8::1", "********"),
        ("mac_address", "00:1B:44:11:3A:B7", "00:1B:44:**:**:**"),
        ("birth_date", "1990-01-02", "1990-**-**"),
        ("birth_date", "90/01/02", "********"),
        ("name", "김민수", "김**"),
        ("address", "1 Main St", "********"),
        ("api_key", "tok-" + "a1" * 20, "********"),
        ("jwt", "x.y.z", "********"),
        ("url_credentials", "kim:pass", "********"),
        ("employee_id", "EMP-1", "********"),
    ],
)
def test_partial_leaves_so_much(kind, value, left):
    """Of each type no more is left than is documented."""

    class Finds:
        def find(self, text):
            return [(0, len(value), kind, 1.0)]

    masked, vault = Masker({"jwt"}, "partial", detectors=[Finds()]).mask(value)
    assert masked == left
    assert vault.counts == {}


def test_hash_joins_across_calls_and_spellings():
    """With one key a value has one pseudonym everywhere; with another it has another."""
    masked, vault = mask("hash", key=KEY)
    first, *_, last = [word for word in masked.split() if word.startswith("<EMAIL:")]
    assert first.rstrip(",") == last
    assert len(last) == len("<EMAIL:>") + 16
    assert mask("hash", key=KEY.encode())[0] == masked
    assert mask("hash", key="other" * 8)[0] != masked
    assert vault.counts == {}


def test_hash_tells_types_apart():
    """The same digits as a phone and as an account number cannot be joined."""
    masker = Masker(strategy="hash", key=KEY, known=[("a", "x123456"), ("b", "y123456")])
    one, two = masker.mask("x123456 y123456")[0].split()
    assert one.partition(":")[2] != two.partition(":")[2]


@pytest.mark.parametrize("strategy", ["hash", {"email": "hash"}])
def test_hash_needs_a_key(strategy):
    """Without a key, or with a short one, it fails where it is written, and the key is not shown."""
    with pytest.raises(TypeError, match="needs key="):
        Masker(strategy=strategy)
    with pytest.raises(ValueError, match="at least 16") as failure:
        Masker(strategy=strategy, key="hunter2")
    assert "hunter2" not in str(failure.value)
    assert KEY not in repr(Masker(strategy=strategy, key=KEY))


def test_block_names_types_and_places():
    """Nothing is let through; the findings tell where and what, and quote nothing."""
    with pytest.raises(errors.InputRejected) as failure:
        Masker(strategy="block").mask_all(["fine", TEXT], where=["messages[0]", "messages[1]"])
    findings = failure.value.findings
    assert [(each.rule, each.where) for each in findings] == [
        ("email", "messages[1]"),
        ("phone", "messages[1]"),
        ("credit_card", "messages[1]"),
        ("email", "messages[1]"),
    ]
    assert [TEXT[each.start : each.end] for each in findings][:3] == [
        "Kim@Example.com",
        "010-1234-5678",
        CARD,
    ]
    again = pickle.loads(pickle.dumps(failure.value))
    for shown in (str(failure.value), repr(failure.value), repr(findings), repr(again)):
        assert not any(value in shown for value in ("Kim", "5678", "1111"))


def test_strategies_by_type():
    """A dict gives types their own; those it leaves out are replaced."""
    strategy = {"credit_card": "partial", "phone": lambda value, kind: f"({kind} of {len(value)})"}
    masked, vault = mask(strategy)
    assert masked == (
        "Write to <EMAIL_1>, (phone of 13)로 call, card **** **** **** 1111, <EMAIL_1>"
    )
    assert vault.counts == {"email": 1}


def test_block_for_one_type_only():
    """A type that is blocked stops the text; without it the others are masked."""
    masker = Masker(strategy={"credit_card": "block"})
    with pytest.raises(errors.InputRejected, match="credit_card"):
        masker.mask(TEXT)
    assert masker.mask("kim@example.com")[0] == "<EMAIL_1>"


@pytest.mark.parametrize(
    "strategy", [lambda value, kind: {}[value], lambda value, kind: None], ids=["raises", "no text"]
)
def test_a_function_that_fails(strategy):
    """The error names its class; neither it nor its traceback has the value."""
    with pytest.raises(errors.MaskingFailed) as failure:
        mask(strategy)
    assert failure.value.error in {"KeyError", "TypeError"}
    assert failure.value.__context__ is None
    shown = "".join(traceback.format_exception(failure.value))
    assert "Kim@" not in shown


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"strategy": "star"}, ValueError, '"replace"'),
        ({"strategy": None}, ValueError, "NoneType"),
        ({"strategy": {"email": "mask"}}, ValueError, '"redact"'),
        ({"entities": {"e-mail"}}, ValueError, "email"),
        ({"entities": "email"}, TypeError, "set of types"),
        ({"detectors": [dict]}, TypeError, "find"),
        ({"detectors": [3]}, TypeError, "int"),
        ({"known": "Lee Jiwoo"}, TypeError, "dict"),
        ({"strategy": {"e-mail": "redact"}}, ValueError, '"email"'),
        ({"known": {"name": 3}}, TypeError, "int"),
        ({"key": 3, "strategy": "hash"}, TypeError, "int"),
    ],
)
def test_bad_arguments_say_what_to_write(settings, error, words):
    """A wrong argument fails where it is written, and is answered with what to write instead."""
    with pytest.raises(error, match=words) as failure:
        Masker(**settings)
    assert "Lee" not in str(failure.value)


async def _later(value, kind):
    return value


def test_a_function_must_not_be_async():
    """A coroutine in a value's place would be no text."""
    with pytest.raises(TypeError, match="async"):
        Masker(strategy=_later)
