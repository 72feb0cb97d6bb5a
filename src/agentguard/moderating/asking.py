"""The slow checks of a text: a classifier, a moderation endpoint, a model that judges."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentguard.engine.verdict import Finding
from agentguard.moderating.judging import question, verdict
from agentguard.moderating.ratings import flagged
from agentguard.providers.shapes import Reading, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.engine.runtime import Runtime
    from agentguard.engine.target import Target
    from agentguard.moderating.ratings import Threshold

__all__ = ["Checks", "Outcome"]

_NAMES: Final = {"classify": "the classifier", "endpoint": "the endpoint", "judge": "the judge"}


class Outcome(NamedTuple):
    """What the checks of some texts have found.

    Attributes:
        findings: what was found, and that a check failed where it has to pass.
        failed: which check failed, and the name of its error, for each that did.
    """

    findings: list[Finding]
    failed: list[tuple[str, str]]


class Checks:
    """What a policy asks about a text beside its rules.

    Args:
        owner: the policy's name.
        categories: that a judge may name.
        threshold: from which score on something counts.
        closed: a check that fails counts as a finding.
        functions: by the name of the policy's argument: `classify`, `endpoint` or `judge`.
    """

    def __init__(
        self,
        owner: str,
        categories: Sequence[str],
        threshold: Threshold | None,
        *,
        closed: bool,
        **functions: Callable[..., Any] | None,
    ) -> None:
        self.owner = owner
        self.categories = categories
        self.threshold = threshold
        self.closed = closed
        self.functions = {name: fn for name, fn in functions.items() if fn is not None}
        for name, fn in self.functions.items():
            if not callable(fn):
                raise TypeError(
                    f"{owner}({name}=) takes something to call, not {type(fn).__name__}"
                    + (": pass client.moderations.create" if name == "endpoint" else "")
                )

    def __bool__(self) -> bool:
        return bool(self.functions)

    def check(self, target: Target) -> None:
        """Refuse at decoration a sync target that could await none of them."""
        if target.is_async or target.hands_back:
            return
        for name, fn in self.functions.items():
            if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
                raise TypeError(
                    f"{self.owner}({name}=) is asynchronous and {target.name} is not: pass a sync "
                    "one, or guard an async function"
                )

    async def ask(self, texts: Sequence[tuple[str, str]], runtime: Runtime) -> Outcome:
        """Ask about each text, given with its place."""
        found = Outcome([], [])
        for text, where in texts:
            for name, fn in self.functions.items():
                try:
                    rules = await self._asked(name, fn, text, runtime)
                except Exception as error:
                    found.failed.append((name, type(error).__name__))
                    if self.closed:
                        reason = f"{_NAMES[name]} failed ({type(error).__name__})"
                        found.findings.append(Finding("unchecked", reason, where))
                    continue
                found.findings.extend(
                    Finding(rule, f"{_NAMES[name]} found {rule}", where) for rule in rules
                )
        return found

    async def _asked(
        self, name: str, fn: Callable[..., Any], text: str, runtime: Runtime
    ) -> list[str]:
        if name == "endpoint":
            return flagged(await _called(lambda: fn(input=text), fn, runtime), self.threshold)
        if name == "classify":
            return flagged(await _called(lambda: fn(text), fn, runtime), self.threshold)
        asked = question(text, self.categories)
        answer = await _called(lambda: fn(asked), fn, runtime)
        reading = Reading()
        shape_of(answer).read(answer, reading)
        return verdict(reading.text, self.categories)


async def _called(work: Callable[[], Any], fn: Callable[..., Any], runtime: Runtime) -> Any:
    """What a user's function answers: a sync one runs off the event loop."""
    if runtime.is_async and (
        inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)
    ):
        return await work()
    answer = await runtime.blocking(work)
    if inspect.isawaitable(answer):
        if not runtime.is_async:
            getattr(answer, "close", lambda: None)()
            raise TypeError("a check handed back something to await in a sync call")
        answer = await answer
    return answer
