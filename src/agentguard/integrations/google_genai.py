"""google-genai's clients: every request to a model is a guarded call of its own.

The SDK's loops stay around the calls. Automatic function calling asks the model, runs the user's
functions and asks again: a retry repeats one of these requests, and never a function.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentguard.engine.generators import coroutine_function
from agentguard.engine.lost import settle_lost
from agentguard.engine.scope import current
from agentguard.integrations.held import Method, guarded_copy, held

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from agentguard.engine.call import Attempt
    from agentguard.engine.guard import guard as Guard  # noqa: N812  the class, beside its instance
    from agentguard.engine.scope import Scope

__all__ = ["guarded"]

T = TypeVar("T")

_REQUESTS: Final = (
    "_generate_content",
    "_generate_content_stream",
    "embed_content",
    "generate_images",
    "edit_image",
    "upscale_image",
    "recontext_image",
    "segment_image",
    "generate_videos",
)
"""What of `Models` is one request to a model: inside the loops, not around them."""

_NOTES: Final = (
    "The client's own retries (HttpOptions.retry_options) are off in this copy.",
    "Each request of a chat, and of automatic function calling, is a call of its own.",
    "live, interactions, batches, caches, files and tunings are as they were.",
)


def guarded(client: Any, guard: Guard) -> Any:
    """A copy of a `Client` or `AsyncClient` that shares its connections, with guarded models.

    The copy keeps the original alive, which closes the connections when it is collected.
    """
    calls = [f"models.{name.removeprefix('_')}" for name in _REQUESTS]
    twin = guarded_copy(client, guard, _client, calls=calls, notes=_NOTES)
    models = client._models  # noqa: SLF001
    twin._models = guarded_copy(models, guard, _models, calls=_REQUESTS, notes=_NOTES)  # noqa: SLF001
    if held(models) is None:
        twin._models._api_client = _without_retries(models._api_client, client)  # noqa: SLF001
    if hasattr(client, "_aio"):
        twin._aio = guarded(client._aio, guard)  # noqa: SLF001
    return twin


def _client(base: Any, _: Guard) -> dict[str, Any]:
    def chats(self: Any) -> Any:
        made: Any = base.chats.fget(self)
        create: Any = made.create

        @functools.wraps(create)
        def create_carrying(**options: Any) -> Any:
            chat: Any = create(**options)
            chat.send_message_stream = _carrying(chat.send_message_stream)
            return chat

        made.create = create_carrying
        return made

    return {"chats": property(chats), "__del__": _leave_open}


def _models(base: Any, guard: Guard) -> dict[str, Any]:
    requests = {name: Method(base, guard, name) for name in _REQUESTS if hasattr(base, name)}
    return {**requests, "generate_content_stream": _carrying(base.generate_content_stream)}


def _without_retries(api: Any, owner: object) -> Any:
    """The same API client, session and credentials included, but that it asks once."""
    options = api._http_options  # noqa: SLF001
    once = type(options)(retry_options={"attempts": 1}).retry_options
    twin: Any = object.__new__(_asking_once(api.__class__))
    twin.__dict__ = api.__dict__
    twin._http_options = options.model_copy(update={"retry_options": once})  # noqa: SLF001
    twin._retry = twin._async_retry = _once  # noqa: SLF001
    twin._owner = owner  # noqa: SLF001
    return twin


@functools.cache
def _asking_once(base: Any) -> Any:
    own = ("_http_options", "_retry", "_async_retry", "_owner")  # slots hide what __dict__ holds
    return type(base.__name__, (base,), {"__slots__": own, "__del__": _leave_open})


def _once(request: Callable[..., T], *arguments: Any) -> T:
    return request(*arguments)


def _leave_open(_: object) -> None:
    """Nothing: collecting a copy must not close the connections of the original."""


def _carrying(plain: Any) -> Any:
    """A method whose stream makes its requests in the scope of the call, not of who reads it."""
    if inspect.iscoroutinefunction(plain):

        @functools.wraps(plain)
        def opened(*args: Any, **kwargs: Any) -> Any:
            return _opened(current.get(), plain(*args, **kwargs))

        return coroutine_function(opened)

    @functools.wraps(plain)
    def stream(*args: Any, **kwargs: Any) -> Any:
        return _read(current.get(), plain(*args, **kwargs))

    return stream


def _read(holder: Scope | Attempt, stream: Generator[T]) -> Generator[T]:
    try:
        while True:
            outer = current.get()
            current.set(holder)
            try:
                chunk = next(stream)
            except StopIteration:
                return
            finally:
                current.set(outer)
            yield chunk
    finally:
        stream.close()
        settle_lost()  # the SDK drops the guarded stream inside its own, and does not close it


async def _opened(
    holder: Scope | Attempt, opening: Awaitable[AsyncGenerator[T]]
) -> AsyncGenerator[T]:
    return _async_read(holder, await _awaited(holder, opening))


async def _async_read(holder: Scope | Attempt, stream: AsyncGenerator[T]) -> AsyncGenerator[T]:
    try:
        while True:
            try:
                chunk = await _awaited(holder, anext(stream))
            except StopAsyncIteration:
                return
            yield chunk
    finally:
        await stream.aclose()


async def _awaited(holder: Scope | Attempt, what: Awaitable[T]) -> T:
    outer = current.get()
    current.set(holder)
    try:
        return await what
    finally:
        if current.get() is holder:  # else the collector closes this in somebody else's Context
            current.set(outer)
