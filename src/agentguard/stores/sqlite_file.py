"""A SQLite file that several processes use, each for 0.2 s at most and whatever becomes of it.

Tables are made on first use; `agentguard_schemas` says in which version, and other tables may live
beside them. What was committed survives the death of any process, and nothing is left half done.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from agentguard.stores.forks import survive
from agentguard.stores.unavailable import WITHIN, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SQLiteFile", "Tables"]

T = TypeVar("T")

LATELY: Final = 0.05
"""Seconds for which a file that was there is believed to be: to look costs a fifth of a read."""


class Tables(NamedTuple):
    """What one kind of store keeps in a file.

    Attributes:
        name: of the kind: "ledger".
        version: of these statements.
        statements: that make them.
        deleted: why a file that was deleted is not made anew; empty where nothing is lost by it.
    """

    name: str
    version: int
    statements: tuple[str, ...]
    deleted: str = ""


class SQLiteFile:
    """One connection to a file, on which threads take turns.

    Args:
        path: of the file; its folder must exist. One that is not there is made, for its owner alone.
        tables: what is made in it.
    """

    def __init__(self, path: str, tables: Tables) -> None:
        self.path = str(Path(path).absolute())
        self.place = f"the SQLite file {self.path}"
        self.lock = threading.Lock()
        self._tables = tables
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._sure = 0.0
        survive(self)

    def __del__(self) -> None:
        """Close what nobody has closed: Python 3.13 warns of a connection that is dropped open."""
        if getattr(self, "_db", None) is not None:
            self._disconnect()

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work`, which asks for what was committed; it is done again if it was held up."""
        return self._take_turn(_patiently, work)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in a transaction with the write lock: what it reads stays true, or nothing is done."""
        return self._take_turn(_transact, work)

    def close(self) -> None:
        """Let go of the connection; the next use opens it again."""
        with self.lock:
            self._disconnect()

    def before_fork(self) -> None:
        """SQLite's locks do not survive a fork: neither side goes on with this connection."""
        self._disconnect()

    def in_child(self) -> None:
        """Should the connection be busy at the fork: left alone, as closing it would break it."""
        if self._db is not None:
            _inherited.append(self._db)
            self._db = None

    def unavailable(self, reason: str) -> StoreUnavailable:
        """The error that says so."""
        return StoreUnavailable(f"{self.place} cannot be used: {reason}")

    def _take_turn(
        self,
        how: Callable[[sqlite3.Connection, Callable[[sqlite3.Connection], T], float], T],
        work: Callable[[sqlite3.Connection], T],
    ) -> T:
        # Real time, whatever clock is in use: other processes really hold the lock.
        end = time.monotonic() + WITHIN
        if not self.lock.acquire(timeout=WITHIN):  # its waiters are served fairly
            raise self.unavailable("the other threads of this process kept it busy")
        try:
            return how(self._connected(end), work, end)
        except sqlite3.Error as error:
            if not _is_busy(error):
                self._disconnect()
            raise self.unavailable(_reason(error)) from error
        finally:
            self.lock.release()

    def _connected(self, end: float) -> sqlite3.Connection:
        """The connection to the file that is there now."""
        if self._db is not None:
            if end < self._sure:
                return self._db
            if self._file == _identity(self.path):
                self._sure = end + LATELY
                return self._db
            self._disconnect()
        if self._file is not None and self._tables.deleted and _identity(self.path) is None:
            raise self.unavailable(f"the file was deleted; {self._tables.deleted}")
        _make(self.path)
        db = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            _patiently(db, _execute("PRAGMA journal_mode = WAL"), end)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            if _patiently(db, self._version, end) is None:
                _transact(db, self._make_tables, end)
        except BaseException:
            db.close()
            raise
        self._db, self._file = db, _identity(self.path)
        return db

    def _version(self, db: sqlite3.Connection) -> int | None:
        """The version of our tables, which must be this one; None where there are none."""
        known = "SELECT 1 FROM sqlite_schema WHERE name = 'agentguard_schemas'"
        if db.execute(known).fetchone() is None:
            return None
        name, version = self._tables[:2]
        found = db.execute(
            "SELECT version FROM agentguard_schemas WHERE tables = ?", (name,)
        ).fetchone()
        if found is not None and found[0] != version:
            raise self.unavailable(
                f"its tables are of version {found[0]} and this agentguard writes version "
                f"{version}; use one version of agentguard for one file"
            )
        return None if found is None else version

    def _make_tables(self, db: sqlite3.Connection) -> None:
        if self._version(db) is not None:  # another process was faster
            return
        db.execute(
            "CREATE TABLE IF NOT EXISTS agentguard_schemas "
            "(tables TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        )
        for statement in self._tables.statements:
            db.execute(statement)
        db.execute("INSERT INTO agentguard_schemas VALUES (?, ?)", self._tables[:2])

    def _disconnect(self) -> None:
        if self._db is not None:
            db, self._db = self._db, None
            with contextlib.suppress(sqlite3.Error):
                db.close()


def _patiently(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], end: float) -> T:
    """Do what other processes' locks may hold up."""
    # SQLite's own waiting sleeps up to a tenth of a second while the lock may long be free.
    while True:
        try:
            return work(db)
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > end:
                raise
        time.sleep(random.uniform(0.0005, 0.003))


def _transact(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], end: float) -> T:
    _patiently(db, _execute("BEGIN IMMEDIATE"), end)
    try:
        value = work(db)
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return value


def _execute(statement: str) -> Callable[[sqlite3.Connection], sqlite3.Cursor]:
    return lambda db: db.execute(statement)


def _make(path: str) -> None:
    """Make the file, unless it is there; the files that SQLite puts beside it get its mode."""
    # Closing a file takes away all locks that this process has on it: never one that SQLite has open.
    with _making, contextlib.suppress(OSError):  # SQLite will say what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }


def _identity(path: str) -> tuple[int, int] | None:
    """Which file it is: one that is deleted while open goes on accepting what nobody will read."""
    try:
        found = os.stat(path)  # noqa: PTH116  pathlib takes twice as long, at each use
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _REASONS.get(code) or str(error)


_REASONS: Final = {
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {WITHIN} s",
    sqlite3.SQLITE_LOCKED: f"another connection kept it locked for {WITHIN} s",
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened; its folder must exist, and this process must be allowed to write there"
    ),
    sqlite3.SQLITE_READONLY: "this process may not write to it, or to its folder",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it, or move it away to begin anew",
}

_inherited: Final[list[sqlite3.Connection]] = []
_making: Final = threading.Lock()
