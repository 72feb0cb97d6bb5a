"""`moderate`: what must not be said neither reaches the model nor comes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from agentguard import errors, events
from agentguard.engine.arguments import number, one_of
from agentguard.engine.beside import beside
from agentguard.engine.chain import Policy
from agentguard.engine.gate import Window
from agentguard.engine.judging import checked_hold, judged
from agentguard.engine.spelling import Bare
from agentguard.engine.verdict import Finding, checked, stop
from agentguard.moderating import rules as words
from agentguard.moderating.asking import Checks
from agentguard.providers.said import said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentguard.engine.call import Call
    from agentguard.engine.chain import Next
    from agentguard.engine.judging import Answer, Hold
    from agentguard.engine.reply import Reply
    from agentguard.engine.runtime import Runtime
    from agentguard.engine.target import Target
    from agentguard.engine.verdict import Then
    from agentguard.moderating.asking import Outcome
    from agentguard.moderating.ratings import Threshold

__all__ = ["Moderate", "moderate"]

WINDOW: Final = Window(size=200, overlap=words.REACH)


class Moderate(Policy):
    """Refuse requests and answers with profanity, hate, threats, self-harm and the like.

    Built-in rules in English and Korean look at every text of the user and of tools before anything
    is sent, and at the answer before it is shown. They see words, not what is meant: for more, name
    a classifier, a moderation endpoint or a model that judges. Those look at what is new in the
    request while the call is under way, and its answer waits for them; when they refuse, the call
    is cancelled, or its answer let go of. Streams are judged in windows that overlap: what was
    shown is never taken back.

    Args:
        categories: which of "profanity", "hate", "threat", "self_harm", "sexual_minors" and
            "illicit" are looked for; all unless given. None of the rules, with an empty list.
        inputs: whether requests are judged.
        outputs: whether answers are.
        classify: a function of a text that returns whether it is bad, a score, or scores by
            category; it may be async in async calls.
        endpoint: a method that is called as OpenAI's moderation endpoint is, such as
            `client.moderations.create`.
        judge: a function that asks a model: it gets a prompt and returns the model's answer. Guard
            it by itself.
        threshold: from which score on a category counts, 0.5 unless given; or scores by category.
            With `endpoint` it replaces the endpoint's own decision.
        on_error: a check that fails refuses ("closed", the default) or lets through ("open").
        then: what follows a finding in the answer: `stop`, `reask(n)` or `replace(text)`. A
            finding in the request always stops.
        hold: how a stream is judged: a `Window`, 200 characters with 120 around unless given, or
            "all" to hold it back until its end, which `reask` needs. The rules look at 120 around
            at least: no less than what they look for is long.

    Events:
        `Rejected`, with the categories; `CheckFailed`. Neither has words of the text.

    Raises:
        InputRejected: a request was refused. Its findings name category and place.
        OutputRejected: an answer was.
        TypeError: at decoration, for an async check of a sync function.

    Examples:
        >>> import agentguard as ag
        >>> @ag.moderate()
        ... def ask(question: str) -> str:
        ...     return "Gladly."
        >>> ask("How do I kill a process?")
        'Gladly.'
        >>> try:
        ...     ask("I will kill you")
        ... except ag.errors.InputRejected as error:
        ...     print(error.findings[0])
        question: it has words of the category threat
    """

    refuses = True
    spellings: ClassVar[Mapping[str, str]] = {
        "classifier": "classify=",
        "model": "judge=, a function that asks the model",
        "moderation": "endpoint=",
        "client": "endpoint=client.moderations.create",
        "input": "inputs=",
        "output": "outputs=",
        "action": "then=",
        "on_fail": "then=",
        "fail_open": 'on_error="open"',
        "window": "hold=Window(...)",
        "thresholds": "threshold=",
        "rules": "categories=",
    }

    def __init__(
        self,
        categories: Sequence[str] | None = None,
        *,
        inputs: bool = True,
        outputs: bool = True,
        classify: Callable[[str], Any] | None = None,
        endpoint: Callable[..., Any] | None = None,
        judge: Callable[[str], Any] | None = None,
        threshold: Threshold | None = None,
        on_error: Literal["closed", "open"] = "closed",
        then: Then = stop,
        hold: Hold = WINDOW,
    ) -> None:
        self.categories = _categories(categories)
        self.inputs = inputs
        self.outputs = outputs
        if not (inputs or outputs):
            raise TypeError("moderate() with inputs=False and outputs=False judges nothing")
        if threshold is not None and not isinstance(threshold, dict):
            number("moderate", "threshold", threshold)
        one_of("moderate", "on_error", on_error, "closed", "open")
        self.then = checked("moderate", then)
        self.hold: Hold = checked_hold("moderate", hold)
        if self.categories and isinstance(self.hold, Window) and self.hold.overlap < words.REACH:
            self.hold = Window(self.hold.size, words.REACH, self.hold.delay)
        self.checks = Checks(
            "moderate",
            self.categories or words.CATEGORIES,
            threshold,
            closed=on_error == "closed",
            classify=classify,
            endpoint=endpoint,
            judge=judge,
        )
        if not self.categories and not self.checks:
            raise TypeError(
                "moderate() without categories has no rules: name some, or pass classify=, "
                "endpoint= or judge="
            )

    @classmethod
    def takes(cls, value: object) -> bool:
        """Categories, as in `moderate(["threat"])`."""
        return isinstance(value, (list, tuple, set, frozenset, str))

    def check(self, target: Target) -> None:
        """Refuse a sync target with an async check."""
        self.checks.check(target)

    async def around(self, call: Call, next: Next) -> Reply:
        """Judge the request, make the call, judge the answer."""
        inner = self._judging(call, next) if self.inputs else next
        if not self.outputs:
            return await inner(call)
        return await judged(self, call, inner, self._answer, then=self.then, hold=self.hold)

    def _judging(self, call: Call, next: Next) -> Next:
        """The chain inside, the first time with the slow checks beside it."""
        texts = [
            each
            for each in said(call.target, call.args, call.kwargs)
            if each.by in {"user", "tool"}
        ]
        findings = [found for each in texts for found in self._found(each.text, each.where)]
        if findings:
            call.reject(self, findings)
        asked = [(each.text, each.where) for each in texts if each.new] if self.checks else []

        async def check(runtime: Runtime) -> Outcome:
            return await self.checks.ask(asked, runtime)

        async def checking(inside: Call) -> Reply:
            if not asked:
                return await next(inside)
            reply, outcome = await beside(
                inside, next, check, lambda found: bool(found.findings) and not self.shadowed
            )
            asked.clear()  # an answer that is asked for again answers the same request
            self._tell(call, outcome, errors.InputRejected)
            if reply is None:
                raise AssertionError("what ends the call is refused")
            return reply

        return checking

    async def _answer(self, answer: Answer) -> Sequence[Finding]:
        text = answer.before + answer.text
        seen = len(answer.before)
        findings = self._found(text, "answer", seen)
        if findings or not self.checks or not answer.text.strip():
            return findings
        outcome = await self.checks.ask([(answer.masked, "answer")], answer.call.runtime)
        for name, error in outcome.failed:
            answer.call.emit(events.CheckFailed, self.name, name, error)
        return outcome.findings

    def _found(self, text: str, where: str, seen: int = 0) -> list[Finding]:
        """What the rules find; what ends before `seen` was looked at before."""
        return [
            Finding(
                hit.category,
                f"it has words of the category {hit.category}",
                where,
                None if seen else hit.start,
                None if seen else hit.end,
            )
            for hit in words.find(text, self.categories)
            if hit.end > seen
        ]

    def _tell(self, call: Call, outcome: Outcome, error: type[errors.InputRejected]) -> None:
        for name, failure in outcome.failed:
            call.emit(events.CheckFailed, self.name, name, failure)
        if outcome.findings:
            call.reject(self, outcome.findings, error=error)

    def explain(self) -> Sequence[tuple[str, object]]:
        """What is looked for, and by whom."""
        return [
            ("rules", ", ".join(self.categories) or "none"),
            *((name, "asked") for name in self.checks.functions),
            ("judges", " and ".join(_judged(inputs=self.inputs, outputs=self.outputs))),
            ("streams", "held to the end" if self.hold == "all" else repr(self.hold)),
        ]


moderate = Bare(Moderate)


def _judged(*, inputs: bool, outputs: bool) -> list[str]:
    return [*(["requests"] if inputs else []), *(["answers"] if outputs else [])]


def _categories(names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return words.CATEGORIES
    if isinstance(names, str):
        raise TypeError(f"moderate() takes several categories: write [{names!r}]")
    for name in names:
        if name not in words.CATEGORIES:
            known = ", ".join(words.CATEGORIES)
            raise ValueError(f"moderate() has no category {name!r}: it knows {known}")
    return tuple(names)
