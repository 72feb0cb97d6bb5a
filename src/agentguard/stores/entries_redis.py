"""Cached answers in Redis: shared by every host that reaches it, and spread over a cluster."""

from __future__ import annotations

import math
import secrets
import zlib
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from agentguard.stores.entries import Entries, Entry, Size
from agentguard.stores.entries_redis_script import GET, SCRIPT
from agentguard.stores.packed import digest, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentguard.stores.redis_client import RedisClient

__all__ = ["RedisEntries"]

T = TypeVar("T")

SHARDS: Final = 64
"""Into how many slots a space is cut: many beside the nodes of a cluster, few enough to ask all."""
STEP: Final = 100
"""Entries of a shard, or keys of a request, that are gone through at a time."""
LONGEST: Final = 3e9
"""Seconds, about a century, that Redis is told at most: beyond it no number is exact."""


class RedisEntries(Entries):
    """Answers that all hosts share.

    `get` and `put` are one script and one round trip. What is done to one entry is done at once,
    with its tags; what goes through many is not. When Redis is full its `maxmemory-policy` says
    what leaves; there are no other bounds.

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
        return f"<RedisEntries at {self.place}>"

    def get(self, space: str, key: str, now: float) -> Entry | None:
        """See `Entries`."""
        command = _get(space, key)
        packed = self._redis.run(lambda it: it.execute_command(*command, NEVER_DECODE=True))
        return _alive(packed, now)

    def get_many(self, space: str, keys: Sequence[str], now: float) -> list[Entry | None]:
        """See `Entries`; 100 are one round trip."""
        found: list[Entry | None] = []
        for some in _steps(keys):
            packed = self._ask([_get(space, key) for key in some])
            found += [_alive(each, now) for each in packed]
        return found

    def put(self, space: str, key: str, entry: Entry, now: float) -> None:
        """See `Entries`."""
        self._ask([_put(space, key, entry, now)])

    def put_many(self, space: str, entries: Mapping[str, Entry], now: float) -> None:
        """See `Entries`; 100 are one round trip."""
        for some in _steps(entries.items()):
            self._ask([_put(space, key, entry, now) for key, entry in some])

    def delete(self, space: str, key: str) -> None:
        """See `Entries`."""
        self._ask([_script(_shard(space, _number(key)), "delete", key)])

    def invalidate(self, space: str, tag: str) -> int:
        """See `Entries`."""
        return self._everywhere(space, "invalidate", *_range(tag)).entries

    def scan(self, space: str, tag: str, now: float) -> list[tuple[str, Entry]]:
        """See `Entries`: all keys are asked for at once, then their entries in steps."""
        lists = self._ask(
            [
                ("ZRANGEBYLEX", f"{_shard(space, number)}:tags", *_range(tag))
                for number in range(SHARDS)
            ]
        )
        keys = [name.decode().partition(" ")[2] for each in lists for name in each]
        found = zip(keys, self.get_many(space, keys, now), strict=True)
        # What was put since then may have lost the tag.
        return [(key, entry) for key, entry in found if entry is not None and tag in entry.tags]

    def clear(self, space: str) -> int:
        """See `Entries`."""
        return self._everywhere(space, "clear").entries

    def size(self, space: str, now: float) -> Size:
        """See `Entries`; what Redis pushed out by itself counts until it would be over."""
        return self._everywhere(space, "size", repr(now))

    def close(self) -> None:
        """See `Entries`."""
        self._redis.close()

    def _everywhere(self, space: str, *words: str) -> Size:
        """Run the script on all shards, again on those where there is more; the sum of it."""
        shards = [_shard(space, number) for number in range(SHARDS)]
        entries = size = 0
        while shards:
            replies = self._ask([_script(shard, *words) for shard in shards])
            entries += sum(reply[0] for reply in replies)
            size += sum(reply[2] for reply in replies)
            shards = [shard for shard, reply in zip(shards, replies, strict=True) if reply[1]]
        return Size(entries, size)

    def _ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """The replies, from one round trip to each node that is asked."""

        def work(client: Any) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                # A client may be set to read text, which the bytes of an entry are not.
                pipeline.execute_command(*command, NEVER_DECODE=True)
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            for reply in replies:  # redis-py would put the command into the message
                if isinstance(reply, Exception):
                    raise reply
            return replies

        return self._redis.run(work)


def _number(key: str) -> int:
    return zlib.crc32(key.encode()) % SHARDS


def _shard(space: str, number: int) -> str:
    """How all names of a shard begin; what is in braces decides on the slot."""
    return f"agentguard:cache:{{{quote(space, safe='')}:{number:02}}}"


def _get(space: str, key: str) -> tuple[Any, ...]:
    shard = _shard(space, _number(key))
    return "EVAL", GET, 2, f"{shard}:tags", f"{shard}:entry:{key}"


def _range(tag: str) -> tuple[str, str]:
    """From where to where the names of what has the tag are: "!" comes after " "."""
    name = digest(tag)
    return f"[{name} ", f"({name}!"


def _script(shard: str, operation: str, *arguments: Any) -> tuple[Any, ...]:
    return "EVAL", SCRIPT, 1, shard, operation, STEP, *arguments


def _put(space: str, key: str, entry: Entry, now: float) -> tuple[Any, ...]:
    shard = _shard(space, _number(key))
    lasts = min(entry.keeps - now, LONGEST)
    if lasts <= 0:
        return _script(shard, "delete", key)
    return _script(
        shard,
        "put",
        repr(now),
        key,
        repr(min(entry.keeps, now + LONGEST)),
        math.ceil(lasts * 1000),
        len(entry.value),
        pack(entry),
        secrets.token_hex(8),
        *(digest(tag) for tag in dict.fromkeys(entry.tags)),
    )


def _alive(packed: object, now: float) -> Entry | None:
    entry = unpack(packed)
    return entry if entry is not None and now < entry.keeps else None


def _steps(of: Iterable[T]) -> Iterator[list[T]]:
    left = iter(of)
    while some := list(islice(left, STEP)):
        yield some
