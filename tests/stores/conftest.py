"""The three stores, each empty, and each reached as another process would reach it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentguard.stores import redis_client, sqlite_file
from agentguard.stores.entries import Entries
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.stores.ledger import Ledger
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.open import open_entries, open_store
from tests.policies.redis_server import RedisServer
from tests.stores.entries_kit import Open
from tests.stores.kit import SECRET, Handles


@pytest.fixture(scope="session")
def started() -> Iterator[RedisServer]:
    """One server for all tests of this process."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(started: RedisServer) -> RedisServer:
    """The server, empty."""
    client = started.client()
    client.flushall()
    client.close()
    return started


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may freeze and stop."""
    server = RedisServer("--save", "", "--requirepass", SECRET, "--dir", str(tmp_path))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisServer]:
    """A cluster of one node, which insists on slots like any other."""
    with socket.socket() as free:  # by default the port and 10,000, which may be no port at all
        free.bind(("127.0.0.1", 0))
        bus = str(free.getsockname()[1])
    options = ("--save", "", "--cluster-enabled", "yes", "--cluster-port", bus)
    server = RedisServer(*options, "--dir", str(tmp_path))
    server.start()
    client = server.client()
    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    while b"cluster_state:ok" not in _bytes(client.execute_command("CLUSTER INFO")):
        pass
    client.close()
    yield server
    server.stop()


def _bytes(reply: Any) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).replace("': '", ":").encode()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """What a user passes as `store=`."""
    if request.param == "redis":
        return f"redis://127.0.0.1:{request.getfixturevalue('server').port}/0"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'budgets.db'}"
    return MemoryLedger()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores wait for long: a busy machine must not fail what is not about bounds."""
    monkeypatch.setattr(sqlite_file, "WITHIN", 30.0)
    monkeypatch.setattr(redis_client, "WITHIN", 30.0)
    monkeypatch.setattr(redis_client, "_SOCKET", 30.0)


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite files are looked for at each operation, not only twenty times a second."""
    monkeypatch.setattr(sqlite_file, "LATELY", 0.0)


@pytest.fixture
def handles(store: object, patient: None) -> Iterator[Handles]:
    """Make ledgers on the store; memory has only one."""
    made: list[Ledger] = []

    def make() -> Ledger:
        made.append(open_store(store))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def ledger(handles: Handles) -> Ledger:
    """One ledger on the store."""
    return handles()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """What a user passes as `store=` to a cache."""
    if request.param == "redis":
        return f"redis://127.0.0.1:{request.getfixturevalue('server').port}/0"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'answers.db'}"
    return MemoryEntries(max_entries=10_000)


@pytest.fixture
def open_one(kept: object, patient: None) -> Iterator[Open]:
    """Open the store; in memory there is only one."""
    made: list[Entries] = []

    def make() -> Entries:
        made.append(open_entries(kept))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def entries(open_one: Open) -> Entries:
    """One handle on the store."""
    return open_one()
