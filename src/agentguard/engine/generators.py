"""How wrappers pass for what they wrap: flags of generator and coroutine functions, and names."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

from agentguard.engine.lost import lost, settle_lost
from agentguard.engine.scope import surrounding
from agentguard.engine.target import name_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from agentguard.engine.scope import Scope

__all__ = ["GeneratorFunction", "copy_names", "coroutine_function"]


class GeneratorFunction:
    """A guarded generator function: captures its scope when called, begins when first pulled.

    A generator function of our own could not do the first. `inspect` takes any object with a
    function's attributes for a function and reads the flags of its `__code__`, so that
    `isgeneratorfunction` and `isasyncgenfunction` still tell the truth.
    """

    __name__: str
    __qualname__: str

    def __init__(
        self,
        fn: Callable[..., Any],
        start: Callable[[Scope, tuple[Any, ...], dict[str, Any]], Any],
        shape: str,
    ) -> None:
        copy_names(self, fn)
        self._start = start
        self.__code__ = (_asyncgen if shape == "asyncgen" else _generator).__code__
        self.__defaults__ = None
        self.__kwdefaults__ = None
        self.__closure__ = None

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """A generator, not begun."""
        if lost:
            settle_lost()
        return self._start(surrounding(), args, kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:
            # pydantic takes what is no function in the body of a model for a field, and refuses it
            return types.FunctionType

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled by name, like a function

    def __repr__(self) -> str:
        return f"<guarded {self.__qualname__}>"


def coroutine_function(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a plain function that returns a coroutine as the coroutine function it stands for.

    Unlike an `async def` it captures its scope when it is called, not when it is awaited. Python
    3.12 has a mark for this; before, the flag of the code is what `inspect` and all frameworks
    read, and calling a function does not (since 3.11 an opcode makes the coroutine).
    """
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(fn)
    code: types.CodeType = fn.__code__
    fn.__code__ = code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
    return fn


def _generator() -> Generator[None, None, None]:
    yield


async def _asyncgen() -> AsyncGenerator[None, None]:
    yield


def copy_names(wrapper: Any, fn: Callable[..., Any]) -> None:
    """As functools.update_wrapper, for partials and callable objects too, which have no name."""
    functools.update_wrapper(
        wrapper, fn, updated=("__dict__",) if isinstance(fn, types.FunctionType) else ()
    )
    if not hasattr(fn, "__name__"):
        wrapper.__name__ = wrapper.__qualname__ = name_of(fn)
    wrapper.__dict__.pop("__agentguard__", None)
