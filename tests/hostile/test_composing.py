"""Guards put together in ways that nobody thought of."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from agentguard import fallback, guard, report, retry, timeout


def backup() -> str:
    """A fallback target."""
    return "backup"


def ask() -> str:
    """A call of a model."""
    return "42"


class RateLimited(Exception):
    status_code = 429


class Overloaded(Exception):
    status_code = 529


@pytest.mark.parametrize(
    ("errors", "requests"),
    [
        pytest.param([RateLimited], 6, id="the outer's kind"),
        pytest.param([Overloaded], 2, id="the inner's kind"),
        pytest.param([Overloaded, RateLimited], 12, id="both in turn"),
    ],
)
def test_two_retries_by_kind_each_act_on_their_own(
    errors: list[type[Exception]], requests: int
) -> None:
    """The pattern of the page on retry: what the inner one was not told to retry, the outer may."""
    made = 0

    @guard(
        retry(on="rate_limited", attempts=6, wait=lambda _: 0),
        retry(on="overloaded", attempts=2, wait=lambda _: 0),
    )
    def ask_on() -> str:
        nonlocal made
        made += 1
        raise errors[(made - 1) % len(errors)]

    with pytest.raises(errors[-1]):
        ask_on()
    assert made == requests


def test_replacing_one_of_several_of_a_name_is_refused() -> None:
    """`with_` cannot know which timeout is meant: the answer is neither both nor a guess."""
    twice = guard(timeout(total=100), retry(), timeout(10))
    with pytest.raises(ValueError, match="2 policies named 'timeout'"):
        twice.with_(timeout(5))


def test_the_warning_of_an_unsafe_order_points_at_whoever_wrote_it() -> None:
    """Stacked decorators, `with_` and `guard` alike: the warning shows the user's own line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        guard(retry(), fallback(backup))
        retry(fallback(backup)(ask))
        retry()(fallback(backup)(ask))
        guard(retry(), fallback(backup)).with_(timeout(30))  # twice: it is composed twice
    assert [each.filename for each in caught] == [__file__] * 5


def test_a_report_within_itself_has_each_call_once() -> None:
    """One report entered twice, as by a helper that was given it, doubles nothing."""
    r = report()
    with r, r:
        retry(ask)()
    assert len(r.calls) == 1


def test_wrong_options_of_a_guard_are_told_with_the_right_ones() -> None:
    """`abandon_after` is checked as every number of seconds is."""
    with pytest.raises(TypeError, match=r"abandon_after=.*number of seconds"):
        guard(retry(), abandon_after="60")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: retry(timeout(30)),
        lambda: retry(attempts=2)(timeout(30)),
        lambda: retry(timeout),
        lambda: retry(guard(timeout(30))),
        lambda: fallback(retry()),
    ],
    ids=["bare", "settings", "spelling", "guard", "target"],
)
def test_a_policy_around_a_policy_is_refused(wrong: Callable[[], object]) -> None:
    """It would be a function that guards nothing, until it is called with a question."""
    with pytest.raises(TypeError, match=r"guard\(retry\(\), timeout\(30\)\)"):
        wrong()


def test_a_fallback_target_with_a_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Another target serves, nobody sees an exception: without a word the bug would stay for ever."""

    def buggy(question: str) -> str:
        return question.reply  # type: ignore[attr-defined,no-any-return]

    @fallback(buggy, lambda question: "42")
    def ask_on(question: str) -> str:
        raise ConnectionError("down")

    assert ask_on("?") == "42"
    assert "the fallback target" in caplog.text
    assert "AttributeError" in caplog.text
