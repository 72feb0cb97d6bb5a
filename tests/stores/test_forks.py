"""A forked child shares no connection, no lock and no lease with its parent."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.stores.ledger import Ledger, Status, StoreUnavailable
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.sqlite import SQLiteLedger
from tests.stores.kit import LIMIT, account, take

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a forked child and fail if it fails there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def eventually(ask: Callable[[], Status]) -> Status:
    """The answer of a store, on a machine that may be too busy to give it at once."""
    for _ in range(50):
        with contextlib.suppress(StoreUnavailable):
            return ask()
    raise AssertionError("the store never answered")


def test_parent_and_child_go_on_with_connections_of_their_own(ledger: Ledger, store: object):
    """A shared store counts both; memory counts each alone, from what was used before."""
    shared = not isinstance(store, MemoryLedger)
    ledger.settle(take(ledger, account(), 100), 100, LIMIT, 1)
    lease = take(ledger, account(), 200)

    def work() -> None:
        assert ledger.status(account(), 1) == Status(100, 200 if shared else 0, 0)
        mine = take(ledger, account(), 300)
        assert ledger.settle(mine, 300, LIMIT, 1).used == 400
        ledger.close()

    in_child(work)
    assert ledger.settle(lease, 200, LIMIT, 1).used == (600 if shared else 300)
    assert ledger.status(account(), 1).reserved == 0


def test_leases_of_parent_and_child_differ(ledger: Ledger):
    """The child's ids are not its parent's next ones."""
    reading, writing = os.pipe()
    in_child(lambda: os.write(writing, account().lease().id.encode()) and None)
    child, parent = os.read(reading, 100).decode(), account().lease().id
    os.close(reading)
    os.close(writing)
    assert child.partition("-")[0] != parent.partition("-")[0]


def test_forks_in_the_middle_of_work(ledger: Ledger):
    """Children forked while threads reserve and settle find no lock taken and nothing half done."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            lease = account().lease()
            with contextlib.suppress(StoreUnavailable):  # the machine is busy
                ledger.reserve(lease, 10, LIMIT, 0, 60, "refund")
                ledger.settle(lease, 0, LIMIT, 1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for each in threads:
        each.start()

    def work() -> None:
        status = eventually(lambda: ledger.status(account(), 1))
        assert status.used == 0
        assert 0 <= status.reserved <= LIMIT

    try:
        for _ in range(10):
            in_child(work)
    finally:
        over.set()
        for each in threads:
            each.join()
    assert ledger.status(account(), 100) == Status(0, 0, 0)


def test_threads_fork_at_the_same_time(ledger: Ledger):
    """Two forks at once neither wait for each other nor let go of each other's locks."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(5):
                in_child(lambda: eventually(lambda: ledger.status(account(), 1)) and None)
        except BaseException as error:
            failed.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=run) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert not failed
    assert take(ledger, account(), 10)


def test_a_sqlite_connection_is_closed_before_a_fork(tmp_path: Path):
    """Its locks would be believed in by the child, and closing it there would break the parent's."""
    ledger = SQLiteLedger(str(tmp_path / "budgets.db"))
    ledger.status(account(), 1)

    def work() -> None:
        assert ledger._file._db is None

    in_child(work)
    assert ledger._file._db is None
    ledger.close()
