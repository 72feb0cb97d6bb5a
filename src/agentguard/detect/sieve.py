"""Where a text may hold something at all: detectors see the lines that hold a sign, and no others.

With google-re2 (`agentguard-decorators[pii]`) one pass looks for all signs. Without it each character
becomes one byte that says of what class it is, and a sign is then a few equal bytes in a row, which
`bytes.find` looks for faster than any regular expression of the standard library. The sieve may name
too many lines, never too few: whatever a detector finds holds a sign, or stands in the line behind the
word that names it.
"""

from __future__ import annotations

import functools
import importlib
import re
import string
from typing import TYPE_CHECKING, Any, Final

from agentguard.detect import view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["stretches"]


def _class(of: str) -> bytes:
    """A table for `bytes.translate` in which all characters of a class are an x."""
    return bytes(ord("x") if chr(code) in of else ord(" ") for code in range(256))


_NUMBER: Final = _class(string.digits + " ()./-~_")
_WORD: Final = _class(string.ascii_letters + string.digits + "_-")
_GROUPED: Final = _class(string.hexdigits + ":-.")
# Small letters, and an equals sign for whatever may stand between a name and its value.
_SMALL: Final = bytes(range(256)).lower().translate(bytes.maketrans(b":>| '\"\t\n", b"========"))

# Seven digits with signs between them, or four numbers with dots; a key, a token, a wallet; a long
# IPv6 or a MAC address.
_ROWS: Final = ((_NUMBER, b"x" * 7), (_WORD, b"x" * 18), (_GROUPED, b"x" * 14))
_MARKS: Final = (b"@", b"://", b"::")
_NAMES: Final = (
    b"pass", b"pw", b"secret", b"token", b"key", b"cred", b"auth", b"sig=", b"bearer", b"basic=",
    b"born", b"birth", b"dob", b"d.o.b",
)  # fmt: skip
_KOREAN: Final = "비[밀번]|암호|패스워드|토큰|시크릿|키|생[년일]|출생|여권"
# Digits enough for a number, but only a day, which is nobody's, unless a name of `_NAMES` is there.
_BETWEEN: Final = rb"[ ()./\-~_]"
# It looks back from behind its first digits: what begins with a digit is looked for faster.
_DAY: Final = re.compile(
    rb"(?:19|20)(?<![0-9]..)(?<![0-9]%b..)(?<![0-9]%b{2}..)(?<![0-9]%b{3}..)"
    rb"[0-9]{2}([-./])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])"
    rb"(?:[ T][0-2][0-9]:[0-5][0-9](?::[0-5][0-9])?)?(?!%b{0,3}[0-9])" % ((_BETWEEN,) * 4),
    re.DOTALL,
)
_DIGITS: Final = re.compile(rb"[0-9](?:%b{0,3}[0-9]){6}|[0-9]\.[0-9]{1,3}\.[0-9]" % _BETWEEN)
_PRIVATE_KEY: Final = "-----BEGIN "
_NEAR: Final = 96


@functools.cache
def _signs() -> Any:
    """All signs as one expression of google-re2, or None. A name is a group: it reaches further."""
    try:
        re2: Any = importlib.import_module("re2")
    except ImportError:
        return None
    row = (
        r"[0-9](?:[ ()./\-~_]{0,3}[0-9]){6}|[0-9]\.[0-9]{1,3}\.[0-9]|[A-Za-z0-9_\-]{18}"
        r"|[0-9A-Fa-f:.\-]{14}|@|://|::"
    )
    names = "|".join(
        name.decode().replace(".", r"\.").replace("=", "[=:>| '\"\t\n]") for name in _NAMES
    )
    day = r"((?:19|20)[0-9]{2}[\-./][0-9]{2}[\-./][0-9]{2})"
    return re2.compile(f"{day}|{row}|({view.ODD}|(?i:{names})|{_KOREAN})".encode())


@functools.cache
def _korean() -> re.Pattern[str]:
    return re.compile(_KOREAN)


def stretches(text: str) -> list[tuple[int, int]]:
    """Where in `text` something may be found: whole lines, in order, near ones joined."""
    if _PRIVATE_KEY in text:
        return [(0, len(text))]
    signs = _signs()
    lines = sorted(_by_bytes(text) if signs is None else _by_signs(text, signs))
    return list(_joined(lines)) if lines else lines


def _by_signs(text: str, signs: Any) -> Iterator[tuple[int, int]]:
    data = text.encode("utf-8", "surrogatepass")
    narrow = len(data) == len(text)
    here = place = 0  # the same position, in bytes and in characters
    at = 0
    while (sign := signs.search(data, at)) is not None:
        first = sign.start()
        if sign.start(1) >= 0 and (day := _DAY.match(data, first)) is not None:
            at = day.end()
            continue
        skipped = first - here if narrow else len(data[here:first].decode("utf-8", "surrogatepass"))
        low = text.rfind("\n", place, place + skipped) + 1 or place
        place = text.find("\n", place + skipped) + 1 or len(text)
        at = here = data.find(b"\n", first) + 1 or len(data)
        yield low, (text.find("\n", place) + 1 or len(text)) if sign.start(2) >= 0 else place


def _by_bytes(text: str) -> set[tuple[int, int]]:
    plain = text.encode("ascii", "replace")  # a byte a character
    lines: set[tuple[int, int]] = set()
    for table, row in _ROWS:
        found = _lines(text, plain.translate(table), (row,))
        if found and table is _NUMBER:
            found = [x for x in found if _DIGITS.search(_DAY.sub(b"#", plain[x[0] : x[1]]))]
        lines.update(found)
    lines.update(_lines(text, plain, _MARKS))
    named = set(_lines(text, plain.translate(_SMALL), _NAMES))
    if not text.isascii() or "\\" in text:
        for odd in (view.PLAIN, _korean()):
            named.update(_matched(text, odd))
    if named:
        lines.update(named, ((end, text.find("\n", end) + 1 or len(text)) for _, end in named))
    return lines


def _lines(text: str, signs_of: bytes, signs: Sequence[bytes]) -> Sequence[tuple[int, int]]:
    """Every line of the text that holds one of the signs, in what it was made into."""
    lines: list[tuple[int, int]] = []
    for sign in signs:
        if sign in signs_of:  # most texts hold none, and this is how to hear it soonest
            at = signs_of.find(sign)
            while at >= 0:
                high = text.find("\n", at) + 1 or len(text)
                lines.append((text.rfind("\n", 0, at) + 1, high))
                at = signs_of.find(sign, high)
    return lines


def _matched(text: str, odd: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Every line that holds what the pattern does, which never spans lines."""
    at = 0
    while (found := odd.search(text, at)) is not None:
        at = text.find("\n", found.start()) + 1 or len(text)
        yield text.rfind("\n", 0, found.start()) + 1, at


def _joined(lines: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    low = high = -_NEAR - 1
    for first, last in lines:
        if first <= high + _NEAR:
            high = max(high, last)
            continue
        if low < high:
            yield low, high
        low, high = first, last
    if low < high:
        yield low, high
