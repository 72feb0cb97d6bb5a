"""Raw responses of the openai and anthropic SDKs whose `parse()` returns the guarded answer."""

from __future__ import annotations

import copy
import functools
import inspect
import types
from typing import Any

from agentguard.providers.streams import ResponseView

__all__ = ["no_response", "response_with"]


def response_with(answer: Any, response: Any, *, streaming: bool, changed: bool) -> Any:
    """A copy of `response`: its status and headers, and the answer that came out of the chain.

    Args:
        answer: what `parse()` returns.
        response: of the SDK.
        streaming: whether the answer is a stream.
        changed: whether a guard has made another of it: then the body is not shown.
    """
    twin = copy.copy(response)
    twin.__class__ = _kind(response.__class__)
    twin._agentguard_answer = answer  # noqa: SLF001
    if streaming or changed:  # what reads its body asks this one, which says what to do instead
        closing = answer if streaming else response.http_response
        twin.http_response = ResponseView(response.http_response, closing)
    return twin


def no_response(answer: Any, *, is_async: bool) -> Any:
    """The same where a fallback function or a cache answered, so that there is no HTTP response."""
    return (_AsyncNoResponse if is_async else _NoResponse)(answer)


@functools.cache
def _kind(base: Any) -> Any:
    def parse(self: Any, *, to: Any = None) -> Any:
        if to is not None:
            raise TypeError(
                "parse(to=...) would read the answer past the guard: call parse(), and convert "
                "what it returns"
            )
        return self._agentguard_answer

    async def async_parse(self: Any, *, to: Any = None) -> Any:
        return parse(self, to=to)

    body = {name: getattr(base, name) for name in ("__module__", "__qualname__", "__doc__")}
    body["parse"] = async_parse if inspect.iscoroutinefunction(base.parse) else parse
    return types.new_class(base.__name__, (base,), exec_body=lambda names: names.update(body))


class _NoResponse:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def parse(self) -> Any:
        return self._answer

    def close(self) -> None:
        if hasattr(self._answer, "close"):
            self._answer.close()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"there is no {name!r}: a fallback function or a cache gave this answer, and no HTTP "
            "response stands behind it. parse() returns the answer",
            name=name,
        )


class _AsyncNoResponse:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def parse(self) -> Any:
        return self._answer

    async def close(self) -> None:
        if hasattr(self._answer, "aclose"):
            await self._answer.aclose()

    __getattr__ = _NoResponse.__getattr__
