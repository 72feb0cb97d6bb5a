"""What cosine cannot see: two questions that sound alike and ask for something else."""

from __future__ import annotations

from agentguard.caching.semantic.korean import MOVABLE
from agentguard.caching.semantic.reading import ASKING, Reading

__all__ = ["Reading", "differs"]


def differs(a: Reading, b: Reading) -> str | None:
    """Why two texts must not share an answer, in a word; None where nothing was found.

    The answer is the same whichever text comes first.
    """
    if a.placeholders != b.placeholders:
        return "placeholders"
    if a.negations != b.negations:
        return "negation"
    if _open(a, b) or not (a.words or _spelled(a) == _spelled(b)):
        return "words"
    if _exchanged(a, b):
        return "roles"
    shared = a.words.keys() & b.words.keys() - ASKING
    if _moved(
        [word for word in a.words if word in shared], [word for word in b.words if word in shared]
    ):
        return "order"
    return None


def _spelled(reading: Reading) -> str:
    return " ".join(reading.text.casefold().split())


def _open(a: Reading, b: Reading) -> bool:
    """Whether a word has no counterpart."""
    lone_a = [w for w in a.words if w not in b.words and w not in b.soft and w != "1"]
    lone_b = [w for w in b.words if w not in a.words and w not in a.soft and w != "1"]
    if lone_a or lone_b:
        return "".join(lone_a) != "".join(lone_b)
    soft_a = [w for w in a.soft if w not in b.words and w not in b.soft]
    soft_b = [w for w in b.soft if w not in a.words and w not in a.soft]
    return bool(soft_a and soft_b)


def _exchanged(a: Reading, b: Reading) -> bool:
    """Whether two words that both texts have stand in for each other: from A to B, from B to A."""
    return not _left(a, b).isdisjoint(_left(b, a)) or _turned(a, b) or _turned(b, a)


def _turned(a: Reading, b: Reading) -> bool:
    """Whether something comes from where it goes to in the other text."""
    origins = {word for part, word in a.roles - b.roles if part == "from"}
    goals = {word for part, word in b.roles - a.roles if part in {"to", "into"}}
    return not origins.isdisjoint(goals)


def _left(a: Reading, b: Reading) -> set[str]:
    """The parts whose word in `a` is in `b` as well, but not in that part."""
    placed = {word for _, word in b.roles}
    return {
        part
        for part, word in a.roles - b.roles
        if (word in b.words or word in b.soft) and (part not in MOVABLE or word in placed)
    }


def _moved(a: list[str], b: list[str]) -> bool:
    """Whether more than one group of words has changed its place."""
    start, end = 0, len(a)
    while start < end and a[start] == b[start]:
        start += 1
    while start < end and a[end - 1] == b[end - 1]:
        end -= 1
    if start == end:
        return False
    a, b = a[start:end], b[start:end]
    turn = b.index(a[0])
    return b[turn:] + b[:turn] != a
