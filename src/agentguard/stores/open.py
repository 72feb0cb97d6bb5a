"""From what a user writes after `store=` to a ledger, or to entries."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Literal

from agentguard.stores.entries import Entries
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.stores.ledger import Ledger
from agentguard.stores.memory import MemoryLedger

if TYPE_CHECKING:
    from agentguard.stores.redis_client import RedisClient

    Kind = Literal["sqlite", "redis", "client"]

__all__ = ["open_entries", "open_store"]

_HINT: Final = (
    'store= takes "sqlite:///{file}", "redis://host:6379/0", a redis.Redis client or {own}'
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
    if isinstance(store, Ledger):
        return store
    kind, where = _read(store, "budgets.db", "a Ledger")
    if kind == "sqlite":
        from agentguard.stores.sqlite import SQLiteLedger

        return SQLiteLedger(where)
    from agentguard.stores.redis import RedisLedger

    return RedisLedger(_redis(kind, where))


def open_entries(
    store: Any = None, *, max_entries: int | None = None, max_bytes: int | None = None
) -> Entries:
    """The store of cached answers that `store` names; nothing is connected before it is used.

    Args:
        store: as for `open_store`, or `Entries` of your own.
        max_entries: how many a space holds at most; None is the store's own default.
        max_bytes: how many bytes their values have at most; None is the store's own default.

    Raises:
        TypeError, ValueError: it names none, or has bounds of its own: Redis, and your `Entries`.
        ModuleNotFoundError: Redis is asked for and redis-py is not installed.

    Examples:
        >>> from agentguard.stores.open import open_entries
        >>> open_entries(max_entries=100).place
        "this process's memory"
    """
    bounds = {"max_entries": max_entries, "max_bytes": max_bytes}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    for name, bound in given.items():
        if bound < 1:
            raise ValueError(f"{name} is a whole number from 1, not {bound}")
    if store is None:
        return MemoryEntries(**given)
    if isinstance(store, Entries):
        if given:
            raise ValueError(f"give {' and '.join(given)} to the {type(store).__name__} itself")
        return store
    kind, where = _read(store, "answers.db", "Entries")
    if kind == "sqlite":
        from agentguard.stores.entries_sqlite import SQLiteEntries

        return SQLiteEntries(where, **given)
    if given:
        raise ValueError(
            f"Redis bounds itself: set its maxmemory and maxmemory-policy, not {' and '.join(given)}"
        )
    from agentguard.stores.entries_redis import RedisEntries

    return RedisEntries(_redis(kind, where))


def _redis(kind: Kind, where: Any) -> RedisClient:
    from agentguard.stores.redis_client import RedisClient

    return RedisClient(where) if kind == "client" else RedisClient.from_url(where)


def _read(store: Any, file: str, own: str) -> tuple[Kind, Any]:
    """What kind of store it is, and its path, URL or client."""
    hint = _HINT.format(file=file, own=own)
    if isinstance(store, str):
        return _at(store, file, hint)
    if inspect.iscoroutinefunction(getattr(store, "execute_command", None)):
        raise TypeError(
            "store= takes the sync redis.Redis: it is called off the event loop, and serves sync "
            "and async calls alike"
        )
    if hasattr(store, "evalsha") and hasattr(store, "eval"):
        return "client", store
    raise TypeError(f"{hint}, not {type(store).__name__}")


def _at(url: str, file: str, hint: str) -> tuple[Kind, str]:
    scheme, found, rest = url.partition("://")
    if found and scheme == "sqlite":
        path = rest.removeprefix("/")
        if not path or path == ":memory:" or "?" in path or not rest.startswith("/"):
            raise ValueError(
                f'a SQLite store is a file: write store="sqlite:///{file}", with four slashes '
                "for an absolute path, or leave store= out for this process's memory"
            )
        return "sqlite", path
    if found and scheme in {"redis", "rediss", "unix"}:
        return "redis", url
    # What was passed may hold a password: it is not repeated.
    raise ValueError(f"{hint}, not a text of another form")
