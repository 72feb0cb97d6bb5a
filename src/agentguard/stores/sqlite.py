"""Budgets in a SQLite file: shared by the processes of one machine, and safe from their crashes.

Every operation is one transaction that takes the write lock at its start, so that what it reads
stays true until it has written. A process that is killed leaves nothing half done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from agentguard.stores.ledger import GRACE, Ledger, Reserved, Settled, Status, check
from agentguard.stores.sqlite_file import SQLiteFile, Tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from agentguard.stores.ledger import Account, Lease, OnExpiry, Use, Window, Wish

__all__ = ["SQLiteLedger"]

T = TypeVar("T")

# An expired lease stays, with no time to expire, so that its call can still be settled. Its state
# is what happens when it expires ("charge", "refund"), then what has happened.
_TABLES: Final = Tables(
    "ledger",
    1,
    (
        """
        CREATE TABLE ledger_accounts (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, used INTEGER NOT NULL, reserved INTEGER NOT NULL,
            extra INTEGER NOT NULL, since INTEGER NOT NULL, keeps REAL NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX ledger_accounts_by_end ON ledger_accounts (keeps)",
        """
        CREATE TABLE ledger_parts (
            account TEXT NOT NULL REFERENCES ledger_accounts ON DELETE CASCADE, part INTEGER NOT NULL,
            used INTEGER NOT NULL, extra INTEGER NOT NULL, PRIMARY KEY (account, part)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE ledger_leases (
            account TEXT NOT NULL REFERENCES ledger_accounts ON DELETE CASCADE, id TEXT NOT NULL,
            part INTEGER NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL, expires REAL,
            PRIMARY KEY (account, id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX ledger_leases_by_end ON ledger_leases (account, expires)",
        """
        CREATE TABLE ledger_told (
            account TEXT NOT NULL REFERENCES ledger_accounts ON DELETE CASCADE, percent INTEGER NOT NULL,
            part INTEGER NOT NULL, PRIMARY KEY (account, percent)
        ) WITHOUT ROWID
        """,
    ),
    # Made anew in silence, every budget would be whole again.
    deleted="a restart makes a new one, all unspent",
)

_FORGET: Final = """
DELETE FROM ledger_accounts
WHERE id IN (SELECT id FROM ledger_accounts WHERE keeps < ? ORDER BY keeps LIMIT 20)
"""


class _Entry:
    """One account within a transaction; `save` writes what has changed."""

    def __init__(self, db: sqlite3.Connection, account: Account, now: float) -> None:
        self.db = db
        self.id = account.digest
        self.window: Window = account.window
        found = self._load()
        if found is None:
            db.execute(_FORGET, (now - GRACE,))
            db.execute(
                "INSERT INTO ledger_accounts VALUES (?, ?, 0, 0, 0, ?, ?)",
                (self.id, account.title, self.window.since, self.window.ends),
            )
            found = 0, 0, 0, self.window.since, self.window.ends
        self._saved = found
        self.used, self.reserved, self.extra, self.since, self.keeps = found
        if self.window.since > self.since:
            self._advance()
        self._sweep(now)

    def _load(self) -> tuple[int, int, int, int, float] | None:
        asked = "SELECT used, reserved, extra, since, keeps FROM ledger_accounts WHERE id = ?"
        found: tuple[int, int, int, int, float] | None = self.db.execute(
            asked, (self.id,)
        ).fetchone()
        return found

    def _advance(self) -> None:
        """Parts before `since` have left the window."""
        self.since = self.window.since
        self.keeps = max(self.keeps, self.window.ends)
        left = (self.id, self.since)
        used, extra = self.db.execute(
            "SELECT COALESCE(SUM(used), 0), COALESCE(SUM(extra), 0) FROM ledger_parts "
            "WHERE account = ? AND part < ?",
            left,
        ).fetchone()
        self.used -= used
        self.extra -= extra
        self.db.execute("DELETE FROM ledger_parts WHERE account = ? AND part < ?", left)
        self.db.execute(
            "DELETE FROM ledger_leases WHERE account = ? AND part < ? AND expires IS NULL", left
        )

    def _sweep(self, now: float) -> None:
        """Charge or refund what dead holders left."""
        expired = self.db.execute(
            "SELECT id, part, amount, state FROM ledger_leases WHERE account = ? AND expires <= ?",
            (self.id, now),
        ).fetchall()
        for name, part, amount, state in expired:
            self.reserved -= amount
            if state == "charge":
                self.book(part, amount)
            self.db.execute(
                "UPDATE ledger_leases SET state = ?, expires = NULL WHERE account = ? AND id = ?",
                ("charged" if state == "charge" else "refunded", self.id, name),
            )

    def lease(self, name: str) -> tuple[int, int, str] | None:
        """Part, amount and state."""
        found: tuple[int, int, str] | None = self.db.execute(
            "SELECT part, amount, state FROM ledger_leases WHERE account = ? AND id = ?",
            (self.id, name),
        ).fetchone()
        return found

    def hold(self, name: str, amount: int, expires: float, lost: OnExpiry) -> None:
        """Set `amount` aside."""
        part = max(self.window.part, self.since)
        self.db.execute(
            "INSERT INTO ledger_leases VALUES (?, ?, ?, ?, ?, ?)",
            (self.id, name, part, amount, lost, expires),
        )
        self.reserved += amount
        self.keeps = max(self.keeps, expires)

    def settle(self, use: Use) -> Settled:
        """Book it, once."""
        lease, actual, limit, thresholds = use
        most = limit + self.extra
        found = self.lease(lease.id)
        if found is None:
            return Settled(self.used, most, 0, ())
        part, amount, state = found
        self.db.execute(
            "DELETE FROM ledger_leases WHERE account = ? AND id = ?", (self.id, lease.id)
        )
        if state in {"charge", "refund"}:
            self.reserved -= amount
        self.book(part, actual - amount if state == "charged" else actual)
        crossed = self.tell(most, thresholds)
        return Settled(self.used, most, max(actual - amount, 0), crossed)

    def book(self, part: int, used: int, extra: int = 0) -> None:
        """Count it in `part`, if that still counts."""
        if part < self.since:
            return
        self.used += used
        self.extra += extra
        self.db.execute(
            "INSERT INTO ledger_parts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET used = used + excluded.used, extra = extra + excluded.extra",
            (self.id, part, used, extra),
        )

    def tell(self, limit: int, thresholds: Sequence[int]) -> tuple[int, ...]:
        """The thresholds reached that have not been told in this window."""
        reached = [each for each in thresholds if self.used * 100 >= each * limit and self.used]
        if not reached:
            return ()
        told = dict(
            self.db.execute("SELECT percent, part FROM ledger_told WHERE account = ?", (self.id,))
        )
        crossed = tuple(each for each in reached if told.get(each, self.since - 1) < self.since)
        until = self.since + self.window.part - self.window.since
        self.db.executemany(
            "INSERT OR REPLACE INTO ledger_told VALUES (?, ?, ?)",
            [(self.id, each, until) for each in crossed],
        )
        return crossed

    def forget(self) -> None:
        """Nothing used, granted or reported; leases that are alive stay."""
        self.used = self.extra = 0
        for statement in (
            "DELETE FROM ledger_parts WHERE account = ?",
            "DELETE FROM ledger_told WHERE account = ?",
            "DELETE FROM ledger_leases WHERE account = ? AND expires IS NULL",
        ):
            self.db.execute(statement, (self.id,))

    def save(self) -> None:
        """Write the sums, unless they are as before."""
        sums = self.used, self.reserved, self.extra, self.since, self.keeps
        if sums != self._saved:
            self.db.execute(
                "UPDATE ledger_accounts SET used = ?, reserved = ?, extra = ?, since = ?, keeps = ? "
                "WHERE id = ?",
                (*sums, self.id),
            )


class SQLiteLedger(Ledger):
    """Budgets that all processes on this machine share, through a file on a local disk.

    What was committed survives the death of any process. A power cut may take the latest
    transactions with it, never half of one.

    Args:
        path: of the file; its folder must exist.

    Raises:
        StoreUnavailable: by its operations: the file cannot be opened or written, has been
            deleted, is no database, or other processes kept it locked for 0.2 s.
    """

    remote = True

    def __init__(self, path: str) -> None:
        self._file = SQLiteFile(path, _TABLES)
        self.place = self._file.place

    def __repr__(self) -> str:
        return f"<SQLiteLedger {self._file.path!r}>"

    def reserve_all(
        self, wishes: Sequence[Wish], now: float, expires: float, lost: OnExpiry
    ) -> list[Reserved]:
        """See `Ledger`."""
        for _, amount, limit in wishes:
            check(amount, limit)

        def transaction(db: sqlite3.Connection) -> list[Reserved]:
            asked = [(_Entry(db, wish.lease.account, now), wish) for wish in wishes]
            held = [entry.lease(wish.lease.id) is not None for entry, wish in asked]
            room = [
                known or entry.used + entry.reserved + wish.amount <= wish.limit + entry.extra
                for known, (entry, wish) in zip(held, asked, strict=True)
            ]
            for known, (entry, wish) in zip(held, asked, strict=True):
                if all(room) and not known:
                    entry.hold(wish.lease.id, wish.amount, expires, lost)
                entry.save()
            return [
                Reserved(fits, entry.used, entry.reserved, wish.limit + entry.extra)
                for fits, (entry, wish) in zip(room, asked, strict=True)
            ]

        return self._file.write(transaction)

    def settle_all(self, uses: Sequence[Use], now: float) -> list[Settled]:
        """See `Ledger`."""
        for _, actual, limit, _ in uses:
            check(actual, limit)

        def transaction(db: sqlite3.Connection) -> list[Settled]:
            settled: list[Settled] = []
            for use in uses:  # one after the other: two may be of the same account
                entry = _Entry(db, use.lease.account, now)
                settled.append(entry.settle(use))
                entry.save()
            return settled

        return self._file.write(transaction)

    def renew(self, lease: Lease, now: float, expires: float) -> bool:
        """See `Ledger`."""

        def work(entry: _Entry) -> bool:
            entry.keeps = max(entry.keeps, expires)
            changed = entry.db.execute(
                "UPDATE ledger_leases SET expires = ? "
                "WHERE account = ? AND id = ? AND expires IS NOT NULL",
                (expires, entry.id, lease.id),
            )
            return changed.rowcount > 0

        return self._transact(lease.account, now, work)

    def status(self, account: Account, now: float) -> Status:
        """See `Ledger`."""
        return self._transact(
            account, now, lambda entry: Status(entry.used, entry.reserved, entry.extra)
        )

    def reset(self, account: Account, now: float) -> None:
        """See `Ledger`."""
        self._transact(account, now, _Entry.forget)

    def grant(self, account: Account, amount: int, now: float) -> None:
        """See `Ledger`."""
        check(amount)
        self._transact(
            account,
            now,
            lambda entry: entry.book(max(entry.window.part, entry.since), 0, amount),
        )

    def close(self) -> None:
        """See `Ledger`."""
        self._file.close()

    def _transact(self, account: Account, now: float, work: Callable[[_Entry], T]) -> T:
        def transaction(db: sqlite3.Connection) -> T:
            entry = _Entry(db, account, now)
            value = work(entry)
            entry.save()
            return value

        return self._file.write(transaction)
