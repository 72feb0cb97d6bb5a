"""`carry`: the scope of here and now, taken along by what runs in another thread or process."""

from __future__ import annotations

import inspect
import types
import warnings
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from agentguard.engine import clock
from agentguard.engine.decorate import guarded
from agentguard.engine.generators import copy_names
from agentguard.engine.limits import Deadline, narrower
from agentguard.engine.scope import Block, Scope, current
from agentguard.errors import DeadlineExceeded
from agentguard.providers.pickling import let_cross

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentguard.engine.call import Attempt

__all__ = ["Extracted", "carry", "inject"]

P = ParamSpec("P")
R = TypeVar("R")


def carry(fn: Callable[P, R]) -> Callable[P, R]:
    """Take the scope of here and now into a thread, executor or process that you start yourself.

    Context variables do not cross into threads: without this, a guarded call made there has no
    user, no deadline and no report. Into another process go the tags that can be pickled and the
    deadline; reports and other listeners stay behind, and a call there is nobody's child.

    Args:
        fn: a function or coroutine function, for another process one that pickle finds by its
            name. What it calls finds the present scope.

    Raises:
        TypeError: for a generator function that is not guarded, whose body would run outside, and
            for a Celery task, see `agentguard.integrations.celery`.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> from agentguard import carry, context
        >>> with context(user="u1"), ThreadPoolExecutor() as pool:
        ...     _ = pool.submit(carry(print), end="").result()
    """
    if not callable(fn):
        raise TypeError(
            f"carry() takes a function to be called there, not {type(fn).__name__}: carry(fn), not "
            "carry(fn())"
        )
    if hasattr(fn, "apply_async"):
        raise TypeError(
            "carry() is not for Celery tasks: agentguard.integrations.celery.install(app) sends "
            "the scope along with every task; then call task.delay(...) as ever"
        )
    lazy = inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)
    if lazy and guarded(fn) is None:
        raise TypeError(
            "carry() does not reach the body of a generator, which runs when it is read: guard the "
            "generator function, which keeps the scope it was called in, or carry what reads it"
        )
    return cast("Callable[P, R]", _Carried(fn, current.get()))


class _Carried(Generic[P, R]):
    """A function with a scope. `inspect` takes it for a function, see `GeneratorFunction`."""

    def __init__(self, fn: Callable[P, R], holder: Scope | Attempt) -> None:
        copy_names(self, fn)
        self._fn = fn
        self._holder = holder
        self._waits = inspect.iscoroutinefunction(fn)
        if self._waits:
            self.__code__ = _coroutine.__code__
            self.__defaults__ = self.__kwdefaults__ = None

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        if self._waits:
            return self._awaited(*args, **kwargs)
        outer = current.get()
        current.set(self._holder)
        try:
            return self._fn(*args, **kwargs)
        except Exception as error:
            let_cross(error)
            raise
        finally:
            current.set(outer)

    async def _awaited(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        outer = current.get()
        current.set(self._holder)
        try:
            return await cast("Any", self._fn(*args, **kwargs))
        except Exception as error:
            let_cross(error)
            raise
        finally:
            current.set(outer)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        holder = self._holder
        scope = holder if isinstance(holder, Scope) else holder.scope()
        return _arrived, (self._fn, inject(scope, _can_be_pickled))

    def __repr__(self) -> str:
        return f"<carried {self._fn!r}>"


async def _coroutine() -> None: ...


def _arrived(fn: Callable[P, R], carrier: Mapping[str, Any]) -> _Carried[P, R]:
    return _Carried(fn, Extracted(carrier).surround(Scope()))


def _can_be_pickled(value: object) -> bool:
    import pickle

    try:
        pickle.dumps(value)
    except Exception:  # whatever a class of the user's raises there
        return False
    return True


def inject(scope: Scope, fits: Callable[[object], bool]) -> dict[str, Any]:
    """What of `scope` crosses into another process: its tags that `fits`, and its deadline.

    The monotonic clock means nothing there, so the deadline crosses as a date.
    """
    carrier: dict[str, Any] = {"tags": {}}
    for name, value in scope.tags.items():
        if fits(value):
            carrier["tags"][name] = value
        else:
            warnings.warn(
                f"context({name}=...) is a {type(value).__name__}, which cannot cross into another "
                "process: the guarded calls there will not have it. Give it as a str.",
                stacklevel=2,
            )
    if scope.deadline is not None:
        left = scope.deadline.at - clock.monotonic()
        carrier["deadline"] = [clock.now().time() + left, scope.deadline.seconds]
    return carrier


class Extracted(Block):
    """The block that a carrier made by `inject` stands for, in the process that it came to."""

    def __init__(self, carrier: Mapping[str, Any]) -> None:
        self.tags = dict(carrier.get("tags", {}))
        self.deadline: Deadline | None = None
        if "deadline" in carrier:
            date, seconds = carrier["deadline"]
            at = clock.monotonic() + date - clock.now().time()
            self.deadline = Deadline(at, "deadline", seconds, error=DeadlineExceeded)

    def surround(self, outer: Scope) -> Scope:
        """Add the tags to those around, and narrow the deadline."""
        ending = narrower(outer.deadline, self.deadline)
        return outer.within(tags={**outer.tags, **self.tags}, deadline=ending)
