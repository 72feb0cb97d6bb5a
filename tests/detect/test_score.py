"""How well the default detectors do on the project's own texts, and that the scorer counts right."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.pii import corpus, ours
from benchmarks.pii.score import COMPATIBLE, TYPES, Score, score


@cache
def scored(split: str) -> Score:
    """Score a split once."""
    return score(ours.find, corpus.load(split))


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_the_detectors_are_as_good_as_promised(split):
    """F1 is .96 over all values and .93 over all types, and 97 in 100 values would be masked."""
    result = scored(split)
    assert result.every.f1 >= 0.96
    assert result.macro >= 0.93
    assert result.every.share_masked >= 0.97


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_no_type_is_left_behind(split):
    """F1 is .88 for each of the types."""
    poor = {kind: tally.f1 for kind, tally in scored(split).types.items() if tally.f1 < 0.88}
    assert set(scored(split).types) == set(TYPES)
    assert poor == {}


@pytest.mark.parametrize("split", corpus.SPLITS)
def test_what_is_not_personal_is_left_alone(split):
    """Of the negatives at most 15 in 1,000 are touched."""
    result = scored(split)
    assert result.negatives > 100
    assert result.share_touched <= 0.015


def one(text: str, spans: list[list[object]], found: list[tuple[int, int, str]], **more: object):
    """Score a single text of which `found` is said."""
    record = {"id": "one", "text": text, "spans": spans, "suite": "one", **more}
    return score(lambda _: found, [record])


MAIL = "to jane@example.com now"


@pytest.mark.parametrize(
    ("found", "right", "wrong", "masked"),
    [
        ([(3, 19, "EMAIL")], 1, 0, 1),
        ([(3, 11, "EMAIL")], 1, 0, 0),
        ([(3, 10, "EMAIL")], 0, 1, 0),
        ([(3, 19, "PHONE")], 0, 1, 1),
        ([(3, 19, "OTHER")], 0, 0, 1),
        ([(3, 19, "EMAIL"), (0, 2, "PHONE")], 1, 1, 1),
        ([(3, 19, "EMAIL"), (8, 19, "PHONE")], 1, 0, 1),
        ([(3, 10, "OTHER"), (10, 19, "OTHER")], 0, 0, 1),
        ([], 0, 0, 0),
    ],
)
def test_a_finding_is_right_if_its_type_fits_and_half_of_the_union_overlaps(
    found, right, wrong, masked
):
    """Masked asks for cover alone; a second finding on a found value is no mistake."""
    tally = one(MAIL, [[3, 19, "EMAIL"]], found).every
    assert (tally.right, tally.wrong, tally.missed) == (right, wrong, 1 - right)
    assert tally.masked == masked


def test_optional_and_unlabelled_stretches_cost_nothing():
    """What may or may not be masked is no mistake, nor what the text is not labelled for."""
    optional = one(MAIL, [], [(3, 19, "EMAIL")], optional=[[3, 19, "EMAIL"]])
    assert optional.every.wrong == 0
    outside = one(MAIL, [], [(3, 19, "EMAIL")], scope=["PHONE"])
    assert outside.every.wrong == 0
    inside = one(MAIL, [], [(3, 19, "EMAIL")], scope=["EMAIL"])
    assert inside.every.wrong == 1


def test_a_negative_is_touched_by_scored_types_alone():
    """A birth date in a negative is no matter of these labels."""
    assert one(MAIL, [], [(0, 2, "OTHER")], neg=True).share_touched == 0
    assert one(MAIL, [], [(0, 2, "PHONE")], neg=True).share_touched == 1


@pytest.mark.parametrize(
    "extent", ["ann:pw1234", "pw1234", "https://ann:pw1234@db.test/x", "ann:pw1234@db.test"]
)
def test_credentials_may_be_told_as_a_url_or_as_a_password(extent):
    """All of them hide the password, so all are right."""
    text = "at https://ann:pw1234@db.test/x now"
    start = text.index("ann")
    begin = text.index(extent)
    found = [(begin, begin + len(extent), "URL_CREDENTIALS")]
    result = one(text, [[start, start + 10, "URL_CREDENTIALS"]], found)
    assert (result.every.right, result.every.masked) == (1, 1)


def test_a_label_takes_the_finding_that_fits_best_and_a_finding_one_label():
    """Two labels under one finding are one found and one missed."""
    text = "a@b.co,c@d.co"
    spans = [[0, 6, "EMAIL"], [7, 13, "EMAIL"]]
    assert one(text, spans, [(0, 11, "EMAIL")]).every.right == 1
    both = one(text, spans, [(0, 6, "EMAIL"), (7, 13, "EMAIL")])
    assert both.every.f1 == both.macro == 1.0


def test_compatible_types_are_types_that_hide_the_same():
    """A token may be called a secret; no compatible type is unknown."""
    assert set(COMPATIBLE) < set(TYPES)
    assert one("x" * 9, [[0, 9, "JWT"]], [(0, 9, "SECRET")]).every.right == 1
    assert one("x" * 9, [[0, 9, "SECRET"]], [(0, 9, "PRIVATE_KEY")]).every.right == 0
