"""A text as it is compared: in one form of Unicode, and as the words that two texts share."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["bare", "normal", "words"]

_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-") | dict.fromkeys(map(ord, "〜～∼"), "~")  # noqa: RUF001
_MARKS: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad")) | {
    ord("’"): "'", ord("‘"): "'", ord("“"): '"', ord("”"): '"', ord("«"): '"', ord("»"): '"', ord("⁄"): "/",  # noqa: RUF001
}  # fmt: skip
_WORD: Final = re.compile(r"[가-힣]+|\d+|[^\W\d_가-힣]+")
_APOSTROPHE: Final = re.compile(r"(?<=[a-z])'(?=[a-z])")
_PARTICLES: Final = tuple(
    sorted(
        [
            "은",
            "는",
            "이",
            "가",
            "을",
            "를",
            "의",
            "에",
            "와",
            "과",
            "로",
            "도",
            "만",
            "께",
            "야",
            "에서",
            "에게",
            "으로",
            "까지",
            "부터",
            "보다",
            "처럼",
            "라고",
            "이라고",
            "라는",
            "이라는",
            "이며",
            "이고",
            "이나",
            "에는",
            "에도",
            "에서는",
            "에서도",
            "으로는",
            "이다",
            "입니다",
            "인",
            "들",
            "들이",
            "들은",
            "들을",
            "님",
            "님이",
            "님은",
            "씨",
            "씨가",
            "씨는",
            "하고",
            "이랑",
            "랑",
            "께서",
            "한테",
        ],
        key=len,
        reverse=True,
    )
)


def normal(text: str) -> str:
    """The text with full-width signs, quotation marks, dashes and invisible signs made plain.

    Examples:
        >>> normal("“１２³” 5㎏")
        '"123" 5kg'
    """
    return unicodedata.normalize("NFKC", text.translate(_MARKS)).translate(_DASHES | _MARKS)


def words(text: str) -> list[str]:
    """The words of a text, without what stands between them."""
    return _WORD.findall(_APOSTROPHE.sub("", text.casefold()))


def bare(word: str) -> str:
    """A word in Hangul without its last particle."""
    if "가" <= word[-1] <= "힣":
        for particle in _PARTICLES:
            if word.endswith(particle) and len(word) > len(particle):
                return word[: -len(particle)]
    return word
