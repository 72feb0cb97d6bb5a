"""Cached answers in a SQLite file: shared by the processes of one machine, kept over restarts."""

from __future__ import annotations

import functools
from itertools import islice
from typing import TYPE_CHECKING, Final

from agentguard.stores.entries import Entries, Entry, Size
from agentguard.stores.packed import digest, pack, unpack
from agentguard.stores.sqlite_file import SQLiteFile, Tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

__all__ = ["SQLiteEntries"]

MAX_ENTRIES: Final = 1_000_000
MAX_BYTES: Final = 1_000_000_000
STEP: Final = 500
"""Entries that are gone through at a time, so that no other process waits for long."""

# The sums of a space are kept by triggers: counting at each put would go through all of it.
_TABLES: Final = Tables(
    "cache",
    1,
    (
        """
        CREATE TABLE cache_entries (
            id INTEGER PRIMARY KEY, space TEXT NOT NULL, key TEXT NOT NULL, stored REAL NOT NULL,
            keeps REAL NOT NULL, size INTEGER NOT NULL, packed BLOB NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX cache_entries_by_key ON cache_entries (space, key)",
        "CREATE INDEX cache_entries_by_age ON cache_entries (space, stored)",
        "CREATE INDEX cache_entries_by_end ON cache_entries (space, keeps, size)",
        """
        CREATE TABLE cache_tags (
            tag TEXT NOT NULL, entry INTEGER NOT NULL REFERENCES cache_entries ON DELETE CASCADE,
            PRIMARY KEY (tag, entry)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX cache_tags_by_entry ON cache_tags (entry)",
        """
        CREATE TABLE cache_sizes (
            space TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        """
        CREATE TRIGGER cache_entries_in AFTER INSERT ON cache_entries BEGIN
            INSERT INTO cache_sizes VALUES (NEW.space, 1, NEW.size) ON CONFLICT DO UPDATE
            SET entries = entries + 1, bytes = bytes + NEW.size;
        END
        """,
        """
        CREATE TRIGGER cache_entries_out AFTER DELETE ON cache_entries BEGIN
            UPDATE cache_sizes SET entries = entries - 1, bytes = bytes - OLD.size
            WHERE space = OLD.space;
        END
        """,
    ),
)

_GET: Final = "SELECT packed FROM cache_entries WHERE space = ? AND key = ?"
_INSERT: Final = (
    "INSERT INTO cache_entries (space, key, stored, keeps, size, packed) VALUES (?, ?, ?, ?, ?, ?)"
)
_DELETE: Final = "DELETE FROM cache_entries WHERE space = ? AND key = ?"
_OVER: Final = """
DELETE FROM cache_entries WHERE id IN
(SELECT id FROM cache_entries WHERE space = ? AND keeps <= ? ORDER BY keeps LIMIT 20)
"""
_TAGGED: Final = """
DELETE FROM cache_entries WHERE id IN (SELECT entry FROM cache_tags WHERE tag = ? LIMIT ?)
"""
_CLEARED: Final = """
DELETE FROM cache_entries WHERE id IN (SELECT id FROM cache_entries WHERE space = ? LIMIT ?)
"""
_SCAN: Final = """
SELECT id, key, packed FROM cache_tags JOIN cache_entries ON id = entry
WHERE tag = ? AND entry > ? AND keeps > ? ORDER BY entry LIMIT ?
"""
_SIZE: Final = """
SELECT entries - over, bytes - size FROM cache_sizes,
(SELECT COUNT(*) AS over, COALESCE(SUM(size), 0) AS size FROM cache_entries
WHERE space = :space AND keeps <= :now)
WHERE space = :space
"""


class SQLiteEntries(Entries):
    """Answers that all processes on this machine share, through a file on a local disk.

    Reading writes nothing, so what was stored first leaves first, however often it is read.
    A budget's ledger may be in the same file. A file that is deleted is made anew.

    Args:
        path: of the file; its folder must exist. One that is not there is made, for its owner alone.
        max_entries: how many a space holds at most.
        max_bytes: how many bytes their values have at most. The file is larger by what is kept
            beside them, and does not shrink.

    Raises:
        StoreUnavailable: by its operations: the file cannot be opened or written, is no database,
            or other processes kept it locked for 0.2 s.
    """

    remote = True

    def __init__(
        self, path: str, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES
    ) -> None:
        # In WAL mode who reads never waits for who writes, unless on one connection.
        self._reader = SQLiteFile(path, _TABLES)
        self._writer = SQLiteFile(path, _TABLES)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.place = self._reader.place

    def __repr__(self) -> str:
        return f"<SQLiteEntries {self._reader.path!r}>"

    def get(self, space: str, key: str, now: float) -> Entry | None:
        """See `Entries`."""
        row = self._reader.read(lambda db: db.execute(_GET, (space, key)).fetchone())
        entry = unpack(row[0]) if row is not None else None
        return entry if entry is not None and now < entry.keeps else None

    def get_many(self, space: str, keys: Sequence[str], now: float) -> list[Entry | None]:
        """See `Entries`."""
        found: list[Entry | None] = []
        for start in range(0, len(keys), STEP):
            rows = self._reader.read(functools.partial(_rows, space, keys[start : start + STEP]))
            found += [unpack(row[0]) if row is not None else None for row in rows]
        return [entry if entry is not None and now < entry.keeps else None for entry in found]

    def put(self, space: str, key: str, entry: Entry, now: float) -> None:
        """See `Entries`."""
        self.put_many(space, {key: entry}, now)

    def put_many(self, space: str, entries: Mapping[str, Entry], now: float) -> None:
        """See `Entries`; each step is one transaction."""
        left = iter(entries.items())
        while some := [(key, entry, pack(entry)) for key, entry in islice(left, STEP)]:
            self._writer.write(functools.partial(self._put, space, some, now))

    def delete(self, space: str, key: str) -> None:
        """See `Entries`."""
        self._writer.write(lambda db: db.execute(_DELETE, (space, key)))

    def invalidate(self, space: str, tag: str) -> int:
        """See `Entries`."""
        return self._drop(_TAGGED, digest(space, tag))

    def scan(self, space: str, tag: str, now: float) -> list[tuple[str, Entry]]:
        """See `Entries`."""
        found: list[tuple[str, Entry]] = []
        name, last = digest(space, tag), 0
        while True:
            rows = self._reader.read(functools.partial(_scanned, name, now, last))
            for _, key, packed in rows:
                entry = unpack(packed)
                if entry is not None and now < entry.keeps:
                    found.append((key, entry))
            if len(rows) < STEP:
                return found
            last = rows[-1][0]

    def clear(self, space: str) -> int:
        """See `Entries`."""
        return self._drop(_CLEARED, space)

    def size(self, space: str, now: float) -> Size:
        """See `Entries`."""
        asked = {"space": space, "now": now}
        row = self._reader.read(lambda db: db.execute(_SIZE, asked).fetchone())
        return Size(0, 0) if row is None else Size(*row)

    def close(self) -> None:
        """See `Entries`."""
        self._reader.close()
        self._writer.close()

    def _put(
        self,
        space: str,
        some: list[tuple[str, Entry, bytes]],
        now: float,
        db: sqlite3.Connection,
    ) -> None:
        for key, entry, packed in some:
            db.execute(_DELETE, (space, key))
            size = len(entry.value)
            if now >= entry.keeps or size > self._max_bytes:
                continue
            given = (space, key, entry.stored, entry.keeps, size, packed)
            row = db.execute(_INSERT, given).lastrowid
            tags = [(digest(space, tag), row) for tag in entry.tags]
            db.executemany("INSERT OR IGNORE INTO cache_tags VALUES (?, ?)", tags)
        db.execute(_OVER, (space, now))
        self._push_out(space, db)

    def _push_out(self, space: str, db: sqlite3.Connection) -> None:
        """Delete the oldest until what is left is within the bounds."""
        held = db.execute(
            "SELECT entries, bytes FROM cache_sizes WHERE space = ?", (space,)
        ).fetchone()
        many, much = held or (0, 0)
        if many <= self._max_entries and much <= self._max_bytes:
            return
        oldest = db.execute(
            "SELECT id, size FROM cache_entries WHERE space = ? ORDER BY stored, id", (space,)
        )
        leaving: list[tuple[int]] = []
        for row, size in oldest:
            leaving.append((row,))
            many, much = many - 1, much - size
            if many <= self._max_entries and much <= self._max_bytes:
                break
        db.executemany("DELETE FROM cache_entries WHERE id = ?", leaving)

    def _drop(self, statement: str, of: str) -> int:
        total = 0
        while True:
            gone = self._writer.write(lambda db: db.execute(statement, (of, STEP)).rowcount)
            total += gone
            if gone < STEP:
                return total


def _rows(space: str, keys: Sequence[str], db: sqlite3.Connection) -> list[tuple[object] | None]:
    return [db.execute(_GET, (space, key)).fetchone() for key in keys]


def _scanned(
    tag: str, now: float, last: int, db: sqlite3.Connection
) -> list[tuple[int, str, object]]:
    return db.execute(_SCAN, (tag, last, now, STEP)).fetchall()
