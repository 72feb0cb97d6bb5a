"""What a fallback answers in place of a chat model, in the form that LangChain takes.

A function that stands in for a model says text or a message. A model's own methods answer with a
`ChatResult`, and with a `ChatGenerationChunk` for each piece of a stream.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentguard.integrations.held import Method

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["ChatMethod"]


class ChatMethod(Method):
    """A method of a chat model, whose answer is what LangChain expects of that method."""

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        """The method; under the guard unless it is part of another call of the same model."""
        found = super().__get__(owner, kind)
        if not hasattr(found, "__agentguard__"):
            return found
        streams = self._name.endswith("stream")
        return (_streaming if streams else _answering)(found)


def _answering(guarded: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(guarded):

        @functools.wraps(guarded)
        async def agenerate(*args: Any, **kwargs: Any) -> Any:
            return _result(await guarded(*args, **kwargs))

        return agenerate

    @functools.wraps(guarded)
    def generate(*args: Any, **kwargs: Any) -> Any:
        return _result(guarded(*args, **kwargs))

    return generate


def _streaming(guarded: Callable[..., Any]) -> Callable[..., Any]:
    if guarded.__name__.startswith("_a"):

        @functools.wraps(guarded)
        async def astream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async with contextlib.aclosing(guarded(*args, **kwargs)) as items:
                async for item in items:
                    yield _chunk(item)

        return astream

    @functools.wraps(guarded)
    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with contextlib.closing(guarded(*args, **kwargs)) as items:
            for item in items:
                yield _chunk(item)

    return stream


def _result(answer: Any) -> Any:
    if isinstance(answer, str):
        answer = AIMessage(answer)
    if isinstance(answer, AIMessage):
        return ChatResult(generations=[ChatGeneration(message=answer)])
    return answer


def _chunk(item: Any) -> Any:
    if isinstance(item, ChatGenerationChunk):
        return item
    whole = _result(item)
    if not isinstance(whole, ChatResult):
        return item
    message = whole.generations[0].message
    if not isinstance(message, AIMessageChunk):
        message = AIMessageChunk(**message.model_dump(exclude={"type"}))
    return ChatGenerationChunk(message=message)
