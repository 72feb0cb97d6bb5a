"""A text taken apart once: its placeholders, and its words with what each does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentguard.caching.semantic import english, korean
from agentguard.caching.semantic.numbers import in_digits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ASKING", "PLACEHOLDER", "Reading"]

PLACEHOLDER: Final = re.compile(r"<[A-Z_]+_\d+>")
"""What masking leaves in the place of personal data."""

_TOKEN: Final = re.compile(
    r"(?P<number>\d+(?:[.:/,]\d+)*)|(?P<hangul>[가-힣]+)|(?P<latin>[^\W\d_가-힣]+(?:'[a-z]+)?[+#]*)"
    r"|(?P<end>[.?!\n])"
)
_GLUED: Final = re.compile(
    r"(?<![가-힣])(?:(몇)(?=[가-힣])|([안못])(?=[되됩돼된될됐하해한할했합]))"
)
_NAME: Final = re.compile(r"(?<=[^\s.?!\"'“‘])\s+[\"'“‘(]?([A-Z][\w'+#]*)")


WHY: Final = frozenset({english.canonical("why"), korean.canonical("왜")})
ASKING: Final = (
    WHY
    | frozenset(map(english.canonical, ("who", "when", "where")))
    | frozenset(map(korean.canonical, ("누구", "언제", "어디")))
)
"""Words whose place says nothing: they open a question or close it."""


class Reading:
    """A text and what is compared of it.

    Attributes:
        text: as it was.
        placeholders: of masking, in their order.
        words: what has to be in the other text too, in its order, each once.
        soft: what may be missing in the other text.
        roles: of words that a preposition or particle gives a part: (part, word).
        negations: how often the text says not.
    """

    __slots__ = ("negations", "placeholders", "roles", "soft", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.placeholders = PLACEHOLDER.findall(text)
        self.words: dict[str, None] = {}
        self.soft: dict[str, None] = {}
        self.roles: set[tuple[str, str]] = set()
        self.negations = 0
        names = {name.lower() for name in _NAME.findall(text)} - {"i", "i'm", "i've", "i'd", "i'll"}
        part: str | None = None
        last: str | None = None
        for kind, token, attached in _tokens(text):
            if kind == "end":
                part = None
                continue
            if kind == "hangul":
                word = korean.canonical(token, attached=attached)
                negates = word in korean.NEGATIONS or token in korean.DONT
                behind = negates and word not in {"안", "못"}
                frame, soft = word in korean.FRAME or not word, word in korean.SOFT
                role = korean.role_of(token)
                if not word and last is not None:
                    self.roles.add((korean.PARTS.get(token, ""), last))
            else:
                named = token in names
                negates = token in english.NEGATIONS
                behind = False
                word = token if kind == "number" else korean.class_of(english.canonical(token))
                frame = not named and token in english.FRAME
                soft = not named and (token in english.SOFT or word in _SOFT)
                role = None
                if token in english.ROLES and not named:
                    part = token
            if negates:
                self.negations += 1
                if behind and last is not None:
                    self.roles.add(("not", last))
                elif not behind:
                    part = "not"
                continue
            if frame:
                continue
            if soft:
                self.soft[word] = None
                if word in korean.AROUND and last is not None:
                    self.roles.add((word, last))
                if part == "not" and word != "can":
                    self.roles.add((part, word))
                    part = None
                continue
            self.words[word] = None
            last = word
            if part is not None:
                self.roles.add((part, word))
                part = None
            if role is not None:
                self.roles.add((role, word))
        if self.negations:  # "it does not work" asks why
            for why in WHY & self.words.keys():
                del self.words[why]
                self.soft[why] = None


def _tokens(text: str) -> Iterator[tuple[str, str, bool]]:
    """Kind, token, and whether it is joined to a number or Latin word before it."""
    plain = english.plain(in_digits(PLACEHOLDER.sub("'", text)))
    plain = _GLUED.sub(r"\1\2 ", plain)
    end, before = -1, ""
    for found in _TOKEN.finditer(plain):
        kind, start = found.lastgroup or "", found.start()
        joined = start == end and before in {"number", "latin"}
        counts = before == "number" and start <= end + 1
        quoted = start > 0 and plain[start - 1] in "'\"\u2019\u201d)\u300d\u300f"
        yield kind, found[0], kind == "hangul" and (joined or counts or quoted)
        end, before = found.end(), kind


_SOFT: Final = frozenset(map(english.canonical, english.SOFT))
