"""Answers judged: let through, refused, replaced, or asked for again."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from agentguard.engine.arguments import told
from agentguard.engine.gate import Window, gated
from agentguard.engine.marks import leave_partial
from agentguard.engine.verdict import Finding, Then, reask, refusal, replace, stop
from agentguard.errors import OutputRejected, Partial
from agentguard.providers.feedback import with_feedback
from agentguard.providers.shapes import OPAQUE, Reading, shape_of
from agentguard.providers.visible import Replacing, aside

if TYPE_CHECKING:
    from agentguard.engine.bill import Bill
    from agentguard.engine.call import Attempt, Call, Outcome
    from agentguard.engine.chain import Next, Policy
    from agentguard.engine.reply import Reply, Source

__all__ = ["Answer", "Hold", "Judge", "checked_hold", "judged", "refuse_stream"]

Hold = Literal["all"] | Window | None


class Answer:
    """What a judge looks at.

    Attributes:
        call: whose answer it is.
        value: of a unary answer itself; of a held stream its items, or their joined text where they
            are strings; of a window None.
        text: what the user will read, with what a mask hides put back; in a window, the part that
            is judged.
        masked: the same with what a mask hides still hidden: for judges that are models.
        before: in a window, the end of what was let through before.
        reading: model, usage and finish reason, as far as they are known.
    """

    __slots__ = ("before", "call", "masked", "reading", "text", "value")

    def __init__(
        self, call: Call, value: Any, masked: str, reading: Reading, before: str = ""
    ) -> None:
        self.call = call
        self.value = value
        self.masked = masked
        self.text = call.restore(masked)
        self.reading = reading
        self.before = before

    def __repr__(self) -> str:
        return f"<answer of {self.call.target.name}, {len(self.text)} characters>"


Judge = Callable[[Answer], Sequence[Finding] | Awaitable[Sequence[Finding]]]
"""Says what is wrong with an answer: nothing, or findings. It may be a coroutine function."""


async def judged(
    policy: Policy,
    call: Call,
    next: Next,
    judge: Judge,
    *,
    then: Then = stop,
    hold: Hold = None,
    feedback: Callable[[Sequence[Finding]], str] | None = None,
    cut: Callable[[str], int] | None = None,
) -> Reply:
    """Make the call and judge its answer, however it comes.

    Args:
        policy: that judges.
        call: the call.
        next: the chain inside.
        judge: what is wrong with the answer.
        then: what follows when something is.
        hold: how a stream is judged: "all" holds it back until its end; a `Window` judges it as it
            comes, and then cannot ask again; without either a stream is refused.
        feedback: what a model that is asked again is told; the findings' reasons unless given.
        cut: of a judge that looks at whole pieces, as sentences are: up to where a text is made of
            them, whatever follows. In a window each is judged once, by itself, when it is whole.
    """
    asked, spent = call, _Spent()
    if isinstance(then, reask) and (then.tokens is not None or then.usd is not None):
        asked = asked.on_attempt(spent.look)
    first = asked
    for number in range(1 + (then.times if isinstance(then, reask) else 0)):
        reply = await next(asked)
        source = reply.source
        if source is not None and isinstance(hold, Window) and not isinstance(then, reask):
            look = _look(policy, call, reply, judge, then)
            return gated(call, reply, source, hold, look, cut)
        if source is not None and hold != "all":
            await reply.discard()
            raise refuse_stream(policy, then)
        answer = await _whole(call, reply)
        findings = await _findings(judge, answer)
        if not findings:
            return reply
        try:
            acts = call.reject(policy, findings, then, OutputRejected)
        except BaseException:
            await reply.discard()
            raise
        if not acts:
            return reply
        if isinstance(then, replace):
            _replaced(reply, then.said(answer.masked))
            return reply
        if isinstance(then, reask):
            await reply.discard()
            why = spent.over(then) if number < then.times else f"asked {number + 1} times"
            if why is not None:
                said_so = refusal(policy, call.target.name, findings, "answer")
                raise OutputRejected(f"{said_so}; {why}", findings=findings)
            said = "; ".join(map(str, findings)) if feedback is None else feedback(findings)
            args, kwargs = with_feedback(
                call.target, first.args, first.kwargs, answer.reading.text, said
            )
            asked = first.replace(args=args, kwargs=kwargs)
    raise AssertionError("the last answer was let through or refused")


def checked_hold(owner: str, hold: object) -> Hold:
    """`hold` of a policy, or a TypeError that says what it may be."""
    if hold is None or isinstance(hold, Window):
        return hold
    if hold == "all":
        return "all"
    shown = repr(hold) if isinstance(hold, str) else told(hold)
    raise TypeError(
        f'{owner}(hold=) is "all", a Window as in Window(size=200), or None, not {shown}'
    )


def refuse_stream(policy: Policy, then: Then) -> TypeError:
    """What is raised where a stream cannot be judged as it was asked to be."""
    ways = 'hold="all", which holds it back until its end'
    if not isinstance(then, reask):
        ways += ", or hold=Window(), which judges it as it comes"
    return TypeError(
        f"{policy.name} judges the answer, and the answer is a stream, half of which would be with "
        f"the user: pass {ways}"
    )


async def _whole(call: Call, reply: Reply) -> Answer:
    reading = Reading()
    if reply.source is None:
        value: Any = reply.value
        shape_of(value).read(value, reading)
        others = [text for _, text in aside(value)]
    else:
        items = await _held(reply.source)
        beside: dict[Any, str] = {}
        for item in items:
            shape_of(item).read(item, reading)
            for channel, text in aside(item, streamed=True):
                beside[channel] = beside.get(channel, "") + text
        others = [*beside.values()]
        texts = bool(items) and all(isinstance(item, str) for item in items)
        value = "".join(items) if texts else items
    return Answer(call, value, "\n\n".join(filter(None, [reading.text, *others])), reading)


async def _held(source: Source) -> list[Any]:
    try:
        return await source.hold()
    except Exception as error:  # what was not judged is not shown by way of the error
        leave_partial(error, Partial("", source.attempt.figures))
        raise


async def _findings(judge: Judge, answer: Answer) -> Sequence[Finding]:
    found = judge(answer)
    return await found if inspect.isawaitable(found) else found


def _look(
    policy: Policy, call: Call, reply: Reply, judge: Judge, then: Then
) -> Callable[[str, str], Awaitable[str | None]]:
    async def look(before: str, text: str) -> str | None:
        reading = reply.attempt.reading
        answer = Answer(call, None, text, reading, call.restore(before))
        findings = await _findings(judge, answer)
        if findings and call.reject(policy, findings, then, OutputRejected):
            return then.said(text) if isinstance(then, replace) else None
        return None

    return look


def _replaced(reply: Reply, text: str) -> None:
    """Put `text` in place of all that the user would read."""
    replacing = Replacing(text)
    if reply.source is not None:
        held = reply.source.opening
        changed = [replacing.change(item) for item in held]
        held.clear()
        held.extend(changed)
        return
    value = reply.value
    changed_value = value if shape_of(value) is OPAQUE else replacing.change(value)
    reply.value = changed_value if replacing.said else text  # what has no text of its own


class _Spent:
    """What the answers so far have used, where a re-ask is bounded by it."""

    __slots__ = ("_bills",)

    def __init__(self) -> None:
        self._bills: list[Bill] = []

    def look(self, attempt: Attempt) -> None:
        """Follow an attempt, as a hook of `Call.on_attempt`."""
        attempt.on_end(self._book)

    def _book(self, outcome: Outcome) -> None:
        if outcome.bill is not None:
            self._bills.append(outcome.bill)

    def over(self, then: reask) -> str | None:
        """Why the model is not asked again, or None."""
        if then.tokens is not None:
            used = [each.usage for each in self._bills]
            tokens = sum(each.total_tokens for each in used if each is not None)
            if tokens >= then.tokens:
                return f"not asked again: {tokens} tokens are used of {then.tokens}"
        if then.usd is not None:
            costs = [each.cost for each in self._bills]
            if None in costs:
                return "not asked again: what the answers cost is not known, and usd= bounds it"
            dollars = sum(each for each in costs if each is not None)
            if dollars >= then.usd:
                return f"not asked again: ${dollars} are used of ${then.usd}"
        return None
