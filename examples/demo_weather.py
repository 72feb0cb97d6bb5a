"""What the provider does to each request: the same bad day in every run, for both sides."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from agentguard.testing import FakeProvider, Fault, fault

if TYPE_CHECKING:
    from agentguard.testing import Received

SEED = 7
SLICE = 0.2
"""Seconds; in each slice of time every caller asks one question."""

RATE_LIMIT = fault.status(429, retry_after=0.3)
OVERLOADED = fault.status(529)
OVERLOADED_INSIDE = fault.error("overloaded", after=0)
"""The error comes inside an HTTP 200, as some gateways and many streams do: no SDK retries it."""
DOWN = fault.status(502)


class Spell(NamedTuple):
    """A stretch of weather. A plan says what happens to the first, second ... request for one
    question; then it is answered. Each question gets one of the plans."""

    name: str
    slices: int
    plans: list[list[Fault]]


FORECAST = (
    Spell("calm", 6, [[]]),
    Spell("rate limits", 13, [[RATE_LIMIT] * times for times in (0, 1, 1, 2, 3)]),
    Spell("overload", 10, [[], [OVERLOADED], [OVERLOADED_INSIDE], [OVERLOADED_INSIDE] * 2]),
    # A connection that ends cleanly, before the first word or later: no SDK notices.
    Spell("cut streams", 13, [[], *([fault.cut(after=place)] for place in (0, "opening", 6))]),
    Spell("stalls", 8, [[], *([fault.stall(after=place)] for place in (None, "opening", 6))]),
    Spell("outage", 12, [[DOWN] * 100]),
    Spell("calm", 8, [[]]),
)
SLICES = sum(spell.slices for spell in FORECAST)


class Question(NamedTuple):
    caller: str
    slice: int

    @property
    def text(self) -> str:
        return f"{self.caller}: count to ten, starting at {self.slice}"

    @property
    def answer(self) -> str:
        return " ".join(str(self.slice + step) for step in range(10))

    @property
    def plan(self) -> list[Fault]:
        over = 0
        for spell in FORECAST:
            over += spell.slices
            if self.slice < over:
                return Random(f"{SEED} {self.text}").choice(spell.plans)
        return []


def asked(body: dict[str, Any]) -> Question:
    caller, _, rest = body["messages"][-1]["content"].partition(": ")
    return Question(caller, int(rest.rpartition(" ")[2]))


class Weather:
    """Plays each question's plan on one provider, and counts the requests made for it."""

    def __init__(self, provider: FakeProvider) -> None:
        self.requests: dict[Question, int] = {}
        self._lock = threading.Lock()
        provider.schedule(self.strike)

    def strike(self, number: int, received: Received) -> Fault | None:
        question = asked(received.body)
        with self._lock:
            before = self.requests.get(question, 0)
            self.requests[question] = before + 1
        return question.plan[before] if before < len(question.plan) else None


def healthy() -> FakeProvider:
    return FakeProvider(answer=lambda body: asked(body).answer)
