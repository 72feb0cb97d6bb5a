"""What a model makes up is masked in its answer, what the user gave is restored, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import Masker, Vault, errors
from agentguard.masking.answers import Masking
from agentguard.masking.restoring import Restoring
from tests.masking.texts import cuts, pieces_of, places


def request() -> Vault:
    """The vault of a request with one e-mail address and one phone number."""
    return Masker().mask("I am kim@example.com, 010-1234-5678")[1]


def answered(pieces, vault: Vault | None = None) -> str:
    """An answer as its reader gets it: masked, then restored."""
    vault = request() if vault is None else vault
    masking, restoring = Masking(Masker(), vault), Restoring(vault)
    out = [restoring.feed(masking.feed(piece)) for piece in pieces]
    return "".join([*out, restoring.feed(masking.flush()), restoring.flush()])


ANSWER = (
    "Dear <EMAIL_1>, write to lee@example.org or kim@example.com, or call 010-9999-8888로. "
    "Your number <PHONE_1> is noted.\nAgain: lee@example.org, Kim@Example.com and <EMAIL_2>."
)
READ = (
    "Dear kim@example.com, write to <EMAIL_2> or kim@example.com, or call <PHONE_2>로. "
    "Your number 010-1234-5678 is noted.\nAgain: <EMAIL_2>, Kim@Example.com and <EMAIL_2>."
)


def test_what_is_made_up_is_masked_and_what_was_masked_is_restored():
    """The user's own values come back; those of others get placeholders that stand for nothing."""
    vault = request()
    assert answered([ANSWER], vault) == READ
    assert vault.restore(READ) == READ
    assert vault.counts == {"email": 1, "phone": 1}


def test_by_letters():
    """Letter by letter the same comes out."""
    assert answered(ANSWER) == READ


@settings(max_examples=100, deadline=None)
@given(places)
def test_in_any_pieces(at):
    """In any pieces the same comes out."""
    assert answered(pieces_of(ANSWER, at)) == READ


WORDS = [
    *(
        "<EMAIL_1>",
        "lee@example.org",
        "kim@example.com",
        "010-9999-8888",
        "<PHONE_1>로",
        "and",
        "or",
    ),
    *(
        "4111 1111 1111 1111",
        "\n",
        "010",
        "9999",
        "8888",
        "@",
        "example.org",
        "<EMAIL_2>",
        "EMAIL_1",
    ),
]


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.sampled_from(WORDS), max_size=25),
    at=places,
    glue=st.sampled_from([" ", "", ", "]),
)
def test_any_answer_in_any_pieces(words, at, glue):
    """Whatever an answer is made of, it comes out the same by letters, in pieces and whole."""
    answer = glue.join(words)
    assert answered(answer) == answered(pieces_of(answer, at)) == answered([answer])


@pytest.mark.parametrize("answer", ["a@b.co\n<x>", "a@b.co 1 x", "x a@b.co\ny"])
def test_every_cut_of_a_short_answer(answer):
    """Whichever way a short answer is cut, the same comes out, and what was made up does not."""
    expected = answered([answer])
    assert "a@b.co" not in expected
    for pieces in cuts(answer):
        assert answered(pieces) == expected, pieces


def test_text_goes_out_before_the_end():
    """Ordinary text goes out while the answer arrives."""
    step = Masking(Masker(), Vault())
    out = "".join(
        map(step.feed, ["This is an ", "ordinary answer that ", "goes on and on ", "for long"])
    )
    assert out.startswith("This is an ordinary answer")


def test_block_ends_the_answer():
    """With the strategy "block" the answer is refused; its findings quote nothing."""
    step = Masking(Masker(strategy={"phone": "block"}), request())
    assert step.feed("first line with lee@example.org\n") == "first line with <EMAIL_2>\n"
    with pytest.raises(errors.OutputRejected) as failure:
        step.feed("call 010-9999-8888 now\nand then\n")
    (finding,) = failure.value.findings
    assert (finding.rule, finding.start, finding.end) == ("phone", 37, 50)
    assert "9999" not in str(failure.value)


def test_the_users_own_value_is_not_blocked():
    """What the user has given, and the vault would restore, is let through."""
    vault = request()
    step = Masking(Masker(strategy={"phone": "block"}), vault)
    assert step.feed("call 010-1234-5678 or 010 1234 5678 now\n") + step.flush() == (
        "call 010-1234-5678 or 010 1234 5678 now\n"
    )


@pytest.mark.parametrize(
    ("strategy", "shown"), [("redact", "[EMAIL]"), ("partial", "l***@example.org")]
)
def test_other_strategies(strategy, shown):
    """What is made up is masked as everything is, and placeholders are restored all the same."""
    vault = request()
    masking, restoring = Masking(Masker(strategy=strategy), vault), Restoring(vault)
    text = masking.feed("<EMAIL_1> and lee@example.org\n") + masking.flush()
    assert restoring.feed(text) + restoring.flush() == f"kim@example.com and {shown}\n"


def test_a_failing_detector_ends_the_answer():
    """When a detector fails nothing more goes out, or all does where that was asked for."""

    class Fails:
        def find(self, text):
            if "bad" in text:
                raise ValueError(text)
            return []

    step = Masking(Masker(detectors=[Fails()]), Vault())
    assert step.feed("good\n") == "good\n"
    with pytest.raises(errors.MaskingFailed):
        step.feed("bad\n")
    heard = []
    step = Masking(Masker(detectors=[Fails()], on_error=heard.append), Vault())
    assert step.feed("good\nbad a@b.example\n") == "good\nbad <EMAIL_1>\n"
    assert len(heard) == 1
