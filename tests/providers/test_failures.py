from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import http.client
import json
import socket
import ssl
import urllib.error
from email.message import Message
from typing import Any

import pybreaker
import pytest
import tenacity

from agentguard import errors
from agentguard.providers.failure_kinds import kind_of_code, kind_of_status, vague_kind_of_code
from agentguard.providers.failures import Failure, classify


class SomeError(Exception):
    """An SDK's exception: whatever attributes a test gives it."""

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        for name, value in attributes.items():
            setattr(self, name, value)


class Response:
    """An HTTP response as far as classification looks at one."""

    def __init__(
        self,
        status_code: int | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> None:
        self.status_code = status_code
        self.headers = headers or {}
        self._content = content


def named(module: str, *names: str, base: type[Exception] = Exception) -> Any:
    """Make exception classes as another package would, each derived from the one before."""
    for name in names:
        base = type(name, (base,), {"__module__": module})
    return base


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), "timeout"),
        (TimeoutError("timed out"), "timeout"),
        (ConnectionError(), "connection"),
        (ConnectionResetError(104, "reset"), "connection"),
        (ConnectionRefusedError(), "connection"),
        (BrokenPipeError(), "connection"),
        (socket.gaierror(-2, "Name or service not known"), "connection"),
        (ssl.SSLError(1, "record layer failure"), "connection"),
        (ssl.SSLCertVerificationError(), "connection"),
        (http.client.RemoteDisconnected("closed"), "connection"),
        (http.client.IncompleteRead(b""), "connection"),
        (http.client.BadStatusLine(""), "connection"),
        (http.client.InvalidURL("x"), "invalid_request"),
        (asyncio.IncompleteReadError(b"", 10), "connection"),
        (OSError(errno.ENETUNREACH, "unreachable"), "connection"),
        (OSError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (urllib.error.URLError(TimeoutError()), "timeout"),
        (urllib.error.URLError(ConnectionRefusedError()), "connection"),
        (urllib.error.URLError("unknown url type"), "connection"),
        (urllib.error.HTTPError("http://x", 429, "slow", Message(), None), "rate_limited"),
        (FileNotFoundError(errno.ENOENT, "no file"), "unknown"),
        (PermissionError(errno.EACCES, "no"), "unknown"),
        (TypeError("bug"), "unknown"),
        (NameError("bug"), "unknown"),
        (AttributeError("bug"), "unknown"),
        (KeyError("bug"), "unknown"),
        (ValueError("bug"), "unknown"),
        (RuntimeError("Event loop is closed"), "unknown"),
        (AssertionError(), "unknown"),
        (RecursionError(), "unknown"),
    ],
)
def test_the_standard_library_is_recognised_and_bugs_are_unknown(error: Exception, kind: str):
    """What Python's own network modules raise is a provider's failure, a bug is not."""
    assert classify(error).kind == kind


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        GeneratorExit(),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        StopIteration(3),
        StopAsyncIteration(),
        BaseExceptionGroup("many", [KeyboardInterrupt(), ValueError()]),
    ],
)
def test_cancellation_is_never_a_failure(error: BaseException):
    """What ends a call from outside is kind "cancelled", whether an Exception or not."""
    assert classify(error).kind == "cancelled"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Timeout("late"), "timeout"),
        (errors.StreamTruncated("cut"), "truncated"),
        (errors.Overloaded("full"), "saturated"),
        (errors.BudgetExceeded("spent"), "budget_exceeded"),
        (errors.InputRejected("no"), "rejected"),
        (errors.ProviderError("no", kind="rate_limited", request_id="req_1"), "rate_limited"),
        (pybreaker.CircuitBreakerError("open"), "circuit_open"),
    ],
)
def test_refusals_of_guards_keep_their_own_kind(error: Exception, kind: str):
    """Our exceptions say themselves what they are; a foreign breaker's are recognised."""
    assert classify(error).kind == kind


