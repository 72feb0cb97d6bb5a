"""Clients that leave, at every moment and in every way: nothing of theirs stays behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

import agentguard as ag
from agentguard.engine import loop as engine_loop
from agentguard.engine import streams as engine_streams
from agentguard.engine import workers
from agentguard.engine.call import Attempt, Call
from agentguard.engine.lost import lost, settle_lost
from agentguard.engine.reply import Reply, Source
from agentguard.testing import FakeProvider, fault
from tests.integrations.web import SHAPES, SMALL, SSE, Server, Streams, serving

# By itself the collector may run on another thread while httpx's generator runs on the loop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <async_generator:pytest.PytestUnraisableExceptionWarning"
)

AT_ONCE = 40
LONG = ["x" * 40_000] * 500
"""An answer that no buffer between a provider and a client that does not read can hold."""


class Tally(ag.Policy):
    """Counts how calls began and ended."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begun = 0
        self.kinds: dict[str, int] = {}

    async def around(self, call, next):
        with self.lock:
            self.begun += 1
        return await ag.observe(next(call), self.count)

    def count(self, outcome) -> None:
        with self.lock:
            self.kinds[outcome.kind] = self.kinds.get(outcome.kind, 0) + 1


class Site:
    """One provider, one application with an endpoint for each shape, one server."""

    def __init__(self, provider: FakeProvider, tally: Tally, streams: Streams) -> None:
        self.provider = provider
        self.tally = tally
        self.streams = streams
        self.app = FastAPI()
        for number, shape in enumerate(SHAPES):
            self._endpoint(f"/{number}", shape)
        self.server: Server

    def _endpoint(self, path: str, shape: str) -> None:
        if "async" in shape:

            async def aanswer(q: str = "") -> Any:
                made = self.streams.respond(shape, [{"role": "user", "content": q}])
                return await made if asyncio.iscoroutine(made) else made

            self.app.get(path, response_model=None)(aanswer)
        else:

            def answer(q: str = "") -> Any:  # FastAPI runs it in a thread, as it would a user's
                return self.streams.respond(shape, [{"role": "user", "content": q}])

            self.app.get(path, response_model=None)(answer)

    def left(self) -> dict[str, object]:
        """What is not over of all that a request may have begun."""
        settle_lost()
        engine_streams.look(0.0)
        found = {
            "connections": len(self.server.connections),
            "to settle": len(lost),
            "clean-up": len(engine_loop.held),
            "streams": [each.attempt.call.target.name for each in engine_streams._open],
            "calls": self.tally.begun - sum(self.tally.kinds.values()),
            "workers": busy_workers(),
            "requests": not self.provider.settle(0.0),
        }
        return {name: count for name, count in found.items() if count}

    def idle(self) -> bool:
        """Whether everything is over. A task that Starlette cancels leaves cycles of frames."""
        collect(self.server)
        return not self.left()


def busy_workers() -> int:
    """How many of the library's threads are at work."""
    threads = [t for t in threading.enumerate() if t.name == "agentguard-worker"]
    return len(threads) - len(workers._idle)


def until(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for what other threads bring about."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def collect(server: Server) -> None:
    """Run the collector on the server's loop, whose async generators it finalizes."""

    async def there() -> None:
        gc.collect()

    server.on_loop(there)


def objects(server: Server) -> dict[str, int]:
    """How many objects of a call are alive."""
    collect(server)
    kinds = (Attempt, Call, Reply, Source, engine_streams.Stream, engine_streams.AsyncStream)
    found = [type(each).__name__ for each in gc.get_objects() if issubclass(type(each), kinds)]
    return {kind.__name__: found.count(kind.__name__) for kind in kinds}


def tasks(server: Server) -> int:
    """How many tasks the server's loop has."""

    async def count() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    return int(server.on_loop(count))


def open_in_pools(streams: Streams) -> list[str]:
    """The connections to the provider on which something is still under way."""
    pools = (client._client._transport._pool for client in (streams.client, streams.aclient))
    return [repr(each) for pool in pools for each in pool.connections if not each.is_idle()]


@pytest.fixture
def site() -> Iterator[Site]:
    """A running site, which is checked to have let everything go when it is over."""
    before = descriptors()
    with FakeProvider() as provider:
        tally = Tally()
        site = Site(provider, tally, Streams(provider, tally))
        with serving(site.app, site.streams) as site.server:
            yield site
        assert until(lambda: provider.connections == 0)
    del site
    gc.collect()
    assert until(lambda: descriptors() <= before), (before, descriptors())


class Visitor:
    """One client: how it asks, how much it reads, and how it leaves."""

    def __init__(self, chance: random.Random, number: int) -> None:
        self.shape = number % len(SHAPES)
        self.way = chance.choices(["stays", "leaves", "resets", "stalls"], [2, 4, 3, 1])[0]
        self.bytes = chance.choice([0, 0, 1, 150, 200, 250, 300, 400, 600])
        self.patience = chance.random() * 0.06
        self.question = "long" if self.way == "stalls" else f"{number}"

    async def visit(self, port: int) -> bytes:
        """Ask, read so much, stay or leave."""
        sock = socket.socket()
        if self.way == "stalls":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, ("127.0.0.1", port))
            request = f"GET /{self.shape}?q={self.question} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            await loop.sock_sendall(sock, request.encode())
            if self.way == "stays":
                return await self._read(loop, sock, 1 << 30)
            await self._read(loop, sock, self.bytes)
            await asyncio.sleep(0.3 if self.way == "stalls" else self.patience)
            if self.way == "resets":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        finally:
            sock.close()

    async def _read(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, most: int) -> bytes:
        got = b""
        while len(got) < most:
            piece = await loop.sock_recv(sock, min(65536, most - len(got)))
            if not piece:
                break
            got += piece
        return got


