"""The demo's bill: the same questions, paid for without and with agentguard.

Ten users ask an assistant that answers from a manual of 4,000 tokens; some questions come again.
Then a script in one user's name asks on eight threads, as fast as it can, until it is refused.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, NamedTuple

import anthropic

import agentguard as ag
from agentguard.testing import FakeProvider

MANUAL = "The shop takes back what was not worn. " * 500
ANSWER = "You can send it back within thirty days. " * 8
QUESTIONS = 100
USERS = 10
THREADS = 8
A_DAY = Decimal("0.25")
"""Dollars that each user may spend."""


class Bill(NamedTuple):
    """What the questions cost, and how far the script came."""

    without: ag.usage
    guarded: ag.usage
    script: ag.usage
    refused: int


def connect(provider: FakeProvider) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=provider.anthropic_url, api_key="test-key", max_retries=0, timeout=30
    )


def guard(client: anthropic.Anthropic, folder: str) -> anthropic.Anthropic:
    """The whole of what the application adds, outermost first."""
    return ag.guard(
        ag.cache(share="all"),
        ag.budget(
            usd=A_DAY, per="day", by="user", store=f"sqlite:///{folder}/bill.db", name="user"
        ),
        ag.retry(attempts=3),
        ag.timeout(30),
        ag.prompt_cache(),
    )(client)


def ask(client: anthropic.Anthropic, user: str, question: str) -> Any:
    with ag.context(user=user):
        return client.messages.create(
            model="claude-sonnet-5",
            max_tokens=300,
            system=MANUAL,
            messages=[{"role": "user", "content": question}],
        )


def a_morning(client: anthropic.Anthropic) -> ag.usage:
    """Forty different questions, some of them often."""
    with ag.usage() as used:
        for number in range(QUESTIONS):
            ask(client, f"user {number % USERS}", f"question {number * number % 79}")
    return used


def a_script(client: anthropic.Anthropic) -> tuple[ag.usage, int]:
    """Never the same question, by all threads at once, until each was refused."""

    def until_refused(thread: int) -> int:
        for number in range(1000):
            try:
                ask(client, "script", f"{thread}: question {number}")
            except ag.errors.BudgetExceeded:
                return 1
        return 0

    with ag.usage() as used, ThreadPoolExecutor(THREADS) as pool:
        return used, sum(pool.map(ag.carry(until_refused), range(THREADS)))


def bill() -> Bill:
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeProvider(answer=ANSWER) as provider,
        connect(provider) as client,
    ):
        without = a_morning(ag.guard(ag.timeout(30))(client))  # bare, but for the counting
        provider.clear()
        safe = guard(client, folder)
        return Bill(without, a_morning(safe), *a_script(safe))


def show(bill: Bill) -> None:
    one, other, script = bill.without, bill.guarded, bill.script
    print(
        f"\nThe bill: {QUESTIONS} questions of {USERS} users, a manual of 4,000 tokens in each, without\n"
        "and with cache, budget and prompt_cache. Figures are usage()'s, prices genai-prices'.\n"
    )
    rows = [
        ("", "without", "guarded"),
        ("requests paid", one.attempts, other.attempts),
        ("answers from cache", one.hits, other.hits),
        ("tokens in", f"{one.input_tokens:,}", f"{other.input_tokens:,}"),
        (
            "  of these read from the provider's cache",
            one.cached_tokens,
            f"{other.cached_tokens:,}",
        ),
        ("tokens out", f"{one.output_tokens:,}", f"{other.output_tokens:,}"),
        ("cost", f"${one.cost:.4f}", f"${other.cost:.4f}"),
    ]
    for label, *figures in rows:
        print(f"{label:42}{figures[0]:>10}{figures[1]:>10}")
    print(
        f"\nA script on {THREADS} threads, with ${A_DAY} a day for its user: {script.attempts} answers, "
        f"${script.cost:.4f} spent,\nthen {bill.refused} of {THREADS} threads were refused, before "
        "the limit and not after it."
    )


def kept(bill: Bill) -> bool:
    """Whether the guarded side did what it promises."""
    spent, cheaper = bill.script.cost, bill.guarded.cost
    if spent is None or cheaper is None or bill.without.cost is None:
        return False
    return cheaper < bill.without.cost and spent <= A_DAY and bill.refused == THREADS
