"""What the provider does to each request: the same bad day in every run, for both sides."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from agentguard.testing import FakeProvider, Fault, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.testing import Received

SEED = 7
SLICE = 0.2
"""Seconds; in each slice of time every caller asks one question."""

Plan = list[Fault]
"""What happens to the first, second ... request for one question; after that it is answered."""


def calm(dice: Random, stream: bool) -> Plan:
    return []


def rate_limits(dice: Random, stream: bool) -> Plan:
    return [fault.status(429, retry_after=0.3)] * dice.choice((0, 1, 1, 2, 3))


def overload(dice: Random, stream: bool) -> Plan:
    # Streams often fail inside an HTTP 200, which no SDK retries.
    inside = stream and dice.random() < 0.5
    refusal = fault.error("overloaded", after=0) if inside else fault.status(529)
    return [refusal] * dice.choice((0, 1, 1, 2))


def cut_streams(dice: Random, stream: bool) -> Plan:
    # The connection ends cleanly, so that no SDK notices: before the first word, or later.
    return [fault.cut(after=place) for place in dice.choice(((), ("opening",), (0,), (6,)))]


def stalls(dice: Random, stream: bool) -> Plan:
    return [fault.stall(after=place) for place in dice.choice(((), (None,), ("opening",), (6,)))]


def outage(dice: Random, stream: bool) -> Plan:
    return [fault.status(502)] * 100


class Spell(NamedTuple):
    name: str
    slices: int
    plan: Callable[[Random, bool], Plan]


FORECAST = (
    Spell("calm", 6, calm),
    Spell("rate limits", 13, rate_limits),
    Spell("overload", 10, overload),
    Spell("cut streams", 13, cut_streams),
    Spell("stalls", 8, stalls),
    Spell("outage", 12, outage),
    Spell("calm", 8, calm),
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

    @classmethod
    def of(cls, text: str) -> Question:
        caller, _, rest = text.partition(": ")
        return cls(caller, int(rest.rpartition(" ")[2]))

    def plan(self, stream: bool) -> Plan:
        left = self.slice
        for spell in FORECAST:
            if left < spell.slices:
                return spell.plan(Random(f"{SEED} {self.text}"), stream)
            left -= spell.slices
        return []


def asked(body: dict[str, list[dict[str, str]]]) -> Question:
    return Question.of(body["messages"][-1]["content"])


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
        plan = question.plan(received.stream)
        return plan[before] if before < len(plan) else None


def healthy() -> FakeProvider:
    return FakeProvider(answer=lambda body: asked(body).answer)