def test_our_exceptions_bring_their_wait_and_request():
    """The time until a circuit lets a call through survives classification."""
    assert classify(errors.CircuitOpen("open", retry_after=7.5)).retry_after == 7.5
    failure = classify(errors.ProviderError("no", request_id="req_1", retry_after=3))
    assert (failure.request_id, failure.retry_after) == ("req_1", 3)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "auth"),
        (402, "quota_exhausted"),
        (403, "auth"),
        (404, "invalid_request"),
        (408, "timeout"),
        (409, "server"),
        (413, "invalid_request"),
        (422, "invalid_request"),
        (429, "rate_limited"),
        (500, "server"),
        (502, "server"),
        (503, "overloaded"),
        (504, "timeout"),
        (524, "timeout"),
        (529, "overloaded"),
        (599, "server"),
    ],
)
@pytest.mark.parametrize("where", ["status_code", "status", "code", "response"])
def test_a_status_counts_wherever_an_sdk_keeps_it(status: int, kind: str, where: str):
    """The HTTP status is found on the exception or its response, under each of its names."""
    value: object = Response(status) if where == "response" else status
    failure = classify(SomeError(**{where: value}))
    assert (failure.kind, failure.status) == (kind, status)


def test_a_code_that_is_no_error_status_is_not_taken_for_one():
    """`code` and `status` are many things in other people's exceptions."""
    for attributes in ({"code": 200}, {"code": 7}, {"status": 12}, {"code": True}, {"status": 0}):
        assert classify(SomeError(**attributes)).kind == "unknown"
    assert classify(SomeError(status_code=307)).kind == "invalid_request"


def openai_body(code: object, type_: str | None = None, message: str = "no") -> dict[str, object]:
    """The inner error object, as openai keeps it on its exceptions."""
    return {"message": message, "type": type_, "param": None, "code": code}


def anthropic_body(type_: str, message: str = "no", **more: object) -> dict[str, object]:
    """The whole answer, as anthropic keeps it on its exceptions."""
    return {"type": "error", "error": {"type": type_, "message": message, **more}}


def google_body(
    code: int, status: str, message: str = "no", details: list[object] | None = None
) -> dict[str, object]:
    """The whole answer, as google-genai keeps it in `details`."""
    inner = {"code": code, "status": status, "message": message, "details": details or []}
    return {"error": inner}


PER_DAY = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
PER_MINUTE = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, openai_body("insufficient_quota", "insufficient_quota"), "quota_exhausted"),
        (429, openai_body("rate_limit_exceeded", "tokens"), "rate_limited"),
        (400, openai_body("billing_hard_limit_reached"), "quota_exhausted"),
        (400, openai_body("context_length_exceeded", "invalid_request_error"), "context_length"),
        (400, openai_body("content_filter"), "content_filter"),
        (401, openai_body("invalid_api_key", "invalid_request_error"), "auth"),
        (401, openai_body(None, "invalid_request_error"), "auth"),
        (403, openai_body("unsupported_country_region_territory", "request_forbidden"), "auth"),
        (404, openai_body("model_not_found", "invalid_request_error"), "invalid_request"),
        (503, openai_body(None, "server_error"), "overloaded"),
        (500, openai_body(None, "server_error", "The engine is overloaded"), "overloaded"),
        (None, openai_body("rate_limit_exceeded"), "rate_limited"),
        (None, openai_body("429"), "rate_limited"),
        (None, openai_body(502), "server"),
        (None, openai_body(None, "server_error"), "server"),
        (400, openai_body(None, None, "This model's maximum context length is 8192"),
         "context_length"),
        (400, openai_body(None, "exceed_context_size_error"), "context_length"),
        (200, anthropic_body("overloaded_error"), "overloaded"),
        (200, anthropic_body("rate_limit_error"), "rate_limited"),
        (200, anthropic_body("api_error"), "server"),
        (529, anthropic_body("overloaded_error"), "overloaded"),
        (402, anthropic_body("billing_error"), "quota_exhausted"),
        (400, anthropic_body("invalid_request_error", "prompt is too long: 9 > 8"),
         "context_length"),
        (400, anthropic_body("invalid_request_error",
                             "Output blocked by content filtering policy"), "content_filter"),
        (400, anthropic_body("invalid_request_error",
                             "Your credit balance is too low to access"), "quota_exhausted"),
        (429, anthropic_body("rate_limit_error",
                             details={"error_code": "enforced_spend_limit_reached"}),
         "quota_exhausted"),
        (429, anthropic_body("rate_limit_error", details={"error_code": "ramp_limit_exceeded"}),
         "rate_limited"),
        (400, anthropic_body("invalid_request_error", "prompt: field required"),
         "invalid_request"),
    ],
)  # fmt: skip
def test_the_provider_s_own_code_counts_before_the_status(
    status: int | None, body: dict[str, object], kind: str
):
    """Codes decide; general types leave it to the status; sentences refine refusals only."""
    assert classify(SomeError(status_code=status, body=body)).kind == kind


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (429, google_body(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
        (429, google_body(429, "RESOURCE_EXHAUSTED", details=[{"violations": [PER_MINUTE]}]),
         "rate_limited"),
        (429, google_body(429, "RESOURCE_EXHAUSTED",
                          details=[{"violations": [PER_MINUTE, PER_DAY]},
                                   {"retryDelay": "40s"}]), "quota_exhausted"),
        (429, google_body(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please"
                          " check your plan and billing details."), "rate_limited"),
        (400, google_body(400, "INVALID_ARGUMENT"), "invalid_request"),
        (400, google_body(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]),
         "auth"),
        (400, google_body(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the"
                          " maximum number of tokens allowed (8)."), "context_length"),
        (403, google_body(403, "PERMISSION_DENIED", details=[{"reason": "BILLING_DISABLED"}]),
         "quota_exhausted"),
        (500, google_body(500, "INTERNAL"), "server"),
        (503, google_body(503, "UNAVAILABLE"), "overloaded"),
        (504, google_body(504, "DEADLINE_EXCEEDED"), "timeout"),
        (502, {"message": "<html>bad gateway</html>", "status": "Bad Gateway"}, "server"),
        (None, [google_body(429, "RESOURCE_EXHAUSTED")], "rate_limited"),
    ],
)  # fmt: skip
def test_google_s_status_and_details_are_read(code: int | None, body: object, kind: str):
    """A quota per day and a wrong key hide in the details of a more general status."""
    assert classify(SomeError(code=code, details=body)).kind == kind


