"""What a finalizer must not do itself.

The collector may run anywhere, inside the very lock that a hook wants. So what it finds is put
aside, which takes no lock, and settled before the next guarded call.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agentguard.engine.drive import drive
from agentguard.engine.trouble import trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["lost", "put_aside", "settle_lost"]

lost: Final[deque[Callable[[], object]]] = deque()
"""What is to be settled; `append` is atomic."""


def put_aside(settle: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Settle later what a suspended call leaves behind that is closed where it stands."""
    lost.append(lambda: drive(settle()))


def settle_lost() -> None:
    """Do what finalizers put aside."""
    while lost:
        try:
            settle = lost.popleft()
        except IndexError:
            return
        try:
            settle()
        except Exception as error:
            trouble("settling what was let go of", error)
