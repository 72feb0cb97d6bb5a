"""Budgets in Redis: shared by every host that reaches it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.engine import workers
from agentguard.stores.forks import PATIENCE, survive
from agentguard.stores.ledger import (
    GRACE,
    MOST,
    WITHIN,
    Ledger,
    Reserved,
    Settled,
    Status,
    StoreUnavailable,
    check,
)
from agentguard.stores.redis_script import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from agentguard.engine.workers import Job
    from agentguard.stores.ledger import Account, Lease, OnExpiry

__all__ = ["RedisLedger"]

_DIGEST: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
_SOCKET: Final = WITHIN / 2
"""Seconds for connecting, and for an answer: a thread that is left behind must end."""


class RedisLedger(Ledger):
    """Budgets that all hosts share.

    An operation is one script and one round trip. It is done in a worker thread, which is left
    behind after 0.2 s: neither a name server nor a client's own timeouts and retries can hold a
    call up for longer. While one hangs, no other is sent after it.

    Args:
        client: a `redis.Redis` or `redis.RedisCluster`. It is used as it is and not closed.

    Raises:
        StoreUnavailable: by its operations: Redis was not reached, refused, or took too long.
    """

    remote = True

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
        """Its own client, with short timeouts and no retries.

        Args:
            url: redis://, rediss:// or unix://, as redis-py reads it.
        """
        redis = _redis()
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        client = redis.Redis.from_url(
            url,
            socket_timeout=_SOCKET,
            socket_connect_timeout=_SOCKET,
            retry=Retry(NoBackoff(), 0),
        )
        ledger = cls(client)
        ledger._owned = True
        return ledger

    def __repr__(self) -> str:
        return f"<RedisLedger at {self.place}>"

    def reserve(
        self, lease: Lease, amount: int, limit: int, now: float, expires: float, lost: OnExpiry
    ) -> Reserved:
        """See `Ledger`."""
        check(amount, limit)
        account, name = lease
        granted, *standing = self._run(
            functools.partial(
                self._evaluate, "reserve", account, now, name, amount, limit, expires, lost
            ),
            late=functools.partial(self._evaluate, "settle", account, now, name, 0, MOST),
        )
        return Reserved(bool(granted), *standing)

    def settle(
        self,
        lease: Lease,
        actual: int,
        limit: int,
        now: float,
        thresholds: Sequence[int] = (),
    ) -> Settled:
        """See `Ledger`."""
        check(actual, limit)
        account, name = lease
        used, most, overrun, *crossed = self._do(
            "settle", account, now, name, actual, limit, *thresholds
        )
        return Settled(used, most, overrun, tuple(crossed))

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """See `Ledger`."""
        return bool(self._do("renew", lease.account, now, lease.id, expires)[0])

    def status(self, account: Account, now: float) -> Status:
        """See `Ledger`."""
        return Status(*self._do("status", account, now, ""))

    def reset(self, account: Account, now: float) -> None:
        """See `Ledger`."""
        self._do("reset", account, now, "")

    def grant(self, account: Account, amount: int, now: float) -> None:
        """See `Ledger`."""
        check(amount)
        self._do("grant", account, now, "", amount)

    def close(self) -> None:
        """Close the client, if it was made from a URL."""
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

    def _do(self, *words: Any) -> list[int]:
        return self._run(functools.partial(self._evaluate, *words))

    def _run(
        self, work: Callable[[], list[int]], late: Callable[[], object] | None = None
    ) -> list[int]:
        """Do `work` in a worker; `late` undoes it there when it ends after nobody waits for it."""
        stuck = self._stuck
        if stuck is not None and not stuck.done.is_set():
            raise self._unavailable("an earlier request still hangs")
        with self.lock:
            job = workers.start(work)
            self._running.add(job)
        try:
            # Waited for in real time, whatever clock is in use: a real server does the work.
            job.done.wait(WITHIN)
        finally:
            hangs = job.abandon(functools.partial(_undo, late))
            self._running.discard(job)
        if hangs:
            self._stuck = job
            raise self._unavailable(f"no answer within {WITHIN} s")
        if job.error is not None:
            if isinstance(job.error, (_redis().RedisError, OSError)):
                raise self._unavailable(type(job.error).__name__) from job.error
            raise job.error
        return cast("list[int]", job.value)

    def _evaluate(
        self, operation: str, account: Account, now: float, name: str, *rest: Any
    ) -> list[int]:
        window = account.window
        arguments = (
            1,
            f"agentguard:budget:{{{account.digest}}}",
            operation,
            account.title,
            GRACE,
            repr(now),
            window.part,
            window.since,
            repr(window.ends),
            name,
            *rest,
        )
        try:
            return cast("list[int]", self._client.evalsha(_DIGEST, *arguments))
        except _redis().exceptions.NoScriptError:  # the first time, and after a restart of Redis
            return cast("list[int]", self._client.eval(SCRIPT, *arguments))

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self.place} cannot be used: {reason}")


def _undo(late: Callable[[], object] | None, job: Job) -> None:
    if late is not None and job.error is None and job.value[0]:
        with contextlib.suppress(Exception):  # then the lease expires
            late()


def _redis() -> Any:
    try:
        import redis
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "budgets in Redis need a package: pip install 'agentguard-decorators[redis]'",
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
