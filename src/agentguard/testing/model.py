"""A scripted model: what each call answers is written down beforehand, in every shape."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from agentguard.engine import clock
from agentguard.testing.stream import AsyncScriptedStream, ScriptedStream, Tape, raised

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping

__all__ = ["SHAPES", "ScriptEnded", "ScriptedCall", "ScriptedModel"]

SHAPES: Final = (
    "sync",
    "coroutine",
    "awaitable",
    "generator",
    "asyncgen",
    "returns_stream",
    "returns_async_stream",
    "hands_async_stream",
)
"""Every shape of callable that a model can have, see `ScriptedModel`."""


class ScriptEnded(BaseException):
    """A model was called more often than its script has entries.

    Not an `Exception`, so that no guard under test can hide it.
    """


class ScriptedCall(NamedTuple):
    """One call that a model received.

    Attributes:
        args: the positional arguments.
        kwargs: the keyword arguments.
        at: monotonic seconds on the clock in use, under `FakeRuntime` from 0.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    at: float


class ScriptedModel:
    """Stands in for a model and does what its script says, one entry a call.

    Protects from tests that need a network, and from fakes that work in one shape only: the same
    script runs as a function, a coroutine, a generator or a function that returns a stream.

    An entry is

    - a str, or any object: the answer; in a streaming shape a stream of this one item.
    - an exception, or a class of one: raised by the call; by generators and `hands_async_stream` at
      the first pull.
    - a list: a stream of its items, in which an exception is raised at its place, `Stall(seconds)`
      waits on the clock in use, and `Cut()` ends the stream early. In a unary shape it happens all
      at once: the answer is the items joined when all are str, else the list of them.
    - a function (also a lambda, method or partial): called with the arguments of the call, and
      what it returns is the entry. In asynchronous shapes it may be a coroutine function.

    Shapes, each an ordinary callable to be guarded, all of them fed from one script:

    - `sync`: `def` that returns the answer; `coroutine`: `async def` that does so; `awaitable`: a
      plain `def` that returns an awaitable, as a lambda around an async client does.
    - `generator` and `asyncgen`: generator functions.
    - `returns_stream`: `def` that returns a stream object; `returns_async_stream`: `async def` that
      returns an asynchronous one, as `AsyncOpenAI` does; `hands_async_stream`: a plain `def` that
      returns an asynchronous one.

    One model may be called from several threads and tasks at once.

    Args:
        *script: the entries, in order.
        repeat_last: whether the last entry also answers every further call. Without it a further
            call raises `ScriptEnded`, which nothing catches by accident.
        name: what reports call it.

    Attributes:
        calls: the journal of what it received, in order: a list of `ScriptedCall`.
        opened: streams begun.
        ended: streams that reached their own end, or their own error.
        closed: how often a stream was closed that had not ended. A stream closed twice counts
            twice, so `opened == ended + closed` says that each was closed exactly once.

    Raises:
        ScriptEnded: out of a call for which the script has no entry.

    Examples:
        >>> from agentguard.testing import ScriptedModel
        >>> model = ScriptedModel("hello", ConnectionError("reset"), ["good", "bye"])
        >>> model.sync("hi?")
        'hello'
        >>> [call.args for call in model.calls]
        [('hi?',)]
    """

    sync: Callable[..., Any]
    coroutine: Callable[..., Coroutine[Any, Any, Any]]
    awaitable: Callable[..., Coroutine[Any, Any, Any]]
    generator: Callable[..., Generator[Any, Any, None]]
    asyncgen: Callable[..., AsyncGenerator[Any, Any]]
    returns_stream: Callable[..., ScriptedStream]
    returns_async_stream: Callable[..., Coroutine[Any, Any, AsyncScriptedStream]]
    hands_async_stream: Callable[..., AsyncScriptedStream]

    def __init__(self, *script: Any, repeat_last: bool = False, name: str = "model") -> None:
        if not script:
            raise TypeError(
                'ScriptedModel() needs at least one entry, as in ScriptedModel("hello")'
            )
        self.script = script
        self.repeat_last = repeat_last
        self.name = name
        self.calls: list[ScriptedCall] = []
        self.opened = 0
        self.ended = 0
        self.closed = 0
        self._lock = threading.Lock()
        for shape, make in _MAKERS.items():
            fn = make(self)
            fn.__name__ = fn.__qualname__ = name
            setattr(self, shape, fn)

    def __repr__(self) -> str:
        return f"<scripted {self.name}: {len(self.calls)} calls of {len(self.script)} scripted>"

    def shape(self, name: str) -> Callable[..., Any]:
        """The callable of the shape with this name, one of `SHAPES`."""
        if name not in SHAPES:
            raise ValueError(f"there is no shape {name!r}; there are {', '.join(SHAPES)}")
        return cast("Callable[..., Any]", getattr(self, name))

    def take(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Note a call in the journal and return its entry."""
        with self._lock:
            number = len(self.calls)
            self.calls.append(ScriptedCall(args, kwargs, clock.now().monotonic()))
        if number >= len(self.script) and not self.repeat_last:
            raise ScriptEnded(
                f"{self.name} was called {number + 1} times and its script has "
                f"{len(self.script)} entries: add entries, or pass repeat_last=True"
            )
        return self.script[min(number, len(self.script) - 1)]

    def play(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Take the entry of a synchronous call: a list, or the answer."""
        entry = self.take(args, kwargs)
        while _is_function(entry):
            entry = entry(*args, **kwargs)
        return raised(entry)

    async def aplay(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The same for an asynchronous call, in which functions may be asynchronous too."""
        entry = self.take(args, kwargs)
        while _is_function(entry):
            entry = entry(*args, **kwargs)
            if inspect.isawaitable(entry):
                entry = await entry
        return raised(entry)

    def tape(self, entry: Any) -> Tape:
        """A stream of an entry's items begins."""
        items = _listed(entry)
        return Tape([entry] if items is None else items, self._add)

    def _add(self, what: str) -> None:
        with self._lock:
            setattr(self, what, getattr(self, what) + 1)


def _is_function(entry: object) -> bool:
    # Not any callable: mocks and some SDK objects are callable and are answers.
    return inspect.isroutine(entry) or isinstance(entry, functools.partial)


def _listed(entry: Any) -> list[Any] | None:
    streams = type(entry) is list
    return cast("list[Any]", entry) if streams else None


def _whole(items: list[Any]) -> Any:
    return "".join(items) if all(isinstance(item, str) for item in items) else items


def _unnoticed(what: str) -> None:
    """A unary answer has no stream to count."""


def _sync(model: ScriptedModel) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        entry = model.play(args, kwargs)
        items = _listed(entry)
        return entry if items is None else _whole(list(ScriptedStream(Tape(items, _unnoticed))))

    return call


def _coroutine(model: ScriptedModel) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        entry = await model.aplay(args, kwargs)
        items = _listed(entry)
        if items is None:
            return entry
        return _whole([item async for item in AsyncScriptedStream(Tape(items, _unnoticed))])

    return call


def _awaitable(model: ScriptedModel) -> Callable[..., Any]:
    answer = _coroutine(model)

    def call(*args: Any, **kwargs: Any) -> Any:
        return answer(*args, **kwargs)

    return call


def _generator(model: ScriptedModel) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, None]:
        tape = model.tape(model.play(args, kwargs))
        try:
            yield from ScriptedStream(tape)
        finally:
            tape.release()

    return call


def _asyncgen(model: ScriptedModel) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        tape = model.tape(await model.aplay(args, kwargs))
        try:
            async for item in AsyncScriptedStream(tape):
                yield item
        finally:
            tape.release()

    return call


def _returns_stream(model: ScriptedModel) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> ScriptedStream:
        return ScriptedStream(model.tape(model.play(args, kwargs)))

    return call


def _returns_async_stream(model: ScriptedModel) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncScriptedStream:
        return AsyncScriptedStream(model.tape(await model.aplay(args, kwargs)))

    return call


def _hands_async_stream(model: ScriptedModel) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> AsyncScriptedStream:
        try:
            entry = model.play(args, kwargs)
        except BaseException as error:
            entry = error
        return AsyncScriptedStream(model.tape(entry))

    return call


_MAKERS: Final[Mapping[str, Callable[[ScriptedModel], Callable[..., Any]]]] = {
    "sync": _sync,
    "coroutine": _coroutine,
    "awaitable": _awaitable,
    "generator": _generator,
    "asyncgen": _asyncgen,
    "returns_stream": _returns_stream,
    "returns_async_stream": _returns_async_stream,
    "hands_async_stream": _hands_async_stream,
}
