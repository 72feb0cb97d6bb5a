"""What leaves a store that is full, and that it is never fuller than was said."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.stores.entries import Entries, Size
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.stores.entries_sqlite import SQLiteEntries
from tests.stores.entries_kit import NOW, entry

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["get", "put", "delete"]), st.integers(0, 7), st.integers(0, 60)),
    max_size=60,
)


@pytest.fixture(params=["memory", "sqlite"])
def bounded(request: pytest.FixtureRequest, tmp_path: Path, patient: None):
    """Open a store that holds 3 entries and 100 bytes a space."""
    made = (
        MemoryEntries(max_entries=3, max_bytes=100)
        if request.param == "memory"
        else SQLiteEntries(str(tmp_path / "answers.db"), max_entries=3, max_bytes=100)
    )
    yield made
    made.close()


def held(entries: Entries, space: str = "faq") -> str:
    """The keys of one letter that are there."""
    return "".join(key for key in "abcdefgh" if entries.get(space, key, NOW))


def test_entries_and_bytes_are_bounded(bounded: Entries):
    """The oldest leave, as many as it takes, with their tags."""
    for number, key in enumerate("abcd"):
        bounded.put("faq", key, entry(b"x" * 20, stored=NOW + number, tags=["t"]), NOW)
    assert held(bounded) == "bcd"
    assert len(bounded.scan("faq", "t", NOW)) == 3
    bounded.put("faq", "e", entry(b"x" * 80, stored=NOW + 9), NOW)
    assert held(bounded) == "de"
    assert bounded.size("faq", NOW) == Size(2, 100)


def test_a_replaced_entry_counts_once(bounded: Entries):
    """Putting the same key over and over pushes nothing out."""
    bounded.put("faq", "a", entry(b"x" * 40), NOW)
    for size in (10, 60, 20, 60):
        bounded.put("faq", "b", entry(b"x" * size, stored=NOW + 1), NOW)
    assert held(bounded) == "ab"
    assert bounded.size("faq", NOW) == Size(2, 100)


def test_what_is_larger_than_all_is_not_kept(bounded: Entries):
    """It pushes nothing else out, and takes away what its key held."""
    for key in "ab":
        bounded.put("faq", key, entry(b"x" * 20), NOW)
    bounded.put("faq", "b", entry(b"x" * 101), NOW)
    assert held(bounded) == "a"
    bounded.put("faq", "b", entry(b"x" * 80), NOW)
    assert held(bounded) == "ab"


def test_each_space_has_bounds_of_its_own(bounded: Entries):
    """A busy cache pushes nothing out of another one."""
    bounded.put("quiet", "a", entry(stored=NOW - 100), NOW)
    for number in range(10):
        bounded.put("faq", str(number), entry(), NOW)
    assert held(bounded, "quiet") == "a"


def test_many_at_once_are_bounded_too(bounded: Entries):
    """A batch larger than the store leaves its last ones."""
    many = {key: entry(stored=NOW + number) for number, key in enumerate("abcdefgh")}
    bounded.put_many("faq", many, NOW)
    assert held(bounded) == "fgh"


def test_memory_keeps_what_is_used():
    """An entry that was read is younger than one that was put later and not read."""
    entries = MemoryEntries(max_entries=3)
    for key in "abc":
        entries.put("faq", key, entry(), NOW)
    entries.get("faq", "a", NOW)
    entries.get_many("faq", ["b", "x"], NOW)
    entries.put("faq", "d", entry(), NOW)
    assert held(entries) == "abd"


def test_sqlite_keeps_what_was_stored_last(tmp_path: Path, patient: None):
    """Reading writes nothing, so it keeps nothing; what is over leaves before anything else."""
    entries = SQLiteEntries(str(tmp_path / "answers.db"), max_entries=3)
    for number, key in enumerate("abc"):
        entries.put("faq", key, entry(stored=NOW + number, keeps=60 if key == "b" else 900), NOW)
    entries.get("faq", "a", NOW)
    entries.put("faq", "d", entry(stored=NOW + 4), NOW)
    assert held(entries) == "bcd"
    entries.put("faq", "e", entry(stored=NOW + 5), NOW + 60)
    assert held(entries) == "cde"
    entries.close()


@settings(deadline=None, derandomize=True, max_examples=200)
@given(operations=OPERATIONS)
def test_memory_is_the_simplest_lru(operations: list[tuple[str, int, int]]):
    """Any history leaves the keys that an ordered dict would keep."""
    entries, reference = MemoryEntries(max_entries=4, max_bytes=100), OrderedDict[str, int]()
    for operation, number, size in operations:
        key = str(number)
        if operation == "get":
            found = entries.get("faq", key, NOW)
            assert (found is not None) == (key in reference)
            if found is not None:
                reference.move_to_end(key)
        elif operation == "delete":
            entries.delete("faq", key)
            reference.pop(key, None)
        else:
            entries.put("faq", key, entry(b"x" * size, tags=[key, "t"]), NOW)
            reference.pop(key, None)
            reference[key] = size
            while len(reference) > 4 or sum(reference.values()) > 100:
                reference.popitem(last=False)
        assert entries.size("faq", NOW) == Size(len(reference), sum(reference.values()))
    assert sorted(key for key, _ in entries.scan("faq", "t", NOW)) == sorted(reference)


def test_memory_holds_nothing_of_what_left():
    """Tags and spaces that are empty are not kept."""
    entries = MemoryEntries(max_entries=2)
    for number in range(100):
        entries.put("faq", str(number), entry(tags=[f"t{number}", f"t{number}"]), NOW)
    assert len(entries._spaces["faq"].tagged) == 2
    entries.clear("faq")
    assert not entries._spaces


def test_every_operation_of_memory_is_done_under_the_lock():
    """Each takes it; a race that would show its absence is too rare to wait for."""
    entries, taken = MemoryEntries(), []

    class Lock:
        def __enter__(self) -> None:
            taken.append(True)

        def __exit__(self, *_: object) -> None:
            pass

    entries.lock = Lock()
    entries.put("faq", "a", entry(tags=["t"]), NOW)
    entries.get("faq", "a", NOW)
    entries.scan("faq", "t", NOW)
    entries.size("faq", NOW)
    entries.delete("faq", "a")
    entries.invalidate("faq", "t")
    entries.clear("faq")
    assert len(taken) == 7
