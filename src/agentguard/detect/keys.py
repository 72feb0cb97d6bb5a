"""Keys and tokens that their prefix names (``key_formats``), where they look random.

A key is a long run of letters and digits, and most texts have none: so the runs
are found first, and the formats are tried only where one stands.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from agentguard.detect.checksums import crc_base62
from agentguard.detect.key_formats import KEY_FORMATS
from agentguard.detect.random_text import is_random
from agentguard.detect.runs import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

# How far before a run a format may begin: the address of a webhook is the longest.
_BEFORE: Final = 100
_SPACE: Final = re.compile(r"\s")
_SUMMED: Final = re.compile(r"(?:gh[opsur]|npm)_([A-Za-z0-9]{30})([A-Za-z0-9]{6})\Z")
_ONE_WORD: Final = re.compile(r"[A-Za-z0-9]{10}|sk-[a-z]+-[A-Za-z0-9]{8}-")
_PREFIX: Final = re.compile(
    r"https://|[A-Za-z]{1,12}[0-9]{0,2}[-_.](?:v[0-9]_|proj-|svcacct-|admin-|live_|test_)?"
    r"|AIza|AKIA|ASIA|[0-9]{5,16}:"
)


def keys(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every key that begins as its issuer makes it begin."""
    done = 0
    for start, end in runs(text):
        if start < done:
            continue
        first = _word_start(text, max(done, start - _BEFORE), start)
        space = _SPACE.search(text, end)
        done = space.start() if space else len(text)
        for found in _formats().finditer(text, first, done):
            word = found[0].rstrip(".")
            if _is_key(word):
                yield found.start(), found.start() + len(word), _confidence(word)


def _word_start(text: str, first: int, run: int) -> int:
    """Where what holds a run begins: after the last white space before it."""
    spaces = [space.end() for space in _SPACE.finditer(text, first, run)]
    return spaces[-1] if spaces else first


def _is_key(word: str) -> bool:
    prefix = _PREFIX.match(word)
    if word.startswith("sk-") and _ONE_WORD.search(word) is None:
        return False
    return is_random(word[prefix.end() :] if prefix else word)


def _confidence(word: str) -> float:
    """Surer of a token whose checksum is right; it is no reason to let one go."""
    summed = _SUMMED.match(word)
    return 0.99 if summed and crc_base62(summed[1], summed[2]) else 0.9


@functools.cache
def _formats() -> re.Pattern[str]:
    """All formats as one pattern, compiled when a text first has a run long enough."""
    shapes = "|".join(f"(?:{shape})" for _, shape in KEY_FORMATS)
    return re.compile(rf"(?:(?<![A-Za-z0-9])|(?<=/bot))(?:{shapes})(?![A-Za-z0-9_])")
