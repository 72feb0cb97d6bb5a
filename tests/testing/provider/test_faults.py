"""Every fault, seen through every SDK: the exceptions observed with the SDKs' current generation.

openai 3.54, anthropic 2.12, google-genai 3.4, langchain-openai 1.7.3, langchain-anthropic 1.7.7.
"""

from __future__ import annotations

from typing import Any

import pytest

from agentguard.testing import FakeProvider, Fault, fault
from tests.testing.provider import calls

IMPATIENT = 0.3
"""The read timeout in seconds of a client that meets a stall."""

NO_ERROR = "no error"

UNARY = {
    "openai": calls.openai_chat,
    "anthropic": calls.anthropic_create,
    "google": calls.google_generate,
    "langchain-openai": calls.langchain_openai,
    "langchain-anthropic": calls.langchain_anthropic,
}

_LANGCHAIN_BAD = "langchain_openai.OpenAIInvalidRequestError"
_LANGCHAIN_API = ("langchain_openai.OpenAIAPIError", "langchain_anthropic.AnthropicAPIError")
_CLIENT, _SERVER = "genai.ClientError", "genai.ServerError"
_CONNECTION = (
    "langchain_openai.OpenAIConnectionError",
    "langchain_anthropic.AnthropicConnectionError",
)

UNARY_ROWS: list[tuple[Fault, tuple[str, ...]]] = [
    (
        fault.status(429, retry_after=2),
        (
            "openai.RateLimitError",
            "anthropic.RateLimitError",
            _CLIENT,
            "langchain_openai.OpenAIRateLimitError",
            "langchain_anthropic.AnthropicRateLimitError",
        ),
    ),
    (
        fault.status(429, "insufficient_quota"),
        (
            "openai.RateLimitError",
            "anthropic.RateLimitError",
            _CLIENT,
            "langchain_openai.OpenAIRateLimitError",
            "langchain_anthropic.AnthropicRateLimitError",
        ),
    ),
    (
        fault.status(400, "context_length"),
        (
            "openai.BadRequestError",
            "anthropic.BadRequestError",
            _CLIENT,
            _LANGCHAIN_BAD,
            "langchain_anthropic.AnthropicContextOverflowError",
        ),
    ),
    *(
        (
            fault.status(400, kind),
            (
                "openai.BadRequestError",
                "anthropic.BadRequestError",
                _CLIENT,
                _LANGCHAIN_BAD,
                "langchain_anthropic.AnthropicInvalidRequestError",
            ),
        )
        for kind in ("content_filter", "bad_request", "credit_balance")
    ),
    (
        fault.status(401),
        (
            "openai.AuthenticationError",
            "anthropic.AuthenticationError",
            _CLIENT,
            "langchain_openai.OpenAIAuthenticationError",
            "langchain_anthropic.AnthropicAuthenticationError",
        ),
    ),
    (
        fault.status(403),
        (
            "openai.PermissionDeniedError",
            "anthropic.PermissionDeniedError",
            _CLIENT,
            "langchain_openai.OpenAIPermissionDeniedError",
            "langchain_anthropic.AnthropicPermissionDeniedError",
        ),
    ),
    (
        fault.status(404),
        (
            "openai.NotFoundError",
            "anthropic.NotFoundError",
            _CLIENT,
            "langchain_openai.OpenAIModelNotFoundError",
            "langchain_anthropic.AnthropicModelNotFoundError",
        ),
    ),
    (
        fault.status(408),
        (
            "openai.APIStatusError",
            "anthropic.RequestTimeoutError",
            _CLIENT,
            "openai.APIStatusError",
            "anthropic.RequestTimeoutError",
        ),
    ),
    (
        fault.status(409),
        (
            "openai.ConflictError",
            "anthropic.ConflictError",
            _CLIENT,
            "openai.ConflictError",
            "anthropic.ConflictError",
        ),
    ),
    (
        fault.status(413),
        (
            "openai.APIStatusError",
            "anthropic.ContentTooLargeError",
            _CLIENT,
            "openai.APIStatusError",
            "anthropic.ContentTooLargeError",
        ),
    ),
    (
        fault.status(422),
        (
            "openai.UnprocessableEntityError",
            "anthropic.UnprocessableEntityError",
            _CLIENT,
            "openai.UnprocessableEntityError",
            "anthropic.UnprocessableEntityError",
        ),
    ),
    (
        fault.status(500),
        (
            "openai.InternalServerError",
            "anthropic.InternalServerError",
            _SERVER,
            *_LANGCHAIN_API,
        ),
    ),
    (
        fault.status(502),
        (
            "openai.InternalServerError",
            "anthropic.InternalServerError",
            _SERVER,
            *_LANGCHAIN_API,
        ),
    ),
    (
        fault.status(503),
        (
            "openai.InternalServerError",
            "anthropic.ServiceUnavailableError",
            _SERVER,
            *_LANGCHAIN_API,
        ),
    ),
    (
        fault.status(504),
        (
            "openai.InternalServerError",
            "anthropic.GatewayTimeoutError",
            _SERVER,
            *_LANGCHAIN_API,
        ),
    ),
    (
        fault.status(529),
        (
            "openai.InternalServerError",
            "anthropic.OverloadedError",
            _SERVER,
            "langchain_openai.OpenAIAPIError",
            "langchain_anthropic.AnthropicOverloadedError",
        ),
    ),
    (
        fault.drop(),
        (
            "openai.APIConnectionError",
            "anthropic.APIConnectionError",
            "httpx2.RemoteProtocolError",
            *_CONNECTION,
        ),
    ),
    (
        fault.reset(),
        (
            "openai.APIConnectionError",
            "anthropic.APIConnectionError",
            "httpx2.ReadError",
            *_CONNECTION,
        ),
    ),
    (
        fault.stall(),
        (
            "openai.APITimeoutError",
            "anthropic.APITimeoutError",
            "httpx2.ReadTimeout",
            "langchain_openai.OpenAITimeoutError",
            "langchain_anthropic.AnthropicTimeoutError",
        ),
    ),
    (fault.malformed(), ("json.JSONDecodeError",) * 5),
    (
        fault.empty(),
        (
            "json.JSONDecodeError",
            "json.JSONDecodeError",
            NO_ERROR,
            "json.JSONDecodeError",
            "json.JSONDecodeError",
        ),
    ),
    (
        fault.truncated(),
        (
            "openai.APIConnectionError",
            "anthropic.APIConnectionError",
            "httpx2.RemoteProtocolError",
            *_CONNECTION,
        ),
    ),
]

