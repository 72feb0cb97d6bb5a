"""What every store of answers promises. Each test runs on memory, on SQLite and on a real Redis."""

from __future__ import annotations

import math

import pytest

from agentguard.stores.entries import Entries, Size
from tests.stores.entries_kit import NOW, Open, entry

AWKWARD = ["a:b", "{a}", "}{", "", "a b", "%", "가나다", "*", "a\nb", "a\0b", "?[x]", "x" * 300]


def test_what_is_put_comes_back(entries: Entries):
    """Every field comes back exactly, whatever the bytes and words are."""
    for number, value in enumerate([b"", b"\0\xff\n", b"x" * 100_000, "답".encode()]):
        given = entry(value, stored=NOW + 0.1 + 0.2, fresh=60.123_456_7, took=0.1, tags=AWKWARD)
        entries.put("faq", str(number), given, NOW)
        assert entries.get("faq", str(number), NOW) == given


def test_a_key_that_was_never_put_holds_nothing(entries: Entries):
    """In a space that is there, and in one that is not."""
    entries.put("faq", "a", entry(), NOW)
    assert entries.get("faq", "b", NOW) is None
    assert entries.get("other", "a", NOW) is None
    assert entries.get_many("other", ["a"], NOW) == [None]
    entries.delete("other", "a")
    entries.delete("faq", "b")
    assert entries.invalidate("other", "t") == entries.clear("other") == 0
    assert entries.scan("other", "t", NOW) == []
    assert entries.size("other", NOW) == Size(0, 0)
    assert entries.get("faq", "a", NOW)


def test_an_entry_exists_until_it_is_over(entries: Entries):
    """A stale one is given, and one that is over is not, to the next number that a clock can show."""
    keeps = NOW + 90.123_456_7
    entries.put("faq", "a", entry(fresh=60, keeps=keeps - NOW, tags=["t"]), NOW)
    before = math.nextafter(keeps, 0)
    assert entries.get("faq", "a", before) is not None
    assert entries.size("faq", before) == Size(1, 2)
    assert len(entries.scan("faq", "t", before)) == 1
    assert entries.scan("faq", "t", keeps) == []
    assert entries.get_many("faq", ["a"], keeps) == [None]
    assert entries.size("faq", keeps) == Size(0, 0)
    assert entries.get("faq", "a", keeps) is None


def test_an_entry_may_be_kept_for_ever(entries: Entries):
    """An infinite time is one, and so is one far beyond what any store can count."""
    for keeps in (math.inf, 1e300):
        entries.put("faq", "a", entry(fresh=keeps, keeps=keeps), NOW)
        found = entries.get("faq", "a", NOW + 1e9)
        assert found is not None
        assert found.keeps == keeps


def test_what_is_over_is_not_kept(entries: Entries):
    """Putting it takes away what the key held."""
    entries.put("faq", "a", entry(b"old", tags=["t"]), NOW)
    entries.put("faq", "a", entry(b"new", keeps=0), NOW)
    assert entries.get("faq", "a", NOW) is None
    assert entries.size("faq", NOW) == Size(0, 0)
    assert entries.invalidate("faq", "t") == 0


def test_a_put_replaces_value_times_and_tags(entries: Entries):
    """Nothing of what the key held stays: its tags find nothing any more."""
    entries.put("faq", "a", entry(b"long value", keeps=900, tags=["old", "both"]), NOW)
    entries.put("faq", "a", entry(b"new", keeps=90, tags=["both", "new"]), NOW)
    assert entries.size("faq", NOW) == Size(1, 3)
    assert entries.scan("faq", "old", NOW) == []
    assert entries.invalidate("faq", "old") == 0
    assert entries.get("faq", "a", NOW + 89) is not None
    assert entries.get("faq", "a", NOW + 90) is None
    assert entries.size("faq", NOW + 90) == Size(0, 0)
    entries.put("faq", "a", entry(b"last", tags=["both"]), NOW + 91)
    assert [key for key, _ in entries.scan("faq", "both", NOW + 91)] == ["a"]


def test_spaces_keys_and_tags_are_apart(entries: Entries):
    """However they are written, and however the words of one run into the next."""
    for space in AWKWARD:
        for key in AWKWARD:
            entries.put(space, key, entry(f"{space}/{key}".encode(), tags=[key]), NOW)
    for space in AWKWARD:
        assert entries.size(space, NOW).entries == len(AWKWARD)
        for key in AWKWARD:
            found = entries.get(space, key, NOW)
            assert found is not None
            assert found.value == f"{space}/{key}".encode()
            assert [name for name, _ in entries.scan(space, key, NOW)] == [key]
    assert entries.clear(AWKWARD[0]) == len(AWKWARD)
    assert entries.invalidate(AWKWARD[1], AWKWARD[2]) == 1
    assert entries.size(AWKWARD[1], NOW).entries == len(AWKWARD) - 1
    assert entries.size(AWKWARD[2], NOW).entries == len(AWKWARD)


