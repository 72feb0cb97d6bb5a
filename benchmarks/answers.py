"""What it costs to keep a cached answer and to get it back, beside diskcache and redis-py."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from typing import TYPE_CHECKING, Any

import diskcache

from agentguard.stores.entries import Entry
from agentguard.stores.open import open_entries
from benchmarks.common import Row, against, calls, section
from tests.policies.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ABOUT = (
    "Stores of 5,000 answers with a tag and a lifetime, got and put in random order. The peer of "
    "memory and SQLite is `diskcache.Cache`, which keeps bytes as they are in SQLite too; that of "
    "Redis, a real server on this machine, is redis-py's own `get` and `set(..., px=)`: what a store "
    "adds is a worker thread, which bounds the wait, and in a put the lists for tags and sizes. "
    "`get` of SQLite writes nothing, nor does diskcache's with its default settings."
)
MANY = 5_000
SIZES = (500, 2_000, 20_000)
NOW = 1_764_000_000.0


def keys() -> Iterator[str]:
    """Names as long as a digest, in an order that no cache of pages foresees."""
    names = [f"{number:032x}" for number in range(MANY)]
    random.Random(1).shuffle(names)
    return itertools.cycle(names)


def entry(size: int) -> Entry:
    """Make an answer of that many bytes."""
    return Entry(os.urandom(size), NOW, NOW + 3600, NOW + 7200, 1.5, ("gpt-5",))


def getting(get: Callable[..., Any], *space: str, now: tuple[float, ...] = ()) -> Any:
    """Get one answer after the other; each must be there."""
    names = keys()

    def one(_: object) -> None:
        if get(*space, next(names), *now) is None:
            raise RuntimeError("an answer is missing")

    return one


def measure(folder: str, port: int, size: int) -> list[Row]:
    """Measure all stores with answers of one size."""
    import redis

    plain = redis.Redis(port=port)
    plain.flushall()
    peer = diskcache.Cache(f"{folder}/diskcache-{size}")
    stores = {
        "memory": open_entries(max_entries=MANY, max_bytes=MANY * size),
        "SQLite": open_entries(f"sqlite:///{folder}/answers-{size}.db"),
        "Redis": open_entries(f"redis://127.0.0.1:{port}/0"),
    }
    names, given = keys(), entry(size)
    for name in itertools.islice(names, MANY):
        peer.set(name, os.urandom(size), expire=7200, tag="gpt-5")
        plain.set(name, os.urandom(size), px=7_200_000)
        for store in stores.values():
            store.put("faq", name, entry(size), NOW)
    gets = {"diskcache": getting(peer.get), "redis-py": getting(plain.get)}
    puts: dict[str, Any] = {
        "diskcache": lambda _: peer.set(next(names), given.value, expire=7200, tag="gpt-5"),
        "redis-py": lambda _: plain.set(next(names), given.value, px=7_200_000),
    }
    for kind, store in stores.items():
        gets[kind] = getting(store.get, "faq", now=(NOW,))
        puts[kind] = lambda _, store=store: store.put("faq", next(names), given, NOW)
    measured = {"get": calls(gets), "put": calls(puts, repeats=40)}
    peer.close()
    plain.close()
    rows: list[Row] = []
    for work, found in measured.items():
        for kind in stores:
            other = "redis-py" if kind == "Redis" else "diskcache"
            most = 2.0 if (work, kind) == ("get", "SQLite") else None
            case = f"{work}, {size:,} bytes: {kind}, {other}"
            rows.append(against(case, found[kind], found[other], most=most))
    for store in stores.values():
        store.close()
    return rows


def main() -> None:
    """Measure and print."""
    server = RedisServer()
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = [row for size in SIZES for row in measure(folder, server.port, size)]
    finally:
        server.stop()
    print(section(ABOUT, rows, "diskcache", "redis"))


if __name__ == "__main__":
    main()