STREAM = {
    "openai": calls.openai_chat_stream,
    "openai-responses": calls.openai_responses_stream,
    "openai-async": calls.openai_chat_async_stream,
    "anthropic": calls.anthropic_create_stream,
    "anthropic-helper": calls.anthropic_helper_stream,
    "google": calls.google_stream,
    "langchain-openai": calls.langchain_openai_stream,
    "langchain-anthropic": calls.langchain_anthropic_stream,
}

STREAM_ROWS: list[tuple[Fault, tuple[str, ...]]] = [
    (
        fault.status(429),
        (
            "openai.RateLimitError",
            "openai.RateLimitError",
            "openai.RateLimitError",
            "anthropic.RateLimitError",
            "anthropic.RateLimitError",
            _CLIENT,
            "langchain_openai.OpenAIRateLimitError",
            "langchain_anthropic.AnthropicRateLimitError",
        ),
    ),
    (
        fault.drop(after=1),
        (
            "openai.APIConnectionError",
            "openai.APIConnectionError",
            "openai.APIConnectionError",
            "httpx2.RemoteProtocolError",
            "httpx2.RemoteProtocolError",
            "httpx2.RemoteProtocolError",
            "langchain_openai.OpenAIConnectionError",
            "httpx2.RemoteProtocolError",
        ),
    ),
    (
        fault.reset(after=1),
        (
            "openai.APIConnectionError",
            "openai.APIConnectionError",
            "openai.APIConnectionError",
            "httpx2.ReadError",
            "httpx2.ReadError",
            "httpx2.ReadError",
            "langchain_openai.OpenAIConnectionError",
            "httpx2.ReadError",
        ),
    ),
    (fault.cut(after=1), (NO_ERROR,) * 8),
    (
        fault.malformed(after=1),
        (
            "json.JSONDecodeError",
            "json.JSONDecodeError",
            "json.JSONDecodeError",
            "json.JSONDecodeError",
            "json.JSONDecodeError",
            "genai.UnknownApiResponseError",
            "json.JSONDecodeError",
            "json.JSONDecodeError",
        ),
    ),
    (
        fault.error("overloaded", after=1),
        (
            "openai.APIError",
            NO_ERROR,
            "openai.APIError",
            "anthropic.APIStatusError",
            "anthropic.APIStatusError",
            _SERVER,
            "openai.APIError",
            "anthropic.APIStatusError",
        ),
    ),
    (
        fault.error("rate_limit", after=1),
        (
            "openai.APIError",
            NO_ERROR,
            "openai.APIError",
            "anthropic.APIStatusError",
            "anthropic.APIStatusError",
            _CLIENT,
            "openai.APIError",
            "anthropic.APIStatusError",
        ),
    ),
    (
        fault.stall(after=1),
        (
            "openai.APITimeoutError",
            "openai.APITimeoutError",
            "openai.APITimeoutError",
            "httpx2.ReadTimeout",
            "httpx2.ReadTimeout",
            "httpx2.ReadTimeout",
            "langchain_openai.OpenAITimeoutError",
            "httpx2.ReadTimeout",
        ),
    ),
]


