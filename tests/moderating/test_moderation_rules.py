from __future__ import annotations

from re import _constants as ops
from re import _parser as parser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.moderating import english, korean
from agentguard.moderating.rules import CATEGORIES, Rule, compiled, find
from agentguard.screening.rules import indirect

RULES = (*english.RULES, *korean.RULES, *indirect())
REPEATS = {ops.MAX_REPEAT, ops.MIN_REPEAT}


NAMES = [f"{number}-{rule.category}" for number, rule in enumerate(RULES)]


def repeats(parsed: Any, depth: int = 0) -> Any:
    """Yield how often and how deep each part of a pattern may be repeated."""
    for op, value in parsed:
        if op in REPEATS:
            yield value[1], depth
            yield from repeats(value[2], depth + (value[1] > 1))
        elif op is ops.SUBPATTERN:
            yield from repeats(value[3], depth)
        elif op is ops.BRANCH:
            for each in value[1]:
                yield from repeats(each, depth)
        elif op in {ops.ASSERT, ops.ASSERT_NOT}:
            yield from repeats(value[1], depth)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_no_pattern_repeats_without_bound(rule: Rule) -> None:
    """What a pattern looks at from one place is bounded, so that a text takes linear time."""
    for pattern in compiled(rule):
        if pattern is not None:
            for most, depth in repeats(parser.parse(pattern.pattern)):
                assert most is not ops.MAXREPEAT
                assert most <= (200 if depth == 0 else 40)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_pattern_matches_nothing_empty(rule: Rule) -> None:
    """An empty match would be a finding everywhere."""
    assert compiled(rule)[0].fullmatch("") is None


def test_rules_are_of_known_categories() -> None:
    """Those that can be switched, each of them in both languages."""
    for rules in (english.RULES, korean.RULES):
        assert {rule.category for rule in rules} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("ㅅㅂ 왜 이래", "profanity"),
        ("시1발 환불", "profanity"),
        ("씨@발", "profanity"),
        ("ㅅㅣㅂㅏㄹ", "profanity"),
        ("개.새.끼", "profanity"),
        ("시이이발", "profanity"),
        ("씨\u200b발", "profanity"),
        ("\uff46\uff55\uff43\uff4b you", "profanity"),
        ("f u c k this", "profanity"),
        ("fuuuuck", "profanity"),
        ("sh1t", "profanity"),
        ("i will k1ll you", "threat"),
        ("i will \u043aill you", "threat"),
    ],
)
def test_disguises_are_seen_through(text: str, category: str) -> None:
    """Spacing, digits, signs, stretching, full width, invisible and look-alike letters."""
    assert {hit.category for hit in find(text)} == {category}


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe, Penistone and Essex",
        "How do I kill a process?",
        "the master/slave replication",
        "class assignment, assess, cocktail, Dickens, shiitake",
        "이번 일의 시발점",
        "새끼손가락",
        "병신년에 태어난",
        "아저씨 발이 아파요",
        "도시 발전 계획",
        "다시 발급해 주세요",
        "프로세스를 죽이는 명령어",
        "배고파 죽겠어요",
        "5시30분",
        "",
        "\u200b" * 10,
    ],
)
def test_what_only_looks_bad_is_left_alone(text: str) -> None:
    """Names, places, code, idioms."""
    assert find(text) == []


def test_categories_can_be_switched() -> None:
    """Only what is asked for is looked for."""
    text = "fuck, i will kill you"
    assert [hit.category for hit in find(text)] == ["profanity", "threat"]
    assert [hit.category for hit in find(text, ["threat"])] == ["threat"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_hit_stands_where_it_says(before: str, after: str) -> None:
    """In the text as it was given, whatever stands around it."""
    text = f"{before}. i will kill you. {after}"
    start = len(before) + 2
    spans = [(hit.start, hit.end) for hit in find(text, ["threat"])]
    assert any(a <= start + 2 and start + 10 <= b for a, b in spans)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_read(text: str) -> None:
    """Nothing raises, and every hit is a piece of the text."""
    for hit in find(text):
        assert 0 <= hit.start < hit.end <= len(text)
