"""What only a file can do: be locked, read-only, deleted, foreign, and survive a kill."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentguard.stores.ledger import GRACE, Status, StoreUnavailable, Window
from agentguard.stores.sqlite import SQLiteLedger
from tests.stores.kit import LIMIT, account, take


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "budgets.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SQLiteLedger]:
    """A ledger on it."""
    ledger = SQLiteLedger(str(path))
    yield ledger
    ledger.close()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else's."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, who may write anywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_another_process_locks_is_given_up(path: Path, ledger: SQLiteLedger):
    """A lock that does not go away is waited for within the bound, and then said; later all is well."""
    alice = account()
    assert take(ledger, alice, 100)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"another process kept it locked for 0\.2 s"):
            take(ledger, alice, 100)
        other.execute("ROLLBACK")
    assert ledger.status(alice, 0) == Status(0, 100, 0)


def test_a_lock_that_goes_away_is_waited_for(path: Path, ledger: SQLiteLedger):
    """A lock held for a moment is not noticed."""
    ledger.status(account(), 0)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        taken: list[object] = []
        thread = threading.Thread(target=lambda: taken.append(take(ledger, account(), 100)))
        thread.start()
        other.execute("ROLLBACK")
        thread.join()
    assert taken != [None]


def test_threads_do_not_wait_for_a_thread_that_hangs(ledger: SQLiteLedger):
    """A thread that holds the connection too long costs the others a bounded wait."""
    with ledger._file.lock, pytest.raises(StoreUnavailable, match="other threads of this process"):
        take(ledger, account(), 100)


def test_a_folder_that_is_not_there(tmp_path: Path):
    """The message says what must exist."""
    ledger = SQLiteLedger(str(tmp_path / "missing" / "budgets.db"))
    with pytest.raises(StoreUnavailable, match="its folder must exist") as raised:
        take(ledger, account(), 100)
    assert str(tmp_path / "missing" / "budgets.db") in str(raised.value)


def test_a_file_that_may_not_be_written():
    """A read-only file and folder are refused with what is wrong."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    path = folder / "budgets.db"
    try:
        maker = SQLiteLedger(str(path))
        maker.status(account(), 0)
        maker.close()
        path.chmod(0o444)
        folder.chmod(0o555)
        ledger = SQLiteLedger(str(path))
        with as_nobody(), pytest.raises(StoreUnavailable, match=r"may not write|cannot be opened"):
            take(ledger, account(), 100)
        ledger.close()
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.usefixtures("watchful")
def test_a_file_that_is_deleted_is_not_made_anew_in_silence(path: Path, ledger: SQLiteLedger):
    """It would forget what was spent; a file that is put there again is used."""
    take(ledger, account(), 100)
    kept = path.with_name("kept.db")
    with opened(path) as db:
        db.execute("VACUUM INTO ?", (str(kept),))
    for each in path.parent.glob("budgets.db*"):
        each.unlink()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the file was deleted"):
            take(ledger, account(), 100)
    assert not path.exists()
    kept.rename(path)
    assert ledger.status(account(), 0) == Status(0, 100, 0)


def test_a_file_that_is_no_database(path: Path, ledger: SQLiteLedger):
    """A text file is left as it is."""
    path.write_text("not a database, " * 100)
    with pytest.raises(StoreUnavailable, match="it is no SQLite database"):
        take(ledger, account(), 100)
    assert path.read_text().startswith("not a database")


def test_other_tables_live_beside_ours(path: Path, ledger: SQLiteLedger):
    """A file that is in use for something else can hold budgets too."""
    with opened(path) as db:
        db.execute("CREATE TABLE accounts (id)")
        db.execute("PRAGMA user_version = 7")
        assert take(ledger, account(), 100)
        assert db.execute("PRAGMA user_version").fetchone() == (7,)


def test_tables_of_another_version_are_refused(path: Path, ledger: SQLiteLedger):
    """A newer agentguard's file is not written to by an older one."""
    ledger.status(account(), 0)
    ledger.close()
    with opened(path) as db:
        db.execute("UPDATE agentguard_schemas SET version = 2")
    with pytest.raises(StoreUnavailable, match="of version 2 and this agentguard writes version 1"):
        ledger.status(account(), 0)


def test_an_interrupted_operation_leaves_nothing_half_done(
    ledger: SQLiteLedger, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C in the middle of a transaction undoes it, and the next one works."""
    from agentguard.stores import sqlite

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sqlite._Entry, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take(ledger, account(), 100)
    assert ledger.status(account(), 0) == Status(0, 0, 0)
    assert take(ledger, account(), LIMIT)


def test_processes_make_the_file_at_the_same_time(path: Path):
    """Whoever comes first makes the tables, and all count on one account."""
    code = """
        import sys
        from agentguard.stores.open import open_store
        from tests.stores.kit import account, take
        ledger = open_store(sys.argv[1])
        assert take(ledger, account(), 10)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), f"sqlite:///{path}"]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(4)]
    assert [each.wait() for each in running] == [0] * 4
    ledger = SQLiteLedger(str(path))
    assert ledger.status(account(), 0) == Status(0, 40, 0)
    ledger.close()


def test_a_process_that_is_killed_in_a_transaction_leaves_none(path: Path, ledger: SQLiteLedger):
    """SIGKILL between reserving and committing: the lock is free and nothing was reserved."""
    ledger.status(account(), 0)
    code = """
        import os, signal, sys
        from agentguard.stores import sqlite
        from tests.stores.kit import account, take
        sqlite._Entry.save = lambda self: os.kill(os.getpid(), signal.SIGKILL)
        take(sqlite.SQLiteLedger(sys.argv[1]), account(), 100)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == -signal.SIGKILL
    assert ledger.status(account(), 0) == Status(0, 0, 0)


def test_windows_that_ended_are_dropped(path: Path, ledger: SQLiteLedger):
    """New accounts push out those whose window and leases are over, and nothing of them stays."""
    for minute in range(5):
        ends = 60.0 * (minute + 1)
        lease = take(ledger, account(window=Window(f"minute {minute}", ends)), 10)
        ledger.settle(lease, 10, LIMIT, 1, (1,))
    held = account(window=Window("minute held", 60.0))
    take(ledger, held, 10, expires=2000.0)
    ledger.status(account(window=Window("later", 2000.0)), 180.0 + GRACE + 1)
    with opened(path) as db:
        kept = {title for (title,) in db.execute("SELECT title FROM ledger_accounts")}
        rows = db.execute(
            "SELECT account FROM ledger_parts UNION SELECT account FROM ledger_told"
        ).fetchall()
    assert kept == {
        f"support tokens {each}" for each in ("minute 3", "minute 4", "minute held", "later")
    }
    assert len(rows) == 2


def test_no_key_is_in_the_file(path: Path, ledger: SQLiteLedger):
    """Whose account it is cannot be read from the file."""
    take(ledger, account("alice@example.com"), 10)
    ledger.close()
    assert b"alice" not in path.read_bytes()
