"""Nothing that is half done, and no connection, passes into a forked child."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol

__all__ = ["PATIENCE", "Forks", "survive"]

PATIENCE: Final = 1.0
"""Seconds for which a fork waits at most for what is half done."""


class Forks(Protocol):
    """What wants to know of forks."""

    lock: threading.Lock
    """Held while something is half done, and by the thread that forks."""

    def before_fork(self) -> None:
        """In the parent, under the lock."""

    def in_child(self) -> None:
        """In the child, which has no other thread yet."""


def survive(owner: Forks) -> None:
    """Take `owner`, which is not kept alive by this, safely through every fork."""
    _living.add(owner)


def _before() -> None:
    _forking.acquire()
    for each in list(_living):
        if each.lock.acquire(timeout=PATIENCE):
            _stopped.append(each)
            each.before_fork()


def _in_parent() -> None:
    while _stopped:
        _stopped.pop().lock.release()
    _forking.release()


def _in_child() -> None:
    global _forking  # noqa: PLW0603  the parent's is held
    _forking = threading.Lock()
    _stopped.clear()
    for each in list(_living):
        each.lock = threading.Lock()
        each.in_child()


_living: Final[weakref.WeakSet[Forks]] = weakref.WeakSet()
_stopped: Final[list[Forks]] = []
_forking = threading.Lock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