@pytest.mark.parametrize(
    ("code", "status", "message", "kind"),
    [
        ("ThrottlingException", 429, "", "rate_limited"),
        ("TooManyRequestsException", 400, "", "rate_limited"),
        ("ServiceUnavailableException", 503, "", "overloaded"),
        ("ModelNotReadyException", 429, "", "overloaded"),
        ("ModelTimeoutException", 408, "", "timeout"),
        ("ModelErrorException", 424, "", "server"),
        ("InternalServerException", 500, "", "server"),
        ("ServiceQuotaExceededException", 400, "", "quota_exhausted"),
        ("AccessDeniedException", 403, "", "auth"),
        ("ExpiredTokenException", 403, "", "auth"),
        ("ValidationException", 400, "Malformed input request", "invalid_request"),
        ("ValidationException", 400, "Input is too long for requested model.", "context_length"),
        ("ResourceNotFoundException", 404, "", "invalid_request"),
        # inside a stream: the status is always a 400, the code begins with a small letter
        ("throttlingException", 400, "", "rate_limited"),
        ("modelStreamErrorException", 400, "", "server"),
        ("internalServerException", 400, "", "server"),
    ],
)
def test_bedrock_s_codes_are_read(code: str, status: int, message: str, kind: str):
    """Botocore keeps the parsed answer as a dict in `response`."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {
            "HTTPStatusCode": status,
            "RequestId": "aws-1",
            "HTTPHeaders": {"retry-after": "3"},
        },
    }
    failure = classify(SomeError(response=response))
    assert (failure.kind, failure.status) == (kind, status)
    assert (failure.request_id, failure.retry_after) == ("aws-1", 3.0)


def test_a_body_that_only_the_response_holds_is_read():
    """Httpx and requests raise for a status; the provider's code is in what they have read."""
    content = json.dumps({"error": openai_body("insufficient_quota")}).encode()
    assert classify(SomeError(response=Response(429, content=content))).kind == "quota_exhausted"
    for content in (b"<html>", b"[" * 60_000, b'"text"', b"\xff"):
        response = Response(429, content=content)
        assert classify(SomeError(response=response)).kind == "rate_limited"
    assert classify(SomeError(response=Response(429))).kind == "rate_limited"


