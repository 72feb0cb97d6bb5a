"""cache(): answers under way while others are let go of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from agentguard import cache
from agentguard.policies.cache import Cache

LET_GO: list[Callable[[Cache], object]] = [
    lambda policy: policy.cache_clear(),
    lambda policy: policy.invalidate(tag="prices"),
]


@pytest.mark.parametrize("let_go", LET_GO, ids=["clear", "invalidate"])
def test_an_answer_asked_before_is_not_kept(let_go: Callable[[Cache], object]) -> None:
    """What was asked before the answers were let go of is asked anew."""
    policy = cache("1h", tags=("prices",))
    prices = iter(["old", "new"])

    @policy
    def ask(question: str) -> str:
        price = next(prices)
        if price == "old":
            let_go(policy)
        return price

    assert [ask("?"), ask("?"), ask("?")] == ["old", "new", "new"]


@pytest.mark.parametrize("let_go", LET_GO, ids=["clear", "invalidate"])
def test_items_asked_before_are_not_kept(let_go: Callable[[Cache], object]) -> None:
    """The same, item by item."""
    policy = cache("1h", tags=("prices",), each="questions")
    prices = iter(["old", "new"])

    @policy
    def ask(questions: list[str]) -> list[str]:
        price = next(prices)
        if price == "old":
            let_go(policy)
        return [price for _ in questions]

    assert [ask(["?"]), ask(["?"]), ask(["?"])] == [["old"], ["new"], ["new"]]


@pytest.mark.parametrize("let_go", LET_GO, ids=["clear", "invalidate"])
def test_a_stream_begun_before_is_neither_joined_nor_kept(
    let_go: Callable[[Cache], object],
) -> None:
    """Who comes after gets a stream of his own, and that is the one that is kept."""
    policy = cache("1h", tags=("prices",))
    prices = iter(["old", "new"])

    @policy
    def ask(question: str) -> Iterator[str]:
        yield "price: "
        yield next(prices)

    began = iter(ask("?"))
    next(began)
    let_go(policy)
    assert next(began) == "old"
    assert list(ask("?")) == ["price: ", "new"]
    assert list(began) == []
    assert list(ask("?")) == ["price: ", "new"]
