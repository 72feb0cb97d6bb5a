"""LiteLLM's functions under guards; in its own environment, since it pins an older openai."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from agentguard import errors, guard, report, timeout
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import (
    LEFT_TO_THE_COLLECTOR,
    MESSAGES,
    at_once,
    kinds,
    litellm_route,
    text_of,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"
OPENAI = {"model": "openai/gpt-4o-mini", "messages": MESSAGES}


def test_the_hidden_retry_after_is_obeyed(provider: FakeProvider):
    """LiteLLM hides the header in an attribute of its own; the wait is obeyed all the same."""
    provider.script(fault.status(429, retry_after=0.05))
    with litellm_route(provider) as litellm, report() as seen:
        answer = guard(at_once())(litellm.completion)(**OPENAI)

    assert text_of(answer) == WHOLE
    assert seen.calls[0].attempts[1].wait == 0.05


async def test_acompletion_streams_are_retried_before_the_first_word(provider: FakeProvider):
    """CustomStreamWrapper has both kinds of iteration: how it was called decides."""
    provider.script(fault.error("overloaded", after=0))
    with litellm_route(provider) as litellm:
        stream = await guard(at_once())(litellm.acompletion)(**OPENAI, stream=True)
        assert text_of([chunk async for chunk in stream]) == WHOLE

    assert len(provider.journal) == 2


def test_an_error_after_the_first_word_keeps_the_text(provider: FakeProvider):
    """LiteLLM's MidStreamFallbackError comes out as it is, with what had arrived."""
    provider.script(fault.drop(after=2))
    with litellm_route(provider) as litellm, report() as seen:
        ask = guard(at_once())(litellm.completion)
        with pytest.raises(Exception, match=r".") as caught:
            list(ask(**OPENAI, stream=True))

    assert type(caught.value).__module__.startswith("litellm")
    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert kinds(seen) == ["connection"]


def test_known_limit_a_cut_stream_has_an_invented_end(provider: FakeProvider):
    """LiteLLM makes up finish_reason="stop" for a stream that was cut: nothing reveals it."""
    provider.script(fault.cut(after=2))
    with litellm_route(provider) as litellm:
        ask = guard(at_once(), strict_streams=True)(litellm.completion)
        assert text_of(list(ask(**OPENAI, stream=True))) == "one two"


def test_its_own_retries_are_not_multiplied_when_they_are_off(provider: FakeProvider):
    """max_retries=0: three attempts are three requests."""
    provider.always(fault.status(503))
    with litellm_route(provider) as litellm, pytest.raises(Exception, match=r"."):
        guard(at_once())(litellm.completion)(**OPENAI)

    assert len(provider.journal) == 3


def test_a_silent_stream_is_cut_by_idle(provider: FakeProvider):
    """Twenty chunks, then silence: the bound passes and says what had arrived."""
    provider.script(fault.stall(1.0, after=2))
    with litellm_route(provider) as litellm:
        ask = guard(timeout(20, idle=0.5))(litellm.completion)
        with pytest.raises(errors.Timeout) as caught:
            list(ask(**OPENAI, stream=True))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_model_and_usage_are_reported(provider: FakeProvider, stream: bool):
    """Of a stream the usage is there when it was asked for."""
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    with litellm_route(provider) as litellm, report() as seen:
        answer = await guard(at_once())(litellm.acompletion)(**OPENAI, **options)
        text = text_of([chunk async for chunk in answer] if stream else answer)

    (attempt,) = seen.calls[0].attempts
    assert text == WHOLE
    assert attempt.model == "gpt-4o-mini"
    assert attempt.usage.output_tokens > 0


@pytest.mark.parametrize("name", ["embedding", "aembedding"])
async def test_embeddings_are_reported(provider: FakeProvider, name: str):
    """`litellm.embedding` is a callable like any other."""
    with litellm_route(provider), report() as seen:
        import litellm

        ask = guard(at_once())(getattr(litellm, name))
        answer = ask("openai/vectors", ["hi"], api_base=provider.openai_url, api_key="test-key")
        answer = await answer if inspect.isawaitable(answer) else answer

    (attempt,) = seen.calls[0].attempts
    assert len(answer.data) == 1
    assert attempt.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("failure", "route"),
    [
        (fault.status(503), "anthropic"),
        (fault.status(529), "anthropic"),
        (fault.drop(), "anthropic"),
        (fault.drop(), "openai"),
    ],
    ids=["503", "529", "drop-anthropic", "drop-openai"],
)
def test_known_limit_statuses_are_rewritten(provider: FakeProvider, failure: Any, route: str):
    """An overloaded Anthropic and a dropped connection come out as status 500; both are retried."""
    provider.script(failure)
    model = {"anthropic": "anthropic/claude-3-haiku-20240307", "openai": "openai/gpt-4o-mini"}[
        route
    ]
    question = {"model": model, "messages": MESSAGES}
    with litellm_route(provider, route=route) as litellm:
        with pytest.raises(Exception, match=r".") as caught:
            litellm.completion(**question)
        provider.script(failure)
        assert text_of(guard(at_once())(litellm.completion)(**question)) == WHOLE

    assert getattr(caught.value, "status_code", None) == 500
    assert len(provider.journal) == 3


def test_known_limit_retry_after_is_only_in_an_attribute(provider: FakeProvider):
    """The headers of `error.response` are invented: the real ones are beside it."""
    provider.script(fault.status(429, retry_after=7))
    with litellm_route(provider) as litellm, pytest.raises(Exception, match=r".") as caught:
        litellm.completion(**OPENAI)

    error: Any = caught.value
    assert "retry-after" not in error.response.headers
    assert error.litellm_response_headers["retry-after"] == "7"


def test_known_limit_num_retries_comes_on_top(provider: FakeProvider):
    """`num_retries=` starts the SDK's own retries again, whatever `max_retries` says."""
    provider.always(fault.status(503))
    with litellm_route(provider) as litellm, pytest.raises(Exception, match=r"."):
        guard(at_once(attempts=1))(litellm.completion)(**OPENAI, num_retries=1)

    assert len(provider.journal) > 2
