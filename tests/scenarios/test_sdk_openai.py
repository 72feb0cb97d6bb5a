"""OpenAI's clients under guards, beyond what test_sdk_matrix shows for every SDK."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from agentguard import errors, explain, fallback, guard, record, report, retry, timeout
from agentguard.testing import FakeProvider, fault
from tests.scenarios.ways import (
    CHAT,
    LEFT_TO_THE_COLLECTOR,
    RESPONSES,
    arrived,
    async_openai_client,
    at_once,
    kinds,
    openai_client,
    text_of,
)

pytestmark = LEFT_TO_THE_COLLECTOR
WHOLE = "one two three four five six"


async def test_an_async_method_whose_flags_say_sync_works_when_awaited(provider: FakeProvider):
    """`AsyncOpenAI().chat.completions.create` is no coroutine function, and is guarded as one."""
    provider.script(fault.status(503))
    async with async_openai_client(provider) as client:
        create = client.chat.completions.create
        assert not inspect.iscoroutinefunction(create)
        ask = guard(at_once(), timeout(5))(create)

        with report() as seen:
            answer = await ask(**CHAT)

    assert text_of(answer) == WHOLE
    assert kinds(seen) == ["overloaded", None]


async def test_a_lambda_around_an_async_client_works_when_awaited(provider: FakeProvider):
    """A sync function that returns an awaitable is finished under the caller's event loop."""
    provider.script(fault.status(503))
    async with async_openai_client(provider) as client:
        ask = guard(at_once())(lambda: client.chat.completions.create(**CHAT))

        assert text_of(await ask()) == WHOLE

    assert len(provider.journal) == 2


async def test_an_async_stream_is_read_with_async_for_and_async_with(provider: FakeProvider):
    """What the SDK's stream can do, the guarded one can."""
    async with async_openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)

        async with await ask(**CHAT, stream=True) as stream:
            items = [chunk async for chunk in stream]

    assert text_of(items) == WHOLE


def test_what_does_not_consume_a_stream_comes_through(provider: FakeProvider):
    """Status, headers and the request's id are those of the SDK's stream."""
    with openai_client(provider) as client:
        stream = guard(at_once())(client.chat.completions.create)(**CHAT, stream=True)

        assert stream.response.status_code == 200
        assert stream.response.headers["x-request-id"] == provider.journal[0].request_id
        assert stream.response.request_id == provider.journal[0].request_id
        assert text_of(list(stream)) == WHOLE


@pytest.mark.parametrize("name", ["iter_lines", "iter_bytes", "read", "text", "json"])
def test_what_would_go_past_the_guard_is_refused(provider: FakeProvider, name: str):
    """The response's body is text that no guard has seen: the error says what to use."""
    with (
        openai_client(provider) as client,
        guard(at_once())(client.chat.completions.create)(**CHAT, stream=True) as stream,
        pytest.raises(AttributeError, match="Iterate the stream"),
    ):
        getattr(stream.response, name)


def test_a_consumer_that_stops_early_closes_the_connection(provider: FakeProvider):
    """After one chunk the provider sees its client leave, and the report says abandoned."""
    provider.script(fault.ok(chunks=["x " * 1000] * 200, each=0.01))
    with openai_client(provider) as client, report() as seen:
        with guard(at_once())(client.chat.completions.create)(**CHAT, stream=True) as stream:
            next(stream)

        assert provider.settle()

    assert provider.journal[0].client_disconnected
    assert seen.calls[0].outcome == "abandoned"
    assert seen.calls[0].kind is None


async def test_a_cancelled_task_closes_the_connection(provider: FakeProvider):
    """Cancelling whoever awaits a guarded call reaches the provider, and nothing is retried."""
    provider.always(fault.stall())
    async with async_openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)
        with report() as seen:
            task = asyncio.create_task(ask(**CHAT))
            await asyncio.to_thread(arrived, provider)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert await asyncio.to_thread(provider.settle)

    assert provider.journal[0].client_disconnected
    assert len(provider.journal) == 1
    assert seen.calls[0].outcome == "abandoned"


@pytest.mark.parametrize("stream", [False, True])
def test_a_bound_reaches_the_provider_from_sync_code(provider: FakeProvider, *, stream: bool):
    """The SDK method is told the bound as its own `timeout=`, so that its worker ends soon too."""
    provider.always(fault.stall())
    with openai_client(provider) as client:
        ask = guard(timeout(0.2))(client.chat.completions.create)
        with pytest.raises(errors.Timeout, match=r"timeout\(0.2\)"):
            ask(**CHAT, stream=stream)

        assert provider.settle()

    assert provider.journal[0].client_disconnected


