"""Addresses of machines: IPv4 and IPv6 (RFC 4291, RFC 5952).

Four-part versions, section numbers, OIDs, times and scopes of code are written
with the same characters. So what may as well be a version counts only where the
text calls it an address, and a shortened IPv6 address only where its range is in
use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEAR: Final = 32
_OCTET: Final = 255
_DIGITS: Final = "0123456789"
_LETTERS: Final = "abcdefABCDEF"
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"
_REST_OF_FOUR: Final = re.compile(
    r"\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9A-Za-z_]|\.[0-9]|-[A-Za-z])"
)
_NETWORK: Final = re.compile(r"/(?:3[0-2]|[12]?[0-9])(?![0-9./])")
_NETWORK_SIX: Final = re.compile(r"/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])(?![0-9./])")
_PORT: Final = re.compile(r":[0-9]{2,5}(?![0-9])")
_VERSIONS: Final = frozenset(
    [
        "v",
        "ver",
        "version",
        "release",
        "build",
        "firmware",
        "sdk",
        "driver",
        "chapter",
        "section",
        "sec",
        "clause",
        "figure",
        "fig",
        "table",
        "step",
        "oid",
        "rev",
        "revision",
    ]
)
_KOREAN_VERSIONS: Final = (
    "버전",
    "펌웨어",
    "릴리스",
    "릴리즈",
    "빌드",
    "드라이버",
    "절",
    "항",
    "장",
    "조",
    "제",
)
_HINT: Final = re.compile(
    r"(?:version|upgrad|downgrad|release|changelog|installed|build|firmware"
    r"|버전|업그레이드|업데이트|펌웨어|릴리스|빌드)"
    r"(?!.*(?:ip|addr|host|server|ping|gateway|client|remote|peer|subnet|dns|://|주소|서버|접속|호스트))",
    re.DOTALL,
)
_OPERATORS: Final = ("==", ">=", "<=", "~=", "!=", "^", "~", "§")
_ADDRESS: Final = re.compile(
    r"(?:(?<![A-Za-z])ip(?:v?[46])?(?![A-Za-z])|addr|host|server|\bping\b|gateway|subnet"
    r"|\bdns\b|://|remote|client|peer|\bfrom\b|inet|@|아이피|주소|서버|접속|호스트|네트워크"
    r"|게이트웨이|대역|로그인)[^\n]{0,12}\Z",
    re.IGNORECASE,
)
_COLONS: Final = re.compile(r":[0-9A-Fa-f:][0-9A-Fa-f:.]*+")
_GROUP: Final = re.compile(r"[0-9A-Fa-f]{1,4}\Z")
_LONGEST_SIX: Final = 45
_GROUPS: Final = 8
# What is in use: global unicast, unique local, link local and multicast.
_IN_USE: Final = re.compile(
    r"(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]|ff[0-9a-f]{2}):", re.IGNORECASE
)
_SURELY: Final = 4


def ip_addresses(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every IPv4 and IPv6 address, with the length of its prefix if it has one."""
    taken = 0
    sixes = list(_sixes(text)) if ":" in text else []
    yield from sixes
    for rest in _REST_OF_FOUR.finditer(text):
        dot, end = rest.span()
        start = _after_all(text, _DIGITS, dot, 4)
        if start < taken or any(s <= start < e for s, e, *_ in sixes):
            continue
        if _is_four(text, start, dot, rest) and _stands_alone(text, start):
            network = _NETWORK.match(text, end)
            if _is_address(text, start, end, network=network is not None):
                taken = network.end() if network else end
                yield start, taken, 0.9


def _after_all(text: str, of: str, end: int, most: int) -> int:
    """Where the characters in ``of`` that stand before ``end`` begin, ``most`` at most."""
    window = text[max(0, end - most) : end]
    return end - len(window) + len(window.rstrip(of))


