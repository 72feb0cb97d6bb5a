"""The JSON in what a model wrote: alone, in a markdown fence, or with prose around it.

Each character is looked at a bounded number of times, whatever the text: a value that breaks off is
not searched for values inside it, and what is nested deeper than `_DEEPEST` is none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "json_in"]

_DEEPEST: Final = 200
"""Levels of nesting, as in pydantic's parser."""

_SPACE: Final = re.compile(r"[ \t\n\r]*+")
_SCALAR: Final = re.compile(
    r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
    r"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null"
)
_OPENING: Final = re.compile(r"[{\[]")
_FENCE: Final = re.compile(r"(`{3,}|~{3,})[ \t]*+[\w+.-]*+[ \t]*+\r?\n")
_CLOSES: Final = {"{": "}", "[": "]"}


class Found(NamedTuple):
    """What was found.

    Attributes:
        values: the source text of each JSON value: the whole text if it is one, else the objects
            and lists in it, in order.
        whole: the text is JSON and nothing else.
        unfinished: an object or list begins that the end of the text cuts off.
    """

    values: list[str]
    whole: bool
    unfinished: bool


class _Broken(Exception):
    def __init__(self, at: int, *, cut: bool) -> None:
        super().__init__()
        self.at = at
        self.cut = cut


def json_in(text: str) -> Found:
    r"""Find the JSON in a text.

    Args:
        text: an answer.

    Returns:
        What was found. Nothing is parsed or judged.

    Examples:
        >>> json_in('Sure! ```json\n{"n": [1, 2]}\n``` Anything else?').values
        ['{"n": [1, 2]}']
        >>> json_in("the set {a, b}").values
        []
    """
    text = _unfenced(text.strip().removeprefix("\ufeff").strip())
    if _is_json(text):
        return Found([text], whole=True, unfinished=False)
    values: list[str] = []
    unfinished = False
    for value, cut in _inside(text):
        if cut:
            unfinished = True
        else:
            values.append(value)
    return Found(values, whole=False, unfinished=unfinished)


def _unfenced(text: str) -> str:
    """The inside of a fence that is all of the text, or of one that was left open."""
    opened = _FENCE.match(text)
    if opened is None:
        return text
    body = text[opened.end() :]
    return body.removesuffix(opened[1]).strip()


def _inside(text: str) -> Iterator[tuple[str, bool]]:
    """The objects and lists in a text, and whether each is cut off by its end."""
    at = 0
    while True:
        opening = _OPENING.search(text, at)
        if opening is None:
            return
        start = opening.start()
        try:
            at = _value(text, start)
        except _Broken as broken:
            if broken.cut:
                yield text[start:], True
            at = max(broken.at, start + 1)
        else:
            yield text[start:at], False


def _is_json(text: str) -> bool:
    try:
        return bool(text) and _value(text, 0) == len(text)
    except _Broken:
        return False


def _value(text: str, at: int) -> int:
    """Where the JSON value that begins at `at` ends.

    Raises:
        _Broken: it is none. What was read up to there need not be read again.
    """
    open_: list[str] = []
    expects = "value"  # or "first" in a list, "key" and "first key" in an object, or "next"
    size = len(text)
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if at >= size:
            raise _Broken(at, cut=len(open_) > 1 or expects not in {"first", "first key"})
        char = text[at]
        if expects == "next":
            if char == ",":
                expects = "key" if open_[-1] == "{" else "value"
                at += 1
                continue
            if char != _CLOSES[open_[-1]]:
                raise _Broken(at, cut=False)
            at += 1
            open_.pop()
        elif (expects == "first" and char == "]") or (expects == "first key" and char == "}"):
            at += 1
            open_.pop()
        elif expects in {"key", "first key"}:
            at = _key(text, at)
            expects = "value"
            continue
        elif char in _CLOSES:
            if len(open_) >= _DEEPEST:
                raise _Broken(size, cut=False)  # nor is anything taken out of it
            open_.append(char)
            expects = "first" if char == "[" else "first key"
            at += 1
            continue
        else:
            at = _scalar(text, at)
        if not open_:
            return at
        expects = "next"


def _key(text: str, at: int) -> int:
    if text[at] != '"':
        raise _Broken(at, cut=False)
    at = _SPACE.match(text, _scalar(text, at)).end()  # type: ignore[union-attr]
    if at >= len(text) or text[at] != ":":
        raise _Broken(at, cut=at >= len(text))
    return at + 1


_STOPPED: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*+', re.DOTALL)
_HALF: Final = frozenset({".", "e", "E", "e+", "e-", "E+", "E-"})
"""How a number that is cut off goes on."""

_WORDS: Final = ("true", "false", "null")


def _scalar(text: str, at: int) -> int:
    found = _SCALAR.match(text, at)
    if found is not None:
        end = found.end()
        if text[end : end + 3] in _HALF:  # at the very end, since it would be longer elsewhere
            raise _Broken(len(text), cut=True)
        return end
    if text[at] == '"':  # it breaks off at the end, or at a character that no string may have
        end = _STOPPED.match(text, at).end()  # type: ignore[union-attr]
        last = len(text) - 1  # where an escape may have been cut in two
        raise _Broken(end, cut=end > last or (end == last and text[end] == "\\"))
    rest = text[at : at + 5]
    cut = at + len(rest) == len(text) and (
        rest == "-" or any(word.startswith(rest) for word in _WORDS)
    )
    raise _Broken(at + (len(rest) if cut else 0), cut=cut)
