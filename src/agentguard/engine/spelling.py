"""How policies are written: `@retry`, `retry(attempts=3)`, and what happens to other spellings."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, cast, overload

from agentguard.engine.arguments import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentguard.engine.chain import Policy

__all__ = ["Bare", "Spelled"]

P = ParamSpec("P")
F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T", bound="Policy")


class Spelled(Generic[P, T]):
    """Makes policies of one class: checks how they are spelled, and remembers it for `repr`."""

    def __init__(self, make: Callable[P, T]) -> None:
        self._make = make
        self.policy: type[T] = cast("type[T]", make)
        self.name = self.policy.name
        functools.update_wrapper(self, make, updated=())
        self.__name__ = self.__qualname__ = self.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """A policy with these settings."""
        return self._policy(args, kwargs)

    def _policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        try:
            policy = cast("Callable[..., T]", self._make)(*args, **kwargs)
        except TypeError as error:
            self._explain(args, kwargs, error)
        named = {
            key: "..." if key in policy.unshown and isinstance(value, str) else _shown(value)
            for key, value in kwargs.items()
        }
        spelled = [*map(_shown, args), *(f"{key}={value}" for key, value in named.items())]
        policy.spelled = f"{self.name}({', '.join(spelled)})"
        return policy

    def __repr__(self) -> str:
        return f"<policy {self.name}>"

    def _explain(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], error: TypeError
    ) -> NoReturn:
        signature = inspect.signature(self._make)
        known = [
            name
            for name, each in signature.parameters.items()
            if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
        ]
        for keyword in kwargs:
            if keyword not in known:
                raise TypeError(self._foreign(keyword, known)) from None
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            from agentguard.integrations import holder

            if len(args) == 1 and holder(args[0]) is not None:
                kind = type(args[0]).__name__
                raise TypeError(
                    f"{self.name}() around an object is written with parentheses of its own: "
                    f"{self.name}(...)({kind}(...))"
                ) from None
            hint = self.policy.spellings.get("", "")
            raise TypeError(
                f"{self.name}() takes keywords, not {_shown(args[0]) if args else 'this'}"
                f"{': write ' + hint if hint else ''}. It knows {', '.join(known)}"
            ) from None
        raise error

    def _foreign(self, keyword: str, known: list[str]) -> str:
        hint = self.policy.spellings.get(keyword)
        if hint is None:
            close = closest(keyword, known)
            hint = f"{close}=" if close else f"one of {', '.join(known)}"
        return f"{self.name}() has no {keyword}=: write {hint}"


class Bare(Spelled[P, T]):
    """A policy that needs no settings: also a decorator by itself, as in `@retry`."""

    @overload
    def __call__(self, fn: F, /) -> F: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Guard a function with the defaults, or make a policy with these settings."""
        if len(args) == 1 and not kwargs and self._decorates(args[0]):
            return self._policy((), {})(args[0])
        return self._policy(args, kwargs)

    def _decorates(self, value: object) -> bool:
        if self.policy.takes(value):
            return False
        return callable(value) or isinstance(value, (classmethod, staticmethod))


def _shown(value: object) -> str:
    """Literals as they are, functions and classes by name, anything else by its type alone.

    The repr of somebody's object may hold a key or a prompt, and so may a URL.
    """
    if isinstance(value, str):
        return "'...'" if "://" in value else repr(value)
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"({', '.join(map(_shown, cast('Iterable[object]', value)))})"
    name = getattr(value, "__qualname__", None)
    if callable(value) and name is not None:
        return str(name)
    return f"<{type(value).__name__}>"
