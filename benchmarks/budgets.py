"""What a budget adds to a call, and what its ledger takes for it."""

from __future__ import annotations

from typing import Any

from agentguard import budget, guard
from agentguard.stores.ledger import Account, Window
from agentguard.stores.memory import MemoryLedger
from benchmarks.common import Noop, Row, alone, calls, section, yardstick

ABOUT = (
    "Around a function that answers with the JSON of a chat completion which tells its usage, called "
    "with `model`, two messages and `max_tokens`: what the budget adds to a guard that does nothing. "
    "A reservation is one operation of the ledger in memory, a settlement another."
)
MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "How far is it from Seoul to Busan by train, and how long? " * 4},
]
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"content": "325 km."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 80, "completion_tokens": 6},
}


def complete(**_: Any) -> dict[str, Any]:
    """Stand for a client's method."""
    return ANSWER


def asking(*policies: Any) -> Any:
    """Make a call that every policy of a budget can count."""
    fn = guard(*policies)(complete)
    return lambda _: fn(model="gpt-4o-mini", messages=MESSAGES, max_tokens=100)


def ledger() -> Any:
    """Reserve and settle, without a call."""
    kept = MemoryLedger()
    account = Account("name", "", "usd", Window("day", 2_000_000_000.0))

    def turn(_: object) -> None:
        lease = account.lease()
        kept.reserve(lease, 1000, 10**15, 1.0, 60.0, "charge")
        kept.settle(lease, 900, 10**15, 1.0)

    return turn


def main() -> None:
    """Measure and print."""
    most: dict[str, Any] = {"per": "minute"}
    found = calls(
        {
            "plain": asking(Noop()),
            "requests": asking(budget(requests=10**9, **most)),
            "tokens": asking(budget(tokens=10**12, **most)),
            "usd": asking(budget(usd=10**6, **most)),
            "all": asking(budget(usd=10**6, tokens=10**12, requests=10**9, **most)),
            "ledger": ledger(),
            "yard": yardstick,
        }
    )
    yard = found["yard"]
    rows: list[Row] = [
        alone(f"budget({name}=) adds", found[name] - found["plain"], yard)
        for name in ("requests", "tokens", "usd")
    ]
    rows.append(
        alone("usd=, tokens= and requests= together add", found["all"] - found["plain"], yard)
    )
    rows.append(alone("reserve and settle, in memory", found["ledger"], yard))
    print(section(ABOUT, rows))


if __name__ == "__main__":
    main()
