"""The sieve shows the detectors every line that holds something, with google-re2 and without it."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentguard.detect import sieve
from agentguard.detect.builtin import finders
from agentguard.detect.scan import resolved, rules_out
from agentguard.detect.view import view
from benchmarks.pii import corpus

QUIET = "The rest of the afternoon went by as it does. 오늘은 별일 없이 지나갔어요.\n" * 12
ENGINES = ["re", "re2"] if find_spec("re2") else ["re"]
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    """Sieve with the standard library alone, then with google-re2."""
    if request.param == "re":
        monkeypatch.setitem(sys.modules, "re2", None)
    sieve._signs.cache_clear()
    yield request.param
    sieve._signs.cache_clear()


def shown(text: str) -> str:
    """Return the text in which the lines that are not shown are emptied, place by place."""
    kept = [" "] * len(text)
    for low, high in sieve.stretches(text):
        kept[low:high] = text[low:high]
    return "".join(kept)


def missed(text: str) -> list[str]:
    """Return the types of what is found in the whole but does not lie in a line that is shown."""
    seen = view(text)
    lines = sieve.stretches(text)
    found = resolved(each for find in finders() for each in find(seen.text))
    spans = [(each.type, *seen.span(each.start, each.end)) for each in found]
    return [
        kind
        for kind, start, end in spans
        if not any(low <= start and end <= high for low, high in lines)
    ]


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_every_value_of_the_corpus_lies_in_a_line_that_is_shown(engine, split):
    """Whatever the detectors find in a text of the corpus, the sieve shows it, amid quiet lines."""
    for record in corpus.load(split):
        assert not missed(QUIET + record["text"] + "\n" + QUIET), record["id"]


def test_quiet_lines_are_not_shown(engine):
    """Chat without a sign costs the detectors nothing; a day is none."""
    assert sieve.stretches(QUIET + "paid on 2026-03-02, thanks.\n" + QUIET) == []


def test_short_texts_are_sieved_too(engine):
    """Most have no sign of anything; one that has is shown."""
    assert sieve.stretches("jane") == []
    assert sieve.stretches("jane@example.com") == [(0, 16)]


def test_open_private_keys_are_shown_whole(engine):
    """A key spans lines, some of which look like words."""
    text = QUIET + "-----BEGIN " + "PRIVATE KEY-----\nabc\n" + QUIET
    assert sieve.stretches(text) == [(0, len(text))]


def test_the_line_behind_a_name_is_shown(engine):
    """A password may stand below its label."""
    text = f"{QUIET}password:\n'Tr0ub4dor'\n{QUIET}"
    assert "Tr0ub4dor" in shown(text)


PIECES = st.lists(
    st.sampled_from(
        [
            "010-1234-5678",
            "010-1234-5678".translate(WIDE),
            "0\u200b10-1234-5678",
            "jane@example.com",
            "2026-03-02",
            "2026-03-02 10:30",
            "2026.03.02",
            "110-2026-03-0212",
            "10.20.30.40",
            "fe80::1ff:fe23:4567:890a",
            "0a:5d:0e:36:b3:1e",
            "GB29 NWBK 6016 1331 9268 19",
            "4111 1111 1111 1111",
            "born 3 March 1990",
            "생년월일 1990년 3월 3일",
            "여권 M123A4567",
            "비밀번호는 hunter2!x",
            "password=hunter2!x",
            "\\u0030\\u0031\\u0030-1234-5678",
            "word",
            "단어",
            "é",
            "\n",
            "\n",
            " ",
            ",",
        ]
    ),
    max_size=40,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=PIECES)
def test_whatever_stands_around_a_value_it_is_shown(engine, pieces):
    """Values in any company, hidden or not, lie in lines that are shown."""
    assert not missed(QUIET + " ".join(pieces) + "\n" + QUIET)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(PIECES.map(" ".join), max_size=5), quiet=st.sampled_from([0, 60, 70]))
def test_texts_that_are_ruled_out_together_hold_nothing(engine, texts, quiet):
    """One look at several texts, or at each of long ones, hides none that has a line to be shown."""
    texts = [*texts, QUIET * quiet]
    assert not (rules_out(texts) and any(map(sieve.stretches, texts)))


def test_quiet_texts_are_ruled_out_together(engine):
    """Messages without a sign are not looked through by detectors, however many there are."""
    assert rules_out([QUIET, "jane", ""])
    assert rules_out([QUIET] * 200)
    assert not rules_out([QUIET, "jane@example.com"])
    assert not rules_out([QUIET] * 200 + ["jane@example.com"])
