"""Threads, forks and loops at once on one store of answers."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from agentguard.stores.entries import Entries, Size
from agentguard.stores.entries_memory import MemoryEntries
from agentguard.stores.open import open_entries
from tests.stores.entries_kit import NOW, entry
from tests.stores.test_forks import in_child

KEYS = [str(number) for number in range(12)]


@pytest.fixture
def _eager() -> Iterator[None]:
    """Let threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*works: Callable[[], None]) -> None:
    """Run each in a thread of its own; fail if one fails."""
    failed: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failed:
        raise failed[0]


@pytest.mark.usefixtures("_eager")
def test_threads_get_whole_answers_and_sums_stay_right(entries: Entries, kept: object):
    """Eight threads put, read, scan, invalidate and clear the same few keys."""
    rounds = 400 if isinstance(kept, MemoryEntries) else 60

    def run(seed: int) -> Callable[[], None]:
        def work() -> None:
            chance = random.Random(seed)
            for number in range(rounds):
                key = chance.choice(KEYS)
                value = f"{key} {seed} {number} ".encode() * chance.randrange(1, 30)
                entries.put("faq", key, entry(value, tags=[key, "all"]), NOW)
                asked = chance.choice(KEYS)
                found = entries.get("faq", asked, NOW)
                assert found is None or found.value.startswith(asked.encode() + b" ")
                if number % 7 == 0:
                    for name, each in entries.scan("faq", "all", NOW):
                        assert each.value.startswith(name.encode() + b" ")
                        assert each.tags == (name, "all")
                if number % 11 == 0:
                    entries.invalidate("faq", asked)
                if number % 50 == 0:
                    entries.clear("faq")
                assert 0 <= entries.size("faq", NOW).entries <= len(KEYS)

        return work

    together(*map(run, range(8)))
    alive = [each for each in entries.get_many("faq", KEYS, NOW) if each]
    assert entries.size("faq", NOW) == Size(len(alive), sum(len(each.value) for each in alive))
    assert len(entries.scan("faq", "all", NOW)) == len(alive)
    assert entries.invalidate("faq", "all") == len(alive)
    assert entries.size("faq", NOW) == Size(0, 0)


@pytest.mark.usefixtures("_eager")
def test_what_was_put_before_an_invalidation_is_gone_after_it(entries: Entries):
    """However many others put and invalidate under the same tag meanwhile."""
    over = threading.Event()

    def others() -> None:
        number = 0
        while not over.is_set():
            number += 1
            entries.put("faq", f"other {number % 50}", entry(tags=["t"]), NOW)
            entries.invalidate("faq", "t")

    def mine() -> None:
        try:
            for number in range(40):
                entries.put("faq", "mine", entry(b"%d" % number, tags=["t", "u"]), NOW)
                entries.invalidate("faq", "t" if number % 2 else "u")
                assert entries.get("faq", "mine", NOW) is None
        finally:
            over.set()

    together(others, others, mine)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on(entries: Entries, kept: object):
    """With the entries of its parent; what it puts the parent sees in a shared store alone."""
    entries.put("faq", "a", entry(), NOW)
    shared = not isinstance(kept, MemoryEntries)

    def work() -> None:
        assert entries.get("faq", "a", NOW) == entry()
        entries.put("faq", "b", entry(tags=["t"]), NOW)
        assert entries.invalidate("faq", "t") == 1
        entries.put("faq", "c", entry(), NOW)
        entries.close()

    in_child(work)
    assert entries.get("faq", "a", NOW) == entry()
    assert (entries.get("faq", "c", NOW) is not None) == shared
    entries.put("faq", "d", entry(), NOW)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_in_the_middle_of_work(entries: Entries):
    """Children forked while threads put and get find no lock taken and nothing half done."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            entries.put("faq", "a", entry(b"x" * 500, tags=["t"]), NOW)
            entries.get("faq", "a", NOW)
            entries.invalidate("faq", "t")

    def work() -> None:
        assert entries.get("faq", "a", NOW) in {None, entry(b"x" * 500, tags=["t"])}
        entries.put("faq", "b", entry(), NOW)
        assert entries.get("faq", "b", NOW) == entry()

    def fork() -> None:
        try:
            for _ in range(8):
                in_child(work)
        finally:
            over.set()

    together(run, run, run, fork)


def test_opening_twice_in_memory_is_two_stores():
    """Each cache without a store has its own."""
    one, other = open_entries(), open_entries()
    one.put("faq", "a", entry(), NOW)
    assert other.get("faq", "a", NOW) is None