def _cases(rows: list[tuple[Fault, tuple[str, ...]]], columns: dict[str, calls.Call]) -> list[Any]:
    return [
        pytest.param(step, call, expected, id=f"{column}-{step}")
        for step, row in rows
        for (column, call), expected in zip(columns.items(), row, strict=True)
    ]


def _outcome(provider: FakeProvider, step: Fault, call: calls.Call) -> tuple[str, Any]:
    provider.script(step)
    try:
        answer = call(provider, IMPATIENT if step.act == "stall" else calls.PATIENT)
    except Exception as error:
        return calls.error_name(error), error
    return NO_ERROR, answer


@pytest.mark.parametrize(("step", "call", "expected"), _cases(UNARY_ROWS, UNARY))
def test_a_unary_fault_raises_what_the_sdk_makes_of_it(
    provider: FakeProvider, step: Fault, call: calls.Call, expected: str
) -> None:
    """Each fault reaches the caller of a unary call as the exception seen with that SDK."""
    name, error = _outcome(provider, step, call)
    assert name == expected
    assert provider.requests == 1
    if step.act == "status":
        seen = error.code if expected.startswith("genai") else error.status_code
        assert seen == step.status


@pytest.mark.parametrize(("step", "call", "expected"), _cases(STREAM_ROWS, STREAM))
def test_a_stream_fault_raises_what_the_sdk_makes_of_it(
    provider: FakeProvider, step: Fault, call: calls.Call, expected: str
) -> None:
    """Each fault in a stream reaches its consumer as the exception seen with that SDK."""
    name, _ = _outcome(provider, step, call)
    assert name == expected
    assert provider.requests == 1
    assert provider.settle()
    if step.act in ("cut", "drop", "reset", "error", "stall"):
        assert provider.journal[0].chunks == 1


def test_quota_and_rate_limit_differ_in_their_code(provider: FakeProvider) -> None:
    """OpenAI's two kinds of 429 can be told apart by `code`, as with the real provider."""
    codes = []
    for kind in ("rate_limit", "insufficient_quota"):
        _, error = _outcome(provider, fault.status(429, kind), calls.openai_chat)
        codes.append(error.code)
    assert codes == ["rate_limit_exceeded", "insufficient_quota"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("credit_balance", "credit balance is too low"),
        ("context_length", "prompt is too long"),
        ("content_filter", "content filtering policy"),
    ],
)
def test_anthropic_says_in_words_what_it_has_no_code_for(
    provider: FakeProvider, kind: str, said: str
) -> None:
    """Anthropic's 400s differ only in their message, which has the provider's own wording."""
    _, error = _outcome(provider, fault.status(400, kind), calls.anthropic_create)
    assert said in error.body["error"]["message"]


@pytest.mark.parametrize(
    ("form", "header", "value"),
    [("seconds", "retry-after", "1.5"), ("ms", "retry-after-ms", "1500")],
)
def test_retry_after_takes_the_form_asked_for(
    provider: FakeProvider, form: Any, header: str, value: str
) -> None:
    """The wait is sent as seconds, or in a header of milliseconds."""
    step = fault.status(429, retry_after=1.5, form=form, should_retry=False)
    _, error = _outcome(provider, step, calls.openai_chat)
    assert error.response.headers[header] == value
    assert error.response.headers["x-should-retry"] == "false"


