"""The three stores, each empty, and each reached as another process would reach it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentguard.stores import redis_client, sqlite_file
from agentguard.stores.entries import Entries
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.stores.ledger import Ledger
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.open import open_entries, open_store
from tests.policies.redis_server import RedisServer
from tests.stores.entries_kit import Open
from tests.stores.kit import Handles


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
    return MemoryEntries()


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
