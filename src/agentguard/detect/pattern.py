"""A detector of the user's own from a regular expression that takes linear time."""

from __future__ import annotations

import importlib
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

from agentguard.detect.found import Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Pattern"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")


class Pattern:
    r"""Finds what matches a regular expression, a line at a time.

    It runs on google-re2 where `agentguard-decorators[pii]` is installed, in linear time whatever
    the text. Without it, expressions that may take more than that on some text are refused: those
    in which a repeated part holds another repetition or alternatives, something follows a
    repetition without a bound, or a group has to match twice.

    Args:
        type: what to call what is found, as in "employee_id"; the placeholder is made of it.
        pattern: the expression. A group named `value`, if there is one, is what counts.
        context: words one of which has to stand in the same line; none unless given.
        confidence: from 0 to 1. Where two overlap the surer one counts.

    Raises:
        ValueError: the expression is none, or may take more than linear time.

    Examples:
        >>> from agentguard import detect
        >>> badge = detect.Pattern("employee_id", r"EMP-\d{6}")
        >>> detect.find("ask EMP-004711", detectors=[badge])
        [Found(start=4, end=14, type='employee_id', confidence=0.9)]
    """

    def __init__(
        self,
        type: str,  # noqa: A002
        pattern: str,
        *,
        context: Iterable[str] = (),
        confidence: float = 0.9,
    ) -> None:
        if not _NAME.fullmatch(type):
            raise ValueError(
                f"Pattern(type={type!r}): small letters, digits and underscores, as in 'employee_id'"
            )
        if not 0 < confidence <= 1:
            raise ValueError(f"Pattern(confidence=) is between 0 and 1, not {confidence!r}")
        self.type = type
        self.confidence = confidence
        self.context = tuple(word.casefold() for word in context)
        self._source = pattern
        self._compiled = _compiled(pattern)
        if self._compiled.search("") is not None:
            raise ValueError(f"Pattern({type!r}) matches the empty text, which is everywhere")

    def __repr__(self) -> str:
        return f"Pattern({self.type!r}, {self._source!r})"

    def find(self, text: str, /) -> Iterator[Found]:
        """Find every match in a line."""
        if self.context and not any(word in text.casefold() for word in self.context):
            return
        for found in self._compiled.finditer(text):
            group: Any = "value" if "value" in self._compiled.groupindex else 0
            start, end = found.span(group)
            if start < end:
                yield Found(start, end, self.type, self.confidence)


def _compiled(pattern: str) -> Any:
    try:
        re2: Any = importlib.import_module("re2")
    except ImportError:
        return _checked(pattern)
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(
            "this expression cannot run in linear time, as google-re2 does, which knows neither "
            "look-around nor references to groups: use a group named `value` for what counts, as in "
            r"(?:badge )(?P<value>\d+)"
        ) from error


def _checked(pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = _parser.parse(pattern)
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error.msg}") from None
    trouble = _super_linear(parsed, repeated=False)
    if trouble is not None:
        raise ValueError(
            f"this expression may take for ever on some text: {trouble}. Write it without, bound "
            "the repetition, as in {1,20}, or pip install 'agentguard-decorators[pii]', which runs "
            "it on google-re2 in linear time"
        )
    return compiled


_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001  only it knows the grammar
_MANY: Final = 64
_FEW: Final = 8


def _super_linear(parsed: Any, *, repeated: bool, ends: bool = True) -> str | None:
    """What makes an expression take more than linear time, or None.

    Args:
        parsed: the expression, or a part of it.
        repeated: the part is repeated.
        ends: nothing follows it.
    """
    items = list(parsed)
    for place, (operation, argument) in enumerate(items):
        name, last = str(operation), ends and place == len(items) - 1
        found = None
        if name in {"GROUPREF", "GROUPREF_EXISTS"}:
            return "it refers to a group"
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            least, most, inside = argument
            if repeated and most != least:
                return "a repetition is repeated"
            if most > _MANY and not last:
                return "something follows a repetition without a bound"
            found = _super_linear(inside, repeated=repeated or most > _FEW, ends=last)
        elif name == "BRANCH":
            if repeated:
                return "alternatives are repeated"
            parts = (_super_linear(each, repeated=False, ends=last) for each in argument[1])
            found = next(filter(None, parts), None)
        elif name in {"SUBPATTERN", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"}:
            inside = argument if name == "ATOMIC_GROUP" else argument[-1]
            found = _super_linear(inside, repeated=repeated, ends=last)
        if found is not None:
            return found
    return None
