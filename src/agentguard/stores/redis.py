"""Budgets in Redis: shared by every host that reaches it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.stores.ledger import GRACE, MOST, Ledger, Reserved, Settled, Status, check
from agentguard.stores.redis_client import errors
from agentguard.stores.redis_script import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.stores.ledger import Account, Lease, OnExpiry
    from agentguard.stores.redis_client import RedisClient

__all__ = ["RedisLedger"]

_DIGEST: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisLedger(Ledger):
    """Budgets that all hosts share.

    An operation is one script and one round trip.

    Args:
        redis: where.

    Raises:
        StoreUnavailable: by its operations: Redis was not reached, refused, or took too long.
    """

    remote = True

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self.place = redis.place

    def __repr__(self) -> str:
        return f"<RedisLedger at {self.place}>"

    def reserve(
        self, lease: Lease, amount: int, limit: int, now: float, expires: float, lost: OnExpiry
    ) -> Reserved:
        """See `Ledger`."""
        check(amount, limit)
        account, name = lease

        def give_back(client: Any, found: list[int]) -> None:
            if found[0]:
                _evaluate(client, "settle", account, now, name, 0, MOST)

        granted, *standing = self._redis.run(
            lambda client: _evaluate(
                client, "reserve", account, now, name, amount, limit, expires, lost
            ),
            late=give_back,
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
        """See `Ledger`."""
        self._redis.close()

    def _do(self, *words: Any) -> list[int]:
        return self._redis.run(lambda client: _evaluate(client, *words))


def _evaluate(
    client: Any, operation: str, account: Account, now: float, name: str, *rest: Any
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
        return cast("list[int]", client.evalsha(_DIGEST, *arguments))
    except errors().NoScriptError:  # the first time, and after a restart of Redis
        return cast("list[int]", client.eval(SCRIPT, *arguments))
