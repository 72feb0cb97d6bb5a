"""How a provider's exceptions cross into another process: whole, and without their request.

A worker process sends what it raises as a pickle. Those of some SDKs cannot be rebuilt from it,
which breaks the whole pool; those that can carry the request along, with the prompt and the key.
`copyreg` lets a class be pickled in another way from outside; nothing is done before a failure.
"""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from agentguard.errors import Partial
from agentguard.providers.evidence import read
from agentguard.providers.failures import Failure, classify
from agentguard.providers.retry_after import header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["let_cross"]

_FAILURE: Final = "_agentguard_failure"  # what `classify` returns when it finds it
_SDKS: Final = ("openai", "anthropic", "google.genai", "litellm", "httpx", "httpx2")
_RESPONSES: Final = ("httpx", "httpx2")

_KEPT: Final = frozenset(
    {
        "__notes__",
        "api_message",
        "body",
        "category",
        "code",
        "details",
        "error_code",
        "generated_content",
        "is_pre_first_chunk",
        "llm_provider",
        "max_retries",
        "message",
        "model",
        "num_retries",
        "param",
        "rate_limit_type",
        "request_id",
        "status",
        "status_code",
        "type",
    }
)
"""Attributes that cross, where they are plain data. Every other one is None on the other side."""

_HEADERS: Final = (
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-request-id",
    "request-id",
    "apim-request-id",
)

_PLAIN: Final = (str, int, float, bool, bytes, type(None))
_DEEPEST: Final = 32
_TRACED: Final = ("JSONDecodeError", "UnicodeDecodeError")
"""What only the traceback tells to be a server's failure, and tracebacks do not cross."""


def let_cross(error: BaseException) -> None:
    """Prepare an exception for being pickled, if it is a provider's; any other is left alone.

    Of a provider's exception its class, args, message, status, codes, body, request id, notes and
    partial text cross, `response` with its status and the headers about retrying, and what
    `classify` says of it. Its request, all other headers and the answer's bytes do not. What an
    exception holds is prepared with it: the members of a group, another one among its arguments.
    """
    known, found = {id(error)}, [error]
    for each in found:
        _register(each)
        held = [other for other in _held(each) if id(other) not in known]
        known.update(map(id, held))
        found += held


def _register(error: BaseException) -> None:
    kind = type(error)
    if kind.__name__ in _TRACED:
        failure = classify(error)
        if failure.kind != "unknown":
            setattr(error, _FAILURE, failure)
            copyreg.pickle(kind, _reduced_with_failure)
    elif kind not in copyreg.dispatch_table and any(_of(base, _SDKS) for base in kind.__mro__):
        copyreg.pickle(kind, _reduced)


def _held(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        yield from cast("BaseExceptionGroup[BaseException]", error).exceptions
    for value in (*error.args, *vars(error).values()):
        if isinstance(value, BaseException):
            yield value


def _of(kind: type, packages: tuple[str, ...]) -> bool:
    name = f"{kind.__module__}."
    return any(name.startswith(f"{package}.") for package in packages)


def _reduced(error: BaseException) -> tuple[Callable[..., BaseException], tuple[Any, ...]]:
    state = {name: _crossing(name, value) for name, value in vars(error).items()}
    state[_FAILURE] = classify(error)
    response = read(error, "response")
    headers = _headers(read(response, "headers"))
    status = read(response, "status_code")
    made = (type(response), status, headers) if _of(type(response), _RESPONSES) else None
    args = tuple(arg if _is_data(arg) else None for arg in error.args)
    return _rebuilt, (type(error), args, state, made)


def _rebuilt(
    kind: type[BaseException],
    args: tuple[Any, ...],
    state: dict[str, Any],
    response: tuple[Callable[..., Any], int, dict[str, str]] | None,
) -> BaseException:
    # Their own __new__ and __init__ may ask for what did not cross.
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    error: BaseException = builtin.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    if response is not None and "response" in state:
        make, status, headers = response
        vars(error)["response"] = make(status, headers=headers)
    return error


def _crossing(name: str, value: object) -> object:
    if name in _KEPT:
        return value if _is_data(value) else None
    if name.endswith("headers"):
        return _headers(value)
    return value if isinstance(value, Partial) else None


def _headers(headers: object) -> dict[str, str]:
    found = {name: header(headers, name) for name in _HEADERS}
    return {name: text for name, text in found.items() if text is not None}


def _is_data(value: object, depth: int = 0) -> TypeGuard[object]:
    if type(value) in _PLAIN:
        return True
    if depth < _DEEPEST and type(value) in (list, tuple):
        return all(_is_data(each, depth + 1) for each in cast("list[object]", value))
    if depth < _DEEPEST and type(value) is dict:
        entries = cast("dict[object, object]", value)
        return all(type(key) is str and _is_data(entries[key], depth + 1) for key in entries)
    return False


def _reduced_with_failure(error: BaseException) -> Any:
    made = cast("Any", error.__reduce__())
    failure = read(error, _FAILURE)
    return (_with_failure, (*made[:2], failure)) if isinstance(failure, Failure) else made


def _with_failure(
    make: Callable[..., BaseException], args: tuple[Any, ...], failure: Failure
) -> BaseException:
    error = make(*args)
    setattr(error, _FAILURE, failure)
    return error
