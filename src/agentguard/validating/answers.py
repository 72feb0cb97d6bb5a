"""One answer held against what it must be: which value in it is meant, and what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentguard.engine.verdict import Finding
from agentguard.providers.answered import answered
from agentguard.providers.finish import ending
from agentguard.providers.sent import rewritten
from agentguard.validating.json_in_text import json_in
from agentguard.validating.kinds import Judged, Predicate
from agentguard.validating.reasons import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.providers.answered import Choice, ToolCall
    from agentguard.validating.kinds import Schema, Typed

    Restore = Callable[[str], str]

__all__ = ["Wanted"]


class Wanted:
    """What answers must be.

    Args:
        kind: a type, a schema or a predicate.
        parse: the value itself is asked for, so that an answer that only calls tools is none.
    """

    __slots__ = ("kind", "parse")

    def __init__(self, kind: Typed | Schema | Predicate, *, parse: bool) -> None:
        self.kind = kind
        self.parse = parse

    def judge(
        self,
        items: Sequence[Any],
        *,
        reason: str | None = None,
        tool: str | None = None,
        restore: Restore | None = None,
    ) -> Judged:
        """The value that an answer gives, or what is wrong with it.

        Args:
            items: of a stream, or a unary answer alone.
            reason: the provider's word for why the answer ended.
            tool: that the request forces the model to call.
            restore: puts back what a mask hides, None where there is no mask.
        """
        choices = answered(items)
        if not choices:
            if not items:
                return Judged(None, [_EMPTY])
            value = items[0] if len(items) == 1 else [*items]
            return self.kind.of(value if restore is None else _unmasked(value, restore))
        first: Judged | None = None
        for choice in choices:
            found = self._choice(choice, reason, tool, restore)
            if found.problems:
                return found
            first = first or found
            if self.parse:
                break
        return first or Judged(None, ())

    def _choice(
        self, choice: Choice, reason: str | None, tool: str | None, restore: Restore | None
    ) -> Judged:
        calls = [each for each in choice.calls if self._is_answer(each, tool)]
        if choice.calls and not calls and not choice.text.strip():
            return Judged(None, ())  # a step on the way: the answer comes when the tools have run
        cut = reason is not None and ending(reason) == "cut"
        if isinstance(self.kind, Predicate):
            text = choice.text if restore is None else restore(choice.text)
            return self.kind.of(text)
        return self._value(self.kind, choice.text, calls, restore, cut=cut)

    def _is_answer(self, call: ToolCall, tool: str | None) -> bool:
        """Whether the arguments of a call are the answer, not a step on the way to it."""
        if isinstance(self.kind, Predicate):
            return False
        return self.parse or call.name in {tool, self.kind.name}

    def _value(
        self,
        kind: Typed | Schema,
        text: str,
        calls: Sequence[ToolCall],
        restore: Restore | None,
        *,
        cut: bool,
    ) -> Judged:
        found = json_in(text)
        sources = found.values if found.whole or not (cut or found.unfinished) else []
        sources = [*sources, *filter(None, map(_source, calls))]
        if restore is not None:
            sources = [_restored_json(source, restore) for source in sources]
        tried = [kind.of_json(source) for source in sources]
        fitting = [each for each in tried if not each.problems]
        if kind.takes_text and not fitting and not calls and not cut:
            plain = text.strip() if restore is None else restore(text.strip())
            alone = kind.of(plain)
            fitting = [] if alone.problems else [alone]
            tried.append(alone)
        if fitting:
            if any(each.value != fitting[0].value for each in fitting[1:]):
                return Judged(None, [_AMBIGUOUS])
            return fitting[0]
        if cut or (found.unfinished and not tried):
            return Judged(None, [_CUT if cut else _UNFINISHED])
        if not tried:
            return Judged(None, [_NO_JSON if text.strip() or calls else _EMPTY])
        # The longest is what was meant: the others are examples and references.
        best = max(range(len(tried)), key=lambda i: len(sources[i]) if i < len(sources) else -1)
        return tried[best]


def _source(call: ToolCall) -> str:
    """The arguments of a call as JSON; nothing where they are none."""
    arguments = call.arguments
    if not isinstance(arguments, str):
        return json.dumps(arguments, ensure_ascii=False, default=str)
    return arguments if json_in(arguments).whole else ""


def _restored_json(source: str, restore: Restore) -> str:
    """JSON with what a mask hides put back: inside its strings, escaped as they must be."""
    return json.dumps(_unmasked(json.loads(source), restore), ensure_ascii=False)


def _unmasked(value: Any, restore: Restore) -> Any:
    """A value with what a mask hides put back in all its texts."""
    return rewritten(value, lambda text, _: restore(text))


def _problem(rule: str, reason: str, told: str | None = None) -> Problem:
    return Problem(Finding(rule, reason), told or reason)


_EMPTY = _problem("empty", "the answer is empty")
_NO_JSON = _problem("no_json", "the answer has no JSON in it", "there is no JSON in it")
_AMBIGUOUS = _problem(
    "ambiguous",
    "several JSON values in the answer fit, and they differ",
    "it has several JSON values that fit, and they differ: give one alone",
)
_CUT = _problem(
    "truncated",
    "the answer was cut off at its length limit",
    "it was cut off at the limit of its length: give a shorter one",
)
_UNFINISHED = _problem("truncated", "the JSON in the answer breaks off", "its JSON breaks off")
