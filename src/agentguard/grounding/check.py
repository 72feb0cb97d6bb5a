"""Which sentences of an answer rest on nothing that the sources say, and what each lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentguard.grounding.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.grounding.claims import Claims

__all__ = ["LACKING", "lacking"]

LACKING: Final = {
    "number": "a number",
    "date": "a date or time",
    "quotation": "a quotation",
    "identifier": "a code or number of its own kind",
    "url": "a web address",
    "email": "a mail address",
    "name": "a name",
    "meaning": "what it says",
    "judge": "what it says, as a judge has read it,",
}
"""The kinds of what can be looked up, as they are told."""


def lacking(stated: Claims, evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """The kinds of what a sentence states and no source does; none for one that rests on them.

    Args:
        stated: what the sentence states.
        evidence: what sources say, in one or in several; each fact must be in one of them.

    Examples:
        >>> from agentguard.grounding.claims import claims
        >>> from agentguard.grounding.evidence import Evidence
        >>> sources = [Evidence(["노을 요금제는 월 3만 5천원이다."])]
        >>> lacking(claims("The plan is 35,000 won."), sources)
        ()
        >>> lacking(claims("The plan is $35."), sources)
        ('number',)
    """
    looked: list[tuple[str, Sequence[Any], Callable[[Evidence, Any], bool]]] = [
        ("number", stated.figures, Evidence.has_figure),
        ("date", stated.moments, Evidence.has_moment),
        ("quotation", stated.quotations, Evidence.says),
        ("identifier", stated.identifiers, Evidence.says),
        ("url", stated.urls, Evidence.has_url),
        ("email", stated.emails, Evidence.has_email),
        ("name", stated.names, Evidence.has_name),
    ]
    return tuple(
        kind
        for kind, facts, there in looked
        if not all(any(there(each, fact) for each in evidence) for fact in facts)
    )
