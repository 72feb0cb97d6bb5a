"""Event loops under virtual time: whether one has anything left to do, and its own timers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Loop"]

_PATCHED: Final = ("time", "call_at")
_ROUNDS: Final = 2  # rounds with nothing to run; in between the loop has looked for I/O
_BLIND_ROUNDS: Final = 20  # the same for a loop that does not show what it has to run


class Loop:
    """One event loop that takes part in virtual time.

    Args:
        loop: the event loop.
        now: reads virtual time.
        settle: real seconds without any I/O before a loop with sockets or an executor is idle.
        idle: told, on the loop's thread, that nothing is left to run.

    Attributes:
        idle: it had nothing to run when last looked at, and was not woken since.
        blocked: how many of its calls block it in a synchronous virtual wait.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        settle: float,
        idle: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.idle = False
        self.blocked = 0
        self._now = now
        self._settle = settle
        self._tell = idle
        self._quiet = 0
        self._probing = False
        self._began = now()
        self._base = loop.time()
        self._call_at = functools.partial(type(loop).call_at, loop)  # not an outer time's
        self._before = {k: v for k, v in vars(loop).items() if k in _PATCHED}
        try:
            # asyncio.sleep, asyncio.timeout and wait_for of the code under test keep virtual time.
            loop.time = self._time  # type: ignore[method-assign]
            loop.call_at = self._timer  # type: ignore[method-assign,assignment]
        except AttributeError:
            self._own = False  # uvloop: its own timers stay real
        else:
            self._own = True

    @property
    def waiting(self) -> bool:
        """Whether it runs and has not come to rest in anything but virtual time."""
        return not (self.idle or self.blocked) and self.loop.is_running()

    def due(self) -> float | None:
        """When, in virtual time, the next of its own timers rings."""
        if getattr(self.loop.time, "__self__", None) is not self:
            return None  # within an inner virtual time they are that one's
        timers: Any = getattr(self.loop, "_scheduled", ())
        if not timers or not self.loop.is_running() or self.blocked:
            return None
        at = min((timer.when() for timer in timers if not timer.cancelled()), default=None)
        return None if at is None else at - self._base + self._began

    def call(self, fn: Callable[[], object]) -> None:
        """Run `fn` on the loop, and then find out whether it has come to rest."""
        self.idle = False
        try:
            self.loop.call_soon_threadsafe(fn)
        except RuntimeError:
            return  # the loop is closed, and so is everything that waited on it
        self.probe()

    def probe(self) -> None:
        """Find out whether it has come to rest."""
        if self._probing:
            self._quiet = 0
            return
        self.idle, self._probing, self._quiet = False, True, 0
        try:
            self.loop.call_soon_threadsafe(self._look)
        except RuntimeError:
            self._probing = False

    def leave(self) -> None:
        """Go back to real time."""
        if self._own:
            for name in _PATCHED:
                vars(self.loop).pop(name, None)
            vars(self.loop).update(self._before)

    def _time(self) -> float:
        return self._base + self._now() - self._began

    def _timer(self, *args: Any, **kwargs: Any) -> Any:
        timer = self._call_at(*args, **kwargs)
        self.probe()
        return timer

    def _look(self) -> None:
        ready: Any = getattr(self.loop, "_ready", None)
        self._quiet = (
            0 if ready is not None and any(map(self._works, ready.copy())) else self._quiet + 1
        )
        if self._quiet < (_BLIND_ROUNDS if ready is None else _ROUNDS) or self._outside():
            self.loop.call_soon(self._look)
            return
        self._probing, self.idle = False, True
        self._tell()

    @classmethod
    def _works(cls, handle: Any) -> bool:
        """Whether something is to be run: not cancelled, and not another virtual time's look."""
        callback = handle._callback  # noqa: SLF001
        return callback is not None and getattr(callback, "__func__", None) is not cls._look

    def _outside(self) -> bool:
        """Whether something came from sockets or other threads while it was given time to."""
        selector: Any = getattr(self.loop, "_selector", None)
        executor: Any = getattr(self.loop, "_default_executor", None)
        if selector is None or (executor is None and len(selector.get_map()) <= 1):
            return False
        if selector.select(self._settle):  # level-triggered: the loop will see it again itself
            self._quiet = 0
            return True
        return False
