"""What a policy that judges has found, and what follows from it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

from agentguard.engine import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.engine.chain import Policy

__all__ = ["Finding", "Stop", "Then", "checked", "reask", "refusal", "replace", "shadow", "stop"]

_SHOWN: Final = 3


class Finding(NamedTuple):
    """One thing that a policy found wrong. It quotes nothing of the text that it was found in.

    Attributes:
        rule: what was broken, in a word: "threat", "missing_field".
        reason: the same in a sentence.
        where: the place: a field, an argument, "messages[2]"; None where there is but one.
        start: the first character there, or None.
        end: the character after the last, or None.

    Examples:
        >>> from agentguard import Finding
        >>> str(Finding("missing_field", "a field is missing", "city"))
        'city: a field is missing'
    """

    rule: str
    reason: str
    where: str | None = None
    start: int | None = None
    end: int | None = None

    def __str__(self) -> str:
        return self.reason if self.where is None else f"{self.where}: {self.reason}"


class Stop:
    """The call ends with an error. There is one of it, `stop`."""

    def __repr__(self) -> str:
        return "stop"

    def __reduce__(self) -> str:
        return "stop"


stop: Final = Stop()
"""What follows a finding unless another is asked for: `errors.InputRejected` or `OutputRejected`."""


class reask:  # noqa: N801  reads like a verb, as `stop` does
    """After a finding the model is asked again, and told what was wrong with its answer.

    Every answer counts, in `usage`, `report` and budgets. When the last one is no better,
    `errors.OutputRejected` is raised.

    Args:
        times: how often at most, beyond the first time.
        tokens: all answers together may use so many tokens before another is asked for, or None.
        usd: the same in US dollars.

    Examples:
        >>> from agentguard import reask
        >>> reask(2, usd=0.05)
        reask(2, usd=0.05)
    """

    __slots__ = ("times", "tokens", "usd")

    def __init__(
        self, times: int = 2, *, tokens: int | None = None, usd: float | None = None
    ) -> None:
        self.times = arguments.count("reask", "times", times)
        self.tokens = None if tokens is None else arguments.count("reask", "tokens", tokens)
        self.usd = None if usd is None else arguments.number("reask", "usd", usd, "US dollars")

    def __repr__(self) -> str:
        bounds = {"tokens": self.tokens, "usd": self.usd}
        told = [f"{name}={value}" for name, value in bounds.items() if value is not None]
        return f"reask({', '.join([str(self.times), *told])})"


class replace:  # noqa: N801
    """After a finding the user gets another text in place of the answer.

    Of a stream, in place of what has not been let through; it ends there. Tool calls of the answer
    stay.

    Args:
        text: what to say instead.

    Examples:
        >>> from agentguard import replace
        >>> replace("I cannot help with that.")
        replace(<24 characters>)
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        if not isinstance(cast("object", text), str):
            raise TypeError(f"replace() takes the text to say instead, not {type(text).__name__}")
        self.text = text

    def __repr__(self) -> str:
        return f"replace(<{len(self.text)} characters>)"

    def said(self, answer: str) -> str:
        """What is said in place of `answer`."""
        return self.text


Then = Stop | reask | replace
"""What may follow a finding."""


def checked(owner: str, then: object, *kinds: type) -> Then:
    """`then` of a policy, or a TypeError that says what it may be.

    Args:
        owner: the policy's name.
        then: what the user gave.
        *kinds: which of `Stop`, `reask` and `replace` it serves; all of them unless given.
    """
    if isinstance(then, type) and then in {reask, replace}:
        raise TypeError(f"{owner}(then={then.__name__}) lacks its brackets: {then.__name__}(...)")
    allowed = kinds or (Stop, reask, replace)
    if isinstance(then, (Stop, reask, replace)) and type(then) in allowed:
        return then
    shown = {Stop: "stop", reask: "reask(2)", replace: 'replace("...")'}
    words = " or ".join(word for kind, word in shown.items() if kind in allowed)
    found = repr(then) if isinstance(then, (Stop, reask, replace)) else arguments.told(then)
    raise TypeError(f"{owner}(then=) is {words}, from agentguard, not {found}")


P = TypeVar("P", bound="Policy")


def shadow(policy: P) -> P:
    """The same policy, which reports what it would refuse and lets everything through.

    To try a policy on real traffic before it may refuse anything: `events.Rejected` are emitted
    with `shadow=True`. State is shared with the policy given, and a budget or breaker goes on
    counting. Only what refuses can be shadowed: masking always masks.

    Args:
        policy: one that refuses, such as `validate_output(...)`.

    Raises:
        TypeError: the policy refuses nothing.

    Examples:
        >>> import agentguard as ag
        >>> ag.shadow(ag.validate_input(max_chars=10_000))
        shadow(validate_input(max_chars=10000))
    """
    if not getattr(policy, "refuses", False):
        name = getattr(policy, "name", type(policy).__name__)
        raise TypeError(
            f"shadow() takes a policy that refuses calls, such as moderate(); {name} "
            "refuses nothing that it could let through instead"
        )
    other = copy.copy(policy)
    other.written = "shadow"
    other.switched("shadow")
    other.spelled = f"shadow({policy!r})"
    return other


def refusal(policy: Policy, name: str, findings: Sequence[Finding], what: str) -> str:
    """A sentence for an error: who refused what, and why.

    Args:
        policy: that refused.
        name: of what was called.
        findings: at least one.
        what: "request" or "answer".
    """
    told = "; ".join(str(each) for each in findings[:_SHOWN])
    more = f"; and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    return f"{policy.name} refused the {what} of {name}: {told}{more} (error.findings has them all)"
