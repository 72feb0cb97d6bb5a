"""A breaker in pybreaker's own terms: its settings, or an existing breaker that has them."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final

from agentguard.circuit.books import open_books, promise
from agentguard.circuit.votes import exclusions
from agentguard.engine.arguments import count, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentguard.circuit.books import Books
    from agentguard.circuit.votes import Exclusion

__all__ = ["FAIL_MAX", "RESET_TIMEOUT", "Terms"]

FAIL_MAX: Final = 5
RESET_TIMEOUT: Final = 60.0


class Terms:
    """What makes pybreaker's breakers: one from outside, or one for each circuit.

    Attributes:
        fail_max: failures in a row, None for no such limit.
        reset_timeout: seconds.
        success_threshold: successful trials.
        single: the name of the one circuit there can be, None when each key may have its own.
        foreign: others may write to the storage too.
    """

    def __init__(
        self,
        existing: Any,
        fail_max: int | None,
        reset_timeout: float,
        success_threshold: int,
        exclude: Sequence[Any],
        listeners: Sequence[Any],
        state_storage: Any,
        name: str | None,
        *,
        rated: bool,
    ) -> None:
        if fail_max is not None:
            count("breaker", "fail_max", fail_max)
        seconds("breaker", "reset_timeout", reset_timeout)
        count("breaker", "success_threshold", success_threshold)
        self.fail_max = fail_max or (None if rated else FAIL_MAX)
        self.reset_timeout = reset_timeout
        self.success_threshold = success_threshold
        self._exclude = exclusions(exclude)
        self._listeners = tuple(listeners)
        self._storage = state_storage
        self._name = name
        self._existing = existing
        if existing is not None:
            self._adopt(existing, fail_max)
        several = state_storage is None or callable(state_storage)
        if isinstance(state_storage, type) or not (
            several or hasattr(state_storage, "increment_counter")
        ):
            raise TypeError(
                "breaker(state_storage=) takes one of pybreaker's storages, as in state_storage="
                'pybreaker.CircuitRedisStorage("closed", client), or a function of the circuit\'s '
                f"name that returns one, not {getattr(state_storage, '__name__', None) or type(state_storage).__name__}"
            )
        label = name or (None if existing is None else existing.name) or "breaker"
        self.single: str | None = None if several and existing is None else label
        self.foreign = existing is not None or state_storage is not None

    def _adopt(self, existing: Any, fail_max: int | None) -> None:
        """An existing breaker brings its own settings: others beside it would be lost silently."""
        given: dict[str, tuple[object, object]] = {
            "fail_max": (fail_max, None),
            "reset_timeout": (self.reset_timeout, RESET_TIMEOUT),
            "success_threshold": (self.success_threshold, 1),
            "exclude": (self._exclude, ()),
            "listeners": (self._listeners, ()),
            "state_storage": (self._storage, None),
            "name": (self._name, None),
        }
        for word, (value, default) in given.items():
            if value != default:
                raise TypeError(
                    f"breaker(existing, {word}=...): the pybreaker.CircuitBreaker that was passed "
                    f"brings its own {word}; set it there"
                )
        self.fail_max = existing.fail_max
        self.reset_timeout = existing.reset_timeout
        self.success_threshold = existing.success_threshold

    @property
    def excluded(self) -> Sequence[Exclusion]:
        """What is neutral; of an existing breaker as it says now."""
        existing = self._existing
        return self._exclude if existing is None else existing.excluded_exceptions

    def named(self, label: str) -> str:
        """The name of a circuit."""
        return label if self._name in {None, label} else f"{self._name} {label}"

    def books(self, label: str) -> Books:
        """A breaker's books for the circuit `label`."""
        import pybreaker

        if self._existing is not None:
            return open_books(self._existing)
        breaker: Any = pybreaker.CircuitBreaker(
            fail_max=self.fail_max or sys.maxsize,
            reset_timeout=self.reset_timeout,
            success_threshold=self.success_threshold,
            listeners=self._listeners,
            name=label,
        )
        storage = self._storage
        if callable(storage):
            return promise(breaker, functools.partial(storage, self.named(label)))
        if storage is not None:
            # Not through the constructor, which would read it at once, on an event loop too.
            breaker._state_storage = storage  # noqa: SLF001
        return open_books(breaker)

    def watch(self, listener: Any) -> None:
        """Hear when an existing breaker is moved by others."""
        if self._existing is not None:
            self._existing.add_listener(listener)

    def place(self, known: Callable[[], Sequence[Books]]) -> str:
        """Where the state lives, for `explain`."""
        if callable(self._storage):
            return "a storage for each circuit; rates in this process"
        books = known()
        if books and books[0].remote:
            return f"{books[0].place}; rates in this process"
        return "this process's memory"
