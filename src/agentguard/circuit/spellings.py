"""What other breakers call their settings: pybreaker, circuitbreaker, aiobreaker, purgatory, resilience4j."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HINT", "SPELLINGS"]

HINT: Final = "breaker(fail_max=5, reset_timeout=60)"

SPELLINGS: Final[Mapping[str, str]] = {
    "": HINT,
    "failure_threshold": "fail_max=",
    "max_failures": "fail_max=",
    "threshold": "fail_max=",
    "default_threshold": "fail_max=",
    "recovery_timeout": "reset_timeout=, in seconds",
    "timeout": "reset_timeout=, in seconds",
    "timeout_duration": "reset_timeout=, in seconds",
    "default_ttl": "reset_timeout=, in seconds",
    "ttl": "reset_timeout=, in seconds",
    "break_duration": "reset_timeout=, in seconds",
    "wait_duration_in_open_state": "reset_timeout=, in seconds",
    "expected_exception": "exclude= for what must not count; provider failures count by kind",
    "exclude_exceptions": "exclude=",
    "ignore_exceptions": "exclude=",
    "record_exceptions": "exclude= for what must not count; provider failures count by kind",
    "fallback_function": "guard(fallback(...), breaker(...))",
    "throw_new_error_on_trip": "nothing: the provider's own error always comes out",
    "repository": "state_storage=",
    "storage": "state_storage=",
    "redis": "state_storage=pybreaker.CircuitRedisStorage(...)",
    "failure_rate_threshold": "failure_rate=, a part between 0 and 1",
    "slow_call_rate_threshold": "slow_call_rate=, a part between 0 and 1",
    "slow_call_duration_threshold": "slow_call=, in seconds",
    "sliding_window_size": 'window=100 for calls or window="60s" for time',
    "sliding_window_type": 'window=100 for calls or window="60s" for time',
    "sampling_duration": 'window="60s"',
    "minimum_number_of_calls": "minimum_calls=",
    "minimum_throughput": "minimum_calls=",
    "permitted_number_of_calls_in_half_open_state": "half_open_calls=",
    "half_open_max_calls": "half_open_calls=",
    "max_wait_duration_in_half_open_state": "trial_lease=, in seconds",
}
