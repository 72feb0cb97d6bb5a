"""The demo's private side: what of its users' data a provider gets to see, bare and guarded.

Customers write in English and Korean and name addresses, telephone numbers, cards and resident
numbers. Every answer streams, and says the customer's own address back.
"""

from __future__ import annotations

from typing import NamedTuple

import openai

import agentguard as ag
from agentguard.testing import FakeProvider

VALUES = (
    "mina.kim@example.com",
    "tomas@example.co.kr",
    "010-2345-6789",
    "+82 10 9876 5432",
    "(415) 555-2671",
    "4111 1111 1111 1111",
    "900101-2345679",
)
LETTERS = (
    "Please write to mina.kim@example.com, my card is 4111 1111 1111 1111.",
    "제 이메일은 tomas@example.co.kr이고 번호는 010-2345-6789로 연락 주세요.",
    "I am mina.kim@example.com, call me on (415) 555-2671 or +82 10 9876 5432.",
    "주민등록번호 900101-2345679, 메일은 tomas@example.co.kr입니다.",
)
TIMES = 10


class Privacy(NamedTuple):
    """What reached the provider, and what came back."""

    sent: int
    leaked: int
    answered: int


def ask(client: openai.OpenAI, letter: str) -> str:
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": letter}], stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def told(letter: str) -> str:
    """What a right answer to a letter says."""
    return next(value for value in VALUES if "@" in value and value in letter)


def letters(*, guarded: bool) -> Privacy:
    """Ask all letters, and read in the provider's journal what it has got."""
    with FakeProvider(answer="I have written to <EMAIL_1>.") as provider:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="test-key", max_retries=0)
        asked = ag.guard(ag.mask_pii(), ag.retry(attempts=3))(client) if guarded else client
        answers = [(letter, ask(asked, letter)) for letter in LETTERS * TIMES]
        bodies = [str(entry.body) for entry in provider.journal]
        client.close()
    return Privacy(
        sent=len(bodies),
        leaked=sum(body.count(value) for body in bodies for value in VALUES),
        answered=sum(told(letter) in answer for letter, answer in answers),
    )


def privacy() -> tuple[Privacy, Privacy]:
    """Without and with agentguard."""
    return letters(guarded=False), letters(guarded=True)


def show(without: Privacy, guarded: Privacy) -> None:
    print(
        f"\nPersonal data: {len(LETTERS) * TIMES} letters with addresses, numbers and cards, English and "
        "Korean, without and\nwith mask_pii. The provider stands for one that writes down what it gets; it "
        "answers\nin placeholders, as a model does that has seen nothing else.\n"
    )
    rows = [
        ("", "without", "guarded"),
        ("letters sent", without.sent, guarded.sent),
        ("values that reached the provider", without.leaked, guarded.leaked),
        ("streams that name the right address", "-", guarded.answered),
    ]
    for label, *figures in rows:
        print(f"{label:42}{figures[0]:>10}{figures[1]:>10}")


def kept(guarded: Privacy) -> bool:
    """Whether nothing has leaked, and every answer was restored."""
    return guarded == Privacy(len(LETTERS) * TIMES, 0, len(LETTERS) * TIMES)
