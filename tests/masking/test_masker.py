"""Texts are masked and restored, whatever is in them, and what fails lets nothing out."""

from __future__ import annotations

import threading
import time
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import Masker, Vault, errors
from agentguard.detect import Found, Pattern
from tests.masking.texts import texts

VALUES = ["kim@example.com", "lee@example.org", "010-1234-5678", "02-312-4567", "203.0.113.77"]


class Finds:
    """A detector of one word, which can be told to fail."""

    def __init__(self, word: str, kind: str, error: type[Exception] | None = None) -> None:
        self.word = word
        self.kind = kind
        self.error = error

    def find(self, text):
        if self.error is not None:
            raise self.error(f"cannot read {text!r}")
        at = text.find(self.word)
        return [Found(at, at + len(self.word), self.kind, 1.0)] if at >= 0 else []


def test_texts_of_one_conversation_share_a_vault():
    """A vault that is handed on goes on with its numbers, and restores what came before."""
    masker = Masker()
    one, vault = masker.mask("kim@example.com")
    two, same = masker.mask("lee@example.org and kim@example.com", vault)
    assert (one, two) == ("<EMAIL_1>", "<EMAIL_2> and <EMAIL_1>")
    assert same is vault
    assert vault.restore("<EMAIL_1> <EMAIL_2>") == "kim@example.com lee@example.org"


def test_the_texts_of_a_request_are_numbered_together():
    """A placeholder in the last text is not given out in the first, and numbers do not change."""
    masker = Masker()
    masked, vault = masker.mask_all(["kim@example.com", "lee@example.org", "what is <EMAIL_1>?"])
    assert masked == ["<EMAIL_2>", "<EMAIL_3>", "what is <EMAIL_1>?"]
    assert (
        masker.mask_all(["kim@example.com", "lee@example.org", "what is <EMAIL_1>?"])[0] == masked
    )
    assert [vault.restore(each) for each in masked] == [
        "kim@example.com",
        "lee@example.org",
        "what is <EMAIL_1>?",
    ]


def test_a_conversation_sent_again_is_masked_the_same():
    """What a conversation has said keeps its placeholders when it is sent again, with more."""
    said = ["I am kim@example.com", "hello", "and lee@example.org"]
    first = Masker().mask_all(said[:1])[0]
    assert Masker().mask_all(said)[0][:1] == first
    assert Masker().mask_all([*said, "kim@example.com?"])[0][:3] == Masker().mask_all(said)[0]


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(
        st.one_of(texts, st.text(max_size=20), st.sampled_from(VALUES).map(" {} ".format)),
        max_size=8,
    )
)
def test_masking_and_restoring_gives_the_text_back(parts):
    """Whatever a text contains, placeholders or not, what was masked in it comes back exactly."""
    text = "".join(parts)
    masked, vault = Masker().mask(text)
    restored = vault.restore(masked)
    if restored != text:  # only where one value was written in two ways
        seen = Masker().finder().parts(text)
        values = [
            (each.type, part[each.start : each.end]) for part, found in seen for each in found
        ]
        assert len(set(values)) > sum(vault.counts.values())
    for value in VALUES:
        before, here, _ = text.partition(f" {value} ")
        unnamed = not any(each.isalpha() for each in before)  # "figure 1.2.3.4" is no address
        if here and unnamed and restored == text:
            assert f" {value} " not in masked or masked.count(value) < text.count(value)


@given(st.lists(st.sampled_from([*VALUES, "and", "로", "\n", ", ", "<EMAIL_1>"]), max_size=12))
def test_masking_twice_is_masking_once(words):
    """What is masked already is left alone, in the same vault and in another."""
    masked, vault = Masker().mask(" ".join(words))
    assert Masker().mask(masked, vault)[0] == masked
    assert Masker().mask(masked, Vault())[0] == masked


@pytest.mark.parametrize("strategy", ["redact", "partial", "hash"])
def test_masked_texts_are_left_alone_whatever_the_strategy(strategy):
    """Redacted, partial and hashed values are not taken for values."""
    masker = Masker(strategy=strategy, key="k" * 32 if strategy == "hash" else None)
    text = (
        f"password: {'a1B2' * 8} mail kim@example.com card 4111 1111 1111 1111 call 010-1234-5678"
    )
    masked, _ = masker.mask(text)
    assert masker.mask(masked)[0] == masked


def test_a_value_around_a_placeholder_is_restored_in_one_go():
    """A secret that a detector finds together with a placeholder comes back with both values."""
    masker = Masker(detectors=[Finds("admin:<EMAIL_1>", "login")])
    vault = Vault()
    vault.placeholder("email", "kim@example.com")
    masked, _ = masker.mask("use admin:<EMAIL_1> here", vault)
    assert masked == "use <LOGIN_1> here"
    assert vault.restore(masked) == "use admin:kim@example.com here"


def test_a_text_without_hits_is_the_same_object():
    """Nothing is copied, and nothing looked for, where there is nothing to mask."""
    text = "The quick brown fox. " * 100
    masked, vault = Masker().mask(text)
    assert masked is text
    assert vault.counts == {}


def test_only_some_types():
    """`entities` limits what is built in; one's own detectors and known values stay."""
    masker = Masker(
        {"email"}, detectors=[Pattern("badge", r"EMP-\d{4}")], known={"name": "Kim Minsu"}
    )
    masked, vault = masker.mask("kim minsu, EMP-1234, kim@example.com, 010-1234-5678")
    assert masked == "<NAME_1>, <BADGE_1>, <EMAIL_1>, 010-1234-5678"
    assert vault.counts == {"name": 1, "badge": 1, "email": 1}


