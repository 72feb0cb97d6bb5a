"""What a model returns is restored, in whatever spelling and however it is cut."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import example, given, settings

from agentguard import Vault
from agentguard.masking.placeholder import canonical, spelled
from agentguard.masking.restoring import Restoring
from tests.masking.texts import cuts, pieces_of, places, texts, through, vault_with

ONE, TWO, TWELVE = "(email no 1)", "(email no 2)", "(email no 12)"


@pytest.mark.parametrize(
    "spelled",
    [
        *("<EMAIL_1>", "<email_1>", "<Email_1>", "<EMAIL 1>", "<Email 1>", "<EMAIL-1>", "<EMAIL1>"),
        *("< EMAIL_1 >", "<EMAIL_1 >", "<\xa0EMAIL\xa01>", "<EMAIL\\_1>", "<EMAIL\\\\_1>"),
        *("\\<EMAIL_1\\>", "\\<EMAIL\\_1\\>", "&lt;EMAIL_1&gt;", "&LT;email_1&GT;"),
        *("&#60;EMAIL_1&#62;", "&#x3c;EMAIL_1&#x3e;", "&#x3C;EMAIL_1&#x3E;"),
        *("%3CEMAIL_1%3E", "%3cemail_1%3e", "\\u003cEMAIL_1>", "&lt;EMAIL_1>"),
        *("\\u003cEMAIL_1\\u003e", "\\u003CEMAIL_1\\u003E", "EMAIL_1", "EMAIL\\_1"),
        *("[EMAIL_1]", "[email_1]", "[Email 1]", "\uff1cEMAIL_1\uff1e", "\u3008EMAIL_1\u3009"),
        *("\u27e8EMAIL_1\u27e9", "\uff3bEMAIL_1\uff3d"),
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "to {}.", "{}로 보냈다", "**{}**", "`{}`", '"{}"', "({})"]
)
def test_every_spelling(spelled, around):
    """A placeholder is restored in each spelling that models give it, whatever stands around it."""
    vault = vault_with(email=12)
    assert vault.restore(around.format(spelled)) == around.format(ONE)
    assert through(Restoring(vault), around.format(spelled)) == around.format(ONE)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "<EMAIL_13>",
            "<EMAIL_0>",
            "<EMAIL_01>",
            "<EMAIL_123>",
            "<PHONE_1>",
            "EMAIL_13",
            "<EMAIL>",
        ),
        *("email_1 = 3", "$EMAIL_1", "XEMAIL_1", "EMAIL_1X", "EMAIL_1_2", "MY_EMAIL_1", "EMAIL 1"),
        *(
            "users[email_1]",
            "f()[email_1]",
            "[email 1](x)",
            "<EMAIL_1_>",
            "<EMAIL__1>",
            "<EMAIL_ 1>",
        ),
        *("<<>>", "Email 1: ask", "&lt;", "\\u003c", "<a href='x'>", "if a <b and c> d", ""),
    ],
)
def test_what_is_no_placeholder_stays(text):
    """Unknown numbers, variables and markup stay as they are."""
    vault = vault_with(email=12)
    assert vault.restore(text) == text
    assert through(Restoring(vault), text) == text


def test_a_number_within_a_longer_one():
    """The first placeholder is not seen in the twelfth, nor the twelfth in one that is unknown."""
    vault = vault_with(email=12)
    assert vault.restore("<EMAIL_12> <EMAIL_1>2 <EMAIL_123> EMAIL_12") == (
        f"{TWELVE} {ONE}2 <EMAIL_123> {TWELVE}"
    )


def test_markdown_links():
    """A link whose text is a placeholder keeps the brackets that make it one."""
    vault = vault_with(email=1)
    assert vault.restore("[EMAIL_1](mailto:EMAIL_1)") == f"[{ONE}](mailto:{ONE})"
    assert vault.restore("[<EMAIL_1>](mailto:<EMAIL_1>)") == f"[{ONE}](mailto:{ONE})"


def test_restored_values_are_not_read_again():
    """A value that looks like a placeholder brings no other value out."""
    vault = Vault()
    vault.placeholder("name", "<EMAIL_1>")
    vault.placeholder("email", "kim@example.com")
    assert vault.restore("<NAME_1>") == "<EMAIL_1>"


@pytest.mark.parametrize(
    "text",
    [
        *("a<EMAIL_1>b", "<EMAIL_12>", "EMAIL_1 x", "[EMAIL_1](", "&lt;EMAIL_1", "<EMAIL_1&gt"),
        *("\\<EMAIL_1\\>", "<<EMAIL_1>>", "E EMAIL_1", "<EMAIL_13>", "a[EMAIL_1]", "<EM<EMAIL_2>"),
        *("\uff1cemail 2\uff1e!", "<EMAIL\\_1>", "x EMAIL_122", "[EMAIL_1][1]"),
    ],
)
def test_every_cut_of_a_short_text(text):
    """However a short text is cut, the same comes out as in one piece, and is counted the same."""
    vault = vault_with(email=12, ipv4=1)
    whole = Restoring(vault)
    expected = through(whole, [text])
    for pieces in cuts(text):
        step = Restoring(vault)
        assert through(step, pieces) == expected, pieces
        assert step.unknown == whole.unknown, pieces


@settings(max_examples=600, deadline=None)
@given(text=texts, places=places)
@example(text="\\u003EMAIL_1", places=[])
@example(text="x[EMAIL_122", places=[])
@example(text="<EMAIL_1 EMAIL_1>", places=[9])
@example(text="[EMAIL_1 EMAIL_1", places=[9])
def test_any_cut_of_a_hard_text(text, places):
    """The same for texts full of what is nearly a placeholder, by letters and by random pieces."""
    vault = vault_with(email=12, ipv4=1)
    whole, letters, pieces = Restoring(vault), Restoring(vault), Restoring(vault)
    expected = through(whole, [text])
    assert through(letters, text) == expected
    assert through(pieces, pieces_of(text, places)) == expected
    assert whole.unknown == letters.unknown == pieces.unknown


PAIRS = [
    *(("%3c", "%3e"), ("&lt;", ">"), ("\\u003c", ">")),
    *(("<", ">"), ("&lt;", "&gt;"), ("&#60;", "&#62;"), ("&#x3c;", "&#x3e;"), ("\\<", "\\>")),
    *(("\\u003c", "\\u003e"), ("\uff1c", "\uff1e"), ("\u3008", "\u3009"), ("\u27e8", "\u27e9")),
    *(("\uff3b", "\uff3d"), ("[", "]")),
]
ALL = [
    f"{opening}{space}{kind}{gap}{number}{end}{closing}"
    for opening, closing in PAIRS
    for space in ("", " ", "\xa0")
    for kind, gaps in (
        ("email", ("_", "\\_", "\\\\_", " ", "-", "\xa0", "")),
        ("ipv4", ("_", "\\_", "\\\\_", " ", "-", "\xa0")),
    )
    for gap in gaps
    for number in ((1, 2, 12) if kind == "email" else (1,))
    for end in ("", " ", "\xa0")
]
BARE = [
    f"{kind}{gap}_{number}"
    for kind, number in (("EMAIL", 1), ("EMAIL", 2), ("EMAIL", 12), ("IPV4", 1))
    for gap in ("", "\\", "\\\\")
]
BEGINNINGS = {spelled[:size] for spelled in ALL for size in range(1, len(spelled) + 1)}
BARE_BEGINNINGS = {spelled[:size] for spelled in BARE for size in range(1, len(spelled) + 1)}


@settings(max_examples=400, deadline=None)
@given(text=texts)
def test_nothing_more_is_held_back_than_what_may_become_a_placeholder(text):
    """What is held back is the beginning of a placeholder that is known, in one of its spellings."""
    vault = Vault()
    vault.reserve([f"<EMAIL_{number}>" for number in range(3, 12)])
    for number in (1, 2, 12):
        assert vault.placeholder("email", f"value {number}") == f"<EMAIL_{number}>"
    vault.placeholder("ipv4", "another")
    step = Restoring(vault)
    for letter in text:
        step.feed(letter)
        held = step._held
        assert not held or held.lower() in BEGINNINGS or held in BARE_BEGINNINGS, held


def test_all_spellings_are_restored_in_pieces():
    """Each of the spellings, of which there are thousands, is restored letter by letter."""
    vault = vault_with(email=12, ipv4=1)
    for each in ALL:
        restored = through(Restoring(vault), each + "!")
        assert restored in {ONE + "!", TWO + "!", TWELVE + "!", "(ipv4 no 1)!"}, each


def test_ordinary_text_is_not_delayed():
    """With a vault in force a chunk of ordinary text goes out with the chunk."""
    step = Restoring(vault_with(email=3, phone=2, kr_rrn=1))
    for chunk in [
        "Hello ",
        "there, ",
        "x < y ",
        "[see 1] ",
        "안녕하세요 ",
        "a & b. ",
        "THE ",
        "<div> ",
    ]:
        assert step.feed(chunk) == chunk


def test_inside_json_source_values_are_escaped():
    """A value with quotes and line ends keeps the arguments of a tool call valid JSON."""
    value = 'line\n"quoted" \\ 김민수'
    vault = Vault()
    vault.placeholder("address", value)
    source = json.dumps({"to": "<ADDRESS_1>", "n": 1}).replace("<", "\\u003c")
    for pieces in ([source], source, [source[:13], source[13:]]):
        assert json.loads(through(Restoring(vault, json=True), pieces))["to"] == value


def test_unknown_numbers_are_counted():
    """What looks like a placeholder of a known type, and stands for nothing, is counted."""
    for pieces in (
        "<EMAIL_7> [email_8] <EMAIL_1> <PHONE_3> EMAIL_9",
        ["<EMAIL_7> [email_8] <PHONE_3>"],
    ):
        step = Restoring(vault_with(email=1))
        through(step, pieces)
        assert step.unknown == 2


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "<",
            "<EMAIL_",
            "[[",
            "EMAIL_1 ",
            "E",
            "A_",
            "A_1_",
            "\\",
            "&lt;",
            "<EMAIL_1",
            "< ",
            "_1 ",
            "\\_",
            "<EMAIL_12345678901",
        )
    ],
)
def test_a_long_hostile_text_costs_no_more_than_its_length(unit):
    """The work on text full of beginnings grows as its length does, in one piece and in many."""
    assert _steps(unit, 4000) < 2.5 * _steps(unit, 2000)


def _steps(unit: str, size: int) -> int:
    """How many lines of Python a text of some length takes."""
    counted = 0

    def trace(*_):
        nonlocal counted
        counted += 1
        return trace

    text = (unit * size)[:size]
    step = Restoring(vault_with(email=3))
    sys.settrace(trace)
    try:
        through(step, [text[at : at + 100] for at in range(0, size, 100)])
    finally:
        sys.settrace(None)
    return counted


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_spellings_are_found_in_canonical_form(text):
    """Whatever counts as a placeholder has a canonical name of capitals, digits and `_`."""
    for found in spelled().finditer(text):
        name = canonical(found[found.lastindex])
        assert name == name.upper()


HARD = 'pa"ss\\w\nrd'


def holding(value):
    """A vault in which `<NAME_1>` stands for this value."""
    vault = Vault()
    vault.placeholder("name", value)
    return vault


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"said": "<NAME_1>", "not": 1}', ""),
        ('  [{"said": ["\\\\", "\\"", "<NAME_1>"]}]', '\nThat is "all".'),
        ('```json\n{"said": "<NAME_1>"}', "\n```"),
        ('["<NAME_1>"]', ""),
    ],
    ids=["object", "array", "fenced", "texts"],
)
def test_an_answer_in_json_stays_json(before, after):
    """A value with a quote, a backslash and a line end is escaped in it, wherever it is cut."""
    vault, text = holding(HARD), before + after
    whole = vault.restore(text)
    source = whole.removesuffix(after).removeprefix("```json\n")
    assert HARD in _texts(json.loads(source))
    for at in range(len(text) + 1):
        assert through(Restoring(vault), [text[:at], text[at:]]) == whole
    assert through(Restoring(vault), text) == whole


@pytest.mark.parametrize(
    "text",
    [
        'I said "<NAME_1>"',
        '[see "the" note] "<NAME_1>"',
        '{"a": 1} and "<NAME_1>"',
        '<NAME_1> {"a": "<NAME_1>"}',
        "{<NAME_1>}",
    ],
    ids=["prose", "bracket", "after", "before", "template"],
)
def test_prose_has_values_as_they_were(text):
    """Outside of strings of JSON nothing is escaped."""
    vault = holding(HARD)
    assert vault.restore(text) == through(Restoring(vault), text)
    assert vault.restore(text) == text.replace("<NAME_1>", HARD)


def test_a_value_out_of_json_is_not_escaped_twice():
    """JSON that was masked as a text comes back character for character."""
    written = json.dumps(HARD)[1:-1]
    assert holding(written).restore('{"a": "<NAME_1>"}') == json.dumps({"a": HARD})


def _texts(value):
    if isinstance(value, str):
        return [value]
    return [
        text
        for each in (value.values() if isinstance(value, dict) else value)
        if not isinstance(each, int)
        for text in _texts(each)
    ]
