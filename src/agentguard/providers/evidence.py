"""What an exception of a provider's SDK carries: status, codes, message, headers, request id.

Every attribute is optional and may be a lie: a property that raises, a mock, a body that is HTML.
Nothing here keeps a reference to the exception, its request or its body.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.providers.retry_after import header

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Evidence", "evidence", "read"]

_LONGEST_BODY: Final = 65_536
_LONGEST_TEXT: Final = 4_096
_MOST_DETAILS: Final = 16
_REQUEST_IDS: Final = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")

_QUOTED_CODE: Final = re.compile(r"""["'](?:code|type|status)["']\s*:\s*["']?(\w+)["']?""")
"""A field of the provider's body where a wrapper has put that body into its message."""


class Evidence:
    """What was found on one exception.

    Attributes:
        status: the HTTP status; that of the body where the response itself was a 200.
        codes: the provider's own words for the failure, the most specific first.
        message: the provider's sentence, shortened; empty where no provider has answered.
        details: Google's error details.
        headers: response headers, the most trustworthy first.
        request_id: the provider's id of the request.
        answered: a provider has answered, so its vague words ("server_error") mean something.
    """

    __slots__ = ("answered", "codes", "details", "headers", "message", "request_id", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.codes: list[str] = []
        self.message = ""
        self.details: list[object] = []
        self.headers: list[object] = []
        self.request_id: str | None = None
        self.answered = False


def read(owner: object, name: str) -> object:
    """Return an attribute, or None where it is missing or its property raises.

    Examples:
        >>> read(ValueError("x"), "status_code") is None
        True
    """
    try:
        return cast("object", getattr(owner, name, None))
    except Exception:  # a property of a broken exception; the failure itself is what counts
        return None


def evidence(error: BaseException) -> Evidence:
    """Collect what an exception says about the provider's answer."""
    found = Evidence()
    response = read(error, "response")
    body = _body(error, response)
    inner = _inner(body)
    found.headers = list(_headers(error, response))
    found.codes = list(_codes(error, body, inner))
    found.details = _list(inner.get("details"))
    if not found.details:
        found.details = _list(read(error, "details"))
    found.codes[:0] = _reasons(found.details)
    found.status = _status(error, response, body, inner)
    found.request_id = _request_id(error, body, found.headers)
    found.answered = bool(body) or found.status is not None
    if found.answered:
        found.message = _message(error, inner)
    if type(error).__module__.startswith("litellm"):
        # LiteLLM drops the body and quotes it in its message, sometimes with another status.
        message = _text(read(error, "message"))
        found.codes += _QUOTED_CODE.findall(message)
        found.codes[:0] = _quotas([message] if "quotaId" in message else [])
    return found


def _text(value: object) -> str:
    return str(cast("str", value))[:_LONGEST_TEXT] if issubclass(type(value), str) else ""


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if issubclass(type(value), dict) else {}


def _list(value: object) -> list[object]:
    # By type, not isinstance: a Mock(spec=...) claims to be what it is not.
    if issubclass(type(value), (list, tuple)):
        return list(cast("list[object]", value)[:_MOST_DETAILS])
    return []


def _number(value: object, low: int = 100) -> int | None:
    kind = type(value)
    if not issubclass(kind, int) or kind is bool:
        return None
    number = int(cast("int", value))
    return number if low <= number <= 599 else None


def _body(error: BaseException, response: object) -> dict[str, Any]:
    """Return the JSON object that the provider answered with, as far as it is in memory."""
    body = read(error, "body")
    if body is None:
        body = read(error, "details")  # google-genai
    for candidate in (body, response):  # botocore: the response is the parsed body
        if issubclass(type(candidate), (dict, list)):
            return _first(candidate)
    if body is None:
        # httpx and requests keep a body that has been read; one that has not is left alone.
        body = _dict(read(response, "__dict__")).get("_content")
    if type(body) in (str, bytes) and len(cast("str", body)) <= _LONGEST_BODY:
        try:
            return _first(json.loads(cast("str", body)))
        except (ValueError, RecursionError):
            return {}
    return {}


def _first(value: object) -> dict[str, Any]:
    entries = _list(value)  # Google wraps the error of a stream in a list
    return _dict(entries[0] if entries else value)


def _inner(body: dict[str, Any]) -> dict[str, Any]:
    """Return the error object: OpenAI's body is it, others wrap it in `error` or `Error`."""
    for name in ("error", "Error"):
        if type(body.get(name)) is dict:
            return _dict(body[name])
    return body


def _codes(error: BaseException, body: dict[str, Any], inner: dict[str, Any]) -> Iterator[str]:
    candidates = (
        read(error, "error_code"),
        read(error, "provider_error_code"),
        _dict(inner.get("details")).get("error_code"),
        read(error, "code"),
        inner.get("code"),
        inner.get("Code"),
        read(error, "reason"),
        read(error, "type"),
        read(error, "provider_error_type"),
        inner.get("type"),
        inner.get("status"),
        read(error, "status"),
        body.get("error"),
    )
    for candidate in candidates:
        if issubclass(type(candidate), str) and candidate:
            yield _text(candidate)
    if callable(read(error, "code")) and _is_grpc(error):
        name = read(_call(error, "code"), "name")
        if type(name) is str:
            yield name


def _is_grpc(error: BaseException) -> bool:
    """Tell whether `code` is gRPC's method; nobody else's is called."""
    return any(
        base.__name__ == "RpcError" and base.__module__.startswith("grpc")
        for base in type(error).__mro__
    )


def _call(owner: object, name: str) -> object:
    method = read(owner, name)
    try:
        return method() if callable(method) else None
    except Exception:  # as in read()
        return None


def _reasons(details: list[object]) -> list[str]:
    """Return what Google's ErrorInfo and QuotaFailure add to a status that is too general."""
    codes: list[str] = []
    for detail in details:
        fields = _dict(detail)
        codes.append(_text(fields.get("reason")))
        violations = _list(fields.get("violations"))
        codes += _quotas([_text(_dict(violation).get("quotaId")) for violation in violations])
    return [code for code in codes if code]


def _quotas(names: list[str]) -> list[str]:
    """Return the code of Google's quotas that no wait brings back, whatever RetryInfo says."""
    return ["quota_exceeded" for name in names if "PerDay" in name]


def _status(
    error: BaseException, response: object, body: dict[str, Any], inner: dict[str, Any]
) -> int | None:
    status = (
        _number(read(error, "status_code"))
        or _number(read(error, "http_status"))
        or _number(read(error, "status"))
        or _number(read(error, "code"), low=400)
        or _number(read(response, "status_code"))
        or _number(read(response, "status"))
        or _number(_dict(body.get("ResponseMetadata")).get("HTTPStatusCode"))
    )
    if status is not None and status >= 300:
        return status
    # An error inside a 200: the body's own code is the status it would have had.
    code = inner.get("code", read(error, "code"))
    if type(code) is str and len(code) == 3 and code.isascii() and code.isdigit():
        code = int(code)
    return _number(code, low=400) or status


def _message(error: BaseException, inner: dict[str, Any]) -> str:
    for candidate in (inner.get("message"), inner.get("Message"), read(error, "message")):
        text = _text(candidate)
        if text:
            return text
    return _text(_call(error, "__str__"))


def _headers(error: BaseException, response: object) -> Iterator[object]:
    """Yield header mappings. LiteLLM's own response is synthetic, the real headers are apart."""
    candidates = (
        read(error, "litellm_response_headers"),
        read(read(error, "original_exception"), "litellm_response_headers"),
        read(response, "headers"),
        read(error, "headers"),
        _dict(_dict(response).get("ResponseMetadata")).get("HTTPHeaders"),
    )
    for candidate in candidates:
        if candidate:
            yield candidate


def _request_id(error: BaseException, body: dict[str, Any], headers: list[object]) -> str | None:
    metadata = _dict(body.get("ResponseMetadata"))
    for value in (read(error, "request_id"), body.get("request_id"), metadata.get("RequestId")):
        if value and _text(value):
            return _text(value)
    found = (header(mapping, name) for mapping in headers for name in _REQUEST_IDS)
    return next((text for text in found if text), None)
