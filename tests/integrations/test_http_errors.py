"""Failures of model calls as HTTP answers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, get_args

import pytest

from agentguard import errors
from agentguard.integrations.http_errors import http_error
from agentguard.testing import FakeProvider, fault
from tests.providers.sdk_targets import QUESTION, version

SECRET = "sk-live-123 of alice@example.com"

STATUS = {
    "budget_exceeded": 402,
    "rejected": 422,
    "invalid_request": 422,
    "context_length": 422,
    "content_filter": 422,
    "rate_limited": 429,
    "quota_exhausted": 503,
    "auth": 503,
    "overloaded": 503,
    "server": 503,
    "connection": 503,
    "truncated": 503,
    "circuit_open": 503,
    "saturated": 503,
    "timeout": 504,
}


class Failed(errors.ProviderError):
    def __init__(self, kind: errors.Kind, retry_after: float | None = None) -> None:
        super().__init__(SECRET, kind=kind, request_id="req_1", retry_after=retry_after)


@pytest.mark.parametrize("kind", get_args(errors.Kind))
def test_each_kind_has_its_status(kind):
    """Every kind of failure has a status; what is no failure of a model call has none."""
    answer = http_error(Failed(kind))

    assert (None if answer is None else answer.status) == STATUS.get(kind)


OURS = [
    errors.ProviderError,
    errors.StreamTruncated,
    errors.Timeout,
    errors.DeadlineExceeded,
    errors.CircuitOpen,
    errors.Overloaded,
    errors.BudgetExceeded,
    errors.InputRejected,
    errors.OutputRejected,
]


@pytest.mark.parametrize("kind", OURS)
def test_our_own_errors_say_the_same_themselves(kind):
    """The attributes of an error of ours are what it is answered with."""
    error = kind(SECRET)
    answer = http_error(error)

    assert answer is not None
    assert answer.status == error.http_status == STATUS[error.kind]
    assert answer.kind == error.kind
    if kind is not errors.ProviderError:
        assert answer.message == error.public_message


@pytest.mark.parametrize(
    "error",
    [
        KeyError(SECRET),
        ValueError(SECRET),
        errors.ContextMissing(SECRET),
        errors.Blind(SECRET),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopAsyncIteration(),
        ExceptionGroup("several", [errors.CircuitOpen("open"), KeyError("bug")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_failure_of_a_model_call_has_no_answer(error):
    """Bugs, missing context and cancellation are for the framework."""
    assert http_error(error) is None


def test_a_frameworks_own_answer_has_no_other():
    """Control flow goes on: it is the answer."""
    control = type("HTTPException", (Exception,), {"__module__": "starlette.exceptions"})

    assert http_error(control()) is None


@pytest.mark.parametrize(
    ("wait", "header"),
    [(0.0, "0"), (0.2, "1"), (2, "2"), (2.0001, "3"), (None, None)],
)
def test_the_wait_is_told_in_whole_seconds(wait, header):
    """`Retry-After` is rounded up: a client that waits so long is not too early."""
    answer = http_error(errors.CircuitOpen("open", retry_after=wait))

    assert answer is not None
    assert answer.headers.get("retry-after") == header
    assert json.loads(answer.body)["error"]["retry_after"] == wait


@pytest.mark.parametrize("wait", [float("inf"), float("nan"), -1.0, "x", True], ids=str)
def test_a_wait_that_is_none_is_not_told(wait):
    """What no header can say is left out, and the body stays JSON."""
    answer = http_error(errors.CircuitOpen("open", retry_after=wait))

    assert answer is not None
    assert "retry-after" not in answer.headers
    assert json.loads(answer.body)["error"]["retry_after"] is None


@pytest.mark.parametrize("wait", [1e300, 10**400, 86401], ids=["float", "int", "a day and more"])
def test_a_wait_is_a_day_at_most(wait):
    """A header of three hundred digits helps no client."""
    answer = http_error(errors.CircuitOpen("open", retry_after=wait))

    assert answer is not None
    assert answer.headers["retry-after"] == "86400"
    assert json.loads(answer.body)["error"]["retry_after"] == 86400


@pytest.mark.parametrize("kind", sorted(STATUS))
def test_nothing_of_the_providers_words_is_in_an_answer(kind):
    """Neither text nor ids reach the body or the headers."""
    answer = http_error(Failed(kind, retry_after=3))

    assert answer is not None
    shown = answer.body.decode() + repr(answer.headers) + repr(answer)
    assert not any(word in shown for word in ("sk-live", "alice", "req_1", "quota", "auth"))
    assert json.loads(answer.body)["error"].keys() == {"kind", "message", "retry_after"}


def test_a_wrong_key_and_an_unpaid_bill_look_like_any_outage():
    """What only the operator can mend is told to nobody else, not even by a missing wait."""
    outage = http_error(Failed("server"))

    assert outage is not None
    for kind in ("auth", "quota_exhausted"):
        answer = http_error(Failed(kind, retry_after=3600))
        assert answer is not None
        assert (answer.status, answer.headers, answer.body) == (503, outage.headers, outage.body)


def test_an_error_of_the_users_own_says_for_itself_what_is_answered():
    """A subclass with a kind is answered with its own status and its own words."""

    class Underage(errors.InputRejected):
        http_status = 451
        public_message = "Not for you."

    answer = http_error(Underage(SECRET))

    assert answer is not None
    assert (answer.status, answer.kind, answer.message) == (451, "rejected", "Not for you.")


class Raising:
    """An attribute that cannot be read."""

    def __get__(self, *_: object) -> object:
        raise ValueError(SECRET)


@pytest.mark.parametrize(
    "value",
    [None, b"451", 4.51, True, 7, 1000, Raising()],
    ids=["None", "bytes", "float", "bool", "too small", "too large", "raising"],
)
def test_what_no_response_can_say_is_answered_by_its_kind(value):
    """An error of the user's own with a status or message that is none gets those of its kind."""
    mine = type("Mine", (errors.InputRejected,), {"http_status": value, "public_message": value})

    answer = http_error(mine(SECRET))

    assert answer is not None
    assert (answer.status, answer.message) == (422, "The request was not accepted.")
    assert SECRET not in answer.body.decode()


