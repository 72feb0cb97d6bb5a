"""`on=`: which failures a policy acts on, said in types, kinds or a predicate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from agentguard.errors import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Trigger = type[BaseException] | Kind | Literal["transient"] | Callable[[Any], bool]

__all__ = ["TRANSIENT", "Trigger", "Triggers"]

TRANSIENT: Final[frozenset[Kind]] = frozenset(
    {"rate_limited", "overloaded", "server", "timeout", "connection", "truncated"}
)
"""The failures that pass by themselves: what "transient" stands for."""

_KINDS: Final = frozenset(get_args(Kind))


class Triggers:
    """One or several of: exception types, kinds, "transient", predicates of the exception.

    Args:
        owner: the policy, for messages.
        on: what the user wrote.
    """

    __slots__ = ("_kinds", "_predicates", "_types", "_words")

    def __init__(self, owner: str, on: Trigger | Sequence[Trigger]) -> None:
        kinds: set[str] = set()
        types: list[type[BaseException]] = []
        self._predicates: list[Callable[[Any], bool]] = []
        self._words: list[str] = []
        several = on if isinstance(on, (tuple, list, set, frozenset)) else (on,)
        for each in several:
            if isinstance(each, str):
                if each != "transient" and each not in _KINDS:
                    raise ValueError(
                        f"{owner}(on={each!r}): the kinds are transient, {', '.join(get_args(Kind))}"
                    )
                kinds |= TRANSIENT if each == "transient" else {each}
                self._words.append(each)
            elif isinstance(each, type) and issubclass(each, BaseException):
                if not issubclass(each, Exception):
                    raise TypeError(
                        f"{owner}(on={each.__name__}): cancellation and exits are never acted on"
                    )
                types.append(each)
                self._words.append(each.__name__)
            elif callable(each):
                self._predicates.append(each)
                self._words.append(getattr(each, "__name__", type(each).__name__))
            else:
                raise TypeError(
                    f"{owner}(on=) takes exception types, kinds such as 'rate_limited', or a "
                    f"function of the exception, not {type(each).__name__}"
                )
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
