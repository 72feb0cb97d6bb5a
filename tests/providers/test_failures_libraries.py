"""What real libraries raise. Each environment contributes the cases of what it has installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import pytest

from agentguard.providers.failures import classify

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its import asks the network


def load(name: str) -> Any:
    """Import a module by its dotted name, the last parts being attributes of it."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def bare(name: str, **attributes: Any) -> Callable[[], BaseException]:
    """Return a maker of an exception of this class, whatever its constructor wants."""

    def make() -> BaseException:
        kind = load(name)
        # OSError keeps more in its instances than Exception: the two cannot make each other's.
        new = OSError.__new__ if issubclass(kind, OSError) else BaseException.__new__
        error: BaseException = new(kind)
        for key, value in attributes.items():
            object.__setattr__(error, key, value)
        return error

    return make


CASES: dict[str, str] = {
    "requests.exceptions.ConnectTimeout": "timeout",
    "requests.exceptions.ReadTimeout": "timeout",
    "requests.exceptions.ConnectionError": "connection",
    "requests.exceptions.SSLError": "connection",
    "requests.exceptions.ProxyError": "connection",
    "requests.exceptions.ChunkedEncodingError": "connection",
    "requests.exceptions.ContentDecodingError": "server",
    "requests.exceptions.RetryError": "server",
    "requests.exceptions.MissingSchema": "invalid_request",
    "requests.exceptions.InvalidURL": "invalid_request",
    "urllib3.exceptions.ReadTimeoutError": "timeout",
    "urllib3.exceptions.ConnectTimeoutError": "timeout",
    "urllib3.exceptions.NewConnectionError": "connection",
    "urllib3.exceptions.ProtocolError": "connection",
    "urllib3.exceptions.IncompleteRead": "connection",
    "urllib3.exceptions.MaxRetryError": "connection",
    "urllib3.exceptions.SSLError": "connection",
    "urllib3.exceptions.LocationParseError": "invalid_request",
    "aiohttp.ClientConnectorError": "connection",
    "aiohttp.ClientOSError": "connection",
    "aiohttp.ServerDisconnectedError": "connection",
    "aiohttp.ClientPayloadError": "connection",
    "aiohttp.ClientConnectorDNSError": "connection",
    "aiohttp.ServerTimeoutError": "timeout",
    "aiohttp.ConnectionTimeoutError": "timeout",
    "aiohttp.SocketTimeoutError": "timeout",
    "aiohttp.InvalidURL": "invalid_request",
    "aiohttp.web.HTTPNotFound": "control",
    "botocore.exceptions.EndpointConnectionError": "connection",
    "botocore.exceptions.ConnectionClosedError": "connection",
    "botocore.exceptions.ProxyConnectionError": "connection",
    "botocore.exceptions.SSLError": "connection",
    "botocore.exceptions.ResponseStreamingError": "connection",
    "botocore.exceptions.IncompleteReadError": "connection",
    "botocore.exceptions.ReadTimeoutError": "timeout",
    "botocore.exceptions.ConnectTimeoutError": "timeout",
    "botocore.exceptions.NoCredentialsError": "auth",
    "botocore.exceptions.TokenRetrievalError": "auth",
    "botocore.exceptions.UnauthorizedSSOTokenError": "auth",
    "botocore.exceptions.ParamValidationError": "invalid_request",
    "botocore.exceptions.NoRegionError": "invalid_request",
    "httpx.ReadTimeout": "timeout",
    "httpx.PoolTimeout": "timeout",
    "httpx.ConnectError": "connection",
    "httpx.RemoteProtocolError": "connection",
    "httpx.ReadError": "connection",
    "httpx.ProxyError": "connection",
    "httpx.UnsupportedProtocol": "invalid_request",
    "httpx.TooManyRedirects": "invalid_request",
    "httpx.DecodingError": "server",
    "httpx.ResponseNotRead": "unknown",
    "httpx.StreamConsumed": "unknown",
    "httpx2.ReadTimeout": "timeout",
    "httpx2.RemoteProtocolError": "connection",
    "httpcore.ConnectTimeout": "timeout",
    "httpcore.RemoteProtocolError": "connection",
    "h11.RemoteProtocolError": "connection",
    "google.auth.exceptions.DefaultCredentialsError": "auth",
    "google.auth.exceptions.TransportError": "connection",
    "google.genai.errors.UnknownApiResponseError": "server",
    "websockets.exceptions.ConnectionClosedError": "connection",
    "openai.APIConnectionError": "connection",
    "openai.APITimeoutError": "timeout",
    "openai.APIResponseValidationError": "server",
    "openai.ContentFilterFinishReasonError": "content_filter",
    "openai.LengthFinishReasonError": "unknown",
    "anthropic.APIConnectionError": "connection",
    "anthropic.APITimeoutError": "timeout",
    "litellm.Timeout": "timeout",
    "litellm.BudgetExceededError": "quota_exhausted",
    "litellm.ContextWindowExceededError": "context_length",
    "litellm.types.router.RouterRateLimitError": "rate_limited",
    "langchain_core.exceptions.OutputParserException": "unknown",
    "langchain_core.exceptions.ModelRateLimitError": "rate_limited",
    "langchain_core.exceptions.ModelTimeoutError": "timeout",
    "langchain_core.exceptions.ModelConnectionError": "connection",
    "langchain_core.exceptions.ContextOverflowError": "context_length",
    "langgraph.errors.GraphInterrupt": "control",
    "langgraph.errors.NodeInterrupt": "control",
    "langgraph.errors.ParentCommand": "control",
    "langgraph.errors.GraphBubbleUp": "control",
    "langgraph.errors.GraphRecursionError": "unknown",
    "langgraph.errors.NodeTimeoutError": "timeout",
    "celery.exceptions.Retry": "control",
    "celery.exceptions.Ignore": "control",
    "celery.exceptions.Reject": "control",
    "celery.exceptions.MaxRetriesExceededError": "unknown",
    "celery.exceptions.SoftTimeLimitExceeded": "cancelled",
    "pydantic_ai.exceptions.ModelRetry": "control",
    "pydantic_ai.exceptions.CallDeferred": "control",
    "pydantic_ai.exceptions.ApprovalRequired": "control",
    "pydantic_ai.exceptions.SkipModelRequest": "control",
    "pydantic_ai.exceptions.RunCancelled": "cancelled",
    "pydantic_ai.exceptions.RunTimedOut": "timeout",
    "pydantic_ai.exceptions.UsageLimitExceeded": "budget_exceeded",
    "pydantic_ai.exceptions.ModelConnectionError": "connection",
    "pydantic_ai.exceptions.ModelTimeoutError": "timeout",
    "pydantic_ai.exceptions.ModelOverloadedError": "overloaded",
    "pydantic_ai.exceptions.ModelContextWindowExceededError": "context_length",
    "pydantic_ai.exceptions.UnexpectedModelBehavior": "unknown",
    "trio.Cancelled": "cancelled",
    "unittest.SkipTest": "control",
    "tenacity.TryAgain": "unknown",
}


