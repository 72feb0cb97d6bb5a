"""Events in words."""

from __future__ import annotations

import inspect
from decimal import Decimal

import pytest

from agentguard import events
from agentguard.engine.records import AttemptRecord, CallRecord
from agentguard.telling import amount, dollars, in_words, lasted

CALL = CallRecord("ask", 0.0, {}, None)
ATTEMPT = AttemptRecord("ask", 2, 0.0, 0.0)
WORDS = {
    "AttemptEnded": "attempt 2 of ask running, running",
    "AttemptStarted": "asked ask, attempt 2",
    "Blind": "no model call was seen by budget, prompt_cache",
    "BudgetCharged": "the budget team was charged $0.25",
    "BudgetOverrun": "one answer took the budget team 20 output tokens over its limit of 1,000 output tokens",
    "BudgetThreshold": "the budget team has reached 80 % of its limit: $16.5 of $20",
    "CacheHit": "answered by the cache: fresh, 1.50 s old",
    "CacheMissed": "not in the cache",
    "CacheSkipped": "not kept by the cache: it was cut",
    "CacheStored": "kept by the cache: 1,024 bytes",
    "CallEnded": "running, running",
    "CallStarted": "was called",
    "Capped": "the answer was capped at 1,200 tokens, all that the budget team has left",
    "CheckFailed": "classify of moderate failed with ValueError",
    "CircuitClosed": "circuit closed",
    "CircuitHalfOpened": "circuit half-open: trial call",
    "CircuitOpened": "circuit opened for 30 s: 5 failures in a row",
    "CircuitRejected": "refused by an open circuit",
    "Delayed": "budget lets it wait for 1.50 s",
    "DetectorFailed": "KoPii failed with MemoryError: refused",
    "FellBack": "fell back to backup (overloaded)",
    "GaveUp": "gave up: attempts=3 are used up",
    "LateResult": "an answer of ask came too late and was discarded",
    "Masked": "masked 2 email, 1 phone",
    "PrefixChanged": "the prompt keeps changing in system from character 1,016: a date",
    "Rejected": "moderate would have refused the answer: violence, hate",
    "Retried": "retries attempt 1 (overloaded) in 2.00 s as the provider asked",
    "StoreFailed": "redis at cache could not be reached: calls pass uncounted",
    "TimedOut": "timed out: timeout=30 s",
    "Unmasked": "not masked: image at messages[0].content[1]",
    "Unpriced": "no price is known for the model m-1: its cost is missing",
}
MADE = [
    events.AttemptEnded(CALL, ATTEMPT),
    events.AttemptStarted(CALL, ATTEMPT),
    events.Blind(CALL, ("budget", "prompt_cache")),
    events.BudgetCharged(CALL, "team", "usd", Decimal("0.25"), Decimal(1), Decimal(20)),
    events.BudgetOverrun(CALL, "team", "output_tokens", 20, 1020, 1000),
    events.BudgetThreshold(CALL, "team", "usd", 80, Decimal("16.5"), Decimal(20)),
    events.CacheHit(CALL, "cache", "fresh", 1.5, None, None, lambda: None),
    events.CacheMissed(CALL, "cache"),
    events.CacheSkipped(CALL, "cache", "it was cut"),
    events.CacheStored(CALL, "cache", 1024),
    events.CallEnded(CALL),
    events.CallStarted(CALL),
    events.Capped(CALL, "team", 1200),
    events.CheckFailed(CALL, "moderate", "classify", "ValueError"),
    events.CircuitClosed(CALL, "openai"),
    events.CircuitHalfOpened(CALL, "openai"),
    events.CircuitOpened(CALL, "openai", "5 failures in a row", 30),
    events.CircuitRejected(CALL, "openai", 3.0),
    events.Delayed(CALL, "budget", 1.5),
    events.DetectorFailed(CALL, "KoPii", "MemoryError", "refused"),
    events.FellBack(CALL, "overloaded", "backup"),
    events.GaveUp(CALL, "overloaded", 3, "attempts=3 are used up"),
    events.LateResult(CALL, ATTEMPT),
    events.Masked(CALL, {"email": 2, "phone": 1}),
    events.PrefixChanged(CALL, "system", 1016, "a date"),
    events.Rejected(CALL, "moderate", "answer", ("violence", "hate"), "stop", True),
    events.Retried(CALL, "overloaded", 1, 2.0, True),
    events.StoreFailed(CALL, "redis at cache", "ConnectionError", "calls pass uncounted"),
    events.TimedOut(CALL, "timeout", 30.0),
    events.Unmasked(CALL, "image", "messages[0].content[1]"),
    events.Unpriced(CALL, ATTEMPT, "m-1"),
]


def test_every_event_has_its_words() -> None:
    """An event that is added must be given a sentence here."""
    known = [
        name
        for name in events.__all__
        if inspect.isclass(kind := getattr(events, name)) and issubclass(kind, events.Event)
    ]
    assert sorted(WORDS) == sorted(set(known) - {"Event"})
    assert [type(event).__name__ for event in MADE] == sorted(WORDS)


@pytest.mark.parametrize("event", MADE, ids=lambda event: type(event).__name__)
def test_what_an_event_says(event: events.Event) -> None:
    """In one sentence, which begins small and has no stop."""
    assert in_words(event) == WORDS[type(event).__name__]


def test_what_an_ended_call_says() -> None:
    """How it ended, why, and how long it took."""
    call = CallRecord("ask", 0.0, {}, None)
    call.outcome, call.kind, call.duration = "failed", "overloaded", 0.25
    assert in_words(events.CallEnded(call)) == "failed: overloaded, 250 ms"


def test_an_event_of_ones_own_says_its_name() -> None:
    """Policies of the user's own emit events of their own."""

    class Judged(events.Event):
        pass

    assert in_words(Judged(CALL)) == "Judged"


def test_amounts_and_lengths() -> None:
    """Dollars to the last digit, tokens with commas, short times in milliseconds."""
    assert dollars(Decimal("-0.000125")) == "-$0.000125"
    assert amount("input_tokens", 12000) == "12,000 input tokens"
    assert amount("requests", 3) == "3 requests"
    assert (lasted(None), lasted(0.25), lasted(1.5)) == ("running", "250 ms", "1.50 s")
