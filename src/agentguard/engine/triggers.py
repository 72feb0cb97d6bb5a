"""`on=`: which failures a policy acts on, said in types, kinds or a predicate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from agentguard.engine.arguments import plain
from agentguard.errors import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TRANSIENT", "Trigger", "Triggers"]

Trigger = type[BaseException] | Kind | Literal["transient"] | Callable[[Any], bool]
"""What `on=` takes, one or several of."""

TRANSIENT: Final[frozenset[Kind]] = frozenset(
    {"rate_limited", "overloaded", "server", "timeout", "connection", "truncated"}
)
"""The failures that pass by themselves: what "transient" stands for."""

_KINDS: Final = frozenset(get_args(Kind))


class Triggers:
    """One or several of: exception types, kinds, "transient", predicates of the exception.

    Args:
        owner: the policy, for messages.
        on: what the user wrote, one or several; typed as `Trigger` where it is written.
    """

    __slots__ = ("_kinds", "_predicates", "_types", "_words")

    def __init__(self, owner: str, on: Any) -> None:
        kinds: set[str] = set()
        types: list[type[BaseException]] = []
        self._predicates: list[Callable[[Any], bool]] = []
        self._words: list[str] = []
        several = isinstance(on, (tuple, list, set, frozenset))
        for each in cast("Iterable[Any]", on) if several else (on,):
            if isinstance(each, str):
                if each != "transient" and each not in _KINDS:
                    raise ValueError(
                        f"{owner}(on={each!r}): the kinds are transient, {', '.join(get_args(Kind))}"
                    )
                kinds |= TRANSIENT if each == "transient" else {each}
            elif inspect.isclass(each) and issubclass(each, Exception):
                types.append(each)
            elif inspect.isclass(each) or not callable(each):
                raise TypeError(
                    f"{owner}(on=) takes Exception types, kinds such as 'rate_limited', or a "
                    f"function of the exception, not {getattr(each, '__name__', type(each).__name__)}"
                )
            else:
                plain(owner, "on", each, "a function of the exception")
                self._predicates.append(cast("Callable[[Any], bool]", each))
            self._words.append(each if isinstance(each, str) else getattr(each, "__name__", "..."))
        self._kinds = frozenset(kinds)
        self._types = tuple(types)

    def __str__(self) -> str:
        return ", ".join(self._words)

    def match(self, error: BaseException, kind: Kind) -> bool:
        """Whether to act on `error`, which has been classified as `kind`."""
        return (
            kind in self._kinds
            or isinstance(error, self._types)
            or any(predicate(error) for predicate in self._predicates)
        )
