"""The breaker around real SDKs, on a provider that fails on demand."""

from __future__ import annotations

import openai
import pytest

from agentguard import errors, fallback, guard, retry
from agentguard.policies.breaker import breaker
from agentguard.testing import FakeProvider, FakeRuntime, fault

ASK = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def provider():
    """A healthy provider until a test says otherwise."""
    with FakeProvider(answer="hello there") as provider:
        yield provider


@pytest.fixture
def create(provider):
    """The SDK's method, without retries of its own."""
    with openai.OpenAI(base_url=provider.openai_url, api_key="test-key", max_retries=0) as client:
        yield client.chat.completions.create


def state(policy) -> str:
    """The state of the only circuit."""
    (only,) = policy.states().values()
    return only


def test_a_rate_limit_sets_the_open_time(provider, create) -> None:
    """The Retry-After of a real 429 is how long the circuit stays open."""
    provider.script(fault.status(429, retry_after=7))
    ask = breaker(fail_max=1)(create)
    with pytest.raises(openai.RateLimitError):
        ask(**ASK)
    with pytest.raises(errors.CircuitOpen) as caught:
        ask(**ASK)
    assert 5 < caught.value.retry_after <= 7
    assert len(provider.journal) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_requests_at_fault_leave_the_circuit_closed(provider, create, status) -> None:
    """However many of them there are."""
    policy = breaker(fail_max=1)
    provider.script(fault.status(status))
    with pytest.raises(openai.APIStatusError):
        policy(create)(**ASK)
    assert state(policy) == "closed"


@pytest.mark.parametrize("what", [fault.cut(after=2), fault.error(after=2)], ids=["cut", "error"])
def test_a_stream_that_breaks_is_a_failure(provider, create, what) -> None:
    """An error inside a 200 and a stream without its end count, when the stream has come to it."""
    policy = breaker(fail_max=1)
    ask = policy(create)
    list(ask(**ASK, stream=True))  # this server does send a terminal signal
    provider.script(what)
    stream = ask(**ASK, stream=True)
    assert state(policy) == "closed"
    with pytest.raises(Exception):
        list(stream)
    assert state(policy) == "open"


def test_a_stream_left_early_is_neutral(provider, create) -> None:
    """Its connection is closed and nothing is counted."""
    policy = breaker(fail_max=1)
    with policy(create)(**ASK, stream=True) as stream:
        next(iter(stream))
    assert state(policy) == "closed"


async def test_the_async_client_is_seen_too(provider) -> None:
    """Its methods are plain functions by their flags; failures count all the same."""
    policy = breaker(fail_max=2)
    provider.script(fault.status(503), fault.reset())
    async with openai.AsyncOpenAI(
        base_url=provider.openai_url, api_key="test-key", max_retries=0
    ) as client:
        ask = policy(client.chat.completions.create)
        for _ in range(2):
            with pytest.raises(openai.APIError):
                await ask(**ASK)
        with pytest.raises(errors.CircuitOpen):
            await ask(**ASK)
    assert len(provider.journal) == 2


def test_in_a_whole_guard_an_outage_costs_no_requests(provider, create) -> None:
    """Retries vote, the open circuit ends them, the fallback answers without delay."""
    provider.always(fault.status(503))
    policy = breaker(fail_max=3)
    ask = guard(fallback(lambda **_: "from the backup"), retry(attempts=2), policy)(create)
    with FakeRuntime():
        assert [ask(**ASK) for _ in range(10)] == ["from the backup"] * 10
    assert len(provider.journal) == 3
    assert state(policy) == "open"
