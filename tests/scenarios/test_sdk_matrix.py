"""Every row of the fault matrix through every SDK that is installed, guarded."""

from __future__ import annotations

import pytest

from agentguard import errors, fallback, guard, report, timeout
from agentguard.providers.failures import classify
from agentguard.testing import FakeProvider, fault
from tests.providers.fault_rows import STREAM, UNARY, Row
from tests.providers.sdk_targets import GENERATION
from tests.scenarios.ways import LEFT_TO_THE_COLLECTOR, Way, at_once, kinds, text_of, ways

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
TRANSIENT = {"rate_limited", "overloaded", "server", "timeout", "connection", "truncated"}


def rows_name(name: str, way: Way) -> str:
    """The name under which the fault matrix knows this way."""
    if "anthropic stream" in name and name.endswith("anthropic stream"):
        return "anthropic create(stream=True)"
    return way.fault


CASES = [
    pytest.param(rows_name(name, way), way, row, id=f"{name}-{fault_name}")
    for name, way in ways().items()
    for fault_name, row in (STREAM if way.streams else UNARY).items()
    # One way of each kind: sync and async share a parser. The rest of them is in other files.
    if name.startswith("async ") is (name in {"async openai chat stream", "async anthropic"})
    or way.fault.startswith("litellm")
]
CASES = [
    case
    for case in CASES
    if case.values[2].guarded(case.values[0], GENERATION)
    # aiohttp, which LiteLLM uses there, sends the request again by itself.
    and not str(case.id).endswith("acompletion-connection RST")
]


@pytest.mark.parametrize(("name", "way", "row"), CASES)
def test_an_attempt_is_reported_with_the_kind_of_its_fault(
    provider: FakeProvider, name: str, way: Way, row: Row
):
    """One attempt: the report has the fault's kind, and the caller the provider's own exception."""
    provider.script(row.fault())

    with report() as seen, pytest.raises(Exception) as caught:
        way.run(provider, guard(at_once(attempts=1), strict_streams=True), timeout=row.timeout)

    expected = row.guarded(name, GENERATION)
    assert kinds(seen) == [expected]
    assert seen.calls[0].kind == expected
    assert classify(caught.value).kind == expected
    assert len(provider.journal) == 1


UNARY_WAYS = [pytest.param(way, id=name) for name, way in ways(streams=False).items()]
STREAM_WAYS = [pytest.param(way, id=name) for name, way in ways(streams=True).items()]


@pytest.mark.parametrize("way", [*UNARY_WAYS, *STREAM_WAYS])
def test_what_passes_by_itself_is_retried_and_the_answer_is_whole(provider: FakeProvider, way: Way):
    """A rate limit with Retry-After and a server's error, then the answer: three requests."""
    provider.script(fault.status(429, retry_after=0.05), fault.status(500))

    with report() as seen:
        items = way.run(provider, guard(at_once()))

    assert text_of(items) == WHOLE
    assert kinds(seen) == ["rate_limited", "server", None]
    assert seen.calls[0].attempts[1].wait == 0.05
    assert len(provider.journal) == 3


@pytest.mark.parametrize("way", [*UNARY_WAYS, *STREAM_WAYS])
def test_what_does_not_pass_is_not_retried(provider: FakeProvider, way: Way):
    """A wrong key is told at once, as the SDK's own exception, with a note of what was tried."""
    provider.script(fault.status(401))

    with report() as seen, pytest.raises(Exception) as caught:
        way.run(provider, guard(at_once()))

    assert not isinstance(caught.value, errors.GuardError)
    assert kinds(seen) == ["auth"]
    assert "not retried: auth does not pass by itself" in caught.value.__notes__[0]
    assert len(provider.journal) == 1


@pytest.mark.parametrize("way", [way for way in STREAM_WAYS if "google" not in way.id])
def test_an_error_in_the_first_event_of_a_200_is_retried(provider: FakeProvider, way: Way):
    """Nothing had been handed out: the consumer sees the second stream alone."""
    provider.script(fault.error("overloaded", after=0))

    with report() as seen:
        items = way.run(provider, guard(at_once()))

    assert text_of(items) == WHOLE
    assert seen.calls[0].attempts[0].kind in {"overloaded", "server"}
    assert len(provider.journal) == 2


SDKS = ways("openai", "anthropic", streams=False)


@pytest.mark.parametrize("way", [pytest.param(way, id=name) for name, way in SDKS.items()])
def test_an_error_in_the_body_of_a_unary_200_is_retried(provider: FakeProvider, way: Way):
    """Some gateways answer so; the SDK makes an answer without content of it."""
    provider.script(fault.error("overloaded", after=0))

    with report() as seen:
        answer = way.run(provider, guard(at_once()))

    assert text_of(answer) == WHOLE
    assert kinds(seen) == ["overloaded", None]


@pytest.mark.parametrize("way", STREAM_WAYS)
def test_an_error_after_the_first_word_is_never_replayed(provider: FakeProvider, way: Way):
    """A connection lost after two words fails the call, with these words and one request."""
    provider.script(fault.drop(after=2))

    with report() as seen, pytest.raises(Exception) as caught:
        way.run(provider, guard(at_once()))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert seen.calls[0].kind in TRANSIENT
    assert len(provider.journal) == 1


@pytest.mark.parametrize("way", [*UNARY_WAYS, *STREAM_WAYS])
def test_a_fallback_serves_when_the_provider_does_not(provider: FakeProvider, way: Way):
    """Three attempts, then the fallback's answer, in the shape of the call."""
    provider.always(fault.status(503))

    with report() as seen:
        answer = way.run(provider, guard(fallback(sorry), at_once()))

    assert (answer == ["sorry"]) if way.streams else (answer == "sorry")
    assert seen.calls[0].served_by == "sorry"
    assert kinds(seen) == ["overloaded", "overloaded", "overloaded", None]


def sorry(*args: object, **kwargs: object) -> str:
    """Say that there is no answer."""
    return "sorry"


@pytest.mark.parametrize("way", [*UNARY_WAYS, *STREAM_WAYS])
def test_a_model_that_falls_silent_is_cut_by_timeout(provider: FakeProvider, way: Way):
    """No answer at all: the bound passes, names itself, and the next attempt is answered."""
    provider.script(fault.stall())

    with report() as seen:
        items = way.run(provider, guard(at_once(attempts=9), timeout(0.3)))

    assert text_of(items) == WHOLE
    assert set(kinds(seen)[:-1]) == {"timeout"}  # more than one where the machine is busy


@pytest.mark.parametrize("way", [*UNARY_WAYS, *STREAM_WAYS])
def test_the_report_names_model_and_usage(provider: FakeProvider, way: Way):
    """What the provider says it served is in the report, read from the answer as it passed."""
    provider.script(fault.ok(WHOLE, usage={"input": 7, "output": 6}))

    with report() as seen:
        way.run(provider, guard(at_once()))

    (call,) = seen.calls
    assert call.outcome == "completed"
    assert call.model is not None
    (attempt,) = call.attempts
    assert attempt.usage is not None
    if not attempt.estimated:  # LangChain asks only OpenAI's own address for the usage of a stream
        assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (7, 6)
    assert call.first_token is not None
    assert call.duration is not None
    assert call.first_token <= call.duration
