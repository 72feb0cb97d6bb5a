"""Events in words: the one place that says what happened, for reports and alerts alike.

A sentence begins small and ends without a stop, so that it can follow a name or a dash. It holds
no more than its event does: no prompt, no answer, no error's own text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard import events

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["amount", "circuit_named", "dollars", "in_words", "lasted"]


def in_words(event: events.Event) -> str:  # noqa: C901, PLR0912  a case for each event
    """What an event says, in one sentence.

    Examples:
        >>> import agentguard as ag
        >>> from agentguard.telling import in_words
        >>> heard = []
        >>> @ag.on_event(ag.events.GaveUp, heard.append)
        ... @ag.retry(attempts=1)
        ... def ask() -> str:
        ...     raise ConnectionError
        >>> try:
        ...     ask()
        ... except ConnectionError:
        ...     print(in_words(heard[0]))
        gave up: attempts=1 are used up
    """
    match event:
        case events.CallStarted():
            return "was called"
        case events.CallEnded(call=call):
            return f"{_ending(call.outcome, call.kind)}, {lasted(call.duration)}"
        case events.AttemptStarted(attempt=attempt):
            return f"asked {attempt.target}, attempt {attempt.number}"
        case events.AttemptEnded(attempt=attempt):
            ending = _ending(attempt.outcome, attempt.kind)
            return (
                f"attempt {attempt.number} of {attempt.target} {ending}, {lasted(attempt.duration)}"
            )
        case events.Retried(kind=kind, number=number, wait=wait, obeyed=obeyed):
            told = " as the provider asked" if obeyed else ""
            return f"retries attempt {number} ({kind}) in {lasted(wait)}{told}"
        case events.GaveUp(reason=reason):
            return f"gave up: {reason}"
        case events.FellBack(kind=kind, target=target):
            return f"fell back to {target} ({kind})"
        case events.CircuitOpened(reason=reason, seconds=seconds):
            return f"circuit opened for {seconds:g} s: {reason}"
        case events.CircuitHalfOpened():
            return "circuit half-open: trial call"
        case events.CircuitClosed():
            return "circuit closed"
        case events.CircuitRejected(shadow=shadow):
            return f"{'would have been ' if shadow else ''}refused by an open circuit"
        case events.Delayed(policy=policy, wait=wait):
            return f"{policy} lets it wait for {lasted(wait)}"
        case events.TimedOut(bound=bound, seconds=seconds):
            return f"timed out: {bound}={seconds:g} s"
        case events.LateResult(attempt=attempt):
            return f"an answer of {attempt.target} came too late and was discarded"
        case events.Unpriced(model=model):
            return f"no price is known for the model {model}: its cost is missing"
        case events.BudgetCharged(budget=budget, unit=unit, amount=charged):
            return f"the budget {budget} was charged {amount(unit, charged)}"
        case events.BudgetThreshold(budget=budget, unit=unit, percent=percent):
            used = f"{amount(unit, event.used)} of {amount(unit, event.limit)}"
            return f"the budget {budget} has reached {percent} % of its limit: {used}"
        case events.BudgetOverrun(budget=budget, unit=unit, over=over, limit=limit):
            return (
                f"one answer took the budget {budget} {amount(unit, over)} over its limit of "
                f"{amount(unit, limit)}"
            )
        case events.Capped(budget=budget, tokens=tokens):
            return (
                f"the answer was capped at {tokens:,} tokens, all that the budget {budget} has left"
            )
        case events.CacheHit(how=how, age=age):
            return f"answered by the cache: {how}, {lasted(age)} old"
        case events.CacheMissed():
            return "not in the cache"
        case events.CacheStored(size=size):
            return f"kept by the cache: {size:,} bytes"
        case events.CacheSkipped(reason=reason):
            return f"not kept by the cache: {reason}"
        case events.PrefixChanged(where=where, position=position, cause=cause):
            at = "" if position is None else f" from character {position:,}"
            return f"the prompt keeps changing in {where}{at}{f': {cause}' if cause else ''}"
        case events.Rejected(policy=policy, what=what, rules=rules, then=then, shadow=shadow):
            did = "would have refused" if shadow else "refused"
            follows = "" if shadow or then == "stop" else f", then {then}"
            return f"{policy} {did} the {what}: {', '.join(rules)}{follows}"
        case events.CheckFailed(policy=policy, check=check, error=error):
            return f"{check} of {policy} failed with {error}"
        case events.StoreFailed(store=store, then=then):
            return f"{store} could not be reached: {then}"
        case events.Masked(counts=counts):
            return f"masked {', '.join(f'{n} {kind}' for kind, n in counts.items())}"
        case events.Unmasked(kind=kind, where=where):
            return f"not masked: {kind} at {where}"
        case events.DetectorFailed(detector=detector, error=error, then=then):
            return f"{detector} failed with {error}: {then}"
        case events.Blind(policies=policies):
            return f"no model call was seen by {', '.join(policies)}"
        case _:  # an event of the user's own
            return type(event).__name__


def lasted(seconds: float | None) -> str:
    """A length of time; of what has not ended, "running"."""
    if seconds is None:
        return "running"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def dollars(sum_: Decimal | int) -> str:
    """US dollars, to the last digit."""
    return f"{'-' if sum_ < 0 else ''}${abs(sum_):f}"


def amount(unit: str, much: int | Decimal) -> str:
    """So much of a budget's unit."""
    return dollars(much) if unit == "usd" else f"{much:,} {unit.replace('_', ' ')}"


def _ending(outcome: str, kind: str | None) -> str:
    return outcome if kind is None else f"{outcome}: {kind}"


def circuit_named(
    event: events.CircuitOpened
    | events.CircuitHalfOpened
    | events.CircuitClosed
    | events.CircuitRejected,
) -> str:
    """The circuit's name; of one for each key, which may be a user or worse, only that it is one."""
    return "one of several" if event.keyed else event.circuit
