"""What only a file of answers can do: be shared, locked, foreign, damaged, deleted."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentguard.stores.entries import Size, StoreUnavailable
from agentguard.stores.entries_sqlite import STEP, SQLiteEntries
from agentguard.stores.open import open_store
from agentguard.stores.packed import pack
from tests.stores.entries_kit import NOW, entry
from tests.stores.kit import account, take

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "answers.db"


@pytest.fixture
def entries(path: Path) -> Iterator[SQLiteEntries]:
    """A store in it."""
    made = SQLiteEntries(str(path))
    yield made
    made.close()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else's."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


@pytest.mark.usefixtures("patient")
def test_a_file_that_we_make_is_its_owners_alone(path: Path, entries: SQLiteEntries):
    """With the files that SQLite puts beside it, whoever of ledger and entries comes first."""
    entries.put("faq", "a", entry(), NOW)
    budgets = path.with_name("budgets.db")
    ledger = open_store(f"sqlite:///{budgets}")
    take(ledger, account(), 10)
    made = [*path.parent.glob("answers.db*"), *path.parent.glob("budgets.db*")]
    assert len(made) == 6
    assert {stat.S_IMODE(each.stat().st_mode) for each in made} == {0o600}
    ledger.close()


@pytest.mark.usefixtures("patient")
def test_the_mode_of_a_file_that_was_there_stays(path: Path, entries: SQLiteEntries):
    """Who shares it with a group has made it so."""
    path.touch()
    path.chmod(0o660)
    entries.put("faq", "a", entry(), NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.usefixtures("patient")
def test_budgets_live_in_the_same_file(path: Path, entries: SQLiteEntries):
    """Each with tables and a version of its own."""
    ledger = open_store(f"sqlite:///{path}")
    lease = take(ledger, account(), 10)
    entries.put("faq", "a", entry(), NOW)
    assert ledger.settle(lease, 10, 1000, 1).used == 10
    assert entries.clear("faq") == 1
    assert ledger.status(account(), 1).used == 10
    with opened(path) as db:
        assert dict(db.execute("SELECT * FROM agentguard_schemas")) == {"ledger": 1, "cache": 1}
    ledger.close()


def whole() -> bytes:
    """The bytes of an entry."""
    return pack(entry(b"the answer", tags=["t"]))


@pytest.mark.parametrize(
    "packed",
    [
        7,
        "the answer",
        b"",
        b"agc1",
        b"agc2" + whole()[4:],
        whole()[:-1],
        whole()[:47],
        whole() + b"x",
        whole()[:-3] + b"x" + whole()[-2:],
        whole()[:20] + b"\xff" + whole()[21:],
        whole()[:50] + b"x" + whole()[51:],
        b"\0" * 100,
    ],
    ids=[
        "number", "text", "nothing", "little", "version", "cut", "header",
        "long", "value", "times", "tags", "zeros",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("patient")
def test_a_row_that_cannot_be_read_is_a_miss(path: Path, entries: SQLiteEntries, packed: object):
    """Of another version, cut, changed or never ours; it can be replaced and invalidated."""
    for key in "ab":
        entries.put("faq", key, entry(b"the answer", tags=["t"]), NOW)
    with opened(path) as db:
        db.execute("UPDATE cache_entries SET packed = ? WHERE key = 'a'", (packed,))
    entries.close()
    assert entries.get("faq", "a", NOW) is None
    assert entries.get_many("faq", ["a", "b"], NOW)[0] is None
    assert [key for key, _ in entries.scan("faq", "t", NOW)] == ["b"]
    entries.put("faq", "a", entry(b"new", tags=["t"]), NOW)
    assert entries.get("faq", "a", NOW) == entry(b"new", tags=["t"])
    assert entries.invalidate("faq", "t") == 2


def test_a_locked_file_is_given_up_by_who_writes_and_not_by_who_reads(
    path: Path, entries: SQLiteEntries
):
    """A lock that does not go away is waited for within the bound, and said; hits go on."""
    entries.put("faq", "a", entry(), NOW)
    entries.get("faq", "a", NOW)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"another process kept it locked for 0\.2 s"):
            entries.put("faq", "b", entry(), NOW)
        assert entries.get("faq", "a", NOW) == entry()
        other.execute("ROLLBACK")
    entries.put("faq", "b", entry(), NOW)


def test_hits_go_on_while_another_thread_waits_to_write(path: Path, entries: SQLiteEntries):
    """Who reads is on a connection of its own."""
    entries.put("faq", "a", entry(), NOW)
    with entries._writer.lock:
        assert entries.get("faq", "a", NOW) == entry()
        with pytest.raises(StoreUnavailable, match="other threads of this process"):
            entries.put("faq", "a", entry(), NOW)


def test_a_folder_that_is_not_there(tmp_path: Path):
    """The message says what must exist; nothing is made."""
    entries = SQLiteEntries(str(tmp_path / "missing" / "answers.db"))
    for operation in (
        lambda: entries.get("faq", "a", NOW),
        lambda: entries.put("faq", "a", entry(), NOW),
        lambda: entries.size("faq", NOW),
        lambda: entries.invalidate("faq", "t"),
        lambda: entries.scan("faq", "t", NOW),
    ):
        with pytest.raises(StoreUnavailable, match="its folder must exist"):
            operation()


def test_a_file_that_is_no_database(path: Path, entries: SQLiteEntries):
    """It is left as it is."""
    path.write_text("not a database, " * 100)
    with pytest.raises(StoreUnavailable, match="it is no SQLite database"):
        entries.get("faq", "a", NOW)
    assert path.read_text().startswith("not a database")


def test_tables_of_another_version_are_refused(path: Path, entries: SQLiteEntries):
    """A newer agentguard's tables are neither read nor written."""
    entries.put("faq", "a", entry(), NOW)
    entries.close()
    with opened(path) as db:
        db.execute("UPDATE agentguard_schemas SET version = 2")
    with pytest.raises(StoreUnavailable, match="of version 2 and this agentguard writes version 1"):
        entries.get("faq", "a", NOW)


