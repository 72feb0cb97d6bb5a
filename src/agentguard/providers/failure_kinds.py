"""What providers' error codes, HTTP statuses, exception names and phrases mean.

Only tables and their look-up: `failures.classify` decides which evidence counts first. Codes are
in lower case. Where a code comes from, unless a line says otherwise: the error types of the
OpenAI, Anthropic, google-genai and LiteLLM packages, `google.rpc.Code`, and the Bedrock runtime's
API reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentguard.errors import Kind

__all__ = ["kind_of_code", "kind_of_name", "kind_of_phrase", "kind_of_status", "vague_kind_of_code"]


def _table(rows: Mapping[Kind, str]) -> dict[str, Kind]:
    return {word: kind for kind, words in rows.items() for word in words.split()}


_CODES: Final = _table(
    {
        "quota_exhausted": (
            "insufficient_quota billing_hard_limit_reached billing_not_active billing_error"
            " billing_disabled budget_exceeded credit_limit_reached insufficient_balance"
            " linked_organization_billing_unavailable payment_required quota_exceeded"
            " exceeded_current_quota_error servicequotaexceededexception"
        ),
        "rate_limited": (
            "rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limited"
            " ramp_limit_exceeded resource_exhausted too_many_requests throttling_error throttling"
            " throttlingexception throttledexception toomanyrequestsexception requestlimitexceeded"
        ),
        "overloaded": (
            "overloaded_error overloaded engine_overloaded engine_overloaded_error"
            " server_overloaded slow_down unavailable service_unavailable"
            " service_unavailable_error serviceunavailableexception serviceunavailable"
            " modelnotreadyexception"
        ),
        "timeout": (
            "timeout_error timeout request_timeout gateway_timeout deadline_exceeded"
            " vector_store_timeout modeltimeoutexception requesttimeout requesttimeoutexception"
        ),
        "server": (
            "internalserverexception internalfailure internalservererror modelerrorexception"
            " modelstreamerrorexception data_loss aborted"
        ),
        "auth": (
            "invalid_api_key incorrect_api_key missing_api_key authentication_error"
            " invalid_authentication_error account_deactivated organization_on_hold"
            " api_key_invalid permission_error permission_denied unauthenticated unauthorized"
            " unsupported_country_region_territory accessdeniedexception accessdenied"
            " unrecognizedclientexception invalidsignatureexception signaturedoesnotmatch"
            " expiredtokenexception expiredtoken invalidclienttokenid"
        ),
        "context_length": (
            "context_length_exceeded string_above_max_length"
            # llama.cpp's server
            " exceed_context_size_error"
        ),
        "content_filter": (
            "content_filter content_policy_violation image_content_policy_violation"
            " misalignment_policy_violation bio_policy invalid_prompt moderation_blocked"
            " responsibleaipolicyviolation guardrailintervened"
        ),
        "invalid_request": (
            "model_not_found not_found not_found_error request_too_large"
            " validationexception resourcenotfoundexception out_of_range unimplemented"
            " data_residency_mismatch invalid_image invalid_image_format invalid_base64_image"
            " invalid_image_url image_too_large image_too_small image_parse_error"
            " invalid_image_mode image_file_too_large unsupported_image_media_type"
            " empty_image_file failed_to_download_image image_file_not_found"
        ),
    }
)

_VAGUE_CODES: Final = _table(
    {
        "server": (
            "server_error api_error internal_server_error internal_error internal unknown"
            " conflict_error already_exists"
        ),
        "invalid_request": (
            "invalid_request_error bad_request badrequesterror invalid_argument failed_precondition"
        ),
    }
)
"""Codes that say less than the status beside them: Anthropic's and OpenAI's error types, gRPC."""


def kind_of_code(code: str) -> Kind | None:
    """Tell what a provider's own error code means; None where it is unknown or says too little.

    Examples:
        >>> kind_of_code("insufficient_quota")
        'quota_exhausted'
    """
    code = code.lower()
    kind = _CODES.get(code)
    if kind is None and code.endswith("spend_limit_reached"):
        # Anthropic: contract_, enforced_, linked_organization_... each arrives with a 429.
        return "quota_exhausted"
    return kind


def vague_kind_of_code(code: str) -> Kind | None:
    """Tell what a general error type means, for where no HTTP status says it better.

    Examples:
        >>> kind_of_code("server_error"), vague_kind_of_code("server_error")
        (None, 'server')
    """
    return _VAGUE_CODES.get(code.lower())


_STATUSES: Final[dict[int, Kind]] = {
    401: "auth",
    402: "quota_exhausted",
    403: "auth",
    407: "auth",
    408: "timeout",
    409: "server",  # a lock or a race on the provider's side; the SDKs retry it
    424: "server",  # Bedrock's ModelErrorException
    425: "server",
    429: "rate_limited",
    499: "connection",  # the provider saw its client leave, and we are still here
    503: "overloaded",
    # 504 is the provider's gateway that gave up waiting for the model. Anthropic calls it
    # timeout_error, Google DEADLINE_EXCEEDED, and LiteLLM raises its Timeout for it.
    504: "timeout",
    522: "timeout",  # Cloudflare: connection to the origin timed out
    524: "timeout",  # Cloudflare: the origin did not answer in time
    529: "overloaded",  # Anthropic
}


def kind_of_status(status: int) -> Kind | None:
    """Tell what an HTTP status means; None where it is no failure.

    Examples:
        >>> kind_of_status(429), kind_of_status(200)
        ('rate_limited', None)
    """
    kind = _STATUSES.get(status)
    if kind is not None:
        return kind
    if status >= 500:
        return "server"
    return "invalid_request" if status >= 300 else None


_PHRASES: Final[tuple[tuple[Kind, Kind, tuple[str, ...]], ...]] = (
    ("invalid_request", "context_length", ("prompt is too long",)),  # Anthropic
    ("invalid_request", "context_length", ("input token count", "exceeds the maximum")),  # Google
    # OpenAI and vLLM; the latter sends no code with it.
    ("invalid_request", "context_length", ("maximum context length",)),
    ("invalid_request", "context_length", ("input is too long for requested model",)),  # Bedrock
    ("invalid_request", "content_filter", ("content filtering policy",)),  # Anthropic
    ("invalid_request", "quota_exhausted", ("credit balance is too low",)),  # Anthropic
    # OpenAI's server_error inside a stream, and what LiteLLM leaves of Anthropic's.
    ("server", "overloaded", ("overloaded",)),
)


def kind_of_phrase(message: str, refining: Kind | None = None) -> Kind | None:
    """Tell which of the few failures a message is that providers mark by nothing but their text.

    Google's "You exceeded your current quota, please check your plan and billing details" is not
    among them: it comes with limits per minute too.

    Args:
        message: the provider's sentence.
        refining: what the failure is known to be so far; None looks through all phrases.

    Examples:
        >>> kind_of_phrase("prompt is too long: 210000 tokens > 200000 maximum")
        'context_length'
    """
    message = message.lower()
    for coarse, kind, words in _PHRASES:
        if refining in (None, coarse) and all(word in message for word in words):
            return kind
    return None


_HTTPX: Final[Mapping[Kind, str]] = {
    "timeout": "TimeoutException",
    "connection": "TransportError NetworkError ProtocolError ConnectionNotAvailable",
    "invalid_request": "UnsupportedProtocol InvalidURL TooManyRedirects",
    "server": "DecodingError",
}

_SDK: Final[Mapping[Kind, str]] = {
    "connection": "WebSocketConnectionClosedError",
    "content_filter": "ContentFilterFinishReasonError",
    "auth": "CredentialsError SubjectTokenProviderError",
    # An error inside a 200 whose body names no type that we know.
    "server": "APIError APIResponseValidationError RetryableError",
}

_BY_PACKAGE: Final[tuple[tuple[str, Mapping[Kind, str]], ...]] = (
    # "" is any package: names that nobody gives to anything but a provider's failure.
    (
        "",
        {
            "timeout": "APITimeoutError",
            "connection": "APIConnectionError",
            "rate_limited": "RateLimitError",
            "overloaded": "ServiceUnavailableError OverloadedError",
            "server": "InternalServerError",
            "context_length": "ContextOverflowError ContextWindowExceededError",
            "content_filter": "ContentPolicyViolationError",
        },
    ),
    ("openai", _SDK),
    ("anthropic", _SDK),
    ("httpx", _HTTPX),
    ("httpx2", _HTTPX),
    ("httpcore", _HTTPX),
    ("httpcore2", _HTTPX),
    ("h11", {"connection": "ProtocolError"}),
    ("h2", {"connection": "ProtocolError"}),
    (
        "google",
        {
            "server": "UnknownApiResponseError",
            "connection": "TransportError",
            "auth": "GoogleAuthError",
            "timeout": "RetryError",
        },
    ),
    ("grpc", {"connection": "RpcError"}),
    (
        "litellm",
        {
            "quota_exhausted": "BudgetExceededError",
            "rate_limited": "RouterRateLimitError RouterRateLimitErrorBasic",
            "content_filter": "GuardrailRaisedException BlockedPiiEntityError",
        },
    ),
    (
        "langchain_core",
        {
            "auth": "ModelAuthenticationError ModelPermissionDeniedError",
            "invalid_request": "ModelInvalidRequestError ModelNotFoundError",
            "rate_limited": "ModelRateLimitError",
            "server": "ModelAPIError",
            "connection": "ModelConnectionError",
            "timeout": "ModelTimeoutError",
        },
    ),
    (
        "pydantic_ai",
        {
            "rate_limited": "ModelRateLimitError",
            "quota_exhausted": "ModelQuotaExceededError",
            "overloaded": "ModelUnavailableError",
            "server": "ModelServerError",
            "connection": "ModelConnectionError",
            "timeout": "ModelTimeoutError ModelRequestTimeout",
            "invalid_request": "ModelRequestRejectedError",
            "auth": "ModelAuthenticationError",
            "context_length": "ModelContextWindowExceededError",
            "budget_exceeded": "UsageLimitExceeded",
            "saturated": "ConcurrencyLimitExceeded",
        },
    ),
    ("agents", {"timeout": "ModelTimeoutError", "content_filter": "ModelRefusalError"}),
    ("langgraph", {"timeout": "NodeTimeoutError"}),
    (
        "requests",
        {
            "timeout": "ConnectTimeout Timeout",
            "connection": "ConnectionError ChunkedEncodingError RequestException",
            "server": "ContentDecodingError RetryError",
            "invalid_request": (
                "InvalidURL MissingSchema InvalidSchema URLRequired InvalidHeader TooManyRedirects"
            ),
        },
    ),
    (
        "urllib3",
        {
            "timeout": "TimeoutError",
            "connection": "NewConnectionError HTTPError",
            "server": "DecodeError ResponseError",
            "invalid_request": "LocationValueError URLSchemeUnknown",
        },
    ),
    (
        "aiohttp",
        {
            "timeout": "ServerTimeoutError",
            "connection": "ClientError HttpProcessingError",
            "server": "ContentTypeError",
            "invalid_request": "InvalidURL TooManyRedirects",
        },
    ),
    (
        "botocore",
        {
            "timeout": "ReadTimeoutError ConnectTimeoutError",
            "connection": (
                "ConnectionError HTTPClientError IncompleteReadError ParserError ChecksumError"
            ),
            "auth": (
                "NoCredentialsError PartialCredentialsError CredentialRetrievalError"
                " NoAuthTokenError TokenRetrievalError SSOError LoginError ProfileNotFound"
            ),
            "invalid_request": "ParamValidationError ValidationError NoRegionError",
            "server": "ResponseParserError",
        },
    ),
    (
        "azure",
        {
            "auth": "ClientAuthenticationError",
            "connection": "ServiceRequestError ServiceResponseError IncompleteReadError",
            "timeout": "ServiceRequestTimeoutError ServiceResponseTimeoutError",
        },
    ),
    ("websockets", {"connection": "ConnectionClosed InvalidHandshake"}),
    ("pybreaker", {"circuit_open": "CircuitBreakerError"}),
    ("aiobreaker", {"circuit_open": "CircuitBreakerError"}),
    ("circuitbreaker", {"circuit_open": "CircuitBreakerError"}),
    ("builtins", {"timeout": "TimeoutError", "connection": "ConnectionError"}),
    ("socket", {"connection": "gaierror herror"}),
    ("ssl", {"connection": "SSLError"}),
    ("http", {"connection": "HTTPException", "invalid_request": "InvalidURL"}),
    ("urllib", {"connection": "URLError ContentTooShortError"}),
    ("asyncio", {"connection": "IncompleteReadError"}),
)

_NAMES: Final[dict[tuple[str, str], Kind]] = {
    (package, name): kind for package, rows in _BY_PACKAGE for name, kind in _table(rows).items()
}


def kind_of_name(bases: Iterable[tuple[str, str]]) -> Kind | None:
    """Tell what an exception is by the names of its classes, the most derived first.

    By name and top-level package, because the same transport comes as httpx and as httpx2, and
    because no SDK is imported here.

    Examples:
        >>> kind_of_name([("httpx2", "ReadTimeout"), ("httpx2", "TimeoutException")])
        'timeout'
    """
    for package, name in bases:
        kind = _NAMES.get((package, name)) or _NAMES.get(("", name))
        if kind is not None:
            return kind
    return None
