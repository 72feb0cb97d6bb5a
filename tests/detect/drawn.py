"""Texts drawn at random that fit a pattern: keys that nobody issued."""

from __future__ import annotations

import random
import re
import string
from re import _constants as kinds  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from typing import Any

PRINTABLE = string.digits + string.ascii_letters + string.punctuation
MORE = 12
"""How many more than the least number of repeats there may be."""


def drawn(pattern: str, seed: int) -> str:
    """A text that `pattern` matches in full, always the same for a seed."""
    text = _drawn(parser.parse(pattern), random.Random(seed))
    assert re.fullmatch(pattern, text), (pattern, text)
    return text


def _drawn(tree: Any, dice: random.Random) -> str:
    return "".join(_one(kind, value, dice) for kind, value in tree)


def _one(kind: Any, value: Any, dice: random.Random) -> str:
    if kind is kinds.LITERAL:
        return chr(value)
    if kind is kinds.IN:
        return dice.choice([c for c in PRINTABLE if _is_in(c, value)])
    if kind is kinds.BRANCH:
        return _drawn(dice.choice(value[1]), dice)
    if kind is kinds.SUBPATTERN:
        return _drawn(value[-1], dice)
    if kind in {kinds.MAX_REPEAT, kinds.POSSESSIVE_REPEAT}:
        least, most, tree = value
        count = dice.randint(least, min(most, least + MORE))
        return "".join(_drawn(tree, dice) for _ in range(count))
    raise AssertionError(kind)


def _is_in(letter: str, members: Any) -> bool:
    return any(
        (kind is kinds.LITERAL and chr(value) == letter)
        or (kind is kinds.RANGE and value[0] <= ord(letter) <= value[1])
        or (
            kind is kinds.CATEGORY
            and (
                letter.isdigit()
                if value is kinds.CATEGORY_DIGIT
                else letter.isalnum() or letter == "_"
            )
        )
        for kind, value in members
    )
