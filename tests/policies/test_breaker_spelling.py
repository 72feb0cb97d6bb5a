from __future__ import annotations

import asyncio

import pytest

from agentguard import describe, guard
from agentguard.policies.breaker import Breaker, breaker


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("failure_threshold", "fail_max="),
        ("recovery_timeout", "reset_timeout="),
        ("expected_exception", "exclude="),
        ("timeout_duration", "reset_timeout="),
        ("max_failures", "fail_max="),
        ("default_threshold", "fail_max="),
        ("default_ttl", "reset_timeout="),
        ("throw_new_error_on_trip", "the provider's own error always comes out"),
        ("failure_rate_threshold", "failure_rate="),
        ("sliding_window_size", "window=100"),
        ("permitted_number_of_calls_in_half_open_state", "half_open_calls="),
        ("minimum_number_of_calls", "minimum_calls="),
        ("fallback_function", "guard(fallback(...), breaker(...))"),
        ("fail_maxx", "fail_max="),
    ],
)
def test_keywords_of_other_libraries_are_refused_with_ours(keyword, hint) -> None:
    """Whoever comes from pybreaker, circuitbreaker, aiobreaker, purgatory, resilience4j is told."""
    with pytest.raises(TypeError) as caught:
        breaker(**{keyword: 5})
    assert f"breaker() has no {keyword}=" in str(caught.value)
    assert hint in str(caught.value)


def test_every_hint_names_a_setting_that_exists() -> None:
    """A hint that ends in `=` is a keyword of the constructor."""
    import inspect

    known = inspect.signature(Breaker).parameters
    for hint in Breaker.spellings.values():
        word, equals, _ = hint.partition("=")
        if equals and word.isidentifier():
            assert word in known


@pytest.mark.parametrize(
    ("args", "settings", "message"),
    [
        ((5,), {}, r"write breaker\(fail_max=5\)"),
        (("redis",), {}, r"write breaker\(fail_max=5, reset_timeout=60\)"),
        ((5, 60), {}, r"write breaker\(fail_max=5, reset_timeout=60\)"),
        ((), {"fail_max": 0}, "fail_max"),
        ((), {"fail_max": 2.5}, "fail_max"),
        ((), {"fail_max": True}, "fail_max"),
        ((), {"reset_timeout": 0}, "reset_timeout"),
        ((), {"reset_timeout": "60"}, "reset_timeout"),
        ((), {"success_threshold": 0}, "success_threshold"),
        ((), {"half_open_calls": 0}, "half_open_calls"),
        ((), {"minimum_calls": 0}, "minimum_calls"),
        ((), {"max_circuits": 0}, "max_circuits"),
        ((), {"trial_lease": -1}, "trial_lease"),
        ((), {"slow_call": 0}, "slow_call"),
        ((), {"failure_rate": 50}, "failure_rate.*as in 0.5"),
        ((), {"slow_call_rate": 0}, "slow_call_rate"),
        ((), {"growth": 0.5}, "growth"),
        ((), {"window": 60.0}, "window"),
        ((), {"on_store_failure": "raise"}, "on_store_failure"),
        ((), {"key": "user"}, "key"),
        ((), {"exclude": [5]}, "exclude"),
        ((), {"exclude": [asyncio.sleep]}, "exclude"),
    ],
)
def test_wrong_values_fail_where_they_are_written(args, settings, message) -> None:
    """At once, with the name of the setting and what it takes."""
    with pytest.raises((TypeError, ValueError), match=message):
        breaker(*args, **settings)


def test_a_key_beside_one_storage_is_refused() -> None:
    """One storage holds one circuit: the message says how to make one each."""
    import pybreaker

    storage = pybreaker.CircuitMemoryStorage("closed")
    with pytest.raises(TypeError, match="state_storage=lambda name"):
        breaker(state_storage=storage, key=lambda call: 1)


def test_it_works_bare_and_says_what_it_is() -> None:
    """`@breaker`, `breaker()`, its repr and its description."""

    @breaker
    def ask() -> str:
        return "ok"

    assert ask() == "ok"
    assert repr(breaker(fail_max=3)) == "breaker(fail_max=3)"
    (described,) = describe(guard(breaker(fail_max=3))(lambda: "x"))["policies"]
    assert described["name"] == "breaker"
    assert described["fail_max"] == 3


def test_a_block_is_refused() -> None:
    """`with breaker()` would guard nothing."""
    with pytest.raises(TypeError, match="Decorate the function"), breaker():
        """Never reached."""