def _is_four(text: str, start: int, dot: int, rest: re.Match[str]) -> bool:
    octets = (text[start:dot], rest[1], rest[2], rest[3])
    return all(
        0 < len(octet) < 4 and int(octet) <= _OCTET and (octet[0] != "0" or len(octet) != 2)
        for octet in octets
    )


def _stands_alone(text: str, start: int) -> bool:
    """Whether what begins at ``start`` continues neither a number nor a name."""
    before = text[start - 1 : start] if start else ""
    return before not in {".", "_"} and not (before.isascii() and before.isalnum())


def _is_address(text: str, start: int, end: int, *, network: bool) -> bool:
    """Whether four numbers are an address, and none that says nothing of anyone."""
    octets = [int(part) for part in text[start:end].split(".")]
    if octets[0] in {0, 127} or octets[:2] == [255, 255]:
        return False
    if network or octets[:2] == [192, 168]:
        return True
    before = text[max(0, start - _NEAR) : start]
    if _PORT.match(text, end):
        return True
    if _is_version(before):
        return False
    plain = max(octets) >= 10 and octets[1:] != [0, 0, 0]
    repeated = len(set(octets)) == 1
    return plain or repeated or _ADDRESS.search(before) is not None


def _is_version(before: str) -> bool:
    """Whether what stands before four numbers says that they are a version or a section."""
    if before.endswith("/"):
        return before[-2:-1].isalpha()
    if _HINT.search(before.lower()):
        return True
    plain = before.rstrip()
    if plain.endswith(_OPERATORS):
        return True
    name = plain.rstrip(" .:=#\"'은는이가").lower()
    if name.endswith(_KOREAN_VERSIONS):
        return True
    word = name[len(name.rstrip(_ALPHABET)) :]
    return word in _VERSIONS or (word[-1:] == "s" and word[:-1] in _VERSIONS)


def _sixes(text: str) -> Iterator[tuple[int, int, float]]:
    for colons in _COLONS.finditer(text):
        start = _after_all(text, _DIGITS + _LETTERS, colons.start(), 5)
        end = colons.end()
        if end - start > 2 * _LONGEST_SIX or text.count(":", start, end) < 2:
            continue
        body = text[start:end].rstrip(".")
        body = body if body.endswith("::") else body.rstrip(":")
        end = start + len(body)
        if not _is_six(body) or not _alone_six(text, start, end):
            continue
        network = _NETWORK_SIX.match(text, end)
        if network or _in_use(text, start, end, body):
            end = network.end() if network else end
            yield start, end, 0.9


def _is_six(body: str) -> bool:
    """Whether the groups and their number are those of an IPv6 address."""
    if len(body) > _LONGEST_SIX or ":::" in body or body.count("::") > 1:
        return False
    halves = [half.split(":") if half else [] for half in body.split("::")]
    groups = [group for half in halves for group in half]
    count = len(groups)
    if groups and "." in groups[-1]:
        parts = groups.pop().split(".")
        count += 1
        if len(parts) != 4 or not all(
            p and int(p, 16) < 0x256 and p.isdigit() and int(p) <= _OCTET for p in parts
        ):
            return False
    if not all(map(_GROUP.match, groups)):
        return False
    return count == _GROUPS if len(halves) == 1 else 0 < count < _GROUPS


def _alone_six(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    if before == ":" or (after.isascii() and after.isalnum()) or after in {":", "_"}:
        return False
    return _stands_alone(text, start)


def _in_use(text: str, start: int, end: int, body: str) -> bool:
    """Whether it is an address in use, rather than a scope of code or a time."""
    if body in {"::1", "::"}:
        return False
    if "." in body or _IN_USE.match(body) or text[end : end + 1] == "%":
        return True
    groups = body.replace("::", ":").strip(":").split(":")
    long = any(len(group) > 2 for group in groups)
    if long and len(groups) >= _SURELY and any(map(str.isdigit, body)):
        return True
    around = text[start - 1 : start], text[end : end + 1]
    bracketed = around == ("[", "]") and len(groups) > 2
    return bracketed or _ADDRESS.search(text[max(0, start - _NEAR) : start]) is not None
