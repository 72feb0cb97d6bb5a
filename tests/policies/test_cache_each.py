"""cache(each=): answers kept item by item."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard import budget, cache, cache_refresh, context, events, fallback, guard
from agentguard.testing import FakeRuntime
from agentguard.testing.subject import Listening


class Vectors:
    """Embeds texts, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def of(self, texts: list[str]) -> list[list[float]]:
        """One vector for each."""
        self.asked.append(list(texts))
        return [[float(len(text)), float(sum(map(ord, text)))] for text in texts]


def guarded(vectors: Vectors, policy: Any, *, is_async: bool = False) -> Any:
    """The same function in both colours, as one to be called."""
    if is_async:

        @policy
        async def aembed(texts: list[str], *, model: str = "m") -> list[list[float]]:
            await asyncio.sleep(0)
            return vectors.of(texts)

        return lambda *args, **kwargs: asyncio.run(aembed(*args, **kwargs))

    @policy
    def embed(texts: list[str], *, model: str = "m") -> list[list[float]]:
        return vectors.of(texts)

    return embed


colours = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@colours
def test_only_what_is_missing_is_asked(*, is_async: bool) -> None:
    """The order is that of the texts; duplicates are asked for once."""
    vectors, plain = Vectors(), Vectors()
    embed = guarded(vectors, cache(each="texts"), is_async=is_async)
    for texts in (["a", "b"], ["b", "c", "a", "c"], ["c"], [], ["d", "d"]):
        assert embed(texts) == plain.of(texts)
    assert vectors.asked == [["a", "b"], ["c"], [], ["d"]]


@colours
def test_everything_else_is_part_of_the_key(*, is_async: bool) -> None:
    """Another model has other vectors, and another user is another user."""
    vectors = Vectors()
    embed = guarded(vectors, cache(each="texts"), is_async=is_async)
    embed(["a"])
    embed(["a"], model="other")
    with context(user="ann"):
        embed(["a"])
        embed(["a"])
    assert vectors.asked == [["a"], ["a"], ["a"]]


@colours
def test_events(*, is_async: bool) -> None:
    """What was known is a hit, what was missing a miss that says how many."""
    heard: list[events.Event] = []
    embed = guarded(Vectors(), cache(each="texts"), is_async=is_async)
    embed(["a", "b"])
    with Listening(heard.append):
        embed(["a", "b", "c", "d"])
        embed(["a", "b"])
    kinds = (events.CacheHit, events.CacheMissed)
    told = [event for event in heard if isinstance(event, kinds)]
    assert [(type(e).__name__, getattr(e, "missing", None)) for e in told] == [
        ("CacheHit", None),
        ("CacheMissed", 2),
        ("CacheHit", None),
    ]
    assert {e.how for e in told if isinstance(e, events.CacheHit)} == {"items"}


def test_refresh_and_time() -> None:
    """Both ask for all of them anew."""
    vectors = Vectors()
    embed = guarded(vectors, cache(ttl=60, each="texts"))
    with FakeRuntime() as time:
        embed(["a"])
        with cache_refresh():
            embed(["a", "b"])
        time.advance(30)
        embed(["b", "c"])
        time.advance(31)
        embed(["a", "c"])
    assert vectors.asked == [["a"], ["a", "b"], ["c"], ["a"]]


def test_callers_at_the_same_moment_ask_once() -> None:
    """The second waits for the first, as for any answer."""
    inside, release = threading.Event(), threading.Event()
    calls: list[list[str]] = []

    @cache(each="texts")
    def embed(texts: list[str]) -> list[str]:
        calls.append(texts)
        inside.set()
        assert release.wait(10)
        return [text.upper() for text in texts]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(embed, ["a", "b"])
        assert inside.wait(10)
        second = pool.submit(embed, ["b", "a"][::-1])
        release.set()
        assert first.result(10) == second.result(10) == ["A", "B"]
    assert calls == [["a", "b"]]


def test_a_file_is_shared(tmp_path: Path) -> None:
    """Another process has the items too."""
    store = f"sqlite:///{tmp_path}/vectors.db"
    vectors = Vectors()
    guarded(vectors, cache(store=store, name="v", each="texts"))(["a", "b"])
    assert guarded(vectors, cache(store=store, name="v", each="texts"))(["b", "c"]) == [
        [1.0, 98.0],
        [1.0, 99.0],
    ]
    assert vectors.asked == [["a", "b"], ["c"]]


def test_a_failure_is_passed_on_and_nothing_kept() -> None:
    """The next call asks for all of them."""
    answers: list[Any] = [ConnectionError("down"), ["A"]]

    @cache(each="texts")
    def embed(texts: list[str]) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: list[str] = answer
        return found

    with pytest.raises(ConnectionError):
        embed(["a"])
    assert embed(["a"]) == ["A"]
    assert embed(["a"]) == ["A"]


def test_a_fallbacks_items_are_not_kept() -> None:
    """Vectors of two models cannot be compared."""

    def backup(texts: list[str]) -> list[str]:
        return ["from the backup"] * len(texts)

    answers: list[Any] = [ConnectionError("down"), ["A"]]

    @guard(cache(each="texts"), fallback(backup))
    def embed(texts: list[str]) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: list[str] = answer
        return found

    assert embed(["a"]) == ["from the backup"]
    assert embed(["a"]) == ["A"]


def test_a_hit_costs_no_budget() -> None:
    """Only what was asked for is set aside and booked."""
    spent = budget(requests=5)
    embed = guarded(Vectors(), guard(cache(each="texts"), spent))
    for _ in range(10):
        embed(["a"])
    assert spent.used == 1


def test_wrong_answers_and_arguments() -> None:
    """They say which argument, and what to do."""

    @cache(each="texts")
    def short(texts: list[str]) -> list[str]:
        return texts[:1]

    with pytest.raises(TypeError, match="one answer for each of the 2 items of 'texts'"):
        short(["a", "b"])
    with pytest.raises(TypeError, match="holds"):
        short("ab")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no argument 'words'"):

        @cache(each="words")
        def other(texts: list[str]) -> list[str]:
            return texts

    with pytest.raises(TypeError, match=r"each=3"):
        cache(each=3)(len)  # type: ignore[call-overload]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=8), max_size=12))
def test_it_is_as_if_there_were_no_cache(calls: list[list[str]]) -> None:
    """Whatever is asked in whatever order, the answer is that of the function; nothing is asked twice."""
    vectors, plain = Vectors(), Vectors()
    embed = guarded(vectors, cache(each="texts"))
    for texts in calls:
        assert embed(texts) == plain.of(texts)
    asked = [text for texts in vectors.asked for text in texts]
    assert len(asked) == len(set(asked))
