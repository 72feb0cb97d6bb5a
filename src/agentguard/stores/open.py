"""From what a user writes after `store=` to a ledger."""

from __future__ import annotations

import inspect
from typing import Any, Final

from agentguard.stores.ledger import Ledger
from agentguard.stores.memory import MemoryLedger

__all__ = ["open_store"]

_HINT: Final = (
    'store= takes "sqlite:///budgets.db", "redis://host:6379/0", a redis.Redis client or a Ledger'
)


def open_store(store: Any = None) -> Ledger:
    """The ledger that `store` names; nothing is connected before its first operation.

    Args:
        store: None for this process's memory; "sqlite:///budgets.db" (relative) or
            "sqlite:////var/lib/budgets.db" (absolute); "redis://", "rediss://" or "unix://" as
            redis-py reads them; a `redis.Redis` or `redis.RedisCluster` client; a `Ledger` of your
            own.

    Raises:
        TypeError, ValueError: it names none.
        ModuleNotFoundError: Redis is asked for and redis-py is not installed.

    Examples:
        >>> from agentguard.stores.open import open_store
        >>> open_store().place
        "this process's memory"
    """
    if store is None:
        return MemoryLedger()
    if isinstance(store, str):
        return _at(store)
    if isinstance(store, Ledger):
        return store
    if inspect.iscoroutinefunction(getattr(store, "execute_command", None)):
        raise TypeError(
            "store= takes the sync redis.Redis: it is called off the event loop, and serves sync "
            "and async calls alike"
        )
    if hasattr(store, "evalsha") and hasattr(store, "eval"):
        from agentguard.stores.redis import RedisLedger

        return RedisLedger(store)
    raise TypeError(f"{_HINT}, not {type(store).__name__}")


def _at(url: str) -> Ledger:
    scheme, found, rest = url.partition("://")
    if found and scheme == "sqlite":
        path = rest.removeprefix("/")
        if not path or path == ":memory:" or "?" in path or not rest.startswith("/"):
            raise ValueError(
                'a SQLite store is a file: write store="sqlite:///budgets.db", with four slashes '
                "for an absolute path, or leave store= out for this process's memory"
            )
        from agentguard.stores.sqlite import SQLiteLedger

        return SQLiteLedger(path)
    if found and scheme in {"redis", "rediss", "unix"}:
        from agentguard.stores.redis import RedisLedger

        return RedisLedger.from_url(url)
    # What was passed may hold a password: it is not repeated.
    raise ValueError(f"{_HINT}, not a text of another form")