def test_retry_after_can_be_a_date(provider: FakeProvider) -> None:
    """An HTTP-date names a moment that many seconds after the answer's own date."""
    from email.utils import parsedate_to_datetime

    step = fault.status(503, retry_after=60, form="date")
    _, error = _outcome(provider, step, calls.openai_chat)
    headers = error.response.headers
    wait = parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])
    assert 59 <= wait.total_seconds() <= 62


def test_google_says_when_to_retry_in_the_body(provider: FakeProvider) -> None:
    """`form="body"` sends Google's RetryInfo and no header."""
    step = fault.status(429, retry_after=2, form="body")
    _, error = _outcome(provider, step, calls.google_generate)
    assert error.details["error"]["details"][0]["retryDelay"] == "2s"
    assert "retry-after" not in error.response.headers


@pytest.mark.parametrize("event", ["error", "response.failed"])
def test_a_failed_response_is_an_ordinary_event(provider: FakeProvider, event: Any) -> None:
    """OpenAI's responses report a failure as an item of the stream, in either of two forms."""
    provider.script(fault.error("rate_limit", after=2, event=event))
    items = calls.openai_responses_stream(provider, calls.PATIENT)
    last = items[-1]
    assert last.type == event
    assert (last.response.error if event == "response.failed" else last).code == (
        "rate_limit_exceeded"
    )
    assert [item.sequence_number for item in items] == list(range(len(items)))


@pytest.mark.parametrize(
    "call",
    [calls.openai_chat_stream, calls.anthropic_create_stream, calls.google_stream],
)
def test_the_error_can_be_the_first_event(provider: FakeProvider, call: calls.Call) -> None:
    """An error as the first event of a 200 leaves no content behind."""
    name, error = _outcome(provider, fault.error("rate_limit", after=0), call)
    assert name in ("openai.APIError", "anthropic.APIStatusError", "genai.ClientError")
    assert provider.journal[0].status == 200
    assert provider.journal[0].chunks == 0
    assert "rate" in str(error).lower() or "exhausted" in str(error)


def test_a_fault_can_strike_between_opening_and_content(provider: FakeProvider) -> None:
    """`after="opening"` lets the opening events through and no content."""
    with calls.anthropic_client(provider) as client:
        provider.script(fault.cut(after="opening"))
        stream = client.messages.create(model="m", max_tokens=9, messages=calls.PROMPT, stream=True)
        assert [item.type for item in stream] == ["message_start", "content_block_start"]


@pytest.mark.parametrize(
    ("call", "last"),
    [
        (calls.openai_chat_stream, lambda item: item.choices[0].finish_reason == "stop"),
        (calls.openai_responses_stream, lambda item: item.type == "response.completed"),
        (calls.anthropic_create_stream, lambda item: item.delta.stop_reason == "end_turn"),
        (calls.google_stream, lambda item: item.candidates[0].finish_reason == "STOP"),
    ],
)
def test_a_cut_after_the_terminal_signal_keeps_the_signal(
    provider: FakeProvider, call: calls.Call, last: Any
) -> None:
    """`after="finish"` ends the stream on the terminal signal, without what follows it."""
    provider.script(fault.cut(after="finish"))
    assert last(call(provider, calls.PATIENT)[-1])


def test_a_cut_after_more_chunks_than_there_are_still_cuts(provider: FakeProvider) -> None:
    """A short answer is struck before its terminal signal, never left whole."""
    provider.script(fault.cut(after=50))
    items = calls.openai_chat_stream(provider, calls.PATIENT)
    assert all(item.choices[0].finish_reason is None for item in items)


def test_a_cut_after_forty_of_sixty_chunks_delivers_forty(provider: FakeProvider) -> None:
    """Content before the strike is delivered whole."""
    provider.script(fault.cut(after=40, chunks=[f"{n} " for n in range(60)]))
    items = calls.openai_chat_stream(provider, calls.PATIENT)
    text = "".join(item.choices[0].delta.content or "" for item in items)
    assert text.split() == [str(n) for n in range(40)]


def test_a_malformed_event_is_followed_by_the_healthy_rest(provider: FakeProvider) -> None:
    """A stream goes on after a malformed event, so a tolerant reader finds the rest."""
    import httpx2

    provider.script(fault.malformed(after=2))
    url = f"{provider.openai_url}/chat/completions"
    body = {"model": "m", "messages": calls.PROMPT, "stream": True}
    text = httpx2.post(url, json=body, timeout=calls.PATIENT).text
    assert "broken\n\n" in text
    assert text.rstrip().endswith("data: [DONE]")