def provided(chance: random.Random) -> Callable[[int, Any], Any]:
    """What the provider does with each request: quick, slow, silent for a while, cut, refused."""
    lock = threading.Lock()

    def choose(number: int, received: Any) -> Any:
        if received.body["messages"][0]["content"] == "long":
            return fault.ok(chunks=LONG)
        with lock:
            pick, pace = chance.random(), chance.random()
        if pick < 0.05:
            return fault.status(503)
        if pick < 0.10:
            return fault.cut(after=3)
        if pick < 0.3:
            return fault.ok("one two three four five six seven eight nine ten")
        return fault.slow("one two three four five six seven", first=pace * 0.06, each=pace * 0.01)

    return choose


async def crowd(port: int, visitors: list[Visitor]) -> None:
    """Send them all, some at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(visitor: Visitor) -> None:
        async with room:
            got = await visitor.visit(port)
            if visitor.way == "stays":
                assert got.startswith(b"HTTP/1.1 "), got[:80]

    await asyncio.gather(*map(one, visitors))


@pytest.mark.parametrize(
    "visits", [160, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_clients_that_leave_at_random_leave_nothing_behind(site, visits):
    """Streams abandoned at any moment, blocked sends too: nothing of any of them is left over."""
    chance = random.Random(visits)
    site.provider.schedule(provided(random.Random(7)))
    asyncio.run(crowd(site.server.port, [Visitor(chance, n) for n in range(64)]))  # warm up
    assert until(site.idle)
    first = {"tasks": tasks(site.server), **objects(site.server)}
    began = time.monotonic()

    asyncio.run(crowd(site.server.port, [Visitor(chance, n) for n in range(visits)]))

    took = time.monotonic() - began
    quiet = until(site.idle)
    until(lambda: {"tasks": tasks(site.server), **objects(site.server)} == first)
    last = {"tasks": tasks(site.server), **objects(site.server)}
    figures = {
        "visits": visits,
        "seconds": round(took, 1),
        "until quiet": round(time.monotonic() - began - took, 2),
        "outcomes": site.tally.kinds,
        "left by the provider's clients": sum(
            each.client_disconnected for each in site.provider.journal
        ),
        "threads": threading.active_count(),
        **last,
    }
    logging.getLogger(__name__).info("%s", figures)  # shown by --log-cli-level=INFO
    assert quiet, (site.left(), figures)
    assert last == first
    assert open_in_pools(site.streams) == []
    assert site.tally.kinds["abandoned"] > visits / 10
    assert site.tally.kinds["completed"] > visits / 10


@pytest.mark.parametrize("shape", ["async generator", *SSE])
def test_what_is_left_is_let_go_without_the_collector(site, shape):
    """A client that leaves has its stream closed at once, not at the next collection."""
    chance = random.Random(5)
    site.provider.schedule(provided(random.Random(7)))
    visitors = [Visitor(chance, n) for n in range(24)]
    for visitor in visitors:
        visitor.shape = SHAPES.index(shape)
    gc.collect()
    gc.disable()
    try:
        asyncio.run(crowd(site.server.port, visitors))
        assert until(lambda: not site.left(), 10), site.left()
    finally:
        gc.enable()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_send_that_blocks_is_given_up_when_its_client_leaves(site, shape):
    """The client stops reading, its server waits to write; then it goes, and so does the stream."""
    site.provider.always(fault.ok(chunks=LONG))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        sock.connect(("127.0.0.1", site.server.port))
        sock.sendall(f"GET /{SHAPES.index(shape)} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        assert sock.recv(100)
        assert until(lambda: any(each.flow.write_paused for each in site.server.connections))
    assert until(site.idle), site.left()
    (request,) = site.provider.journal
    assert request.client_disconnected
    assert site.tally.kinds == {"abandoned": 1}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_client_that_leaves_during_a_silence_ends_the_call(site, shape):
    """While the model thinks the client goes: in async shapes its connection is closed at once."""
    long = 30 if "async" in shape else 0.3  # a thread that reads cannot be stopped
    site.provider.always(fault.slow("one two", first=0.01, each=long))
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", site.server.port))
        sock.sendall(f"GET /{SHAPES.index(shape)} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        got = b""
        while b"one" not in got:
            got += sock.recv(1000)
    assert until(site.idle, 10), site.left()
    (request,) = site.provider.journal
    assert request.client_disconnected or "async" not in shape
    assert site.tally.kinds == {"abandoned": 1}