@pytest.mark.parametrize("package", ["httpx", "httpx2", "httpcore", "httpcore2"])
@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["TransportError", "TimeoutException", "ReadTimeout"], "timeout"),
        (["TransportError", "TimeoutException", "PoolTimeout"], "timeout"),
        (["TransportError", "NetworkError", "ReadError"], "connection"),
        (["TransportError", "NetworkError", "ConnectError"], "connection"),
        (["TransportError", "ProtocolError", "RemoteProtocolError"], "connection"),
        (["TransportError", "ProxyError"], "connection"),
        (["TransportError", "UnsupportedProtocol"], "invalid_request"),
        (["StreamError", "StreamConsumed"], "unknown"),
    ],
)
def test_both_generations_of_httpx_are_recognised(package: str, names: list[str], kind: str):
    """Transport errors are told by name, because httpx2's are no subclasses of httpx's."""
    assert classify(named(f"{package}._exceptions", *names)()).kind == kind


def test_a_generic_name_counts_in_its_own_package_only():
    """A caller's ReadError or Timeout is not a provider's."""
    assert classify(named("tarfile", "ReadError")()).kind == "unknown"
    assert classify(named("myapp.errors", "Timeout")()).kind == "unknown"
    assert classify(named("myapp.errors", "NotFoundError")()).kind == "unknown"


def test_names_that_only_providers_use_count_everywhere():
    """Every SDK that is generated like OpenAI's is recognised, and so is a caller's double."""
    assert classify(named("groq", "APIError", "APIConnectionError")()).kind == "connection"
    assert classify(named("together", "APIConnectionError", "APITimeoutError")()).kind == "timeout"
    assert classify(named("myapp.fakes", "RateLimitError")()).kind == "rate_limited"


def test_a_class_that_says_more_than_the_status_wins():
    """LangChain's and LiteLLM's context and policy errors come with a plain 400."""
    for name, kind in (
        ("ContextOverflowError", "context_length"),
        ("ContextWindowExceededError", "context_length"),
        ("ContentPolicyViolationError", "content_filter"),
    ):
        error = named("litellm.exceptions", "BadRequestError", name)()
        error.status_code = 400
        assert classify(error).kind == kind


def grpc_error(code: str) -> Exception:
    """An RpcError, whose code is a method that returns an enum member."""
    error = named("grpc", "RpcError", "_InactiveRpcError")()
    error.code = type("StatusCode", (), {"name": code})
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAVAILABLE", "overloaded"),
        ("RESOURCE_EXHAUSTED", "rate_limited"),
        ("DEADLINE_EXCEEDED", "timeout"),
        ("UNAUTHENTICATED", "auth"),
        ("NOT_FOUND", "invalid_request"),
        ("SOMETHING_NEW", "connection"),
    ],
)
def test_grpc_status_codes_are_read(code: str, kind: str):
    """A gRPC transport has no HTTP status, its own code stands for one."""
    assert classify(grpc_error(code)).kind == kind


def load(module: str) -> Any:
    """Return a `load(text)` that parses JSON in a frame of the given module."""
    scope: dict[str, Any] = {"__name__": module}
    exec("import json\ndef load(text):\n    return json.loads(text)", scope)
    return scope["load"]


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("openai._response", "server"),
        ("anthropic._streaming", "server"),
        ("google.genai._api_client", "server"),
        ("httpx._models", "server"),
        ("httpx2._models", "server"),
        ("requests.models", "server"),
        ("openai.lib._parsing._completions", "unknown"),
        ("langchain_core.output_parsers.json", "unknown"),
        ("myapp.parse", "unknown"),
    ],
)
def test_unreadable_json_is_the_server_s_fault_only_inside_an_sdk(module: str, kind: str):
    """A caller's own json.loads of what the model wrote is not a failure of the server."""
    with pytest.raises(json.JSONDecodeError) as caught:
        load(module)("{broken")
    assert classify(caught.value).kind == kind


def test_a_json_error_without_a_traceback_is_unknown():
    """Nothing tells where it comes from."""
    assert classify(json.JSONDecodeError("no", "{", 0)).kind == "unknown"


def test_a_group_has_the_kind_on_which_its_members_agree():
    """A group is judged by its members, nested groups too."""
    slow = SomeError(status_code=429, response=Response(429, {"retry-after": "2"}))
    slower = SomeError(status_code=429, response=Response(429, {"retry-after": "5"}))
    group = ExceptionGroup("all", [slow, ExceptionGroup("inner", [slower])])
    assert classify(group).kind == "rate_limited"
    assert classify(group).retry_after == 5.0
    assert classify(ExceptionGroup("all", [slow, TimeoutError()])).kind == "unknown"


