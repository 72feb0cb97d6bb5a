"""Exceptions that lie, raise from their attributes, or are huge."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any, get_args
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentguard.errors import Kind
from agentguard.providers.failures import Failure, classify

KINDS = get_args(Kind)
NAMES = [
    "status_code", "status", "code", "http_status", "type", "reason", "message", "body", "details",
    "response", "headers", "litellm_response_headers", "original_exception", "error_code",
    "provider_error_code", "provider_error_type", "request_id", "retry_after", "cooldown_time",
]  # fmt: skip


def plain(failure: Failure) -> bool:
    """Tell whether a failure holds nothing but small values."""
    values = [getattr(failure, name) for name in Failure.__slots__]
    return all(type(value) in (str, int, float, bool, type(None)) for value in values)


@pytest.mark.parametrize("name", NAMES)
def test_a_property_that_raises_hides_only_itself(name: str):
    """One broken attribute does not keep the others from being read."""

    def broken(self: object) -> object:
        raise RuntimeError("not bound")

    attributes = {"status_code": 429, name: property(broken)}
    error = type("SdkError", (Exception,), attributes)()
    failure = classify(error)
    assert failure.kind == ("unknown" if name == "status_code" else "rate_limited")


def test_an_exception_whose_every_attribute_raises_is_unknown():
    """Nothing can be read, so nothing is claimed."""

    class Cursed(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __str__(self) -> str:
            raise RuntimeError

        def __repr__(self) -> str:
            raise RuntimeError

    assert classify(Cursed()).kind == "unknown"


@pytest.mark.parametrize(
    "fake", [mock.Mock(), mock.MagicMock(), mock.Mock(spec=int)], ids=["mock", "magic", "spec"]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_mock_in_an_attribute_is_not_taken_for_a_value(name: str, fake: mock.Mock):
    """Mocks answer everything and claim to be what they are specified as."""
    error: Any = RuntimeError("test double")
    setattr(error, name, fake)
    failure = classify(error)
    assert failure.kind == "unknown"
    assert plain(failure)


def test_a_mocked_response_with_a_real_status_counts():
    """What a test has set by hand is honoured."""
    error: Any = RuntimeError()
    error.response = mock.Mock(status_code=429)
    assert classify(error).kind == "rate_limited"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.sampled_from(["429", "rate_limit_error", "error", "code", "status", "details"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["error", "Error", "code", "type", "details", "message", "status", "x"]),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


# The first text drawn in a checkout builds Hypothesis's Unicode tables, which alone is too slow.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_no_combination_of_attributes_makes_it_raise(attributes: dict[str, object]):
    """Whatever shape a body has, there is a verdict made of plain values."""
    error: Any = Exception("fuzzed")
    for name, value in attributes.items():
        setattr(error, name, value)
    failure = classify(error, 0.0)
    assert failure.kind in KINDS
    assert plain(failure)
    assert failure.retry_after is None or failure.retry_after >= 0


def test_an_exception_that_is_its_own_cause_ends():
    """Causes and groups are followed a few steps, never in a circle."""
    error = type("InternalServerError", (Exception,), {"__module__": "litellm.exceptions"})()
    other = type("OpenAIError", (Exception,), {"__module__": "litellm.llms"})()
    error.__context__ = other
    other.__context__ = error
    assert classify(error).kind == "server"

    retry_error: Any = type("RetryError", (Exception,), {"__module__": "tenacity"})()
    retry_error.__cause__ = retry_error
    assert classify(retry_error).kind == "unknown"


def test_groups_in_groups_without_end_are_unknown():
    """A group nested deeper than anyone nests them is not unrolled."""
    group: Exception = TimeoutError()
    for _ in range(50):
        group = ExceptionGroup("in", [group])
    assert classify(group).kind == "unknown"


def test_huge_bodies_and_messages_are_not_searched():
    """An answer of megabytes costs no more than a short one."""

    class Huge(str):
        """Text that must not be lowered or split whole."""

        __slots__ = ()

        def lower(self) -> str:
            raise AssertionError("the whole text was searched")

    error: Any = RuntimeError()
    error.status_code = 400
    error.message = Huge("x" * 10_000_000)
    error.body = "{" + " " * 10_000_000
    assert classify(error).kind == "invalid_request"


def test_nothing_of_the_exception_is_kept():
    """A failure lives on in reports: it must not hold prompts, nor keep a response alive."""

    class Body(dict[str, Any]):
        """A dict that can be watched."""

    class Watched(Exception):
        """An exception that can be watched."""

    error: Any = Watched("secret prompt")
    error.status_code = 429
    error.body = Body(message="secret prompt", code="rate_limit_exceeded")
    watched = [weakref.ref(error), weakref.ref(error.body)]
    failure = classify(error)
    del error
    gc.collect()
    assert [ref() for ref in watched] == [None, None]
    assert "secret" not in repr(failure)
    assert plain(failure)


def test_classifying_asks_for_no_new_module():
    """No SDK, nor asyncio, is imported to recognise an exception."""
    before = set(sys.modules)
    error: Any = RuntimeError()
    error.status_code = 429
    classify(error)
    classify(TimeoutError())
    assert set(sys.modules) == before
