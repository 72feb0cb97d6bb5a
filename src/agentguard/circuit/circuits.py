"""One circuit a key, and no more of them than asked for."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentguard.circuit.circuit import Circuit
    from agentguard.engine.call import Call
    from agentguard.engine.target import Target

__all__ = ["Circuits"]


class Circuits:
    """The circuits of one policy.

    Args:
        make: a circuit for a label.
        key: what circuits are kept for; None for `call.key`.
        limit: circuits kept at most. A quiet one is forgotten first: that loses nothing.
        single: one circuit for everything, under this label.
    """

    def __init__(
        self,
        make: Callable[[str], Circuit],
        key: Callable[[Call], object] | None,
        limit: int,
        single: str | None = None,
    ) -> None:
        self.by_target: dict[Target, Circuit] = {}  # read without the lock, on every call
        self.limit = limit
        self._make = make
        self._key = key
        self._single = single
        self._lock = threading.Lock()
        self._by_key: dict[object, Circuit] = {}
        if single is not None:
            self._by_key[None] = make(single)
        _living.add(self)

    def find(self, call: Call) -> Circuit:
        """The circuit that `call` belongs to."""
        if self._key is not None:
            key = self._key(call)
            return self._of(key, lambda: _words(key))
        target, single = call.target, self._single
        if single is None and target.endpoint.provider is not None:
            return self._of(call.key, lambda: _label(call))
        key = None if single is not None else call.key
        circuit = self._of(key, lambda: single or target.name)
        if not hasattr(
            target.fn, "__self__"
        ):  # a method would keep its object: a client, with its key
            with self._lock:
                if len(self.by_target) >= self.limit:
                    self.by_target.clear()
                if self._by_key.get(key) is circuit:  # not forgotten meanwhile
                    self.by_target[target] = circuit
        return circuit

    def all(self) -> list[Circuit]:
        """Every circuit there is now."""
        with self._lock:
            return list(self._by_key.values())

    def _of(self, key: object, label: Callable[[], str]) -> Circuit:
        try:
            found = self._by_key.get(key)
        except TypeError:
            raise TypeError(
                f"breaker(key=) must return something hashable, not {type(key).__name__}"
            ) from None
        if found is not None:
            return found
        made = self._make(label())
        with self._lock:
            found = self._by_key.setdefault(key, made)
            if len(self._by_key) > self.limit:
                self._forget(key)
        return found

    def _forget(self, newest: object) -> None:
        others = [key for key in self._by_key if key != newest]
        quiet = (key for key in others if self._by_key[key].quiet)
        del self._by_key[next(quiet, others[0])]
        self.by_target.clear()

    def renew_lock(self) -> None:
        """In a forked child: the lock may have been held by a thread that is not there."""
        self._lock = threading.Lock()


def _label(call: Call) -> str:
    """Provider, model and host: a base URL as a whole might hold a secret."""
    seen = call.target.endpoint
    host = urlsplit(seen.base_url).hostname if seen.base_url else None
    model = call.kwargs.get("model") or seen.model
    words = [seen.provider, model, None if host is None else f"at {host}"]
    return " ".join(str(word) for word in words if word is not None)


def _words(label: object) -> str:
    if isinstance(label, tuple):
        return " ".join(map(_words, cast("tuple[object, ...]", label)))
    if label is None or isinstance(label, (str, int, float)):
        return str(label)
    return str(getattr(label, "__qualname__", type(label).__name__))


def _after_fork() -> None:
    for circuits in _living:
        circuits.renew_lock()


_living: Final[weakref.WeakSet[Circuits]] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