def test_a_stall_ends_and_the_stream_goes_on(provider: FakeProvider) -> None:
    """A stall of some seconds delays the rest of the stream and loses none of it."""
    provider.script(fault.stall(0.05, after=2))
    items = calls.openai_chat_stream(provider, calls.PATIENT)
    text = "".join(item.choices[0].delta.content or "" for item in items)
    assert text == "Hello from the fake provider."


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (fault.drop(after=1), "openai.APIConnectionError"),
        (fault.reset(after=1), "openai.APIConnectionError"),
        (fault.cut(), "json.JSONDecodeError"),
        (fault.stall(0.02), NO_ERROR),
        (fault.stall(0.02, after=1), NO_ERROR),
        (fault.cut(after="finish"), NO_ERROR),
        (fault.drop(after="finish"), NO_ERROR),
        (fault.reset(after="finish"), NO_ERROR),
    ],
    ids=repr,
)
def test_a_unary_answer_is_struck_in_the_middle_of_its_body(
    provider: FakeProvider, step: Fault, expected: str
) -> None:
    """Where a stream counts chunks, a unary answer breaks in its body; its end is after it."""
    name, answer = _outcome(provider, step, calls.openai_chat)
    assert name == expected
    if name == NO_ERROR:
        assert answer.choices[0].message.content == "Hello from the fake provider."


@pytest.mark.parametrize(
    ("step", "stream", "expected"),
    [
        (fault.drop(), False, NO_ERROR),
        (fault.reset(), False, NO_ERROR),
        (fault.truncated(), False, "aiohttp.ClientPayloadError"),
        (fault.drop(after=1), True, "aiohttp.ClientPayloadError"),
        (fault.reset(after=1), True, "aiohttp.ClientPayloadError"),
        (fault.stall(), False, "builtins.TimeoutError"),
        (fault.stall(after=1), True, "builtins.TimeoutError"),
        (fault.status(503), True, "genai.ServerError"),
    ],
)
# google-genai subclasses aiohttp's session, which warns.
@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_google_async_speaks_through_aiohttp(
    provider: FakeProvider, step: Fault, stream: bool, expected: str
) -> None:
    """Where aiohttp is installed the async Google client raises its errors, and hides drops.

    A connection that ends before the headers is tried again inside the SDK, without any option.
    """
    from google import genai
    from google.genai import types

    timeout = IMPATIENT if step.act == "stall" else calls.PATIENT
    options = types.HttpOptions(base_url=provider.google_url, timeout=int(timeout * 1000))
    client = genai.Client(api_key="test-key", http_options=options)
    arguments = {"model": "m", "contents": "x"}
    provider.script(step)
    name = NO_ERROR
    try:
        if stream:
            async for _ in await client.aio.models.generate_content_stream(**arguments):
                pass
        else:
            await client.aio.models.generate_content(**arguments)
    except Exception as error:
        name = calls.error_name(error)
    finally:
        await client.aio.aclose()
        client.close()
    assert name == expected
    assert provider.requests == (2 if step.after is None and name == NO_ERROR else 1)


def test_an_empty_stream_has_no_items(provider: FakeProvider) -> None:
    """A 200 that ends at once is a stream without items."""
    provider.script(fault.empty())
    assert calls.openai_chat_stream(provider, calls.PATIENT) == []


def test_a_unary_answer_can_be_an_error_inside_a_200(provider: FakeProvider) -> None:
    """Some gateways answer 200 with an error body; the SDK returns it as a response."""
    provider.script(fault.error("rate_limit"))
    response = calls.openai_chat(provider, calls.PATIENT)
    assert response.choices is None
    assert provider.journal[0].status == 200


def test_headers_of_every_answer_carry_the_request_id(provider: FakeProvider) -> None:
    """Good answers and errors are both traceable by the id that the journal shows."""
    _, error = _outcome(provider, fault.status(500), calls.openai_chat)
    provider.clear()
    answer = calls.anthropic_create(provider, calls.PATIENT)
    assert error.request_id == "req_fake_000001"
    assert answer._request_id == provider.journal[0].request_id == "req_fake_000002"
