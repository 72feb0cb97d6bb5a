from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.providers.failures import classify
from agentguard.providers.retry_after import header, retry_after

NOON = 1445412480.0
"""Wed, 21 Oct 2015 07:28:00 GMT, as seconds since the epoch."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "-3"}, 0.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "86400"}, 86400.0),
        ({}, None),
        ({"retry-after": 2}, None),
        (None, None),
    ],
)
def test_headers_say_how_long_to_wait(headers: Any, seconds: float | None):
    """Milliseconds come first; what has passed is 0; what makes no sense is None."""
    assert retry_after([headers]) == seconds


@pytest.mark.parametrize(
    ("date", "now", "seconds"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", NOON - 90, 90.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", NOON - 0.5, 0.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", NOON + 5, 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", NOON - 90, 90.0),
        ("Wed, 21 Oct 2015 09:28:00 +0200", NOON - 90, 90.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", NOON, None),
    ],
)
def test_a_date_counts_from_the_wall_clock_given(date: str, now: float, seconds: float | None):
    """An HTTP-date is measured against `now`, so that tests own the clock."""
    assert retry_after([{"retry-after": date}], now=now) == seconds
    error: Any = RuntimeError()
    error.response = SimpleNamespace(status_code=429, headers={"retry-after": date})
    assert classify(error, now).retry_after == seconds


def test_a_date_is_measured_against_the_real_clock_by_default():
    """Without a clock given, the time of day counts."""
    assert retry_after([{"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}]) == 0.0
    assert retry_after([{"retry-after": "Wed, 21 Oct 2122 07:28:00 GMT"}]) > 1e9


@pytest.mark.parametrize(
    ("detail", "seconds"),
    [
        ({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}, 2.0),
        ({"retryDelay": "0.5s"}, 0.5),
        ({"retryDelay": "-1s"}, 0.0),
        ({"retryDelay": "later"}, None),
        ({"retryDelay": 3}, None),
        ({"reason": "x"}, None),
        (SimpleNamespace(retry_delay=SimpleNamespace(seconds=2, nanos=500_000_000)), 2.5),
        ("RetryInfo", None),
        (None, None),
    ],
)
def test_google_s_retry_info_is_read(detail: object, seconds: float | None):
    """As JSON or as a protobuf message, in the details of an error."""
    assert retry_after([], [{"reason": "first"}, detail]) == seconds
    error: Any = RuntimeError()
    error.code = 429
    error.details = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [detail]}}
    assert classify(error).retry_after == seconds


def test_litellm_s_real_headers_come_before_its_synthetic_response():
    """LiteLLM's response has no headers; the provider's are in an attribute of their own."""
    error: Any = RuntimeError()
    error.status_code = 429
    error.response = SimpleNamespace(status_code=429, headers={})
    error.litellm_response_headers = {"retry-after": "7", "x-request-id": "req_7"}
    failure = classify(error)
    assert (failure.retry_after, failure.request_id) == (7.0, "req_7")


@pytest.mark.parametrize("name", ["retry_after", "cooldown_time"])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3, 3.0),
        (0.5, 0.5),
        (-1, None),
        (math.inf, None),
        (math.nan, None),
        (True, None),
        ("3", None),
    ],
)
def test_an_exception_s_own_figure_is_taken(name: str, value: object, seconds: float | None):
    """Several libraries have read the header already and keep a number."""
    error: Any = RuntimeError()
    error.status_code = 429
    setattr(error, name, value)
    assert classify(error).retry_after == seconds


@given(st.text() | st.none() | st.integers() | st.floats(), st.text() | st.none())
def test_no_header_makes_it_raise_or_return_nonsense(seconds: object, milliseconds: object):
    """Whatever a server sends, the wait is None or a finite number that is not negative."""
    headers = {"retry-after": seconds, "retry-after-ms": milliseconds}
    wait = retry_after([headers], now=NOON)
    assert wait is None or (math.isfinite(wait) and wait >= 0)


def test_a_header_is_found_in_any_mapping():
    """The case of plain dicts does not matter, and what is no mapping has no headers."""
    assert header({"X-Request-ID": "a"}, "x-request-id") == "a"
    assert header({1: "a"}, "x-request-id") is None
    assert header("x-request-id", "x-request-id") is None
    assert header(SimpleNamespace(get=lambda name: 1 / 0), "x-request-id") is None
