"""What type checkers make of the public API: checked by `make check`, never run.

Each line that must be an error carries an ignore, and unused ignores are errors: if the API
became looser, the check would fail.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any, assert_type

import structlog
from pydantic import BaseModel, TypeAdapter

import agentguard as ag
from agentguard.providers.usage import Usage


def sync(question: str, *, n: int = 1) -> str:
    return question * n


async def coroutine(question: str) -> str:
    return question


def generator(question: str) -> Iterator[str]:
    yield question


async def asyncgen(question: str) -> AsyncIterator[str]:
    yield question


guards = ag.guard(ag.fallback(sync), ag.retry(attempts=3), ag.timeout(30))

# A guarded function keeps its signature, whatever its shape.
assert_type(guards(sync)("?", n=2), str)
assert_type(guards(generator)("?"), Iterator[str])
assert_type(guards(asyncgen)("?"), AsyncIterator[str])
assert_type(ag.carry(sync)("?", n=2), str)

# A count of tokens is an int that knows whether it is exact; an unknown price is None.
assert_type(ag.count_tokens("?", "gpt-4o").exact, bool)
assert_type(ag.count_tokens("?", "gpt-4o") + 1, int)
assert_type(ag.prices.price("gpt-4o", Usage(1)), Decimal | None)

with ag.usage() as used:
    pass
assert_type(used, ag.usage)
assert_type(used.total_tokens, int)
assert_type(used.cost, Decimal | None)
assert_type(used.by("user")["ann"].cost, Decimal | None)


# A policy is a decorator, with and without settings.
@ag.retry
def bare(question: str) -> int:
    return len(question)


@ag.retry(attempts=2, on=("transient", ValueError))
def given(question: str) -> int:
    return len(question)


@ag.timeout(30)
async def bounded(question: str) -> int:
    return len(question)


@ag.metrics
def metered(question: str) -> int:
    return len(question)


@ag.metrics("support", models=["gpt-4o"])
async def named(question: str) -> int:
    return len(question)


assert_type(bare("?"), int)
assert_type(given("?"), int)
assert_type(metered("?"), int)


async def awaited() -> None:
    assert_type(await guards(coroutine)("?"), str)
    assert_type(await bounded("?"), int)
    assert_type(await named("?"), int)


# What would fail when the module is imported fails in the checker before.
bare(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ag.retry(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ag.retry(max_tries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ag.timeout("30")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ag.guard(sync)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Mine(ag.Policy):
    async def around(self, call: ag.Call, next: ag.Next) -> ag.Reply:
        return await ag.observe(next(call), self.ended)

    def ended(self, outcome: ag.Outcome) -> None:
        assert_type(outcome.first_token, float | None)


with ag.report() as seen, ag.context(user="u"), ag.deadline(5):
    assert_type(seen.calls[0].attempts[0].wait, float)
    assert_type(seen.calls[0].served_by, str | None)


def spending() -> None:
    # A budget is a policy and a block.
    assert_type(ag.budget(tokens=4000, per="request")(sync)("?", n=2), str)
    with ag.budget(usd=0.50) as spent:
        assert_type(spent.used, int | Decimal)
        assert_type(spent.left, int | Decimal | None)
    ag.budget(usd={"ann": 5}, by="user", exceeded={"model": "gpt-4o-mini"})
    ag.budget(usd=5, missing="ignore")  # type: ignore[arg-type]


def told(event: ag.events.BudgetThreshold) -> None:
    assert_type(event.percent, int)


def watching() -> None:
    # A log and an alert leave a function as it is, and a handler may take the event that it is for.
    assert_type(ag.log(sync)("?", n=2), str)
    assert_type(ag.log("support", sample=0.1, logger=structlog.get_logger())(sync)("?"), str)
    ag.log(logger=logging.getLogger("app"))
    ag.on_event(ag.events.BudgetThreshold, told)
    tell = ag.alerts.slack("https://example.test/", every="5m", tags=("tenant",))
    with ag.on_event((ag.events.CircuitOpened, "GaveUp"), tell):
        assert_type(tell.dropped, int)
    ag.on_event(3, told)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class City(BaseModel):
    name: str


# An answer that is parsed has the type that was asked for; the arguments stay as they were.
@ag.validate_output(City, parse=True)
def parsed(question: str, *, n: int = 1) -> str:
    return question * n


@ag.validate_output(list[City], parse=True, then=ag.reask(3, usd=0.05))
async def parsed_later(question: str) -> str:
    return question


@ag.validate_output(TypeAdapter(City | int), parse=True)
def parsed_either(question: str) -> str:
    return question


@ag.validate_output({"type": "object"}, parse=True)
def parsed_loosely(question: str) -> str:
    return question


@ag.validate_output(City)
def validated(question: str) -> str:
    return question


@ag.validate_output(City, hold="all", then=ag.stop)
async def validated_stream(question: str) -> AsyncIterator[str]:
    yield question


@ag.validate_input(City, bool, max_chars=100, parameters={"temperature": (0, 1)})
def checked(question: str) -> int:
    return len(question)


async def parsing() -> None:
    assert_type(parsed("?", n=2), City)
    assert_type(await parsed_later("?"), list[City])
    assert_type(parsed_either("?"), City | int)
    assert_type(parsed_loosely("?"), Any)
    assert_type(validated("?"), str)
    assert_type(validated_stream("?"), AsyncIterator[str])
    assert_type(checked("?"), int)
    parsed(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ag.validate_output(City, parse=True, hold="all")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    ag.guard(ag.shadow(ag.validate_output(City)), ag.validate_output(City, parse=True))