@pytest.mark.usefixtures("patient", "watchful")
def test_a_file_that_is_deleted_is_made_anew(path: Path, entries: SQLiteEntries):
    """That is how one empties a cache by hand; nothing of the old file is given."""
    entries.put("faq", "a", entry(), NOW)
    assert entries.get("faq", "a", NOW)
    for each in path.parent.glob("answers.db*"):
        each.unlink()
    assert entries.get("faq", "a", NOW) is None
    entries.put("faq", "b", entry(), NOW)
    assert entries.get("faq", "b", NOW)
    assert path.exists()


@pytest.mark.usefixtures("patient")
def test_the_sums_are_those_of_the_rows(path: Path, entries: SQLiteEntries):
    """Whatever was put, replaced, pushed out, over, deleted and cleared."""
    entries._max_entries = 50
    for number in range(300):
        many = entry(
            b"x" * (number % 17), stored=NOW + number, keeps=60 + number % 90, tags=["t", "u"]
        )
        entries.put("faq", f"{number % 70}", many, NOW + number % 60)
        if number % 40 == 0:
            entries.invalidate("faq", "u")
    with opened(path) as db:
        sums = db.execute("SELECT COUNT(*), SUM(size) FROM cache_entries").fetchone()
        tagged = db.execute("SELECT COUNT(*) FROM cache_tags").fetchone()
        kept = db.execute("SELECT entries, bytes FROM cache_sizes").fetchone()
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sums == kept
    assert sums[0] > 10
    assert tagged == (2 * sums[0],)


@pytest.mark.usefixtures("patient")
def test_the_size_of_the_file_is_bounded(path: Path):
    """What leaves makes room that is used again."""
    entries = SQLiteEntries(str(path), max_bytes=400_000)
    for number in range(1000):
        entries.put("faq", str(number), entry(b"x" * 4000, stored=NOW + number), NOW)
    assert entries.size("faq", NOW) == Size(100, 400_000)
    entries.close()
    assert path.stat().st_size < 1_500_000


