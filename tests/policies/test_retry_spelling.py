from __future__ import annotations

import functools

import pytest
import tenacity

from agentguard import RetryBudget, describe, guard, retry
from agentguard.policies.retry import Retry


def ask(question: str) -> str:
    """Answer, as a model would."""
    return "42"


FOREIGN = [keyword for keyword in Retry.spellings if keyword]


@pytest.mark.parametrize("keyword", FOREIGN)
def test_a_foreign_keyword_is_told_its_spelling_here(keyword: str) -> None:
    """Keywords of tenacity, backoff, stamina and SDKs fail where they are written."""
    with pytest.raises(TypeError) as told:
        retry(**{keyword: 3})
    assert f"retry() has no {keyword}=" in str(told.value)
    assert Retry.spellings[keyword] in str(told.value)


@pytest.mark.parametrize("keyword", ["reraise", "before_sleep", "max_retries", "exceptions"])
def test_the_keywords_people_bring_most_are_known(keyword: str) -> None:
    """These are what tenacity's, OpenAI's and backoff's users type first."""
    assert keyword in FOREIGN


def test_a_misspelled_keyword_gets_the_nearest_one() -> None:
    """`attemps=` is told `attempts=`."""
    with pytest.raises(TypeError, match="write attempts="):
        retry(attemps=3)  # type: ignore[call-arg]


def test_an_unknown_keyword_gets_the_list() -> None:
    """Nothing near: all keywords are named."""
    with pytest.raises(TypeError, match="one of attempts, within, on"):
        retry(zzz=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("first", [3, 2.5, "4", (ValueError,), None])
def test_a_wrong_first_positional_is_refused(first: object) -> None:
    """`retry(3)` is told `retry(attempts=3)`."""
    with pytest.raises(TypeError, match=r"retry\(attempts=3\)"):
        retry(first)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "strategy",
    [tenacity.stop_after_attempt(3), tenacity.wait_fixed(1), tenacity.retry_if_result(bool)],
    ids=lambda strategy: type(strategy).__name__,
)
def test_a_bare_strategy_is_not_taken_for_a_function(strategy: object) -> None:
    """Strategies are callable, but nobody means to retry them."""
    with pytest.raises(TypeError, match=r"retry\(attempts=3\)"):
        retry(strategy)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": -1}, "attempts"),
        ({"attempts": 2.0}, "attempts"),
        ({"attempts": True}, "attempts"),
        ({"attempts": "3"}, "attempts"),
        ({"attempts": None}, "attempts"),
        ({"within": 0}, "within"),
        ({"within": -1}, "within"),
        ({"within": float("nan")}, "within"),
        ({"within": "300"}, "within"),
        ({"within": True}, "within"),
        ({"max_retry_after": -1}, "max_retry_after"),
        ({"max_retry_after": "1m"}, "max_retry_after"),
        ({"on": "rate_limit"}, "rate_limited"),
        ({"on": 429}, "on="),
        ({"on": KeyboardInterrupt}, "Exception types"),
        ({"on": (ValueError, SystemExit)}, "Exception types"),
        ({"on_result": "empty"}, "on_result"),
        ({"hold": True}, "hold"),
        ({"hold": "some"}, "hold"),
        ({"wait": 1.5}, "wait"),
        ({"stop": 5}, "stop"),
        ({"retry": ValueError("x")}, "retry"),
        ({"wait": tenacity.wait_fixed}, r"wait_fixed\(\.\.\.\), not its class"),
        ({"budget": 100}, "RetryBudget"),
        ({"budget": False}, "RetryBudget"),
        ({"nested": True}, "nested"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_written(settings: dict, says: str) -> None:
    """The message names the argument and what it takes."""
    with pytest.raises((TypeError, ValueError), match=says):
        retry(**settings)


async def judge(answer: object) -> bool:
    """Judge without ever being awaited."""
    return False


@pytest.mark.parametrize("keyword", ["on_result", "on", "retry", "wait", "stop"])
def test_an_async_predicate_is_refused(keyword: str) -> None:
    """Its coroutine would count as True, always."""
    with pytest.raises(TypeError, match="async"):
        retry(**{keyword: judge})


def test_a_bare_decorator_has_the_defaults() -> None:
    """`@retry` is `@retry()`."""
    bare, spelled = retry(ask), retry()(ask)
    assert describe(bare)["policies"] == describe(spelled)["policies"]
    (policy,) = describe(bare)["policies"]
    assert policy["name"] == "retry"
    assert (policy["attempts"], policy["within"], policy["on"]) == (3, 300.0, "transient")
    assert policy["max_retry_after"] == 120.0


def test_repr_is_what_was_written() -> None:
    """A guard prints as its source, without reprs of foreign objects."""
    assert repr(retry(attempts=2, on=(ValueError, "timeout"))) == (
        "retry(attempts=2, on=(ValueError, 'timeout'))"
    )
    assert repr(guard(retry(budget=RetryBudget()))) == "guard(retry(budget=<RetryBudget>))"


def test_a_block_is_refused() -> None:
    """`with retry():` could not run its body again."""
    with pytest.raises(TypeError, match="Decorate the function"), retry():  # type: ignore[attr-defined]
        pass


def test_partials_and_callable_objects_are_decorated() -> None:
    """A callable is not mistaken for a setting."""

    class Model:
        def __call__(self, question: str) -> str:
            return "43"

    assert retry(functools.partial(ask, "?"))() == "42"
    assert retry(Model())("?") == "43"


def test_requests_are_counted_as_attempts() -> None:
    """`describe` says what one call can become."""
    assert describe(retry(attempts=4)(ask))["requests"] == 4
    assert describe(guard(retry(attempts=4)))["requests"] == 4