def test_many_are_read_and_written_in_their_order(entries: Entries):
    """Missing and repeated keys have their places; nothing is asked of nothing."""
    given = {f"k{number}": entry(b"%d" % number, tags=["t"]) for number in range(40)}
    entries.put_many("faq", given, NOW)
    entries.put_many("faq", {}, NOW)
    entries.delete("faq", "k7")
    keys = ["k3", "none", "k7", "k39", "k3"]
    assert entries.get_many("faq", keys, NOW) == [
        given["k3"],
        None,
        None,
        given["k39"],
        given["k3"],
    ]
    assert entries.get_many("faq", [], NOW) == []
    assert dict(entries.scan("faq", "t", NOW)) == {k: v for k, v in given.items() if k != "k7"}


def test_what_was_deleted_is_gone_from_everywhere(entries: Entries):
    """From its tags and from the size; deleting it again does nothing."""
    entries.put("faq", "a", entry(b"one", tags=["t"]), NOW)
    entries.put("faq", "b", entry(b"three", tags=["t"]), NOW)
    entries.delete("faq", "a")
    entries.delete("faq", "a")
    assert entries.size("faq", NOW) == Size(1, 5)
    assert [key for key, _ in entries.scan("faq", "t", NOW)] == ["b"]
    assert entries.invalidate("faq", "t") == 1


def test_a_tag_takes_what_has_it_and_nothing_else(entries: Entries):
    """More entries than one step takes, in one space; a tag named twice counts once."""
    for number in range(0, 1200, 100):
        many = {
            f"k{each}": entry(tags=["even", "even", "all"] if each % 2 == 0 else ["odd", "all"])
            for each in range(number, number + 100)
        }
        entries.put_many("faq", many, NOW)
    entries.put("other", "k0", entry(tags=["even"]), NOW)
    assert entries.invalidate("faq", "even") == 600
    assert entries.invalidate("faq", "even") == 0
    assert entries.size("faq", NOW) == Size(600, 1200)
    assert len(entries.scan("faq", "all", NOW)) == 600
    assert entries.get("faq", "k0", NOW) is None
    assert entries.get("other", "k0", NOW) is not None
    assert entries.clear("faq") == 600
    assert entries.size("faq", NOW) == Size(0, 0)


def test_an_entry_that_comes_back_after_an_invalidation_can_be_invalidated(entries: Entries):
    """Also when it was put without its tag in between."""
    for _ in range(3):
        entries.put("faq", "a", entry(tags=["t"]), NOW)
        assert entries.invalidate("faq", "t") == 1
        entries.put("faq", "a", entry(), NOW)
        assert entries.invalidate("faq", "t") == 0
        assert entries.get("faq", "a", NOW) is not None


def test_handles_share_one_store(open_one: Open):
    """What one handle put another one gets, and one it took away is gone for both."""
    one, other = open_one(), open_one()
    one.put("faq", "a", entry(b"x", tags=["t"]), NOW)
    assert other.get("faq", "a", NOW) == entry(b"x", tags=["t"])
    assert other.size("faq", NOW) == Size(1, 1)
    assert other.invalidate("faq", "t") == 1
    assert one.get("faq", "a", NOW) is None


def test_a_closed_store_opens_again(entries: Entries):
    """Closing lets go of connections; what is shared is still there."""
    entries.put("faq", "a", entry(), NOW)
    entries.close()
    entries.close()
    assert entries.get("faq", "a", NOW) == entry()
    entries.close()
    entries.put("faq", "b", entry(), NOW)
    assert entries.size("faq", NOW).entries == 2


def test_nothing_shows_an_answer(entries: Entries):
    """Neither the repr of an entry nor that of a store has anything of what is in it."""
    given = entry(b"hunter2", tags=["alice@example.com"])
    entries.put("faq", "a", given, NOW)
    shown = repr(given) + repr(entries) + repr(entries.get("faq", "a", NOW)) + entries.place
    assert "hunter2" not in shown
    assert "alice" not in shown


@pytest.mark.parametrize("over", [0.0, 1e-9, 1e6])
def test_only_the_given_time_counts(entries: Entries, over: float):
    """The same store, asked at an earlier time, gives what a later time had not taken away."""
    entries.put("faq", "a", entry(keeps=90), NOW)
    assert entries.get("faq", "a", NOW - 1e6) is not None
    assert entries.get("faq", "a", NOW + 90 + over) is None
