"""What may stand after `store=` of a cache, and entries as bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from agentguard.stores.entries import Entry, Size
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.stores.entries_sqlite import SQLiteEntries
from agentguard.stores.memory import MemoryLedger
from agentguard.stores.open import open_entries
from agentguard.stores.packed import digest, pack, unpack
from tests.stores.entries_kit import NOW, entry

TIMES = st.floats(allow_nan=False)
ENTRIES = st.builds(
    Entry,
    st.binary(max_size=300),
    TIMES,
    TIMES,
    TIMES,
    TIMES,
    st.lists(st.text(), max_size=3).map(tuple),
)


def test_none_is_this_process():
    """Without a store each cache keeps for itself."""
    assert isinstance(open_entries(), MemoryEntries)
    assert open_entries() is not open_entries()


def test_entries_are_taken_as_they_are():
    """A store of one's own has bounds of its own."""
    entries = MemoryEntries()
    assert open_entries(entries) is entries
    with pytest.raises(ValueError, match="give max_entries to the MemoryEntries itself"):
        open_entries(entries, max_entries=10)


def test_places_of_the_stores():
    """As for budgets; nothing is opened yet and no credentials are shown."""
    assert open_entries("sqlite:////var/lib/answers.db").place == (
        "the SQLite file /var/lib/answers.db"
    )
    entries = open_entries("rediss://someone:hunter2@redis.internal:6380/3")
    assert entries.place == "Redis at redis.internal:6380/3"
    assert "hunter2" not in repr(entries)
    assert "someone" not in repr(entries)
    entries.close()


def test_bounds_are_passed_on(tmp_path: Path, patient: None):
    """To memory and to SQLite."""
    for store in (None, f"sqlite:///{tmp_path / 'answers.db'}"):
        entries = open_entries(store, max_entries=2, max_bytes=10)
        for number in range(3):
            entries.put("faq", str(number), entry(b"123", stored=NOW + number), NOW)
        assert entries.size("faq", NOW) == Size(2, 6)
        entries.put("faq", "large", entry(b"12345678", stored=NOW + 9), NOW)
        assert entries.size("faq", NOW) == Size(1, 8)
        entries.close()


@pytest.mark.parametrize(
    "bound", [{"max_entries": 10}, {"max_bytes": 10}], ids=["entries", "bytes"]
)
def test_redis_has_bounds_of_its_own(bound: dict[str, int]):
    """The message says which."""
    (name,) = bound
    client = redis.Redis()
    for store in ("redis://localhost", client):
        with pytest.raises(ValueError, match=rf"its maxmemory and maxmemory-policy, not {name}$"):
            open_entries(store, **bound)
    client.close()


@pytest.mark.parametrize("bound", [{"max_entries": 0}, {"max_bytes": -1}], ids=["entries", "bytes"])
def test_a_bound_is_at_least_one(bound: dict[str, int]):
    """A cache that holds nothing is one that should be left out."""
    (name,) = bound
    with pytest.raises(ValueError, match=f"{name} is a whole number from 1, not"):
        open_entries(**bound)


@pytest.mark.parametrize("store", ["answers.db", "postgres://:hunter2@host/db", "hunter2"])
def test_another_text_is_refused_and_not_repeated(store: str):
    """It may hold a password."""
    with pytest.raises(ValueError, match=r'takes "sqlite:///answers\.db"') as raised:
        open_entries(store)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("store", [7, MemoryLedger()], ids=["number", "ledger"])
def test_another_thing_is_refused(store: object):
    """By its type: a store of budgets is none of answers."""
    with pytest.raises(TypeError, match=rf"or Entries, not {type(store).__name__}$"):
        open_entries(store)


def test_an_async_client_is_refused():
    """The sync client serves both."""
    with pytest.raises(TypeError, match=r"takes the sync redis\.Redis"):
        open_entries(redis.asyncio.Redis())


def test_a_missing_package_is_named():
    """Without redis-py the line that installs it is the message."""
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from agentguard.stores.open import open_entries\n"
        "open_entries('redis://localhost')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'agentguard-decorators[redis]'" in run.stderr


def test_stores_are_loaded_when_asked_for():
    """Neither sqlite3 nor redis is imported for a cache in memory."""
    code = (
        "import sys; from agentguard.stores.open import open_entries; open_entries()\n"
        "print({'sqlite3', 'redis', 'asyncio', 'logging'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert run.stdout.strip() == "set()"


@given(given=ENTRIES)
def test_an_entry_comes_back_from_its_bytes(given: Entry):
    """Every field, whatever is in it."""
    assert unpack(pack(given)) == given


@given(given=ENTRIES, data=st.data())
def test_bytes_that_were_changed_are_no_entry(given: Entry, data: st.DataObject):
    """Wherever one bit was turned, or wherever they were cut, whatever was put after them."""
    packed = bytearray(pack(given))
    place = data.draw(st.integers(0, len(packed) - 1))
    cut, longer = bytes(packed[:place]), bytes(packed) + data.draw(st.binary(min_size=1))
    packed[place] ^= 1 << data.draw(st.integers(0, 7))
    assert unpack(bytes(packed)) is None
    assert unpack(cut) is None
    assert unpack(longer) is None


@given(anything=st.binary(max_size=200) | st.none() | st.integers() | st.text())
def test_whatever_is_found_is_read_without_an_error(anything: object):
    """Bytes and other things that nobody packed are no entry."""
    assert unpack(anything) is None


def test_a_digest_tells_words_apart():
    """Where one ends and the next begins is in it; it is of any text."""
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("a", "") != digest("", "a")
    assert len(digest("\ud800")) == 32


def test_sqlite_tells_where_it_is_and_nothing_else(tmp_path: Path):
    """In its repr."""
    path = tmp_path / "answers.db"
    assert repr(SQLiteEntries(str(path))) == f"<SQLiteEntries {str(path)!r}>"
