"""cache(semantic=True): questions that were asked before in other words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentguard import cache, cache_bypass, cache_refresh, context, events
from agentguard.testing import FakeRuntime
from tests.shapes import Harness, every_shape

CANCEL = "How do I cancel my order?"
IN_OTHER_WORDS = "How can I cancel my order?"
ANOTHER = "How do I cancel my order 1234?"


def embed(text: str) -> Sequence[float]:
    """Count letters: close enough for these."""
    counts = [text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]
    length = math.hypot(*counts)
    return [count / length for count in counts]


def asked(subject: Any, question: str, **options: Any) -> Any:
    """Ask it as the last turn of a conversation."""
    return subject.call(messages=[{"role": "user", "content": question}], **options)


def alike(run: Any) -> list[str]:
    """How the cache answered."""
    return [hit.how for hit in run.heard(events.CacheHit)]


@every_shape
def test_the_same_question_in_other_words(harness: Harness) -> None:
    """It is answered with what was answered before; a number in it makes it another."""
    policy = cache(semantic=True, embed=embed, threshold=0.9)
    subject = harness.guard(policy, "answer", repeat_last=True)
    assert len(asked(subject, CANCEL).calls) == 1
    again = asked(subject, IN_OTHER_WORDS)
    assert (again.text, again.calls, alike(again)) == ("answer", [], ["alike"])
    assert alike(asked(subject, CANCEL)) == ["fresh"]
    assert len(asked(subject, ANOTHER).calls) == 1
    assert policy.cache_info().alike == 1


@every_shape
def test_all_else_must_be_the_same(harness: Harness) -> None:
    """The model, the conversation before, the user."""
    subject = harness.guard(cache(semantic=True, embed=embed), "answer", repeat_last=True)
    asked(subject, CANCEL, model="m-1")
    assert len(asked(subject, IN_OTHER_WORDS, model="m-2").calls) == 1
    with context(user="ann"):
        assert len(asked(subject, IN_OTHER_WORDS, model="m-1").calls) == 1
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": CANCEL}]
    subject.call(messages=messages)
    other = [{"role": "system", "content": "Be rude."}, {"role": "user", "content": IN_OTHER_WORDS}]
    assert len(subject.call(messages=other).calls) == 1
    same = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": IN_OTHER_WORDS}]
    assert alike(subject.call(messages=same)) == ["alike"]


@every_shape
def test_trivial_questions_are_only_themselves(harness: Harness) -> None:
    """A yes means something else each time it is said to something else."""
    subject = harness.guard(cache(semantic=True, embed=embed), "answer", repeat_last=True)
    asked(subject, "yes")
    assert len(asked(subject, "Yes!").calls) == 1


@every_shape
def test_bypass_refresh_time_and_clear(harness: Harness) -> None:
    """They are as for exact hits; an answer that is gone is not found in other words either."""
    policy = cache(ttl=60, early=0, semantic=True, embed=embed)
    subject = harness.guard(policy, "one", "two", "three", "four", "five")
    with FakeRuntime() as time:
        asked(subject, CANCEL)
        with cache_bypass():
            assert asked(subject, IN_OTHER_WORDS).text == "two"
        with cache_refresh():
            assert asked(subject, IN_OTHER_WORDS).text == "three"
        assert asked(subject, "How could I cancel my order?").text in {"one", "three"}
        time.advance(61)
        assert asked(subject, IN_OTHER_WORDS).text == "four"
        policy.cache_clear()
        assert asked(subject, CANCEL).text == "five"


@every_shape
def test_an_encoder_that_fails_is_left_out(harness: Harness) -> None:
    """The call is made as if questions could not be compared, and an event says so."""

    def broken(text: str) -> Sequence[float]:
        raise RuntimeError("no such model")

    subject = harness.guard(cache(semantic=True, embed=broken), "answer", repeat_last=True)
    run = asked(subject, CANCEL)
    assert run.text == "answer"
    (failed,) = run.heard(events.StoreFailed)
    assert "as they are written" in failed.then
    assert alike(asked(subject, CANCEL)) == ["fresh"]


def test_a_file_is_shared(tmp_path: Path) -> None:
    """Another cache of the same name finds the question, and forgets what is no more."""
    store = f"sqlite:///{tmp_path}/answers.db"
    harness = Harness("sync")
    options: dict[str, Any] = {"store": store, "name": "faq", "semantic": True, "embed": embed}
    first = cache(**options)
    asked(harness.guard(first, "answer"), CANCEL)
    second = cache(**options)
    assert alike(asked(harness.guard(second, "never"), IN_OTHER_WORDS)) == ["alike"]
    first.cache_clear()
    assert len(asked(harness.guard(second, "anew"), IN_OTHER_WORDS).calls) == 1


async def test_an_async_encoder() -> None:
    """It is awaited in async calls, and refused where nobody could await it."""

    async def waiting(text: str) -> Sequence[float]:
        return embed(text)

    @cache(semantic=True, embed=waiting)
    async def ask(question: str) -> str:
        return question

    assert await ask(CANCEL) == CANCEL
    assert await ask(IN_OTHER_WORDS) == CANCEL
    with pytest.raises(TypeError, match="asynchronous"):

        @cache(semantic=True, embed=waiting)
        def sync(question: str) -> str:
            return question


def test_the_offline_encoder() -> None:
    """The extra's own, in two languages."""
    calls: list[str] = []

    @cache(semantic=True)
    def ask(question: str) -> str:
        calls.append(question)
        return question

    ask("주문을 취소하려면 어떻게 하나요?")
    assert ask("주문 취소는 어떻게 하나요?") == "주문을 취소하려면 어떻게 하나요?"
    ask("주문을 변경하려면 어떻게 하나요?")
    assert len(calls) == 2


def test_threshold_goes_with_semantic() -> None:
    """By itself it would do nothing."""
    with pytest.raises(TypeError, match="semantic=True"):
        cache(threshold=0.9)
    with pytest.raises(ValueError, match="cosine"):
        cache(semantic=True, embed=embed, threshold=1.5)
