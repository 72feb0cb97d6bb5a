"""A Redis client that nobody waits for longer than 0.2 s, whatever it is set to."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from agentguard.engine import workers
from agentguard.stores.forks import PATIENCE, survive
from agentguard.stores.unavailable import WITHIN, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from agentguard.engine.workers import Job

__all__ = ["RedisClient", "errors"]

T = TypeVar("T")

_SOCKET: Final = WITHIN / 2
"""Seconds for connecting, and for an answer: a thread that is left behind must end."""


class RedisClient:
    """Does each piece of work in a worker thread, which is left behind after 0.2 s.

    So neither a name server nor the client's own timeouts and retries can hold a call up for
    longer. While one piece hangs, no other is sent after it.

    Args:
        client: a `redis.Redis` or `redis.RedisCluster`. It is used as it is and not closed.
    """

    def __init__(self, client: Any) -> None:
        self.lock = threading.Lock()
        self.place = _place(client)
        self._client = client
        self._owned = False
        self._stuck: Job | None = None
        self._running: set[Job] = set()
        survive(self)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """With a client of its own, which has short timeouts and does not retry.

        Args:
            url: redis://, rediss:// or unix://, as redis-py reads it.

        Raises:
            ValueError: it cannot be read.
        """
        redis = _redis()
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client: Any = None
        with contextlib.suppress(ValueError):  # it quotes the URL, which may hold a password
            client = redis.Redis.from_url(
                url,
                socket_timeout=_SOCKET,
                socket_connect_timeout=_SOCKET,
                retry=Retry(NoBackoff(), 0),
            )
        if client is None:
            raise ValueError(
                'store= takes "redis://user:password@host:6379/0", and this address cannot be read: '
                "write %23, %2F, %3F and %40 for #, /, ? and @ in its password, and a port to 65535"
            )
        made = cls(client)
        made._owned = True
        return made

    def run(self, work: Callable[[Any], T], late: Callable[[Any, T], object] | None = None) -> T:
        """Do `work` with the client; `late` undoes it when it ends after nobody waits for it."""
        stuck = self._stuck
        if stuck is not None and not stuck.done.is_set():
            raise self.unavailable("an earlier request still hangs")
        with self.lock:
            job = workers.start(functools.partial(work, self._client))
            self._running.add(job)
        try:
            # Waited for in real time, whatever clock is in use: a real server does the work.
            job.done.wait(WITHIN)
        finally:
            hangs = job.abandon(functools.partial(self._undo, late))
            self._running.discard(job)
        if hangs:
            self._stuck = job
            raise self.unavailable(f"no answer within {WITHIN} s")
        if job.error is not None:
            if isinstance(job.error, (_redis().RedisError, OSError)):
                raise self.unavailable(type(job.error).__name__) from job.error
            raise job.error
        return cast("T", job.value)

    def close(self) -> None:
        """Close the client, unless it is somebody else's."""
        if self._owned:
            self._client.close()

    def before_fork(self) -> None:
        """Let no thread be inside redis-py, whose locks a child would find taken for ever."""
        end = time.monotonic() + PATIENCE
        for job in tuple(self._running):
            job.done.wait(max(end - time.monotonic(), 0))

    def in_child(self) -> None:
        """The threads are the parent's; redis-py makes connections of the child's own."""
        self._stuck = None
        self._running.clear()

    def unavailable(self, reason: str) -> StoreUnavailable:
        """The error that says so."""
        return StoreUnavailable(f"{self.place} cannot be used: {reason}")

    def _undo(self, late: Callable[[Any, T], object] | None, job: Job) -> None:
        if late is not None and job.error is None:
            with contextlib.suppress(Exception):  # then nobody can
                late(self._client, job.value)


def errors() -> Any:
    """The module of redis-py's exceptions."""
    return _redis().exceptions


def _redis() -> Any:
    try:
        import redis
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "a store in Redis needs a package: pip install 'agentguard-decorators[redis]'",
            name="redis",
        ) from None
    return redis


def _place(client: Any) -> str:
    """Where it is, with nothing of its credentials."""
    pool = getattr(client, "connection_pool", None)
    known: dict[str, Any] = getattr(pool, "connection_kwargs", {})
    if "path" in known:
        return f"Redis at {known['path']}"
    if "host" in known:
        return f"Redis at {known['host']}:{known.get('port', 6379)}/{known.get('db') or 0}"
    return type(client).__name__