def test_control_flow_or_cancellation_in_a_group_wins():
    """A framework that waits for its interrupt gets it, whatever else failed beside it."""
    interrupt = named("langgraph.errors", "GraphBubbleUp", "GraphInterrupt")()
    late = TimeoutError()
    assert classify(ExceptionGroup("all", [late, interrupt])).kind == "control"
    cancelled = concurrent.futures.CancelledError()
    assert classify(ExceptionGroup("all", [late, cancelled])).kind == "cancelled"


def test_a_retry_library_s_wrapper_has_the_kind_of_its_cause():
    """Tenacity's RetryError only says that something was tried."""

    @tenacity.retry(stop=tenacity.stop_after_attempt(1))
    def ask() -> None:
        raise SomeError(status_code=503)

    with pytest.raises(tenacity.RetryError) as caught:
        ask()
    assert classify(caught.value).kind == "overloaded"
    assert classify(tenacity.TryAgain()).kind == "unknown"


def test_a_caller_s_own_exception_is_not_judged_by_its_cause():
    """Whoever raises an exception of his own from a provider's has decided what it is."""
    with pytest.raises(ValueError) as caught:
        raise ValueError("no answer") from TimeoutError()
    assert classify(caught.value).kind == "unknown"


def test_litellm_s_invented_status_gives_way_to_what_happened():
    """LiteLLM calls a dropped connection a 500; the exception underneath knows better."""
    error = named("litellm.exceptions", "InternalServerError")("OpenAIException")
    error.status_code = 500
    assert classify(error).kind == "server"
    error.__context__ = named("litellm.llms", "OpenAIError")("Connection error.")
    assert classify(error).kind == "server"
    error.__context__.__context__ = named("httpx", "TimeoutException", "ReadTimeout")()
    assert classify(error).kind == "timeout"


def test_what_surrounds_a_litellm_call_is_not_taken_for_its_failure():
    """An exception that was being handled when the call was made is in the same chain."""
    error = named("litellm.exceptions", "InternalServerError")()
    error.status_code = 500
    error.__context__ = asyncio.CancelledError()
    assert classify(error).kind == "server"
    error.__context__ = named("langgraph.errors", "GraphBubbleUp")()
    assert classify(error).kind == "server"


def test_litellm_s_message_still_quotes_the_provider_s_code():
    """Anthropic's 529 comes out of LiteLLM as a 500 with the body in its message."""
    error = named("litellm.exceptions", "InternalServerError")()
    error.status_code = 500
    quoted = '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    error.message = f"litellm.InternalServerError: AnthropicException - {quoted}"
    assert classify(error).kind == "overloaded"


def test_the_provider_s_verdict_on_a_retry_is_read():
    """x-should-retry is true, false, or not there."""
    for header, verdict in (("true", True), ("false", False), ("maybe", None)):
        response = Response(500, {"x-should-retry": header})
        assert classify(SomeError(response=response)).should_retry is verdict
    assert classify(SomeError(response=Response(500))).should_retry is None


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "apim-request-id"])
def test_request_ids_are_read_from_each_provider_s_header(name: str):
    """The id that a provider's support asks for."""
    assert classify(SomeError(response=Response(500, {name: "req_1"}))).request_id == "req_1"
    assert classify(SomeError(request_id="req_2")).request_id == "req_2"
    assert classify(SomeError(body={"request_id": "req_3"})).request_id == "req_3"


def test_the_repr_shows_what_is_known():
    """A failure prints short, and without anything of the exception's text."""
    assert repr(Failure("server")) == "Failure('server')"
    failure = Failure("rate_limited", retry_after=2.0, should_retry=False, status=429)
    assert repr(failure) == (
        "Failure('rate_limited', retry_after=2.0, should_retry=False, status=429)"
    )


def test_tables_answer_for_single_words():
    """The in-band errors of streams use the same tables."""
    assert kind_of_code("Insufficient_Quota") == "quota_exhausted"
    assert kind_of_code("server_error") is None
    assert vague_kind_of_code("server_error") == "server"
    assert kind_of_status(200) is None
