"""`record`: what a provider answered inside a guarded function that returns something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentguard.engine.scope import Scope, current
from agentguard.errors import StreamTruncated
from agentguard.providers.shapes import Reading, is_stream, shape_of
from agentguard.providers.streams import READERS, from_sdk

if TYPE_CHECKING:
    from typing import Self

    from agentguard.engine.call import Attempt

__all__ = ["record"]

T = TypeVar("T")


def record(response: T) -> T:
    """Attach a provider's response or stream to the attempt under way, and return it.

    A guarded function that returns only text hides the model and the usage from its guard, and a
    stream that it reads inside could be cut without anybody noticing. Outside a guarded call this
    does nothing. Of several recorded in one attempt the usage is added up, the latest model told.

    Args:
        response: any provider's response, or a stream of its chunks; read on as it arrives.

    Returns:
        The same response; of a stream, one that yields the same items and has the same attributes,
        but for those that would read it unseen (`text_stream`, `get_final_message` ...): they are
        there once it has been iterated to its end.

    Raises:
        errors.StreamTruncated: while the stream is read, when it ends without its end.
        errors.ProviderError: likewise, for an error that arrives as an ordinary item.

    Examples:
        >>> from agentguard import record, report, retry
        >>> @retry
        ... def ask(question: str) -> str:
        ...     response = record({"model": "m-1", "choices": [{"message": {"content": "42"}}]})
        ...     return response["choices"][0]["message"]["content"]
        >>> with report() as r:
        ...     ask("?")
        '42'
        >>> r.calls[0].model
        'm-1'
    """
    holder = current.get()
    attempt = holder.attempt if isinstance(holder, Scope) else holder
    if attempt is None or isinstance(response, _Recorded):
        return response
    reading = Reading()
    if attempt.recorded is None:
        attempt.recorded = []
    attempt.recorded.append(reading)
    if is_stream(response):
        return cast("T", _Recorded(response, attempt, reading))
    shape_of(response).read(response, reading)
    if reading.error is not None:
        raise reading.error
    return response


class _Recorded:
    """A stream that is read along with the function that reads it."""

    def __init__(self, stream: Any, attempt: Attempt, reading: Reading) -> None:
        self._stream = stream
        self._attempt = attempt
        self._reading = reading
        self._ends: bool | None = None
        self._any = self._over = False

    def __getattr__(self, name: str) -> Any:
        instead = None if self._over else READERS.get(name)
        if instead is not None:
            raise AttributeError(
                f"{name!r} would read the stream past record(), so that a cut or its usage went "
                f"unseen. Instead, {instead}.",
                name=name,
            )
        return getattr(self._stream, name)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self._read(next(self._stream))
        except StopIteration:
            self._end()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return self._read(await anext(self._stream))
        except StopAsyncIteration:
            self._end()
            raise

    def __enter__(self) -> Self:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._stream.__exit__(*error)

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        return await self._stream.__aexit__(*error)

    def _read(self, item: Any) -> Any:
        shape = shape_of(item)
        self._ends, self._any = shape.ends, True
        shape.read(item, self._reading)
        if self._reading.error is not None:
            raise self._reading.error
        if self._reading.content:
            self._attempt.seen()
        return item

    def _end(self) -> None:
        call = self._attempt.call
        target, strict = call.target, call.runtime.options.strict_streams
        self._over = True
        if self._reading.finished:
            target.ends = True
            return
        if strict is None:
            ends = self._ends
            if ends is None:  # an SDK's own stream that brought nothing at all was cut
                ends = target.ends or (not self._any and from_sdk(self._stream))
            strict = ends
        if strict:
            raise StreamTruncated(
                f"the stream recorded in {target.name} ended without its terminal signal: the "
                "answer is cut off"
            )
