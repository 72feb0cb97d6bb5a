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

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN: Final = re.compile(r"[A-Za-z0-9_-]{18,}+")
# How far before the run a format may begin: an address of a webhook is the longest.
_BEFORE: Final = 100
_AFTER: Final = 400
_SUMMED: Final = re.compile(r"(?:gh[opsur]|npm)_([A-Za-z0-9]{30})([A-Za-z0-9]{6})\Z")
_PREFIX: Final = re.compile(
    r"https://|[A-Za-z]{1,12}[0-9]{0,2}[-_.](?:v[0-9]_|proj-|svcacct-|admin-|live_|test_)?"
    r"|AIza|AKIA|ASIA|[0-9]{5,16}:"
)


def keys(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every key that begins as its issuer makes it begin."""
    done = 0
    for run in _RUN.finditer(text):
        if run.start() < done:
            continue
        first = max(done, run.start() - _BEFORE)
        for found in _formats().finditer(text, first, run.end() + _AFTER):
            if found.end() > done and found.start() <= run.end():
                done = max(done, found.end())
                word = found[0].rstrip(".")
                if _is_key(word):
                    end = found.start() + len(word)
                    yield found.start(), end, _confidence(word)
        done = max(done, run.end())


def _is_key(word: str) -> bool:
    prefix = _PREFIX.match(word)
    return is_random(word[prefix.end() :] if prefix else word)


def _confidence(word: str) -> float:
    """Surer of a token whose checksum is right; it is no reason to let one go."""
    summed = _SUMMED.match(word)
    return 0.99 if summed and crc_base62(summed[1], summed[2]) else 0.9


@functools.cache
def _formats() -> re.Pattern[str]:
    """All formats as one pattern, compiled when a text first has a run long enough."""
    shapes = "|".join(f"(?:{shape})" for _, shape in KEY_FORMATS)
    return re.compile(rf"(?<![A-Za-z0-9])(?:{shapes})(?![A-Za-z0-9_])")