def test_more_than_one_step_is_gone_through(entries: SQLiteEntries, patient: None):
    """Neither the last entry of a step nor the first of the next is missed or given twice."""
    for many in (STEP - 1, STEP, STEP + 1, 2 * STEP):
        entries.put_many("faq", {str(each): entry(tags=["t"]) for each in range(many)}, NOW)
        assert sorted(entries.scan("faq", "t", NOW)) == sorted(
            (str(each), entry(tags=["t"])) for each in range(many)
        )
        found = entries.get_many("faq", [str(each) for each in range(many + 1)], NOW)
        assert [each is None for each in found] == [False] * many + [True]
        assert entries.invalidate("faq", "t") == many


def test_no_tag_is_beside_the_answer(path: Path, entries: SQLiteEntries):
    """Tags are in clear in the entry alone, so that deleting it deletes them."""
    entries.put("faq", "2f1c", entry(b"42", tags=["alice@example.com"]), NOW)
    with opened(path) as db:
        for table in ("cache_tags", "cache_sizes"):
            assert "alice" not in str(db.execute(f"SELECT * FROM {table}").fetchall())


def test_a_process_that_is_killed_leaves_nothing_half_done(
    path: Path, entries: SQLiteEntries, patient: None
):
    """SIGKILL in the middle of a put: the old entry is there, and the lock is free."""
    entries.put("faq", "a", entry(b"old", tags=["t"]), NOW)
    code = """
        import os, signal, sys
        from agentguard.stores.entries_sqlite import SQLiteEntries
        from tests.stores.entries_kit import NOW, entry
        SQLiteEntries._push_out = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        SQLiteEntries(sys.argv[1]).put("faq", "a", entry(b"new", tags=["u"]), NOW)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert entries.get("faq", "a", NOW) == entry(b"old", tags=["t"])
    assert entries.scan("faq", "u", NOW) == []
    assert entries.size("faq", NOW) == Size(1, 3)


@pytest.mark.usefixtures("patient")
def test_processes_share_a_file(path: Path, entries: SQLiteEntries):
    """Two write and read the same keys at once: each gets whole answers, and the sums are right."""
    code = """
        import random, sys
        from agentguard.stores import sqlite_file
        from agentguard.stores.entries_sqlite import SQLiteEntries
        from tests.stores.entries_kit import NOW, entry
        sqlite_file.WITHIN = 30.0
        entries, chance = SQLiteEntries(sys.argv[1], max_entries=30), random.Random(sys.argv[2])
        for number in range(400):
            key = str(chance.randrange(40))
            value = f"{key} {number} {sys.argv[2]} ".encode() * chance.randrange(1, 400)
            entries.put("faq", key, entry(value, stored=NOW + number, tags=[key]), NOW)
            asked = str(chance.randrange(40))
            found = entries.get("faq", asked, NOW)
            assert found is None or found.value.startswith(asked.encode() + b" "), found
            assert found is None or found.tags == (asked,)
            if number % 50 == 0:
                entries.invalidate("faq", asked)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    running = [subprocess.Popen([*command, each], cwd=ROOT) for each in ("one", "two")]
    assert [each.wait() for each in running] == [0, 0]
    alive = [each for each in entries.get_many("faq", [str(k) for k in range(40)], NOW) if each]
    assert 0 < len(alive) <= 30
    assert entries.size("faq", NOW) == Size(len(alive), sum(len(each.value) for each in alive))


@pytest.mark.usefixtures("patient")
def test_opening_a_file_again_takes_no_lock_away(path: Path, entries: SQLiteEntries):
    """Another process, that comes and goes meanwhile, must see that the file is in use here."""
    entries.put("faq", "a", entry(), NOW)
    other = SQLiteEntries(str(path))
    other.put("faq", "b", entry(), NOW)
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('DELETE FROM cache_tags')"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    # Who believes to be the last deletes it, under whoever is still writing there.
    assert path.with_name("answers.db-wal").exists()
    other.close()


def test_an_interrupted_put_leaves_nothing_half_done(
    entries: SQLiteEntries, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C in the middle undoes it, and other threads go on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SQLiteEntries, "_push_out", interrupt)
        with pytest.raises(KeyboardInterrupt):
            entries.put("faq", "a", entry(), NOW)
    assert entries.get("faq", "a", NOW) is None
    thread = threading.Thread(target=entries.put, args=("faq", "a", entry(), NOW))
    thread.start()
    thread.join()
    assert entries.get("faq", "a", NOW) == entry()