def test_a_status_of_the_standard_library_is_one():
    """`HTTPStatus` is an int."""
    mine = type("Mine", (errors.InputRejected,), {"http_status": HTTPStatus.FORBIDDEN})

    answer = http_error(mine("no"))

    assert answer is not None
    assert answer.status == 403


def openai_call(provider: FakeProvider) -> object:
    """One call by OpenAI's client, without retries of its own."""
    import openai

    with openai.OpenAI(
        base_url=provider.openai_url, api_key="sk-test", max_retries=0, timeout=0.3
    ) as client:
        return client.chat.completions.create(model="gpt-5", messages=QUESTION)


def anthropic_call(provider: FakeProvider) -> object:
    """The same by Anthropic's."""
    import anthropic

    with anthropic.Anthropic(
        base_url=provider.anthropic_url, api_key="sk-test", max_retries=0, timeout=0.3
    ) as client:
        return client.messages.create(model="claude", messages=QUESTION, max_tokens=9)


def google_call(provider: FakeProvider) -> object:
    """The same by Google's."""
    from google import genai

    options: Any = {"base_url": provider.google_url, "timeout": 300}
    with genai.Client(api_key="key", http_options=options) as client:
        return client.models.generate_content(model="gemini", contents="hi")


CALLS = {
    call: package
    for call, package in [
        (openai_call, "openai"),
        (anthropic_call, "anthropic"),
        (google_call, "google-genai"),
    ]
    if version(package) >= 0
}

FAULTS = [
    (fault.status(429, retry_after=2, message=SECRET), 429, "rate_limited", "2"),
    (fault.status(401, message=SECRET), 503, "server", None),
    (fault.status(400, "context_length"), 422, "context_length", None),
    (fault.status(400, message=SECRET), 422, "invalid_request", None),
    (fault.status(500, message=SECRET), 503, "server", None),
    (fault.status(503, message=SECRET), 503, "overloaded", None),
    (fault.drop(), 503, "connection", None),
    (fault.stall(), 504, "timeout", None),
]


@pytest.mark.parametrize("call", CALLS, ids=CALLS.get)
@pytest.mark.parametrize(
    ("failing", "status", "kind", "header"), FAULTS, ids=[repr(each[0])[6:40] for each in FAULTS]
)
def test_the_exceptions_of_real_sdks_are_answered(call, failing, status, kind, header):
    """Whichever provider fails, the answer is of the same form, and says nothing of it."""
    with FakeProvider() as provider:
        provider.always(failing)
        with pytest.raises(Exception) as raised:
            call(provider)
    answer = http_error(raised.value)

    assert answer is not None
    assert (answer.status, answer.kind) == (status, kind)
    assert answer.headers.get("retry-after") == header
    assert b"sk-live" not in answer.body