def installed(name: str) -> bool:
    """Tell whether this environment has the class; generations differ in what they define."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return False
    try:
        load(name)
    except (ModuleNotFoundError, AttributeError):
        return False
    return True


@pytest.mark.parametrize(
    ("make", "kind"),
    [pytest.param(bare(name), kind, id=name) for name, kind in CASES.items() if installed(name)],
)
def test_a_library_s_own_exception_is_recognised(make: Callable[[], BaseException], kind: str):
    """Transports, SDKs and frameworks, by the names of the real classes."""
    assert classify(make()).kind == kind


def test_every_library_of_this_environment_was_tried():
    """The table follows the libraries: a class that has moved is noticed."""
    gone = [
        name
        for name in CASES
        if importlib.util.find_spec(name.partition(".")[0]) is not None and not installed(name)
    ]
    # What langchain-core 0.3 does not define yet, and packages of Google that not all need.
    allowed = ("langchain_core.exceptions.Model", "langchain_core.exceptions.Context", "google.")
    assert [name for name in gone if not name.startswith(allowed)] == []


if installed("botocore.exceptions.ClientError"):

    def test_botocore_s_client_error_is_read():
        """A real ClientError, and the one of an event stream, whose status is always 400."""
        exceptions = load("botocore.exceptions")
        parsed = {
            "Error": {"Code": "ThrottlingException", "Message": "Too many requests"},
            "ResponseMetadata": {"HTTPStatusCode": 429, "RequestId": "aws-1", "HTTPHeaders": {}},
        }
        failure = classify(exceptions.ClientError(parsed, "Converse"))
        assert (failure.kind, failure.status, failure.request_id) == ("rate_limited", 429, "aws-1")
        parsed = {
            "Error": {"Code": "internalServerException", "Message": "oops"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        assert classify(exceptions.EventStreamError(parsed, "ConverseStream")).kind == "server"
