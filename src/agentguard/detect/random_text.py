"""Whether a text was drawn at random, as keys are, or written by a person."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import Final

_PLACEHOLDER: Final = re.compile(
    r"example|placeholder|changeme|change_me|redacted|insert|replace|your[_-]|[_-]your|\Ayour|dummy"
    r"|[xX*.]{4}|<|\$\{|\{\{|here\Z|_here|-here",
    re.IGNORECASE,
)
_SAME: Final = re.compile(r"(.)\1{5,}+")
_REPEATED: Final = 0.4
_IN_ORDER: Final = 10
_FEWEST: Final = 5
_CAPITALS_OF_WORDS: Final = 0.3


def is_random(text: str, bits: float = 2.3) -> bool:
    """Whether a body of a key is as mixed as a generator makes it.

    Args:
        text: What follows the prefix of a key.
        bits: The least entropy, in bits a character, of the characters it has.
    """
    if len(set(text)) < _FEWEST or _PLACEHOLDER.search(text) or _has_order(text):
        return False
    if any(len(same[0]) > len(text) * _REPEATED for same in _SAME.finditer(text)):
        return False
    return entropy(text) >= bits and not _is_words(text)


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of a text, in bits a character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())


def _has_order(text: str) -> bool:
    """Whether ten characters follow one another as in the alphabet: abcdefghij."""
    run = 1
    for one, two in itertools.pairwise(text):
        run = run + 1 if ord(two) == ord(one) + 1 else 1
        if run >= _IN_ORDER:
            return True
    return False


def _is_words(text: str) -> bool:
    """Whether it is words put together, ``likeThisName`` or ``like-this-one``."""
    letters = [c for c in text if c.isalpha()]
    if len(letters) < len(text) * 0.97 and any(map(str.isdigit, text)):
        return False
    if any(mark in text for mark in "-_."):
        return all(len(word) < 12 for word in re.split(r"[-_.]", text))
    capitals = sum(map(str.isupper, letters))
    return 0 < capitals < len(letters) * _CAPITALS_OF_WORDS
