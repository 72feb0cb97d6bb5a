"""Secrets that have no shape of their own, by what the text calls them.

``password=...``, ``"client_secret": "..."``, ``Server=...;Password=...``,
``비밀번호는 ...``. The label says that something secret follows; the value has to
look like one, too: placeholders, types, calls and plain words are left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentguard.detect.random_text import is_random

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEAR: Final = 36
_MARKS: Final = ":=>|"
_SPACE: Final = " \t\"'`\\*.?+!])(>|:"
_NAME: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# A value ends where white space, a quote or another script begins, or the next
# parameter of an address does.
_TEXT: Final = r"((?:[^\s\"'`<>,;&|\\\u0080-\uffff]|&(?![\w.-]{1,32}=))++)"
# A quoted one goes on to the quote that ends it.
_QUOTED: Final = rf"(?:\\?[\"'`](?=[^\s\"'`]{{4,512}}[\"'`])([^\s\"'`\\]++)|\\?[\"'`]?{_TEXT})"
_VALUE: Final = re.compile(rf"[:=>|]{{1,3}}[ \t]{{0,8}}(?:\n[ \t]{{0,12}}(?=\\?[\"'`]))?{_QUOTED}")
_NEXT: Final = re.compile(rf"[ \t]{{1,4}}{_TEXT}")
# The values are looked at, not taken, so that one may be the label of the next.
_SPOKEN: Final = re.compile(rf" (?:is|was)[: ]{{1,3}}[\"'`]?(?={_TEXT})")
# Without a word between the two, as .netrc has it, only what no sentence holds.
_BESIDE: Final = re.compile(
    rf"(?:[Pp]assword|PASSWORD|[Pp]asswd|[Pp]assphrase)[ \t][\"'`]?(?={_TEXT})"
)
_OPTION: Final = re.compile(
    rf"--([a-z-]{{0,24}}(?:password|passwd|token|secret|key))[ =][\"']?(?={_TEXT})"
)
_KOREAN: Final = re.compile(
    r"(비밀번호|비번|패스워드|암호|토큰|시크릿|인증 ?키|서비스 ?키|비밀 ?키|개인 ?키|접근 ?키"
    r"|액세스 ?키|키)(은|는|이|가|를|을)?[ \t]{0,3}([:=|])?[ \t]{0,3}[\"'`]?"
    rf"(?={_TEXT})"
)
_HEADER: Final = re.compile(
    r"(?:[Bb]earer|BEARER|KakaoAK)[ \t]{1,4}(?=([A-Za-z0-9._~+/%=-]{16,}+))"
)
_BASIC: Final = re.compile(r"Basic[ \t]{1,4}([A-Za-z0-9+/]{8,}+={0,2})")
_SCHEMES: Final = frozenset({"bearer", "basic", "token", "bot", "kakaoak", "apikey", "digest"})
_PASSWORD: Final = re.compile(
    r"(?:passw(?:or)?d|passphrase|passcode|pwd)[0-9]?\Z|(?:\A|[ _.-])(?:pass|pw)\Z"
)
_KEY: Final = re.compile(
    r"(?:secret|token|api[ _.-]?key|(?:access|secret|account|auth|service|signing|encryption"
    r"|private|shared|sharedaccess|subscription|master|license|session|app|application|rest"
    r"|admin|client|consumer|webhook)[ _.-]?key|credentials?|creds|authorization|auth)s?[0-9]?\Z"
    r"|secret|(?:\A|[ _.-])sig\Z|_session\Z"
)
_OF_NOBODY: Final = re.compile(
    r"public|csrf|xsrf|page|next|cursor|sync|(?<!bit)bucket|primary|foreign|partition|cache"
    r"|idempoten|continu|design"
)
_NEITHER: Final = re.compile(
    r"(?:id|name|file|path|url|uri|length|size|type|count|version|hash|arn|ref|limit|expir\w*"
    r"|store|reset|policy|hint|field|label|manager|header)s?\Z"
)
_HINTS: Final = re.compile(r"pass|pw|secret|token|key|cred|auth|sig|_session")
_CODE: Final = re.compile(
    r"[{<(\[/]|\$[({\w]\w*[)}]?\Z|%\w*%?\Z|[*#.]+\Z|#\{|@\w+[/.:]|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*[(\[]"
    r"|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z|.*(?:\$\{|\$\(|\{\{|://)|process\.|os\.|self\.|env\."
)
_CLOSING: Final = ".,:;)]}"
_SHORTEST_LABEL: Final = 2
_MIXED: Final = 10
_LONG: Final = 14
_SHORTEST_PASSWORD: Final = 6
_STRONG: Final = 8
_SHORTEST_PIN: Final = 4


def labelled_secrets(text: str) -> Iterator[tuple[int, int, float]]:
    """Find every secret that a label, an option or a header announces."""
    yield from _headers(text)
    yield from _assigned(text)
    if "--" in text:
        for found in _OPTION.finditer(text):
            if _is_secret(found[1], found[2]):
                yield _span(found, 2)
    for found in _SPOKEN.finditer(text):
        label = _label(text, found.start())
        if label and _is_secret(label, found[1]):
            yield _span(found, 1)
    for found in _BESIDE.finditer(text):
        if _is_strong(_without_closing(found[1])):
            yield _span(found, 1)
    if not text.isascii():
        for found in _KOREAN.finditer(text):
            if _is_named_in_korean(found):
                yield _span(found, 4)


def _headers(text: str) -> Iterator[tuple[int, int, float]]:
    if "earer" in text or "EARER" in text or "KakaoAK" in text:
        for found in _HEADER.finditer(text):
            if is_random(found[1], 3.0) and any(map(str.isdigit, found[1])):
                yield *found.span(1), 0.8
    if "Basic " in text:
        for found in _BASIC.finditer(text):
            if _holds_a_pair(found[1]):
                yield *found.span(1), 0.8


def _assigned(text: str) -> Iterator[tuple[int, int, float]]:
    done, last = 0, -_NEAR
    for mark in _marks(text):
        near, last = mark - last <= _SHORTEST_LABEL, mark
        if near or mark < done:
            continue
        label = _label(text, mark)
        found = _VALUE.match(text, mark) if label else None
        if label is None or found is None:
            continue
        if found[found.lastindex or 1].lower() in _SCHEMES:
            found = _NEXT.match(text, found.end()) or found
        done = found.end()
        if _is_secret(label, found[found.lastindex or 1]):
            yield _span(found, found.lastindex or 1)


def _marks(text: str) -> list[int]:
    """Where a value may begin: each mark, found as fast as memory is read."""
    places: list[int] = []
    for mark in _MARKS:
        at = text.find(mark)
        while at >= 0:
            places.append(at)
            at = text.find(mark, at + 1)
    places.sort()
    return places


def _label(text: str, mark: int) -> str | None:
    """The name before a mark, if it can be that of a secret: a word, with the one before."""
    before = text[max(0, mark - _NEAR) : mark].rstrip(_SPACE).lower()
    rest = before.rstrip(_NAME)
    label = before[len(rest) :]
    if not _HINTS.search(label):
        return None
    if rest.endswith(" "):
        rest = rest.rstrip()
        label = f"{rest[len(rest.rstrip(_NAME)) :]} {label}"
    return label


def _span(found: re.Match[str], group: int) -> tuple[int, int, float]:
    """The value, and how sure it is: a long one drawn at random is no number of anything."""
    start, value = found.start(group), _without_closing(found[group])
    return start, start + len(value), 0.92 if len(value) >= _LONG and _is_key(value) else 0.7


def _without_closing(value: str) -> str:
    return value.rstrip(_CLOSING)


def _is_secret(label: str, value: str) -> bool:
    """Whether a value is what a label announces."""
    label, value = label.lower(), _without_closing(value)
    if _NEITHER.search(label) or _CODE.match(value):
        return False
    if _PASSWORD.search(label):
        return _is_password(value)
    return not _OF_NOBODY.search(label) and _KEY.search(label) is not None and _is_key(value)


def _is_password(value: str) -> bool:
    if value.isdigit():
        return len(value) >= _SHORTEST_PIN
    marks = sum(not c.isalnum() and c not in "-_./:" for c in value)
    kinds = any(map(str.isalpha, value)), any(map(str.isdigit, value)), marks > 0
    plain = len(set(value.lower())) <= 2 or "****" in value
    return len(value) >= _SHORTEST_PASSWORD and not plain and kinds[0] and any(kinds[1:])


def _is_strong(value: str) -> bool:
    """Whether a password is of mixed kinds, with two digits or more."""
    digits = sum(map(str.isdigit, value))
    mixed = any(map(str.isupper, value)) and any(map(str.islower, value))
    marked = any(not c.isalnum() and c not in "-_./:" for c in value)
    enough = len(value) >= _STRONG and digits >= 2 and (mixed or marked)
    return enough and not _CODE.match(value) and _is_password(value)


def _is_key(value: str) -> bool:
    if not re.fullmatch(r"[A-Za-z0-9._~+/=%:!@#$^*-]++", value):
        return False
    digits = sum(map(str.isdigit, value))
    cases = any(map(str.isupper, value)) and any(map(str.islower, value))
    long = len(value) >= _LONG or (len(value) >= _MIXED and cases)
    return long and digits > 0 and digits < len(value) and is_random(value, 2.8)


def _is_named_in_korean(found: re.Match[str]) -> bool:
    label, particle, mark, value = found.groups()
    value = _without_closing(value)
    if _CODE.match(value):
        return False
    if label not in {"비밀번호", "비번", "패스워드", "암호"}:
        return _is_key(value)
    named = bool(particle or mark)
    following = found.string[found.end(4) : found.end(4) + 1]
    if value.isdigit() and (not named or following in set("자년월일원개번회")):
        return False
    return _is_password(value)


def _holds_a_pair(encoded: str) -> bool:
    """Whether base64 holds ``user:password``, as RFC 7617 has it."""
    import base64

    try:
        pair = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return False
    return ":" in pair and pair.isprintable()
