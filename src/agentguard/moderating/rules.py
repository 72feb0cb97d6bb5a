"""What is looked for: words and phrases by category, in English and Korean.

A rule sees words, not what is meant: irony, quotation, new slang, other languages and most of what
is threatened, hated or hinted at in other words pass it. It is quick, the same every time, and names
the place. What matters more is for a classifier or a model that judges.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentguard.moderating.folded import readings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["CATEGORIES", "REACH", "Hit", "Rule", "compiled", "find", "found_by"]

CATEGORIES: Final = ("profanity", "hate", "threat", "self_harm", "sexual_minors", "illicit")

REACH: Final = 120
"""Characters that one hit spans at most."""

_AROUND: Final = 20


class Rule(NamedTuple):
    """A pattern and what it finds.

    Attributes:
        category: one of `CATEGORIES`, or another word where rules are for something else.
        needs: the text has at least one of these where the pattern matches: looked for first, which
            is many times quicker.
        pattern: a regular expression without unbounded repetition, so that its time is linear. `~`
            stands for up to 40 characters within a sentence.
        but: what makes it harmless, within 20 characters around.
    """

    category: str
    needs: tuple[str, ...]
    pattern: str
    but: str | None = None


class Hit(NamedTuple):
    """One finding: its category, and where in the text it stands."""

    category: str
    start: int
    end: int


def find(text: str, categories: Collection[str] = CATEGORIES) -> list[Hit]:
    """What the built-in rules find in `text`, in order.

    Examples:
        >>> find("How do I kill a process?")
        []
        >>> find("ㅅㅂ 왜 이래")
        [Hit(category='profanity', start=0, end=2)]
    """
    return found_by(_built_in(), text, categories)


def found_by(
    rules: Sequence[Rule], text: str, categories: Collection[str] | None = None
) -> list[Hit]:
    """What `rules` find in a text, in whichever way it is read."""
    hits = {
        Hit(rule.category, *view.span(*found.span()))
        for view in readings(text)
        for rule in rules
        if (categories is None or rule.category in categories)
        and any(need in view.text for need in rule.needs)
        for found in _matches(rule, view.text)
    }
    return sorted(hits, key=lambda hit: (hit.start, hit.end, hit.category))


def _matches(rule: Rule, text: str) -> Iterable[re.Match[str]]:
    pattern, but = compiled(rule)
    for found in pattern.finditer(text):
        around = max(found.start() - _AROUND, 0), found.end() + _AROUND
        if but is None or but.search(text, *around) is None:
            yield found


@functools.cache
def compiled(rule: Rule) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    """The patterns of a rule."""
    pattern, but = (each and re.compile(_spelled(each)) for each in (rule.pattern, rule.but))
    return pattern, but  # type: ignore[return-value]


def _spelled(pattern: str) -> str:
    return pattern.replace("~", r"[^.!?\n]{0,40}?").replace(" ", r"\s")


@functools.cache
def _built_in() -> tuple[Rule, ...]:
    from agentguard.moderating import english, korean

    return (*english.RULES, *korean.RULES)