@pytest.mark.parametrize("policy", [timeout(1, idle=20), timeout(first_token=1)])
def test_a_bound_on_the_first_word_does_not_cut_later_silences(provider: FakeProvider, policy: Any):
    """The SDK knows one timeout for all silences: it is not told one shorter than the guard's."""
    provider.script(fault.stall(1.5, after=2))
    with openai_client(provider) as client:
        ask = guard(policy)(client.chat.completions.create)

        assert text_of(list(ask(**CHAT, stream=True))) == WHOLE


async def test_a_bound_reaches_the_provider_from_async_code(provider: FakeProvider):
    """The await is cancelled, which closes the connection."""
    provider.always(fault.stall())
    async with async_openai_client(provider) as client:
        with pytest.raises(errors.Timeout):
            await guard(timeout(0.1))(client.chat.completions.create)(**CHAT)

        assert await asyncio.to_thread(provider.settle)

    assert provider.journal[0].client_disconnected


def test_a_recognised_method_is_told_what_is_left_of_the_bound(provider: FakeProvider):
    """The client sends its timeout along: a little more than the guard's, whose error comes first."""
    with openai_client(provider) as client:
        with_bound = guard(timeout(5))(client.chat.completions.create)
        with_bound(**CHAT)
        with_bound(**CHAT, timeout=9)

    told = [float(each.headers["x-stainless-read-timeout"]) for each in provider.journal]
    assert 0 < told[0] < 6
    assert told[1] == 9


def test_a_timeout_of_the_callers_own_is_left_alone(provider: FakeProvider):
    """`timeout=` in the call is the SDK's: it raises its own error, which is then classified."""
    import openai

    provider.always(fault.stall())
    with openai_client(provider) as client, report() as seen:
        ask = guard(timeout(20))(client.chat.completions.create)
        with pytest.raises(openai.APITimeoutError):
            ask(**CHAT, timeout=0.1)

    assert kinds(seen) == ["timeout"]


def test_twenty_chunks_then_silence_is_a_timeout_with_twenty_chunks(provider: FakeProvider):
    """`idle=` bounds each silence; the text so far is with the exception."""
    provider.script(fault.stall(after=20, chunks=[f"{n} " for n in range(60)]))
    with openai_client(provider) as client:
        ask = guard(at_once(), timeout(20, idle=0.5))(client.chat.completions.create)
        with report() as seen, pytest.raises(errors.Timeout) as caught:
            list(ask(**CHAT, stream=True))

    partial = errors.partial(caught.value)
    assert caught.value.bound == "idle"
    assert partial is not None
    assert partial.text == "".join(f"{n} " for n in range(20))
    assert kinds(seen) == ["timeout"]
    assert len(provider.journal) == 1


@pytest.mark.parametrize("event", ["error", "response.failed"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("rate_limit", "rate_limited"),
        ("overloaded", "overloaded"),
        ("server_error", "server"),
        ("insufficient_quota", "quota_exhausted"),
        ("context_length", "context_length"),
        ("content_filter", "content_filter"),
    ],
)
def test_an_error_that_responses_deliver_as_an_item_is_a_failure(
    provider: FakeProvider, event: str, kind: str, expected: str
):
    """The SDK raises nothing for these events; the guard raises what they mean."""
    provider.script(fault.error(kind, after=2, event=event))
    with openai_client(provider) as client:
        ask = guard(at_once())(client.responses.create)
        with report() as seen, pytest.raises(errors.ProviderError) as caught:
            list(ask(**RESPONSES, stream=True))

    assert caught.value.kind == expected
    assert kinds(seen) == [expected]
    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"


@pytest.mark.parametrize("event", ["error", "response.failed"])
def test_such_an_error_before_the_first_word_is_retried_and_falls_back(
    provider: FakeProvider, event: str
):
    """Two attempts fail inside their 200s, the fallback answers."""
    failing = fault.error("overloaded", after=0, event=event)
    provider.script(failing, failing)
    with openai_client(provider) as client:

        def backup(**kwargs: object) -> object:
            return client.responses.create(**kwargs)

        ask = guard(fallback(backup), at_once(attempts=2))(client.responses.create)
        with report() as seen:
            items = list(ask(**RESPONSES, stream=True))

    assert text_of(items) == WHOLE
    assert kinds(seen) == ["overloaded", "overloaded", None]
    assert seen.calls[0].served_by.endswith("backup")