def test_known_values_of_one_call():
    """A masker for one call knows more; the one that it was made of does not."""
    masker = Masker(known={"name": "Kim Minsu"})
    inner = masker.within([("name", "Lee Jiwoo"), ("address", "1 Main St")])
    text = "Kim Minsu and Lee Jiwoo live at 1 Main St."
    assert inner.mask(text)[0] == "<NAME_1> and <NAME_2> live at <ADDRESS_1>."
    assert masker.mask(text)[0] == "<NAME_1> and Lee Jiwoo live at 1 Main St."
    assert masker.within() is masker


def test_a_label_in_front_of_a_text():
    """The name of its field tells what a number is, and is no part of the masked text."""
    masker = Masker()
    number = "110-234-567890"
    assert masker.mask_all([number])[0] == [number]
    assert masker.mask_all([number], labels=["bank account number"])[0] == ["<BANK_ACCOUNT_1>"]
    text = "kim@example.com"
    assert masker.mask_all([text, "plain"], labels=["a field of lee@example.org", None])[0] == [
        "<EMAIL_1>",
        "plain",
    ]


def test_a_detector_that_fails_lets_nothing_through():
    """The text is refused, and neither the error nor its traceback quotes it."""
    masker = Masker(detectors=[Finds("x", "own", ValueError)])
    text = f"my number is {VALUES[2]}"
    with pytest.raises(errors.MaskingFailed) as failure:
        masker.mask(text)
    assert (failure.value.detector, failure.value.error) == ("the detector Finds", "ValueError")
    assert failure.value.__context__ is failure.value.__cause__ is None
    assert "5678" not in "".join(traceback.format_exception(failure.value))
    assert isinstance(failure.value, errors.InputRejected)


def test_with_on_error_the_others_still_mask():
    """Who is told of the failure goes without that detector, and with all others."""
    heard: list[errors.MaskingFailed] = []
    masker = Masker(detectors=[Finds("x", "own", ValueError), Finds("secret", "word")])
    masked, _ = masker.within(on_error=heard.append).mask("secret of kim@example.com")
    assert masked == "<WORD_1> of <EMAIL_1>"
    assert [each.error for each in heard] == ["ValueError"]
    assert "kim" not in repr(heard)


@pytest.mark.parametrize("open_", [False, True], ids=["closed", "open"])
def test_when_what_is_built_in_fails(monkeypatch, open_):
    """A failure of a built-in detector refuses the text, or lets it through whole when it may."""

    def broken(self, part):
        raise RuntimeError(part)

    monkeypatch.setattr("agentguard.detect.scan.Scan._search", broken)
    heard: list[errors.MaskingFailed] = []
    masker = Masker(on_error=heard.append if open_ else None)
    text = "kim@example.com and more"
    if open_:
        assert masker.mask(text)[0] == text
        assert [each.error for each in heard] == ["RuntimeError"]
    else:
        with pytest.raises(errors.MaskingFailed) as failure:
            masker.mask(text)
        assert failure.value.__context__ is None


@pytest.mark.parametrize(
    "found",
    [[(0, 3)], [None], 3, [("a", "b", "c", "d")], [(0, 99, "own", 1.0)], [(2, 1, "own", 1.0)]],
)
def test_a_detector_that_returns_nonsense(found):
    """What is no place in the text is refused as a failure, or passed over; nothing breaks."""

    class Odd:
        def find(self, text):
            return found

    try:
        masked, _ = Masker(detectors=[Odd()]).mask("to kim@example.com")
    except errors.MaskingFailed:
        return
    assert masked == "to <EMAIL_1>"


def test_one_masker_for_many_threads():
    """One masker serves threads at once, each with its own vault: nothing is shared."""
    masker, out = Masker(), {}

    def work(number):
        text = "\n".join(f"user{number}-{line}@example.com" for line in range(50))
        masked, vault = masker.mask(text)
        out[number] = (masked, vault.restore(masked) == text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = "\n".join(f"<EMAIL_{line}>" for line in range(1, 51))
    assert set(out.values()) == {(expected, True)}


def test_a_long_text_lets_other_threads_run(monkeypatch):
    """While a megabyte with values is masked, others get their turn many times."""
    turns = 0
    sleep = time.sleep

    def counted(seconds):
        nonlocal turns
        turns += 1
        sleep(seconds)

    monkeypatch.setattr("agentguard.detect.scan.time.sleep", counted)
    line = "an ordinary line of a chat, which has nothing in it to be found\n"
    text = (line * 100 + "kim@example.com\n") * (1_000_000 // (len(line) * 100))
    masked, vault = Masker().mask(text)
    assert turns >= 10
    assert vault.counts == {"email": 1}
    assert vault.restore(masked) == text


@pytest.mark.parametrize("wrong", [b"kim@example.com", 3, None, ["kim@example.com"]])
def test_only_texts_are_masked(wrong):
    """What is no text is refused, and not quoted."""
    with pytest.raises(TypeError, match="takes a text") as failure:
        Masker().mask(wrong)
    assert "kim" not in str(failure.value)
    with pytest.raises(TypeError, match="a list of texts"):
        Masker().mask_all("kim@example.com")
