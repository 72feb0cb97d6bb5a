"""Budgets in Redis: shared by every host that reaches it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, cast

from agentguard.stores.ledger import GRACE, MOST, Lease, Ledger, Reserved, Settled, Status, check
from agentguard.stores.redis_client import errors
from agentguard.stores.redis_script import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentguard.stores.ledger import Account, OnExpiry, Use, Wish
    from agentguard.stores.redis_client import RedisClient

    _Asked = Sequence[Any]

__all__ = ["RedisLedger"]

_DIGEST: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisLedger(Ledger):
    """Budgets that all hosts share.

    An operation is one script and one round trip, for all units of a budget together.

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

    def reserve_all(
        self, wishes: Sequence[Wish], now: float, expires: float, lost: OnExpiry
    ) -> list[Reserved]:
        """See `Ledger`."""
        for _, amount, limit in wishes:
            check(amount, limit)

        def give_back(client: Any, found: list[list[int]]) -> None:
            if all(granted for granted, *_ in found):
                _evaluate(client, "settle", now, [(lease, 0, MOST) for lease, *_ in wishes])

        found = self._redis.run(
            lambda client: _evaluate(client, "reserve", now, wishes, repr(expires), lost),
            late=give_back,
        )
        return [Reserved(bool(granted), *standing) for granted, *standing in found]

    def settle_all(self, uses: Sequence[Use], now: float) -> list[Settled]:
        """See `Ledger`."""
        for _, actual, limit, _ in uses:
            check(actual, limit)
        asked = [(lease, actual, limit, *percents) for lease, actual, limit, percents in uses]
        return [
            Settled(used, most, overrun, tuple(crossed))
            for used, most, overrun, *crossed in self._do("settle", now, asked)
        ]

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """See `Ledger`."""
        return bool(self._do("renew", now, [(lease, 0, 0)], repr(expires))[0][0])

    def status(self, account: Account, now: float) -> Status:
        """See `Ledger`."""
        return Status(*self._do("status", now, [(Lease(account, ""), 0, 0)])[0])

    def reset(self, account: Account, now: float) -> None:
        """See `Ledger`."""
        self._do("reset", now, [(Lease(account, ""), 0, 0)])

    def grant(self, account: Account, amount: int, now: float) -> None:
        """See `Ledger`."""
        check(amount)
        self._do("grant", now, [(Lease(account, ""), amount, 0)])

    def close(self) -> None:
        """See `Ledger`."""
        self._redis.close()

    def _do(
        self, operation: str, now: float, asked: Sequence[_Asked], *rest: str
    ) -> list[list[int]]:
        return self._redis.run(lambda client: _evaluate(client, operation, now, asked, *rest))


def _evaluate(
    client: Any,
    operation: str,
    now: float,
    asked: Sequence[_Asked],
    expires: str = "",
    lost: str = "",
) -> list[list[int]]:
    """Run the script on the accounts of these leases, which are of one budget and key."""
    keys: list[str] = []
    words: list[Any] = [operation, GRACE, repr(now), expires, lost]
    for (account, name), amount, limit, *percents in asked:
        window = account.window
        keys.append(f"agentguard:budget:{{{account.owner}}}:{account.digest}")
        words += (account.title, window.part, window.since, repr(window.ends))
        words += (name, amount, limit, " ".join(map(str, percents)))
    arguments = (len(keys), *keys, *words)
    try:
        return cast("list[list[int]]", client.evalsha(_DIGEST, *arguments))
    except errors().NoScriptError:  # the first time, and after a restart of Redis
        return cast("list[list[int]]", client.eval(SCRIPT, *arguments))