def test_a_malformed_line_with_a_healthy_rest_fails_instead_of_losing_a_piece(
    provider: FakeProvider,
):
    """The SDK's JSONDecodeError comes out, counted as the server's fault, with the text so far."""
    provider.script(fault.malformed(after=2))
    with openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)
        with report() as seen, pytest.raises(ValueError, match=r"Expecting|Unterminated") as caught:
            list(ask(**CHAT, stream=True))

    partial = errors.partial(caught.value)
    assert partial is not None
    assert partial.text == "one two"
    assert kinds(seen) == ["server"]


def test_a_malformed_first_line_is_retried(provider: FakeProvider):
    """Before the first word nothing is lost: the second stream is whole."""
    provider.script(fault.malformed(after="opening"))
    with openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)

        assert text_of(list(ask(**CHAT, stream=True))) == WHOLE

    assert len(provider.journal) == 2


def test_fallback_to_another_model_changes_the_request(provider: FakeProvider):
    """`fallback(model=...)` repeats the call with the other model, past the retry."""
    provider.always(fault.status(503), on=lambda received: received.model == "gpt-4o-mini")
    with openai_client(provider) as client:
        ask = guard(fallback(model="gpt-4o"), at_once())(client.chat.completions.create)
        with report() as seen:
            assert text_of(ask(**CHAT)) == WHOLE

    assert [each.model for each in provider.journal] == ["gpt-4o-mini"] * 3 + ["gpt-4o"]
    assert seen.calls[0].model == "gpt-4o"
    assert "(gpt-4o)" in seen.calls[0].served_by


def test_explain_counts_the_clients_own_retries(provider: FakeProvider):
    """Three attempts of a client that makes three each are nine requests, and a warning."""
    with openai_client(provider, retries=2) as client:
        ask = guard(retry(attempts=3))(client.chat.completions.create)

    told = explain(ask)
    assert "at most 9 requests" in told
    assert "max_retries=0" in told


def test_a_quota_that_is_used_up_is_not_retried_but_falls_back(provider: FakeProvider):
    """It comes as a 429 like a rate limit; waiting does not help, another provider does."""
    provider.script(fault.status(429, "insufficient_quota"))
    with openai_client(provider) as client:
        ask = guard(fallback(lambda **_: "paid"), at_once())(client.chat.completions.create)
        with report() as seen:
            assert ask(**CHAT) == "paid"

    assert kinds(seen) == ["quota_exhausted", None]


def test_a_too_long_prompt_falls_back_only_where_it_is_named(provider: FakeProvider):
    """`on="context_length"` sends it to a model with a longer window; by default it comes out."""
    import openai

    provider.script(*[fault.status(400, "context_length")] * 2)
    with openai_client(provider) as client:
        create = client.chat.completions.create
        long = guard(fallback(lambda **_: "long", on="context_length"), at_once())(create)
        plain = guard(fallback(lambda **_: "long"), at_once())(create)

        assert long(**CHAT) == "long"
        with pytest.raises(openai.BadRequestError):
            plain(**CHAT)


def test_x_should_retry_has_the_last_word(provider: FakeProvider):
    """A server that says false is not asked again, one that says true is."""
    import openai

    with openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)
        provider.script(fault.status(503, should_retry=False))
        with pytest.raises(openai.InternalServerError):
            ask(**CHAT)
        provider.script(fault.status(400, should_retry=True))
        assert text_of(ask(**CHAT)) == WHOLE

    assert [each.status for each in provider.journal] == [503, 400, 200]


def test_an_answer_recorded_inside_a_function_names_its_model(provider: FakeProvider):
    """A function that returns only text is not blind when it records the response."""
    with openai_client(provider) as client:

        @at_once()
        def ask() -> str:
            return record(client.chat.completions.create(**CHAT)).choices[0].message.content

        with report() as seen:
            assert ask() == WHOLE

    assert seen.calls[0].model == "gpt-4o-mini"
    assert seen.calls[0].attempts[0].usage.output_tokens == 6


def test_no_note_or_repr_shows_the_prompt_or_the_key(provider: FakeProvider):
    """What is said about a failed call names neither the question nor the credentials."""
    provider.always(fault.status(503))
    with openai_client(provider) as client:
        ask = guard(at_once())(client.chat.completions.create)
        with report() as seen, pytest.raises(Exception) as caught:
            ask(model="gpt-4o-mini", messages=[{"role": "user", "content": "my secret"}])

    told = f"{seen} {seen!r} {seen.calls!r} {caught.value.__notes__} {ask!r} {explain(ask)}"
    assert "secret" not in told
    assert "sk-test" not in told
